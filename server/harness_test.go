package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

const (
	ttl       = 15 * time.Second
	maxRecord = 1 << 20
)

// cell is a cell in memory that a test opens stores on.
type cell struct {
	*testing.T
	mem *memdriver.Bucket
}

func newCell(t *testing.T) *cell { return &cell{t, memdriver.New()} }

// host is one process: a store and its API.
type host struct {
	*testing.T
	http.Handler
	store *schedulerstore.Store
	mem   *memdriver.Bucket
}

func (c *cell) open(name string, o Options) *host {
	c.Helper()
	so := schedulerstore.Options{}
	so.Lease.TTL, so.Lease.Host, so.Lease.URL = ttl, name, "http://"+name
	so.Registerer, so.Log.MaxRecordBytes = o.Registerer, maxRecord
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(c.Output(), nil))
	}
	store, err := schedulerstore.OpenBucket(c.Context(), bucket.New(c.mem, "mem://"+name, "", bucket.Options{}), so)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = store.Close(context.Background()) })
	return &host{c.T, New(store, o), store, c.mem}
}

func (c *cell) leader(name string, o Options) *host {
	c.Helper()
	h := c.open(name, o)
	if err := h.store.Campaign(c.Context()); err != nil {
		c.Fatal(err)
	}
	return h
}

// do sends a request. Headers are given as "Name: value".
func (h *host) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (h *host) post(body string, headers ...string) *httptest.ResponseRecorder {
	return h.do("POST", "/v1/transactions", body, headers...)
}

// commit posts a transaction that must succeed, and returns its answer.
func (h *host) commit(body string, headers ...string) string {
	h.Helper()
	w := h.post(body, headers...)
	if w.Code != http.StatusOK {
		h.Fatalf("POST %s: %d %s", body, w.Code, w.Body)
	}
	return strings.TrimSpace(w.Body.String())
}

// get returns the body of an answer that must be 200.
func (h *host) get(target string, headers ...string) string {
	h.Helper()
	w := h.do("GET", target, "", headers...)
	if w.Code != http.StatusOK {
		h.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	return strings.TrimSpace(w.Body.String())
}

// refused checks a problem document and returns it.
func (h *host) refused(w *httptest.ResponseRecorder, status int, kind, detail string) *problem {
	h.Helper()
	p := new(problem)
	if err := json.Unmarshal(w.Body.Bytes(), p); err != nil {
		h.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Type != "urn:scheduler-store:problem:"+kind || p.Title == "" || !strings.Contains(p.Detail, detail) {
		h.Errorf("got %d %s\nwant %d %s %q", w.Code, w.Body, status, kind, detail)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		h.Errorf("Content-Type is %q", got)
	}
	if !strings.HasPrefix(p.Instance, "/") {
		h.Errorf("instance is %q", p.Instance)
	}
	return p
}

// number is that of the last durable transaction.
func (h *host) number() int {
	_, n := h.store.Storage().Snapshot()
	return int(n)
}

// task is a task in JSON.
func task(id, role, job string, instance int, status, onHost string) string {
	return fmt.Sprintf(`{"assignedTask":{"taskId":%q,"slaveHost":%q,"slaveId":%q,"instanceId":%d,"task":{"job":{"role":%q,"environment":"prod","name":%q}}},"status":%q}`,
		id, onHost, "agent-"+onHost, instance, role, job, status)
}

func ops(all ...string) string { return `{"ops":[` + strings.Join(all, ",") + `]}` }

func saveTasks(tasks ...string) string {
	return `{"saveTasks":{"tasks":[` + strings.Join(tasks, ",") + `]}}`
}

// save is a transaction with one small task.
func save(id string) string { return ops(saveTasks(task(id, "www", "web", 0, "RUNNING", "h1"))) }
