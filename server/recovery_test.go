package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// backup makes a backup that must succeed.
func (h *host) backup(name string) backup.Info {
	h.Helper()
	w := h.do("POST", "/v1/backups", fmt.Sprintf(`{"name":%q,"reason":"test"}`, name))
	if w.Code != http.StatusCreated {
		h.Fatalf("backup %s: %d %s", name, w.Code, w.Body)
	}
	return decode[backup.Info](h, w.Body.String())
}

func (h *host) stage(name string) backup.Info {
	h.Helper()
	w := h.do("POST", "/v1/recovery", fmt.Sprintf(`{"backup":%q}`, name))
	if w.Code != http.StatusOK {
		h.Fatalf("stage %s: %d %s", name, w.Code, w.Body)
	}
	return decode[backup.Info](h, w.Body.String())
}

func (h *host) delete(target string) string {
	h.Helper()
	w := h.do("DELETE", target, "")
	if w.Code != http.StatusOK && w.Code != http.StatusNoContent {
		h.Fatalf("DELETE %s: %d %s", target, w.Code, w.Body)
	}
	return strings.TrimSpace(w.Body.String())
}

// ids are those of the tasks of an answer.
func ids(h *host, body string) string {
	h.Helper()
	answer := decode[struct {
		Tasks []struct {
			AssignedTask struct{ TaskID string }
		}
	}](h, body)
	all := []string{}
	for _, task := range answer.Tasks {
		all = append(all, task.AssignedTask.TaskID)
	}
	return strings.Join(all, " ")
}

func TestBackups(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	if got := h.get("/v1/backups"); got != `{"backups":[],"total":0}` {
		t.Error(got)
	}
	h.commit(save("t1"))
	w := h.do("POST", "/v1/backups", `{"name":"before-upgrade","reason":"ticket 4711"}`)
	if w.Code != 201 || w.Header().Get("Location") != "/v1/backups/before-upgrade" || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	info := decode[backup.Info](h, w.Body.String())
	if info.Name != "before-upgrade" || info.Transaction != 1 || info.Position != 1 || info.Reason != "ticket 4711" || info.By != "one" ||
		info.Counts["tasks"] != 1 || info.Automatic || info.Bytes == 0 {
		t.Errorf("%+v", info)
	}
	if got := h.get("/v1/backups/before-upgrade"); got != strings.TrimSpace(w.Body.String()) {
		t.Errorf("%s\n%s", got, w.Body)
	}
	h.refused(h.do("POST", "/v1/backups", `{"name":"before-upgrade"}`), 409, "exists", "")
	for _, name := range []string{"../x", "a/b", ".", "a b", strings.Repeat("x", 300)} {
		if p := h.refused(h.do("POST", "/v1/backups", fmt.Sprintf(`{"name":%q}`, name)), 400, "invalid-request", ""); p.Field != "name" {
			t.Errorf("field is %q", p.Field)
		}
	}
	unnamed := decode[backup.Info](h, h.do("POST", "/v1/backups", "").Body.String())
	if unnamed.Name == "" || unnamed.Reason != "request" {
		t.Errorf("%+v", unnamed)
	}
	all := decode[struct {
		Backups []backup.Info
		Total   int
	}](h, h.get("/v1/backups"))
	if len(all.Backups) != 2 || all.Total != 2 || all.Backups[0].Made.Before(all.Backups[1].Made) {
		t.Errorf("%+v", all)
	}

	h.refused(h.do("GET", "/v1/backups/other", ""), 404, "not-found", "")
	h.refused(h.do("DELETE", "/v1/backups/other", ""), 404, "not-found", "")
	if got := h.delete("/v1/backups/before-upgrade"); got != "" {
		t.Error(got)
	}
	h.refused(h.do("GET", "/v1/backups/before-upgrade", ""), 404, "not-found", "")
}

// A damaged backup is named, and does not hide the others.
func TestDamagedBackup(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.commit(save("t1"))
	h.backup("good")
	h.backup("bad")
	damaged := ""
	for _, key := range h.mem.Keys() {
		if strings.Contains(key, "/bad/") && strings.HasSuffix(key, "manifest.json") {
			data := h.mem.Data(key)
			data[len(data)/2] ^= 1
			h.mem.Put(key, data)
			damaged = key
		}
	}
	all := decode[struct {
		Backups  []backup.Info
		Problems []string
	}](h, h.get("/v1/backups"))
	if damaged == "" || len(all.Backups) != 1 || all.Backups[0].Name != "good" || len(all.Problems) != 1 || !strings.Contains(all.Problems[0], "bad") {
		t.Errorf("%s: %+v", damaged, all)
	}
	h.refused(h.do("GET", "/v1/backups/bad", ""), 500, "damaged", "bad")
	h.refused(h.do("POST", "/v1/recovery", `{"backup":"bad"}`), 500, "damaged", "bad")
	h.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Fail})
	h.refused(h.do("GET", "/v1/backups", ""), 503, "store-unavailable", "injected")
}

