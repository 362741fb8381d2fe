package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runAsProgram makes the test binary the program itself, for tests that need a
// process of their own.
const runAsProgram = "TEST_RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(runAsProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// outcome is what one run of the program did.
type outcome struct {
	*testing.T
	args           []string
	status         int
	stdout, stderr string
}

// program runs the program in this process.
func program(t *testing.T, args ...string) *outcome {
	t.Helper()
	return programWith(t, "", args...)
}

func programWith(t *testing.T, stdin string, args ...string) *outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return &outcome{t, args, status, stdout.String(), stderr.String()}
}

// wants checks the exit status, and that an error is one clear line.
func (o *outcome) wants(status int) *outcome {
	o.Helper()
	if o.status != status {
		o.Fatalf("%q: status %d, want %d; stdout %s; stderr %s", o.args, o.status, status, o.stdout, o.stderr)
	}
	if status != exitOK && (!strings.HasPrefix(o.stderr, "scheduler-store: ") || strings.Count(o.stderr, "\n") != 1) {
		o.Errorf("%q: standard error is not one line of this program: %q", o.args, o.stderr)
	}
	return o
}

// prints checks that standard output has all of these.
func (o *outcome) prints(parts ...string) *outcome {
	o.Helper()
	for _, part := range parts {
		if !strings.Contains(o.stdout, part) {
			o.Errorf("%q: no %q in the output:\n%s", o.args, part, o.stdout)
		}
	}
	return o
}

// says checks that standard error has all of these.
func (o *outcome) says(parts ...string) *outcome {
	o.Helper()
	for _, part := range parts {
		if !strings.Contains(o.stderr, part) {
			o.Errorf("%q: no %q on standard error: %s", o.args, part, o.stderr)
		}
	}
	return o
}

// json checks that standard output is one JSON document, and reads it.
func (o *outcome) json() map[string]any {
	o.Helper()
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(o.stdout))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		o.Fatalf("%q: %v in %s", o.args, err, o.stdout)
	}
	if rest := o.stdout[decoder.InputOffset():]; strings.TrimSpace(rest) != "" {
		o.Errorf("%q: more than one document: %s", o.args, rest)
	}
	return document
}

// at is a value in a JSON document, by the names and numbers of a path.
func at(t *testing.T, document any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := document.(map[string]any)
			document = object[step]
		case int:
			array, _ := document.([]any)
			if step >= len(array) {
				t.Fatalf("no element %d of %v in %v", step, path, document)
			}
			document = array[step]
		}
	}
	return document
}

func wantAt(t *testing.T, document any, want any, path ...any) {
	t.Helper()
	if got := at(t, document, path...); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v is %v, want %v", path, got, want)
	}
}

// newDirectory is a directory for a store, not made yet.
func newDirectory(t *testing.T) string { return filepath.Join(t.TempDir(), "store") }

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func taskJSON(id, status string) string {
	return fmt.Sprintf(`{"assignedTask":{"taskId":%q,"slaveHost":"host-%s","task":{"job":{"role":"www","environment":"prod","name":"hello"}},"instanceId":3},"status":%q}`, id, id, status)
}

// saveTask is a line of input.
func saveTask(id string) string {
	return `{"ops":[{"saveTasks":{"tasks":[` + taskJSON(id, "PENDING") + `]}}]}` + "\n"
}

// everything is input that saves one of each kind.
func everything() string {
	config := `{"job":{"role":"www","environment":"prod","name":"hello"}}`
	return strings.Join([]string{
		`{"ops":[{"saveFrameworkId":{"id":"framework-7"}}]}`,
		`{"ops":[{"saveTasks":{"tasks":[` + taskJSON("task-b", "RUNNING") + `,` + taskJSON("task-a", "PENDING") + `]}}]}`,
		``,
		`{"ops":[{"saveQuota":{"role":"www","quota":{"resources":[{"numCpus":2.5},{"ramMb":1024},{"diskMb":2048}]}}}]}`,
		`{"ops":[{"saveHostAttributes":{"hostAttributes":{"host":"host-1","attributes":[{"name":"rack","values":["r1","r2"]}],"mode":"DRAINING","slaveId":"agent-1"}}}]}`,
		`{"ops":[{"saveCronJob":{"jobConfig":{"key":{"role":"www","environment":"prod","name":"cron"},"cronSchedule":"* * * * *","cronCollisionPolicy":"KILL_EXISTING","taskConfig":` + config + `,"instanceCount":4}}}]}`,
		`{"ops":[{"saveHostMaintenanceRequest":{"hostMaintenanceRequest":{"host":"host-1","timeoutSecs":7200,"createdTimestampMs":1700000000000,"defaultSlaPolicy":{"countSlaPolicy":{"count":5,"durationSecs":60}}}}}]}`,
		`{"ops":[{"saveJobUpdate":{"jobUpdate":{"summary":{"key":{"job":{"role":"www","environment":"prod","name":"hello"},"id":"update-1"},"user":"ann"},"instructions":{"initialState":[],"desiredState":{"task":` + config + `,"instances":[{"first":0,"last":1}]},"settings":{"updateGroupSize":1}}}}},` +
			`{"saveJobUpdateEvent":{"key":{"job":{"role":"www","environment":"prod","name":"hello"},"id":"update-1"},"event":{"status":"ROLLING_FORWARD","timestampMs":1700000000000}}}]}`,
	}, "\n")
}

// filled makes a store with everything in it.
func filled(t *testing.T) string {
	t.Helper()
	directory := newDirectory(t)
	programWith(t, everything(), "--store", directory, "apply", "-").wants(exitOK)
	return directory
}

// logObjects are the paths of the log's objects in a directory, in order.
func logObjects(t *testing.T, directory string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory, "log", "*", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no log objects in %s: %v", directory, err)
	}
	return paths
}

// flipBit damages a file.
func flipBit(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 4
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
