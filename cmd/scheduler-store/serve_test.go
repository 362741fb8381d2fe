package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/server"
)

// served is a daemon in a process of its own.
type served struct {
	*testing.T
	process *exec.Cmd
	url     string
	stderr  *lockedBuffer
	ended   chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon runs serve on a free port and waits until it listens.
func startDaemon(t *testing.T, args ...string) *served {
	t.Helper()
	d := &served{T: t, stderr: &lockedBuffer{}, ended: make(chan error, 1)}
	d.process = exec.Command(os.Args[0], append([]string{"serve", "--listen", "127.0.0.1:0", "--lease-ttl", "3s"}, args...)...)
	d.process.Env = append(os.Environ(), runAsProgram+"=1")
	d.process.Stderr = d.stderr
	stdout, err := d.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	go func() { d.ended <- d.process.Wait() }()
	t.Cleanup(func() { _ = d.process.Process.Kill() })
	url, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		t.Fatalf("the daemon printed %q: %v; %s", line, err, d.stderr)
	}
	d.url = url
	return d
}

// leads waits until the daemon is the leader.
func (d *served) leads() *served {
	d.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if response, err := http.Get(d.url + "/leaderz"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return d
			}
		}
	}
	d.Fatalf("the daemon does not lead; %s", d.stderr)
	return nil
}

func (d *served) save(id string) {
	d.Helper()
	response, err := http.Post(d.url+"/v1/transactions", "application/json", strings.NewReader(saveTask(id)))
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		d.Fatalf("saving %s: %s %s", id, response.Status, body)
	}
}

// tasks are the ids of the daemon's tasks.
func (d *served) tasks() string {
	d.Helper()
	response, err := http.Get(d.url + "/v1/tasks")
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	var document any
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		d.Fatal(err)
	}
	ids := []string{}
	tasks, _ := at(d.T, document, "tasks").([]any)
	for _, task := range tasks {
		ids = append(ids, fmt.Sprint(at(d.T, task, "assignedTask", "taskId")))
	}
	return strings.Join(ids, " ")
}

// endsAfter sends a signal and waits for the end.
func (d *served) endsAfter(signal os.Signal) error {
	d.Helper()
	if err := d.process.Process.Signal(signal); err != nil {
		d.Fatal(err)
	}
	select {
	case err := <-d.ended:
		return err
	case <-time.After(20 * time.Second):
		d.Fatalf("the daemon did not end; %s", d.stderr)
	}
	return nil
}

// What was acknowledged is there after kill -9; SIGTERM hands over at once.
func TestDaemonKilledAndRestarted(t *testing.T) {
	t.Parallel()
	store := newDirectory(t)
	first := startDaemon(t, "--store", store).leads()
	first.save("a")
	if err := first.endsAfter(syscall.SIGKILL); err == nil {
		t.Error("kill -9 ended with status 0")
	}
	program(t, "--store", store, "lease", "show").wants(exitOK).prints("held", first.url)
	program(t, "--store", store, "lease", "break", "--yes").wants(exitOK) // else it takes a TTL

	second := startDaemon(t, "--store", store).leads()
	if got := second.tasks(); got != "a" {
		t.Errorf("tasks after kill -9 and restart: %q, want a", got)
	}
	second.save("b")
	standby := startDaemon(t, "--store", store)
	if err := second.endsAfter(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v; %s", err, second.stderr)
	}
	if got := standby.leads().tasks(); got != "a b" {
		t.Errorf("tasks after hand-over: %q, want a b", got)
	}
	if err := standby.endsAfter(syscall.SIGINT); err != nil {
		t.Errorf("after SIGINT: %v; %s", err, standby.stderr)
	}
	program(t, "--store", store, "lease", "show").wants(exitOK).prints("released")
	program(t, "--store", store, "log", "verify").wants(exitOK)
	if !strings.Contains(standby.stderr.String(), "leading") {
		t.Errorf("the log does not say that it leads: %s", standby.stderr)
	}
}

// A client that holds its connection does not hold up the next leader, nor the end
// for longer than the grace time.
func TestSlowClientsDoNotDelayHandOver(t *testing.T) {
	t.Parallel()
	store := newDirectory(t)
	d := startDaemon(t, "--store", store).leads()
	connection, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	// A request whose body never ends, and a wait until it has arrived.
	if _, err := io.WriteString(connection, "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(connection).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("answer %q: %v", line, err)
	}
	if err := d.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for !strings.Contains(program(t, "--store", store, "lease", "show").wants(exitOK).stdout, "released") {
		if time.Since(start) > drainTimeout/2 {
			t.Fatal("the lease is not released while a client is slow")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := <-d.ended; err != nil {
		t.Errorf("ended with %v; %s", err, d.stderr)
	}
	if took := time.Since(start); took > 2*drainTimeout {
		t.Errorf("ended after %v", took)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "--store", newDirectory(t)).leads()
	connection, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := d.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(d.stderr.String(), "shutting down") {
		time.Sleep(5 * time.Millisecond)
	}
	if err := d.endsAfter(syscall.SIGTERM); err == nil {
		t.Error("ended with status 0")
	}
	if took := time.Since(start); took > drainTimeout/2 {
		t.Errorf("ended after %v", took)
	}
}

func TestServePrintsJSON(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stdout := &lockedBuffer{}
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--output", "json", "--store", "mem://" + t.Name(), "--log-level", "error"}, nil, stdout, io.Discard)
	}()
	for stdout.String() == "" {
		time.Sleep(time.Millisecond)
	}
	var document struct{ Listening string }
	if err := json.Unmarshal([]byte(stdout.String()), &document); err != nil || !strings.HasPrefix(document.Listening, "http://127.0.0.1:") {
		t.Errorf("printed %s: %v", stdout, err)
	}
	response, err := http.Get(document.Listening + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	for _, name := range []string{"scheduler_store_leader", "go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(string(body), name) {
			t.Errorf("no metric %s", name)
		}
	}
	cancel()
	if status := <-ended; status != exitOK {
		t.Errorf("status %d", status)
	}
}

func TestServeOnAPortThatIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	program(t, "serve", "--store", "mem://"+t.Name(), "--listen", listener.Addr().String()).wants(exitError).says("in use")
}