func TestNothingStaged(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	for _, r := range []struct{ method, target string }{
		{"GET", "/v1/recovery"}, {"GET", "/v1/recovery/tasks"}, {"DELETE", "/v1/recovery/tasks?all=true"}, {"POST", "/v1/recovery/commit"},
	} {
		p := h.refused(h.do(r.method, r.target, ""), 404, "not-staged", "No backup loaded.")
		if want := map[bool]string{true: "not committed"}[strings.HasSuffix(r.target, "commit")]; p.Outcome != want {
			t.Errorf("%s %s: outcome %q", r.method, r.target, p.Outcome)
		}
	}
	h.delete("/v1/recovery")
	h.refused(h.do("POST", "/v1/recovery", `{"backup":"none"}`), 404, "not-found", "")
}

// stagedTasks is a leader with a staged backup of some tasks, and another state.
func stagedTasks(t *testing.T) *host {
	h := newCell(t).leader("one", Options{})
	h.commit(ops(saveTasks(task("a", "www", "web", 0, "RUNNING", "h1"), task("b", "www", "web", 1, "LOST", "h2"),
		task("c", "ads", "web", 0, "RUNNING", "h2"), task("d", "ads", "db", 2, "PENDING", "h3"))))
	h.backup("one")
	h.commit(ops(`{"removeTasks":{"taskIds":["a","b","c"]}}`, saveTasks(task("e", "www", "web", 5, "RUNNING", "h1"))))
	if info := h.stage("one"); info.Name != "one" || info.Transaction != 1 {
		t.Errorf("%+v", info)
	}
	return h
}

func TestStagedTasks(t *testing.T) {
	h := stagedTasks(t)
	if info := decode[backup.Info](h, h.get("/v1/recovery")); info.Name != "one" || info.Counts["tasks"] != 4 {
		t.Errorf("%+v", info)
	}
	h.refused(h.do("POST", "/v1/recovery", `{"backup":"one"}`), 409, "already-staged", "Another backup is already loaded.")
	for target, want := range map[string]string{
		"":                          "a b c d",
		"?role=www":                 "a b",
		"?status=RUNNING&role=ads":  "c",
		"?host=h2":                  "b c",
		"?slave=agent-h2&slave=h3":  "b c d",
		"?job=ads/prod/db":          "d",
		"?instance=1&instance=2":    "b d",
		"?environment=prod&job=web": "a b c",
		"?id=a&id=e":                "a",
		"?offset=1&limit=2":         "b c",
		"?role=www&slave=h3":        "",
	} {
		if got := ids(h, h.get("/v1/recovery/tasks"+target)); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	w := h.do("GET", "/v1/recovery/tasks", "")
	if w.Header().Get(TransactionHeader) != "" || w.Header().Get("ETag") != "" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%v", w.Header())
	}
	h.refused(h.do("GET", "/v1/recovery/tasks?consistency=linearizable", ""), 400, "invalid-parameter", "unknown parameter")
}

// A typing error deletes nothing.
func TestDeletingStagedTasksNeedsAFilter(t *testing.T) {
	h := stagedTasks(t)
	for _, c := range []struct{ query, kind, detail string }{
		{"", "invalid-request", "no filter is given"},
		{"?roel=www", "invalid-parameter", "unknown parameter"},
		{"?role=", "invalid-parameter", "has no value"},
		{"?role=%20", "invalid-parameter", "has no value"},
		{"?all=yes", "invalid-parameter", "all=true"},
		{"?all=false", "invalid-parameter", "all=true"},
		{"?all=true&role=www", "invalid-parameter", "not both"},
		{"?all=true&all=true", "invalid-parameter", "once"},
		{"?role=www&role=ads", "invalid-parameter", "once"},
		{"?status=GONE", "invalid-parameter", "GONE"},
		{"?limit=1", "invalid-parameter", "unknown parameter"},
	} {
		h.refused(h.do("DELETE", "/v1/recovery/tasks"+c.query, ""), 400, c.kind, c.detail)
	}
	if got := ids(h, h.get("/v1/recovery/tasks")); got != "a b c d" {
		t.Fatalf("left are %s", got)
	}
	for _, c := range []struct{ query, deleted, left string }{
		{"?slave=h9", "0", "a b c d"},
		{"?slave=agent-h2&role=www", "1", "a c d"},
		{"?status=PENDING", "1", "a c"},
		{"?all=true", "2", ""},
		{"?all=true", "0", ""},
	} {
		if got := h.delete("/v1/recovery/tasks" + c.query); got != `{"deleted":`+c.deleted+`}` {
			t.Errorf("%s: %s", c.query, got)
		}
		if got := ids(h, h.get("/v1/recovery/tasks")); got != c.left {
			t.Errorf("%s: left are %s, want %s", c.query, got, c.left)
		}
	}
	if got := ids(h, h.get("/v1/tasks")); got != "d e" {
		t.Errorf("the state changed: %s", got)
	}
}

