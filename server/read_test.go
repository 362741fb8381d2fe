package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// ids answers a list of tasks by their ids, and its total.
func (h *host) ids(target string) string {
	h.Helper()
	var answer struct {
		Tasks []*api.ScheduledTask `json:"tasks"`
		Total int                  `json:"total"`
	}
	if err := schema.FromJSON([]byte(h.get(target)), &answer); err != nil {
		h.Fatalf("%s: %v", target, err)
	}
	if answer.Tasks == nil {
		h.Errorf("%s: no tasks, not even an empty list", target)
	}
	var ids strings.Builder
	for _, task := range answer.Tasks {
		ids.WriteString(task.AssignedTask.TaskID.Value + " ")
	}
	return fmt.Sprint(ids.String(), "of ", answer.Total)
}

func TestTaskFilters(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	if got := h.get("/v1/tasks"); got != `{"tasks":[],"total":0}` {
		t.Errorf("empty: %s", got)
	}
	h.commit(ops(saveTasks(
		task("a", "www", "web", 0, "RUNNING", "h1"),
		task("b", "www", "web", 1, "PENDING", "h2"),
		task("c", "www", "api", 0, "RUNNING", "h2"),
		task("d", "ads", "web", 0, "FINISHED", "h1"),
		task("e/1 f?", "ads", "log", 3, "RUNNING", "h3"))))
	for query, want := range map[string]string{
		"":                                       "a b c d e/1 f? of 5",
		"offset=1&limit=2":                       "b c of 5",
		"limit=0":                                "a b c d e/1 f? of 5",
		"offset=5":                               "of 5",
		"offset=2147483647&limit=2147483647":     "of 5",
		"role=www":                               "a b c of 3",
		"role=www&limit=1":                       "a of 3",
		"role=www&offset=1&limit=1":              "b of 3",
		"role=nobody":                            "of 0",
		"environment=prod":                       "a b c d e/1 f? of 5",
		"environment=test":                       "of 0",
		"job=web":                                "a b d of 3",
		"role=www&environment=prod&job=web":      "a b of 2",
		"job=www/prod/web":                       "a b of 2",
		"job=www/prod/web&job=ads/prod/log":      "a b e/1 f? of 3",
		"job=www/prod/web&role=ads":              "of 0",
		"id=a&id=d&id=nobody":                    "a d of 2",
		"id=" + url.QueryEscape("e/1 f?"):        "e/1 f? of 1",
		"instance=1&instance=3":                  "b e/1 f? of 2",
		"status=PENDING&status=FINISHED":         "b d of 2",
		"status=RUNNING&role=ads":                "e/1 f? of 1",
		"host=h1":                                "a d of 2",
		"host=h1&host=h3":                        "a d e/1 f? of 3",
		"slave=agent-h2":                         "b c of 2",
		"slave=h2&slave=agent-h3":                "b c e/1 f? of 3",
		"slave=agent-h2&host=h1":                 "of 0",
		"role=www&consistency=linearizable":      "a b c of 3",
		"status=RUNNING&slave=agent-h2&role=www": "c of 1",
	} {
		if got := h.ids("/v1/tasks?" + query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	one := h.get("/v1/tasks/e%2F1%20f%3F")
	if list := h.get("/v1/tasks?id=" + url.QueryEscape("e/1 f?")); list != `{"tasks":[`+one+`],"total":1}` {
		t.Errorf("alone it is %s, in a list %s", one, list)
	}
	if !strings.Contains(one, `"status":"RUNNING"`) || h.get("/v1/tasks/e/1%20f%3F") != one {
		t.Error(one)
	}
}

func TestRefusedQueries(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.commit(save("t1"))
	for target, want := range map[string]struct{ parameter, detail string }{
		"/v1/tasks?staus=RUNNING":               {"staus", "want one of role, environment, job, id"},
		"/v1/tasks?status=RUNING":               {"status", `unknown ScheduleStatus "RUNING", want one of INIT`},
		"/v1/tasks?status=RUNNING&status=2":     {"status", `"2"`},
		"/v1/tasks?role=":                       {"role", "has no value"},
		"/v1/tasks?role=%20":                    {"role", "has no value"},
		"/v1/tasks?role=+%09":                   {"role", "has no value"},
		"/v1/job-updates?role=%20":              {"role", "has no value"},
		"/v1/tasks?role=a&role=b":               {"role", "once only"},
		"/v1/tasks?environment=a&environment=b": {"environment", "once only"},
		"/v1/tasks?job=a&job=b":                 {"job", "role/environment/name"},
		"/v1/tasks?job=a&job=a/b/c":             {"job", "role/environment/name"},
		"/v1/tasks?job=a/b":                     {"job", "role/environment/name"},
		"/v1/tasks?instance=x":                  {"instance", "is no number"},
		"/v1/tasks?offset=-1":                   {"offset", "is no number from 0"},
		"/v1/tasks?limit=2147483648":            {"limit", "is no number from 0"},
		"/v1/tasks?limit=1&limit=2":             {"limit", "once only"},
		"/v1/tasks?consistency=strong":          {"consistency", "want linearizable"},
		"/v1/tasks/t1?role=www":                 {"role", "want one of consistency"},
		"/v1/tasks?%zz":                         {"", "the query can't be read"},
		"/v1/job-updates?job=web":               {"job", "role/environment/name"},
		"/v1/job-updates?status=RUNNING":        {"status", "unknown JobUpdateStatus"},
		"/v1/hosts?role=www":                    {"role", "unknown parameter"},
		"/v1/status?verbose=1":                  {"verbose", "there are none here"},
		"/v1/log?before=x":                      {"before", `"x" is no position`},
		"/v1/log?limit=1001":                    {"limit", "more than the 1000"},
		"/v1/log/x":                             {"position", `"x" is no position`},
	} {
		if p := h.refused(h.do("GET", target, ""), 400, "invalid-parameter", want.detail); p.Parameter != want.parameter {
			t.Errorf("%s: parameter is %q, want %q", target, p.Parameter, want.parameter)
		}
	}
	h.refused(h.do("GET", "/v1/tasks?role=www&environment=prod&job=a%20b", ""), 400, "invalid-request", "not valid")
	h.refused(h.do("GET", "/v1/tasks", "{}"), 400, "invalid-request", "no body")
}

const update = `{"saveJobUpdate":{"jobUpdate":{"summary":{"key":{"job":{"role":%q,"environment":"prod","name":"web"},"id":%q},"user":%q},
	"instructions":{"desiredState":{"task":{"job":{"role":%[1]q,"environment":"prod","name":"web"}},"instances":[{"first":0,"last":1}]},"settings":{"updateGroupSize":1}}}}},
	{"saveJobUpdateEvent":{"key":{"job":{"role":%[1]q,"environment":"prod","name":"web"},"id":%[2]q},"event":{"status":%[4]q,"timestampMs":%[5]d}}}`

func TestOtherStores(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	if got := h.get("/v1/framework-id"); got != `{"frameworkId":null}` {
		t.Error(got)
	}
	cron := func(role, name string) string {
		return fmt.Sprintf(`{"saveCronJob":{"jobConfig":{"key":{"role":%q,"environment":"prod","name":%q},"cronSchedule":"* * * * *","cronCollisionPolicy":"KILL_EXISTING","taskConfig":{}}}}`, role, name)
	}
	quota := func(role string) string {
		return fmt.Sprintf(`{"saveQuota":{"role":%q,"quota":{"resources":[{"numCpus":1.5},{"ramMb":2},{"diskMb":3}]}}}`, role)
	}
	hosts := func(host string) string {
		return fmt.Sprintf(`{"saveHostAttributes":{"hostAttributes":{"host":%q,"slaveId":"a","mode":"DRAINING","attributes":[]}}}`, host)
	}
	maintain := func(host string) string {
		return fmt.Sprintf(`{"saveHostMaintenanceRequest":{"hostMaintenanceRequest":{"host":%q,"timeoutSecs":9,"createdTimestampMs":1}}}`, host)
	}
	h.commit(ops(cron("www", "one"), cron("www", "two"), cron("ads", "one"), quota("ads"), quota("www/x"), hosts("h1"), hosts("h2"),
		maintain("h1"), maintain("h2"), `{"saveFrameworkId":{"id":"f-1"}}`,
		fmt.Sprintf(update, "www", "u1", "ann", "ROLLING_FORWARD", 10), fmt.Sprintf(update, "www", "u2", "bob", "ROLLED_FORWARD", 30),
		fmt.Sprintf(update, "ads", "u1", "ann", "ABORTED", 20)))
	for target, want := range map[string]string{
		"/v1/cron-jobs":                                        `ads/one www/one www/two of 3`,
		"/v1/cron-jobs?limit=1&offset=1":                       `www/one of 3`,
		"/v1/cron-jobs?role=www":                               `www/one www/two of 2`,
		"/v1/cron-jobs?role=www&job=two":                       `www/two of 1`,
		"/v1/cron-jobs?job=one":                                `ads/one www/one of 2`,
		"/v1/cron-jobs?job=www/prod/two":                       `www/two of 1`,
		"/v1/cron-jobs?environment=test":                       `of 0`,
		"/v1/quotas":                                           `ads www/x of 2`,
		"/v1/quotas?role=www/x&role=nobody":                    `www/x of 1`,
		"/v1/hosts":                                            `h1 h2 of 2`,
		"/v1/hosts?host=h2":                                    `h2 of 1`,
		"/v1/maintenance":                                      `h1 h2 of 2`,
		"/v1/maintenance?host=h1":                              `h1 of 1`,
		"/v1/job-updates":                                      `www/u2 ads/u1 www/u1 of 3`,
		"/v1/job-updates?limit=1&offset=1":                     `ads/u1 of 3`,
		"/v1/job-updates?role=www":                             `www/u2 www/u1 of 2`,
		"/v1/job-updates?job=ads/prod/web":                     `ads/u1 of 1`,
		"/v1/job-updates?job=ads/prod/web&job=a/b/c":           `ads/u1 of 1`,
		"/v1/job-updates?user=ann":                             `ads/u1 www/u1 of 2`,
		"/v1/job-updates?status=ABORTED&status=ROLLED_FORWARD": `www/u2 ads/u1 of 2`,
		"/v1/job-updates?id=u1&role=www":                       `www/u1 of 1`,
	} {
		if got := names(t, h.get(target)); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	for target, list := range map[string]string{
		"/v1/cron-jobs/www/prod/two":      "/v1/cron-jobs?job=www/prod/two",
		"/v1/quotas/www/x":                "/v1/quotas?role=www/x",
		"/v1/hosts/h1":                    "/v1/hosts?host=h1",
		"/v1/maintenance/h2":              "/v1/maintenance?host=h2",
		"/v1/job-updates/www/prod/web/u1": "/v1/job-updates?role=www&id=u1",
	} {
		if one, of := h.get(target), h.get(list); !strings.Contains(of, "["+one+"]") {
			t.Errorf("%s is %s, in a list %s", target, one, of)
		}
	}
	if got := h.get("/v1/framework-id"); got != `{"frameworkId":"f-1"}` {
		t.Error(got)
	}
	if got := h.get("/v1/job-updates/www/prod/web/u2"); !strings.Contains(got, `"updateEvents":[{"status":"ROLLED_FORWARD","timestampMs":30}]`) || !strings.Contains(got, `"status":"ROLLED_FORWARD"`) {
		t.Error(got)
	}
	for _, target := range []string{"/v1/tasks/x", "/v1/tasks/", "/v1/cron-jobs/a/b/c", "/v1/quotas/x", "/v1/hosts/x", "/v1/maintenance/x", "/v1/job-updates/a/b/c/d", "/v1/job-updates/www/prod/web/", "/v1/log/99"} {
		h.refused(h.do("GET", target, ""), 404, "not-found", "there is no")
	}
}

// names are those of a list's elements, with the first part of their job if they have one.
func names(t *testing.T, list string) string {
	t.Helper()
	var answer map[string]json.RawMessage
	if err := json.Unmarshal([]byte(list), &answer); err != nil {
		t.Fatal(err)
	}
	type job struct{ Role, Name, ID string }
	var elements []struct {
		Role, Host string
		Key        job
		Update     struct {
			Summary struct {
				Key struct {
					Job job
					ID  string
				}
			}
		}
	}
	for name, value := range answer {
		if name != "total" {
			if err := json.Unmarshal(value, &elements); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all strings.Builder
	for _, e := range elements {
		name := e.Role + e.Host
		if e.Key.Name != "" {
			name = e.Key.Role + "/" + e.Key.Name
		}
		if key := e.Update.Summary.Key; key.ID != "" {
			name = key.Job.Role + "/" + key.ID
		}
		all.WriteString(name + " ")
	}
	return all.String() + "of " + string(answer["total"])
}

func TestReadsNameTheirState(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.commit(save("t1"))
	h.commit(save("t2"))
	for _, target := range []string{"/v1/tasks", "/v1/tasks/t1", "/v1/quotas", "/v1/framework-id", "/v1/tasks?consistency=linearizable"} {
		w := h.do("GET", target, "")
		if w.Header().Get(TransactionHeader) != "2" || w.Header().Get("ETag") != `"2"` || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", target, w.Header())
		}
		if w := h.do("GET", target, "", `If-None-Match: "2"`); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if w := h.do("GET", target, "", `If-None-Match: "1"`); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if w := h.do("HEAD", target, ""); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get(TransactionHeader) != "2" {
			t.Errorf("HEAD %s: %d %s %v", target, w.Code, w.Body, w.Header())
		}
	}
	// The ETag is what If-Match takes.
	h.commit(save("t3"), "If-Match: "+h.do("GET", "/v1/tasks", "").Header().Get("ETag"))
}

// The number is that of the very view that answered.
func TestNumberBelongsToView(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			h.post(save(fmt.Sprintf("t%03d", i)))
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, query := range []string{"", "?consistency=linearizable"} {
			w := h.do("GET", "/v1/tasks"+query, "")
			if n := w.Header().Get(TransactionHeader); !strings.HasSuffix(w.Body.String(), `"total":`+n+"}\n") {
				t.Fatalf("transaction %s: %d bytes that end with %.20s", n, w.Body.Len(), w.Body.Bytes()[max(0, w.Body.Len()-20):])
			}
		}
	}
}

func TestLinearizableReadsNeedTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		h := c.leader("one", Options{})
		h.commit(save("t1"))
		h.get("/v1/tasks?consistency=linearizable")
		h.get("/leaderz")
		h.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Block})
		time.Sleep(ttl)
		h.refused(h.do("GET", "/v1/tasks?consistency=linearizable", ""), 503, "not-leader", "ask the leader, or without")
		h.refused(h.do("GET", "/leaderz", ""), 503, "not-leader", "")
		if got := h.ids("/v1/tasks"); got != "t1 of 1" {
			t.Errorf("without linearizable: %s", got)
		}
		h.mem.Heal()
	})
}

