package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// must sends a request whose answer must have a status, and returns its body.
func must(t *testing.T, d *servers.Daemon, status int, method, path, body string) string {
	t.Helper()
	header := map[string]string{}
	if body != "" {
		header["Content-Type"] = "application/json"
	}
	got, answer, err := d.Do(method, path, []byte(body), header)
	if err != nil || got != status {
		t.Fatalf("%s %s: %d %s %v, want %d", method, path, got, answer, err, status)
	}
	return strings.TrimSpace(answer)
}

// taskIDs are those of the tasks that a path lists.
func taskIDs(t *testing.T, d *servers.Daemon, path string) string {
	t.Helper()
	var answer struct {
		Tasks []struct {
			AssignedTask struct{ TaskID string }
		}
	}
	if err := json.Unmarshal([]byte(must(t, d, http.StatusOK, http.MethodGet, path, "")), &answer); err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, task := range answer.Tasks {
		all = append(all, task.AssignedTask.TaskID)
	}
	return strings.Join(all, " ")
}

// run runs the command, which must succeed, and returns what it printed.
func run(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := servers.Run(t, nil, args...)
	if status != 0 {
		t.Fatalf("%q: %d %s%s", args, status, stdout, stderr)
	}
	return stdout
}

// wholeState is all that a store holds, without the number of its last transaction.
func wholeState(t *testing.T, store string) string {
	t.Helper()
	_, state, _ := strings.Cut(run(t, "state", "all", "--store", store, "--output", "json"), "\n  \"tasks\"")
	if state == "" {
		t.Fatal("there is no state")
	}
	return state
}

// A backup is made, looked at, pruned and made the state, by a daemon that goes on; what
// comes of it survives kill -9, and can be exported and imported elsewhere.
func TestRecovery(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		args := []string{"--lease-ttl", "3s"}
		d := servers.StartDaemon(t, store, args...)
		d.WaitFor("/leaderz", http.StatusOK)
		for i := range 5 {
			mustSave(t, d, fmt.Sprintf("task-%d", i))
		}
		var info struct{ Counts map[string]int }
		if err := json.Unmarshal([]byte(must(t, d, http.StatusCreated, "POST", "/v1/backups", `{"name":"good-old-days"}`)), &info); err != nil || info.Counts["tasks"] != 5 {
			t.Errorf("%+v %v", info, err)
		}
		must(t, d, http.StatusOK, "POST", "/v1/transactions", `{"ops":[{"removeTasks":{"taskIds":["task-0","task-1","task-2"]}}]}`)
		mustSave(t, d, "task-5")

		must(t, d, http.StatusOK, "POST", "/v1/recovery", `{"backup":"good-old-days"}`)
		if got := taskIDs(t, d, "/v1/recovery/tasks?role=www"); got != "task-0 task-1 task-2 task-3 task-4" {
			t.Errorf("staged are %s", got)
		}
		must(t, d, http.StatusBadRequest, "DELETE", "/v1/recovery/tasks", "")
		if got := must(t, d, http.StatusOK, "DELETE", "/v1/recovery/tasks?id=task-1&id=task-4", ""); got != `{"deleted":2}` {
			t.Error(got)
		}
		if got := taskIDs(t, d, "/v1/tasks"); got != "task-3 task-4 task-5" {
			t.Errorf("before the commit the state has %s", got)
		}
		commit := must(t, d, http.StatusOK, "POST", "/v1/recovery/commit", "")
		const want = "task-0 task-2 task-3"
		took := d.WaitFor("/leaderz", http.StatusOK)
		t.Logf("%s; the daemon led again after %v", commit, took)
		if got := taskIDs(t, d, "/v1/tasks?consistency=linearizable"); got != want {
			t.Errorf("the state has %s, want %s", got, want)
		}
		must(t, d, http.StatusNoContent, "DELETE", "/v1/recovery", "")

		d.Kill()
		d = servers.StartDaemon(t, store, args...)
		d.WaitFor("/readyz", http.StatusOK)
		if got := taskIDs(t, d, "/v1/tasks"); got != want {
			t.Errorf("after kill -9 the state has %s, want %s", got, want)
		}
		d.WaitFor("/leaderz", http.StatusOK)
		must(t, d, http.StatusOK, "POST", "/v1/snapshots", "")
		mustSave(t, d, "task-9")
		run(t, "log", "verify", "--store", store)
		run(t, "snapshot", "verify", "--store", store)

		before := wholeState(t, store)
		for _, format := range []string{"aurora", "jsonl"} {
			file, other := filepath.Join(t.TempDir(), "state"), "file://"+filepath.Join(t.TempDir(), "other")
			run(t, "export", file, "--format", format, "--store", store)
			run(t, "import", file, "--store", other)
			if got := wholeState(t, other); got != before {
				t.Errorf("%s: imported\n%s\nwant\n%s", format, got, before)
			}
		}
	})
}
