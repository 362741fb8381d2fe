package servers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Binary is the command under test, bin/scheduler-store of the project. It fails
// the test if there is none.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := built("bin/scheduler-store")
	if err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return path
}

// Run runs the command to its end and returns what it printed, and its exit status.
func Run(t testing.TB, stdin io.Reader, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, Binary(t), args...)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = stdin, &out, &errs
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), status
}

// Daemon is a process of 'scheduler-store serve'.
type Daemon struct {
	*Process
	URL string
	log *lockedBuffer
}

// StartDaemon starts a daemon on a store and waits until it listens.
func StartDaemon(t testing.TB, store string, args ...string) *Daemon {
	t.Helper()
	return StartServing(t, exec.Command(Binary(t), append([]string{"serve", "--store", store, "--listen", "127.0.0.1:0"}, args...)...))
}

// StartServing starts a command that becomes a daemon, as 'exec scheduler-store serve' in
// a shell does, and waits until it listens.
func StartServing(t testing.TB, c *exec.Cmd) *Daemon {
	t.Helper()
	d := &Daemon{log: &lockedBuffer{}}
	c.Stderr = d.log
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.Process = StartProcess(t, c)
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("what the daemon at %s said:\n%s", d.URL, d.log)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		d.Kill()
		t.Fatalf("daemon did not start: %q, %v\n%s", line, err, d.log)
	}
	d.URL = url
	return d
}

// Log is what the daemon has logged.
func (d *Daemon) Log() string { return d.log.String() }

// Get asks the daemon, and returns the answer's status and body.
func (d *Daemon) Get(path string) (int, string, error) {
	return d.Do(http.MethodGet, path, nil, nil)
}

// client has no connection left from a process that was killed.
var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// Do sends a request to the daemon, and returns the answer's status and body.
func (d *Daemon) Do(method, path string, body []byte, header map[string]string) (int, string, error) {
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// WaitFor waits until a GET of path has a status, and returns how long that took.
func (d *Daemon) WaitFor(path string, status int) time.Duration {
	d.t.Helper()
	start := time.Now()
	waitUntil(d.t, fmt.Sprintf("%s%s with %d", d.URL, path, status), func(context.Context) error {
		got, body, err := d.Get(path)
		if err == nil && got != status {
			err = fmt.Errorf("%d %s", got, body)
		}
		return err
	})
	return time.Since(start)
}

// WaitForLeader waits until the daemon knows who leads: from then on it can tell how long
// the leader has not been heard of.
func (d *Daemon) WaitForLeader() {
	d.t.Helper()
	d.WaitFor("/readyz", http.StatusOK)
	waitUntil(d.t, d.URL+" to know the leader", func(context.Context) error {
		_, body, err := d.Get("/v1/status")
		if err == nil && !strings.Contains(body, `"leader"`) {
			err = errors.New(body)
		}
		return err
	})
}

// Save has the daemon commit OneTask, and returns the answer's status and body.
func (d *Daemon) Save(id string) (int, string, error) {
	return d.Do(http.MethodPost, "/v1/transactions", OneTask(id), map[string]string{"Content-Type": "application/json"})
}

// OneTask is a transaction that saves one task, as its JSON.
func OneTask(id string) []byte {
	return fmt.Appendf(nil, `{"ops":[{"saveTasks":{"tasks":[{"status":"PENDING","assignedTask":{"taskId":%q,"task":{"job":{"role":"www","environment":"prod","name":"hello"}}}}]}}]}`, id)
}