// An empty state that is only not read yet is not taken for an empty store.
func TestReadsWaitForRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		first := c.leader("one", Options{})
		first.commit(save("t1"))
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Block})
		h := c.open("two", Options{})
		time.Sleep(time.Second)
		w := h.do("GET", "/v1/tasks", "")
		if h.refused(w, 503, "not-recovered", "/v1/status"); w.Header().Get("Retry-After") != "1" {
			t.Errorf("%v", w.Header())
		}
		h.refused(h.do("GET", "/readyz", ""), 503, "not-ready", "not recovered yet")
		h.get("/healthz")
		if got := h.get("/v1/status"); !strings.Contains(got, `"recovered":false`) {
			t.Error(got)
		}
		if got := h.get("/v1/log"); got != `{"entries":[]}` {
			t.Error(got)
		}
	})
}

// A list is sent while it is made: its length does not show in memory.
func TestListsAreStreamed(t *testing.T) {
	const n = 30_000
	made, begun := 0, 0
	items := func(yield func(*api.JobKey) bool) {
		for made = range n {
			if !yield(schema.NewJobKey("role", "environment", "name")) {
				return
			}
		}
	}
	w := httptest.NewRecorder()
	var size int
	var deadline time.Time
	out := newPieces(&response{ResponseWriter: writerFunc{w, &deadline, func(b []byte) {
		if left := time.Until(deadline); left <= 0 || left > pieceTimeout {
			t.Errorf("a piece may take %v", left)
		}
		if size += len(b); begun == 0 {
			begun = made
		}
		if len(b) > 4*listBuffer {
			t.Errorf("a piece of %d bytes", len(b))
		}
	}}})
	if err := writeList(out, "keys", items, uncounted, page{}); err != nil {
		t.Fatal(err)
	}
	if begun == 0 || begun > n/10 || size < n*20 {
		t.Errorf("the first of %d bytes were sent after %d of %d elements", size, begun, n)
	}
	if !json.Valid(w.Body.Bytes()) || !bytes.HasSuffix(w.Body.Bytes(), []byte(`],"total":30000}`+"\n")) {
		t.Errorf("ends with %s", w.Body.Bytes()[w.Body.Len()-50:])
	}
}