// newDaemon is a daemon over a bucket with faults, without HTTP.
func newDaemon(t *testing.T, mem *memdriver.Bucket, log io.Writer) *daemon {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(log, nil))
	store, err := schedulerstore.OpenBucket(t.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}),
		schedulerstore.Options{Logger: logger, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return &daemon{logger: logger, store: store, http: server.HTTPServer(http.NotFoundHandler())}
}

// A daemon that lost leadership campaigns again, with all its metrics.
func TestDaemonLeadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memdriver.New()
		var log lockedBuffer
		d := newDaemon(t, mem, &log)
		ctx, cancel := context.WithCancel(t.Context())
		campaigned := make(chan struct{})
		go func() {
			defer close(campaigned)
			d.campaign(ctx)
		}()
		for epoch := 1; epoch <= 3; epoch++ {
			time.Sleep(time.Minute)
			status := d.store.Status()
			if status.Role != schedulerstore.Leader || status.Epoch < 1 || int(status.Epoch) != epoch {
				t.Fatalf("status %+v, want the leader of epoch %d", status, epoch)
			}
			if _, err := lease.Break(t.Context(), d.store.Log().Bucket()); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		<-campaigned
		if err := d.shutDown(); err != nil {
			t.Error(err)
		}
	})
}

// No error ends the campaign: what is wrong may be put right. Meanwhile it does not
// ask all the time.
func TestDaemonCampaignsOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memdriver.New()
		var log lockedBuffer
		d := newDaemon(t, mem, &log)
		mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is("lease.json"), Do: memdriver.Deny})
		ctx, cancel := context.WithCancel(t.Context())
		campaigned := make(chan struct{})
		go func() {
			defer close(campaigned)
			d.campaign(ctx)
		}()
		time.Sleep(time.Hour)
		if n := mem.CountOf(memdriver.Create, memdriver.Is("lease.json")); n < 120 || n > 300 {
			t.Errorf("tried %d times in an hour", n)
		}
		if !strings.Contains(log.String(), "can't lead") || !strings.Contains(log.String(), "denied") {
			t.Errorf("the log does not say it: %.500s", log.String())
		}
		mem.Heal()
		time.Sleep(time.Minute)
		if role := d.store.Status().Role; role != schedulerstore.Leader {
			t.Errorf("role is %s after the store was healed", role)
		}
		cancel()
		<-campaigned
		if err := d.shutDown(); err != nil {
			t.Error(err)
		}
	})
}

// What serve is told about backups and old job updates is what its leader does.
func TestServeKeepsHouse(t *testing.T) {
	directory, backups := newDirectory(t), filepath.Join(t.TempDir(), "backups")
	// Updates of jobs without tasks are removed in any case.
	input := saveTask("a") + strings.ReplaceAll(saveTask("b"), `"hello"`, `"bye"`)
	for _, u := range []struct {
		job, id string
		ended   time.Time
	}{{"hello", "a", time.Now()}, {"hello", "b", time.Now()}, {"bye", "old", time.Now().Add(-2 * time.Hour)}} {
		job := fmt.Sprintf(`{"role":"www","environment":"prod","name":%q}`, u.job)
		key := fmt.Sprintf(`{"job":%s,"id":%q}`, job, u.id)
		input += `{"ops":[{"saveJobUpdate":{"jobUpdate":{"summary":{"key":` + key + `},"instructions":{"initialState":[],` +
			`"desiredState":{"task":{"job":` + job + `},"instances":[{"first":0,"last":1}]},"settings":{}}}}},` +
			fmt.Sprintf(`{"saveJobUpdateEvent":{"key":%s,"event":{"status":"ROLLED_FORWARD","timestampMs":%d}}}]}`, key, u.ended.UnixMilli()) + "\n"
	}
	programWith(t, input, "--store", directory, "apply", "-").wants(exitOK)
	startDaemon(t, "--store", directory, "--backups", backups, "--backup-every", "100ms", "--backup-keep", "2",
		"--history-every", "100ms", "--history-per-job", "1", "--history-older-than", "1h").leads()
	within := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not within 20 s: %s", what)
			}
		}
	}
	within("an automatic backup in the other directory", func() bool {
		manifests, _ := filepath.Glob(filepath.Join(backups, "*", "*", "manifest.json"))
		return len(manifests) > 0
	})
	listed := program(t, "backup", "ls", "--backups", backups, "--output", "json").wants(exitOK).json()
	wantAt(t, listed, true, "backups", 0, "automatic")
	within("one job update left, of the job with new ones", func() bool {
		state := program(t, "--store", directory, "state", "job-updates", "--output", "json").wants(exitOK).json()
		updates := at(t, state, "jobUpdates").([]any)
		return len(updates) == 1 && at(t, updates[0], "update", "summary", "key", "job", "name") == "hello"
	})
}

// A daemon is of use while the place of its backups can't be reached.
func TestServeStartsWithoutThePlaceOfItsBackups(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	start := time.Now()
	d := startDaemon(t, "--store", newDirectory(t), "--backups", "s3://backups/here?endpoint=http://127.0.0.1:1&use_path_style=true&region=us-east-1")
	d.leads()
	if took := time.Since(start); took > 20*time.Second { // a request to there is tried for longer
		t.Errorf("it led after %v", took)
	}
}
