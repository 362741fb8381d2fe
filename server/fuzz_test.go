package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/storage"
)

// fuzzed is a leader that many inputs go to, one after another.
type fuzzed struct {
	http.Handler
	mem   *memdriver.Bucket
	store *schedulerstore.Store
	taken int // transactions, since it was opened
}

// fuzzedTransactions is how many transactions one cell takes before it is recovered, to be
// compared, and the next one begins.
const fuzzedTransactions = 100

func openFuzzed(t testing.TB, mem *memdriver.Bucket) *schedulerstore.Store {
	t.Helper()
	ctx := context.Background()
	store, err := schedulerstore.OpenBucket(ctx, bucket.New(mem, "mem://fuzz", "", bucket.Options{}), schedulerstore.Options{})
	if err == nil {
		err = store.Recovered(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// renew begins a cell, and ends the one before, if there is one.
func (f *fuzzed) renew(t testing.TB) {
	t.Helper()
	f.end(t)
	f.mem, f.taken = memdriver.New(), 0
	f.store = openFuzzed(t, f.mem)
	f.Handler = New(f.store, Options{MaxBodyBytes: 1 << 20})
	if err := f.store.Campaign(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// end makes sure that who recovers the cell has the state that its leader had.
func (f *fuzzed) end(t testing.TB) {
	t.Helper()
	if f.store == nil {
		return
	}
	view, number := f.store.Storage().Snapshot()
	if err := f.store.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	again := openFuzzed(t, f.mem)
	recovered, recoveredNumber := again.Storage().Snapshot()
	if diff := randomstate.Diff(recovered, view); diff != "" || number != recoveredNumber {
		t.Errorf("recovered transaction %d of %d: %s", recoveredNumber, number, diff)
	}
	if err := again.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.store = nil
}

func (f *fuzzed) do(method, target string, body []byte, contentType string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", strings.NewReader(string(body)))
	path, query, _ := strings.Cut(target, "?")
	r.URL = &url.URL{Path: path, RawQuery: query}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// checkProblem makes sure that a refusal says what it is, and that it is the client's.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	p := new(problem)
	if err := json.Unmarshal(w.Body.Bytes(), p); err != nil || p.Status != w.Code || p.Title == "" {
		t.Errorf("%d %q is no problem document: %v", w.Code, w.Body, err)
	}
	if w.Code >= 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// FuzzTransaction: whatever a client posts, as JSON or as Thrift, it is refused and nothing
// at all has changed, or it is one transaction more, which any later leader recovers.
func FuzzTransaction(f *testing.F) {
	cell := &fuzzed{}
	cell.renew(f)
	f.Cleanup(func() { cell.end(f) })
	for _, body := range []string{save("t1"), ops(`{"removeTasks":{"taskIds":["t1"]}}`), ops(), "{", `{"ops":[{}]}`,
		ops(`{"saveQuota":{"role":"www","quota":{"resources":[{"numCpus":2.5},{"ramMb":1},{"diskMb":1}]}}}`), ops(`{"saveFrameworkId":{"id":"f"}}`),
		ops(`{"saveHostAttributes":{"hostAttributes":{"host":"h","attributes":[],"mode":"NONE","slaveId":"a"}}}`),
		ops(`{"saveCronJob":{"jobConfig":{"key":{"role":"www","environment":"prod","name":"cron"},"cronSchedule":"* * * * *"}}}`)} {
		f.Add([]byte(body), false)
		if tx, err := schema.ParseTransaction([]byte(body)); err == nil {
			thrift, err := tx.AppendBinary(nil)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(thrift, true)
		}
	}
	f.Add([]byte{}, true)
	f.Add([]byte{0}, true)
	f.Fuzz(func(t *testing.T, body []byte, thrift bool) {
		contentType := string(jsonBody)
		if thrift {
			contentType = string(thriftBody)
		}
		before, number := cell.store.Storage().Snapshot()
		keys := cell.mem.Keys()
		w := cell.do("POST", "/v1/transactions", body, contentType)
		after, now := cell.store.Storage().Snapshot()
		if w.Code == http.StatusOK {
			if now != number+1 && (now != number || different(t, before, after)) { // what changes nothing is no transaction
				t.Errorf("%d transactions for %q", now-number, body)
			}
			if cell.taken++; cell.taken == fuzzedTransactions {
				cell.renew(t)
			}
			return
		}
		checkProblem(t, w)
		if different(t, before, after) || now != number || !slices.Equal(cell.mem.Keys(), keys) {
			t.Errorf("%q was refused, and something has changed", body)
		}
	})
}

func different(t *testing.T, before, after storage.View) (different bool) {
	for d := range storage.Diff(before, after) {
		t.Logf("%s %q %s", d.Kind, d.Key, d.What())
		different = true
	}
	return different
}

// FuzzRead: whatever is asked for, what the API answers is JSON, or a refusal that is the
// asker's, and nothing changes.
func FuzzRead(f *testing.F) {
	cell := &fuzzed{}
	cell.renew(f)
	f.Cleanup(func() { cell.end(f) })
	for _, body := range []string{save("t1"), ops(`{"saveQuota":{"role":"www","quota":{"resources":[{"numCpus":2.5},{"ramMb":1},{"diskMb":1}]}}}`)} {
		if w := cell.do("POST", "/v1/transactions", []byte(body), ""); w.Code != http.StatusOK {
			f.Fatal(w.Body)
		}
	}
	for _, target := range []string{"/", "/v1/tasks?role=www&status=RUNNING", "/v1/tasks/t1", "/v1/tasks?instance=0&limit=1&consistency=linearizable",
		"/v1/quotas/www", "/v1/hosts?host=h1", "/v1/job-updates?status=ROLLED_BACK&offset=1", "/v1/log?from=1&limit=2", "/v1/log/1", "/v1/cron-jobs/a/b/c",
		"/v1/maintenance/h", "/v1/framework-id", "/v1/backups/x", "/v1/snapshots", "/v1/tasks/%2e%2e", "/healthz", "/v1/tasks?role=%zz", "/v1/job-updates/a/b/c/d/e"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, query, _ := strings.Cut(target, "?")
		if strings.HasPrefix(path, "/v1/watch") || path == "/leaderz" || strings.Contains(query, "wait") {
			t.Skip() // they wait
		}
		_, number := cell.store.Storage().Snapshot()
		keys := cell.mem.Keys()
		w := cell.do("GET", target, nil, "")
		switch {
		case w.Code == http.StatusOK && strings.HasPrefix(path, "/v1/") && !json.Valid(w.Body.Bytes()):
			t.Errorf("GET %s: %s", target, w.Body)
		case w.Code >= 300 && w.Code < 400: // a path that is written in another way
		case w.Code != http.StatusOK:
			checkProblem(t, w)
		}
		if _, now := cell.store.Storage().Snapshot(); now != number || !slices.Equal(cell.mem.Keys(), keys) {
			t.Errorf("GET %s has changed something", target)
		}
	})
}