// As many lists are made at once as there are places; one that is being sent to a client
// that does not take it has none.
func TestListsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, making, sending := make(chan struct{}, 1), 0, make(chan struct{})
		most, done := 0, 0
		answer := func(see func([]byte)) {
			turns <- struct{}{}
			defer func() { <-turns }()
			out := bufio.NewWriterSize(&pieces{writerFunc{httptest.NewRecorder(), new(time.Time), see}, turns}, listBuffer)
			items := func(yield func(*api.JobKey) bool) {
				for range 10_000 {
					making++
					most = max(most, making)
					runtime.Gosched() // to others that are being made
					making--
					if !yield(schema.NewJobKey("role", "environment", "name")) {
						return
					}
				}
			}
			if err := writeList(out, "keys", items, uncounted, page{}); err != nil {
				t.Error(err)
			}
		}
		for range 20 {
			go answer(func([]byte) { <-sending })
		}
		synctest.Wait()
		for range 5 { // though 20 are stuck
			answer(func([]byte) { done++ })
		}
		if done == 0 || most != 1 {
			t.Errorf("%d pieces were sent, %d lists were made at once", done, most)
		}
		close(sending)
		synctest.Wait()
	})
}

type writerFunc struct {
	http.ResponseWriter
	deadline *time.Time
	see      func([]byte)
}

func (w writerFunc) SetWriteDeadline(t time.Time) error {
	*w.deadline = t
	return nil
}

func (w writerFunc) Write(b []byte) (int, error) {
	w.see(b)
	return w.ResponseWriter.Write(b)
}

// A list that can't be gone on with must not look as if it were whole.
func TestClientThatGoesAwayEndsTheList(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	var tasks []string
	for i := range 2000 {
		tasks = append(tasks, task(fmt.Sprintf("t%04d", i), "www", "web", i, "RUNNING", "h"))
	}
	h.commit(ops(saveTasks(tasks...)))
	r := httptest.NewRequest("GET", "/v1/tasks", nil)
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("panic %v", got)
		}
	}()
	h.ServeHTTP(brokenWriter{http.Header{}}, r)
	t.Error("it went on")
}

type brokenWriter struct{ header http.Header }

func (w brokenWriter) Header() http.Header       { return w.header }
func (w brokenWriter) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }
func (w brokenWriter) WriteHeader(int)           {}
