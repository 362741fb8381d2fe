package load

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// result is what the tests of this folder have found.
var result struct {
	sync.Mutex
	evidence.Result
}

// keep adds a table to it.
func keep(t evidence.Table) {
	result.Lock()
	defer result.Unlock()
	result.Tables = append(result.Tables, t)
}

func TestMain(m *testing.M) {
	result.Suite, result.Command, result.Began = "load", "make load", time.Now()
	if soaked() {
		result.Command = "make soak"
	}
	code := m.Run()
	result.Took = time.Since(result.Began)
	if code != 0 {
		result.Found = append(result.Found, "a test of integration/load has failed: "+result.Command)
	}
	if err := evidence.Save(result.Result); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// minio starts a MinIO with a bucket.
func minio(t *testing.T) *servers.MinIO {
	m := servers.StartMinIO(t)
	m.UseCredentials(t)
	m.MakeBucket(t, "cells")
	return m
}

// ask is an HTTP client for very many connections at once.
func ask(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 10_000}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// must is a metric that the daemon has.
func must(t *testing.T, d *servers.Daemon, name string) float64 {
	t.Helper()
	samples, err := d.Metrics()
	for began := time.Now(); err != nil && time.Since(began) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
		samples, err = d.Metrics() // refused while as many others ask for them as may at once
	}
	if err != nil {
		t.Fatal(err)
	}
	value, ok := samples[name]
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	return value
}

const (
	resident    = "process_resident_memory_bytes"
	openFiles   = "process_open_fds"
	transaction = "scheduler_store_log_transaction"
)

// save is a transaction that saves a task, whose instance id is a number of the test's.
func save(id string, instance int) []byte {
	return fmt.Appendf(nil, `{"ops":[{"saveTasks":{"tasks":[{"status":"PENDING","assignedTask":{"taskId":%q,"instanceId":%d,"task":{"job":{"role":"www","environment":"prod","name":"load"}}}}]}}]}`, id, instance)
}

// healthy makes sure that a daemon is well and answers readers soon, whatever else it has
// to do.
func healthy(t *testing.T, d *servers.Daemon) {
	t.Helper()
	const soon = 5 * time.Second // on a machine that is used to the full by the load itself
	for _, path := range []string{"/healthz", "/readyz", "/leaderz", "/v1/tasks?limit=1&consistency=linearizable"} {
		start := time.Now()
		status, body, err := d.Get(path)
		if took := time.Since(start); err != nil || status != http.StatusOK || took > soon {
			t.Errorf("%s: %d %.200s %v after %v", path, status, body, err, took)
		}
	}
}