func TestCommitRecovery(t *testing.T) {
	h := stagedTasks(t)
	h.delete("/v1/recovery/tasks?id=b")
	h.refused(h.do("POST", "/v1/recovery/commit", "", `If-Match: "0"`), 412, "conflict", "the last transaction is 2, not 0")
	h.refused(h.do("POST", "/v1/recovery/commit", "", "Idempotency-Key: k"), 400, "invalid-parameter", "If-Match makes it conditional")
	w := h.do("POST", "/v1/recovery/commit", "", `If-Match: "2"`)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if c := decode[persistence.Commit](h, w.Body.String()); c.Transaction != 3 || c.Position != 3 || c.Epoch != 1 {
		t.Errorf("%+v", c)
	}
	if err := h.store.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ids(h, h.get("/v1/tasks?consistency=linearizable")); got != "a c d" {
		t.Error(got)
	}
	h.commit(save("f"))
	h.refused(h.do("POST", "/v1/recovery/commit", ""), 404, "not-staged", "No backup loaded.") // it would undo f
	if got := ids(h, h.get("/v1/tasks")); got != "a c d f" {
		t.Error(got)
	}
	h.delete("/v1/recovery") // also when nothing is staged
}

// Those who ask a process that follows are sent to the leader, where a backup is
// staged; all can make and list backups.
func TestFollowerSendsRecoveriesToTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader("one", Options{}).commit(save("t1"))
		follower := c.open("two", Options{})
		campaign, stop := context.WithCancel(t.Context())
		go func() { _ = follower.store.Campaign(campaign) }() // so it gets to know of the leader
		time.Sleep(2 * time.Second)
		follower.backup("by-a-follower")
		follower.get("/v1/backups/by-a-follower")
		follower.get("/v1/snapshots")
		for _, r := range []struct{ method, target, body string }{
			{"POST", "/v1/snapshots", ""},
			{"DELETE", "/v1/backups/by-a-follower", ""},
			{"POST", "/v1/recovery", `{"backup":"by-a-follower"}`},
			{"GET", "/v1/recovery", ""},
			{"DELETE", "/v1/recovery", ""},
			{"GET", "/v1/recovery/tasks?role=www", ""},
			{"DELETE", "/v1/recovery/tasks?all=true", ""},
			{"POST", "/v1/recovery/commit", ""},
		} {
			w := follower.do(r.method, r.target, r.body)
			p := follower.refused(w, 503, "not-leader", "")
			if w.Header().Get("Location") != "http://one"+r.target || p.Leader != "http://one" {
				t.Errorf("%s %s: Location %q, leader %q", r.method, r.target, w.Header().Get("Location"), p.Leader)
			}
		}
		stop()
		synctest.Wait()
	})
}

// Who was deposed while a backup was staged can't make it the state.
func TestDeposedLeaderCommitsNoRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader("one", Options{})
		old.commit(save("t1"))
		old.backup("b")
		old.stage("b")
		if _, err := lease.Break(t.Context(), bucket.New(c.mem, "mem://operator", "", bucket.Options{})); err != nil {
			t.Fatal(err)
		}
		next := c.leader("two", Options{})
		next.commit(save("t2"))
		p := old.refused(old.do("POST", "/v1/recovery/commit", ""), 503, "not-leader", "")
		if p.Outcome != "not committed" {
			t.Errorf("outcome is %q", p.Outcome)
		}
		if got := ids(next, next.get("/v1/tasks")); got != "t1 t2" {
			t.Error(got)
		}
		synctest.Wait() // it follows now, and what it had staged is forgotten
		old.refused(old.do("GET", "/v1/recovery", ""), 503, "not-leader", "")
		old.refused(old.do("GET", "/v1/recovery/tasks", ""), 503, "not-leader", "")
	})
}

// A commit whose answer was lost may have taken effect.
func TestRecoveryOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := stagedTasks(t)
		h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.LandAndFail})
		p := h.refused(h.do("POST", "/v1/recovery/commit", ""), 504, "outcome-unknown", "before you stage the backup again")
		if p.Outcome != "unknown" || strings.Contains(p.Detail, "Idempotency-Key") {
			t.Errorf("%+v", p)
		}
	})
}

// Before the state is recovered there is nothing to be backed up.
func TestBackupsWaitForRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader("one", Options{}).commit(save("t1"))
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Block})
		h := c.open("two", Options{})
		time.Sleep(time.Second)
		h.refused(h.do("POST", "/v1/backups", ""), 503, "not-recovered", "")
	})
}

// What takes long is not cut off as transactions are, but when the client goes away.
func TestLongRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{CommitTimeout: time.Second})
		h.commit(save("t1"))
		h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Delay(time.Minute)})
		h.backup("b")
		h.stage("b")
		if w := h.do("POST", "/v1/snapshots", ""); w.Code != 200 {
			t.Errorf("snapshot: %d %s", w.Code, w.Body)
		}
		for _, path := range []string{"/v1/backups", "/v1/recovery/commit"} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			start := time.Now()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", path, nil))
			if took := time.Since(start); w.Code < 500 || took > 3*time.Second {
				t.Errorf("POST %s, client gone: %d after %v", path, w.Code, took)
			}
			cancel()
		}
		start := time.Now()
		if w := h.do("POST", "/v1/recovery/commit", ""); w.Code != 200 || time.Since(start) < time.Minute {
			t.Errorf("commit: %d %s after %v", w.Code, w.Body, time.Since(start))
		}
	})
}
