package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

const thriftType = "Content-Type: application/vnd.apache.thrift.binary"

// thrift is what a JSON transaction is in Thrift's Binary protocol, as changed.
func thrift(t *testing.T, json string, change func(*api.Transaction)) string {
	t.Helper()
	tx, err := schema.ParseTransaction([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(tx)
	}
	b, err := schema.Encode(tx)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTransactionsOfEveryType(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	for i, headers := range [][]string{
		{}, {"Content-Type: application/json"}, {"Content-Type: application/json; charset=UTF-8"},
		{"Content-Type: application/x-www-form-urlencoded"}, {thriftType},
	} {
		id := fmt.Sprint("t", i)
		body := save(id)
		if len(headers) > 0 && headers[0] == thriftType {
			body = thrift(t, body, nil)
		}
		if got, want := h.commit(body, headers...), fmt.Sprintf(`{"transaction":%d,"position":%d,"epoch":1}`, i+1, i+1); got != want {
			t.Errorf("%v: got %s, want %s", headers, got, want)
		}
		if got := h.get("/v1/tasks/" + id); !strings.Contains(got, id) {
			t.Errorf("%v: %s", headers, got)
		}
	}
}

// What is not a transaction in every part changes nothing.
func TestRefusedTransactionsChangeNothing(t *testing.T) {
	h := newCell(t).leader("one", Options{MaxBodyBytes: 1 << 16})
	h.commit(save("t1"))
	good := thrift(t, save("t2"), nil)
	hugeList := string(binary.BigEndian.AppendUint32([]byte{15, 0, 1, 12}, 1<<31-1))
	cases := []struct {
		name, body, header string
		status             int
		kind, detail       string
	}{
		{"empty", "", "", 400, "invalid-request", ""},
		{"not JSON", "{", "", 400, "invalid-request", "not JSON"},
		{"no ops", "{}", "", 400, "invalid-request", "ops: missing"},
		{"empty ops", ops(), "", 400, "invalid-request", "ops: empty"},
		{"unknown op", ops(`{"rewriteTask":{}}`), "", 400, "invalid-request", "ops[0].rewriteTask: unknown member"},
		{"unknown field", ops(`{"saveTasks":{"tasks":[{"stat":1}]}}`), "", 400, "invalid-request", "ops[0].saveTasks.tasks[0].stat"},
		{"two ops in one", ops(`{"removeTasks":{},"saveTasks":{}}`), "", 400, "invalid-request", "2 branches"},
		{"no task id", ops(`{"saveTasks":{"tasks":[{"status":"RUNNING"}]}}`), "", 400, "invalid-request", "ops[0]: invalid argument: missing: task without assignedTask.taskId"},
		{"null task", ops(`{"saveTasks":{"tasks":[null]}}`), "", 400, "invalid-request", "tasks[0]: no value"},
		{"no job", ops(`{"saveTasks":{"tasks":[{"assignedTask":{"taskId":"x","task":{}},"status":"RUNNING"}]}}`), "", 400, "invalid-request", "no valid job key"},
		{"unknown status", ops(saveTasks(task("x", "www", "web", 0, "RUNING", ""))), "", 400, "invalid-request", `unknown ScheduleStatus "RUNING"`},
		{"status by number", ops(`{"saveTasks":{"tasks":[{"status":2}]}}`), "", 400, "invalid-request", "the name of a ScheduleStatus"},
		{"good op, then a bad one", ops(saveTasks(task("x", "www", "web", 0, "RUNNING", "")), `{"saveQuota":{"quota":{}}}`), "", 400, "invalid-request", "ops[1]: invalid argument: missing: saveQuota.role"},
		{"event of no update", ops(`{"saveJobUpdateEvent":{"key":{"job":{"role":"a","environment":"b","name":"c"},"id":"u"},"event":{"status":"ABORTED","timestampMs":1}}}`), "", 400, "invalid-request", "Update not found"},
		{"retired op", ops(`{"removeLock":{}}`), "", 400, "invalid-request", "retired"},
		{"idempotency", `{"ops":[{"removeTasks":{"taskIds":["t1"]}}],"idempotency":{}}`, "", 400, "invalid-request", "idempotency: unknown member"},
		{"two documents", save("a") + save("b"), "", 400, "invalid-request", "not JSON at byte"},
		{"query parameter", "", "?dryRun=true", 400, "invalid-parameter", "dryRun: unknown parameter"},

		{"thrift: empty", "", thriftType, 400, "invalid-request", ""},
		{"thrift: JSON", save("x"), thriftType, 400, "invalid-request", ""},
		{"thrift: cut", good[:len(good)-1], thriftType, 400, "invalid-request", ""},
		{"thrift: bytes behind", good + "\x00", thriftType, 400, "invalid-request", "bytes after the end"},
		{"thrift: another behind", good + good, thriftType, 400, "invalid-request", "bytes after the end"},
		{"thrift: huge list", hugeList, thriftType, 400, "invalid-request", "container of 2147483647 elements"},
		{"thrift: nothing", "\x00", thriftType, 400, "invalid-request", "ops: empty"},
		{"thrift: idempotency", thrift(t, save("x"), func(tx *api.Transaction) { tx.Idempotency = &api.Idempotency{Key: api.Some("k")} }), thriftType, 400, "invalid-request", "idempotency: not for clients"},
		{"thrift: committed keys", thrift(t, save("x"), func(tx *api.Transaction) { tx.CommittedKeys = []*api.CommittedKey{} }), thriftType, 400, "invalid-request", "committedKeys: not for clients"},
		{"thrift: deduplicated tasks", thrift(t, save("x"), func(tx *api.Transaction) { tx.DeduplicatedTasks = &api.DeduplicatedTasks{} }), thriftType, 400, "invalid-request", "deduplicatedTasks: not for clients"},
		{"thrift: unknown status", strings.Replace(thrift(t, ops(saveTasks(task("x", "www", "web", 0, "RUNNING", ""))), nil), "\x08\x00\x02\x00\x00\x00\x02", "\x08\x00\x02\x00\x00\x00\x63", 1), thriftType, 400, "invalid-request", "unknown ScheduleStatus 99"},

		{"text", save("x"), "Content-Type: text/plain", 415, "unsupported-type", `the body is "text/plain"`},
		{"other charset", save("x"), "Content-Type: application/json; charset=latin1", 415, "unsupported-type", "UTF-8"},
		{"odd type", save("x"), "Content-Type: ;", 415, "unsupported-type", "can't be read"},
		{"compressed", save("x"), "Content-Encoding: gzip", 415, "unsupported-type", "gzip"},
		{"large", save(strings.Repeat("x", 1<<16)), "", 413, "too-large", "65536 bytes allowed"},

		{"If-Match: any", save("x"), "If-Match: *", 400, "invalid-parameter", "If-Match: * is not a condition here"},
		{"If-Match: no quotation marks", save("x"), "If-Match: 1", 400, "invalid-parameter", `"1" is not one`},
		{"If-Match: leading zero", save("x"), `If-Match: "01"`, 400, "invalid-parameter", "is not one"},
		{"If-Match: negative", save("x"), `If-Match: "-1"`, 400, "invalid-parameter", "is not one"},
		{"If-Match: weak", save("x"), `If-Match: W/"1"`, 400, "invalid-parameter", "weak"},
		{"If-Match: several", save("x"), `If-Match: "1", "2"`, 400, "invalid-parameter", "more than one"},
		{"If-Match: empty", save("x"), `If-Match: `, 400, "invalid-parameter", "is not one"},
		{"If-Match: too large", save("x"), `If-Match: "18446744073709551616"`, 400, "invalid-parameter", "is not one"},
		{"If-Match: old", save("x"), `If-Match: "0"`, 412, "conflict", "the last transaction is 1, not 0"},
		{"If-Match: of the future", save("x"), `If-Match: "2"`, 412, "conflict", "the last transaction is 1, not 2"},
		{"key: empty", save("x"), "Idempotency-Key: ", 400, "invalid-parameter", "Idempotency-Key: want it once"},
		{"key: long", save("x"), "Idempotency-Key: " + strings.Repeat("k", 256), 400, "invalid-parameter", "255"},
		{"key: not ASCII", save("x"), "Idempotency-Key: schlüssel", 400, "invalid-parameter", "ASCII"},
	}
	tasks, entries := h.get("/v1/tasks"), h.mem.CountOf(memdriver.Create, memdriver.Under("log/"))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			at := &host{t, h.Handler, h.store, h.mem}
			query, isQuery := "", strings.HasPrefix(c.header, "?")
			headers := []string{c.header}
			if c.header == "" || isQuery {
				query, headers = c.header, nil
			}
			p := at.refused(at.do("POST", "/v1/transactions"+query, c.body, headers...), c.status, c.kind, c.detail)
			if p.Outcome != "not committed" {
				t.Errorf("outcome is %q", p.Outcome)
			}
			if at.number() != 1 || at.get("/v1/tasks") != tasks || at.mem.CountOf(memdriver.Create, memdriver.Under("log/")) != entries {
				t.Error("it has changed something")
			}
		})
	}
	w := h.post(ops(`{"saveTasks":{"tasks":[{"stat":1}]}}`))
	if p := h.refused(w, 400, "invalid-request", ""); p.Field != "ops[0].saveTasks.tasks[0].stat" {
		t.Errorf("field is %q", p.Field)
	}
	if got, want := h.commit(save("t2")), `{"transaction":2,"position":2,"epoch":1}`; got != want {
		t.Errorf("after all that: %s, want %s", got, want)
	}
}

// A record that is larger than the log takes is refused by the log.
func TestRecordLargerThanTheLogTakes(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	if p := h.refused(h.post(save(strings.Repeat("x", maxRecord))), 413, "too-large", "split the transaction"); p.Outcome != "not committed" {
		t.Errorf("outcome is %q", p.Outcome)
	}
	h.commit(save("t1"))
}

// endless is a body without an end that counts what was taken of it.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	e.read.Add(int64(len(b)))
	return copy(b, bytes.Repeat([]byte(" "), len(b))), nil
}

func TestLargeBodyIsNotRead(t *testing.T) {
	h := newCell(t).leader("one", Options{MaxBodyBytes: 1 << 20})
	s := httptest.NewServer(h)
	defer s.Close()
	for _, length := range []int64{100 << 20, -1} {
		body := new(endless)
		r, err := http.NewRequest("POST", s.URL+"/v1/transactions", io.LimitReader(body, 100<<20))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if read := body.read.Load(); answer.StatusCode != 413 || read > 32<<20 {
			t.Errorf("length %d: %d after %d bytes", length, answer.StatusCode, read)
		}
	}
	body := new(endless)
	r := httptest.NewRequest("POST", "/v1/transactions", body)
	r.ContentLength = 100 << 20
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if h.refused(w, 413, "too-large", "1048576"); body.read.Load() != 0 {
		t.Errorf("%d bytes were read of what says itself that it is too large", body.read.Load())
	}
}

func TestOneOfRacingWritersWins(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.commit(save("t0"))
	var won, lost atomic.Int32
	var racers sync.WaitGroup
	for i := range 20 {
		racers.Go(func() {
			switch w := h.post(save(fmt.Sprint("racer", i)), `If-Match: "1"`); w.Code {
			case 200:
				won.Add(1)
			case 412:
				lost.Add(1)
			default:
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	racers.Wait()
	if won.Load() != 1 || lost.Load() != 19 || h.number() != 2 {
		t.Errorf("%d won, %d lost, the last transaction is %d", won.Load(), lost.Load(), h.number())
	}
}

// Whoever is told of a transaction finds it at once.
func TestReadYourWrites(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("t%d-%d", w, i)
				h.post(save(id))
				if got := h.do("GET", "/v1/tasks/"+id, ""); got.Code != 200 {
					t.Errorf("%d: a task that was just saved is not there", got.Code)
				}
			}
		})
	}
	writers.Wait()
}

func TestRepeatGetsTheFirstAnswer(t *testing.T) {
	for _, url := range []string{"mem://" + persistence.NewWriterID().String(), "file://" + t.TempDir()} {
		const key = "Idempotency-Key: one two"
		withStore(t, url, func(h *host) {
			first := h.commit(save("t1"), key, `If-Match: "0"`)
			h.commit(save("t2"))
			if again := h.commit(save("t1"), key, `If-Match: "0"`); again != first || h.number() != 2 {
				t.Errorf("%s: repeat got %s, want %s", url, again, first)
			}
			p := h.refused(h.post(save("t3"), key), 422, "key-reused", "another transaction")
			if p.Outcome != "not committed" {
				t.Errorf("outcome is %q", p.Outcome)
			}
			h.refused(h.post(thrift(t, save("t1"), nil), key, thriftType), 422, "key-reused", "")
		})
		withStore(t, url, func(h *host) {
			if again, want := h.commit(save("t1"), key), `{"transaction":1,"position":1,"epoch":1}`; again != want || h.number() != 2 {
				t.Errorf("%s: repeat after a restart got %s, want %s", url, again, want)
			}
			h.refused(h.post(save("t3"), key), 422, "key-reused", "")
			if got, want := h.commit(save("t3")), `{"transaction":3,"position":4,"epoch":2}`; got != want {
				t.Errorf("%s: got %s, want %s", url, got, want)
			}
		})
	}
}

// withStore opens the store at a URL as its leader, and closes it afterwards.
func withStore(t *testing.T, url string, f func(h *host)) {
	t.Helper()
	store, err := schedulerstore.Open(t.Context(), url, schedulerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := store.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	f(&host{T: t, Handler: New(store, Options{}), store: store})
}

func TestFollowerNamesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		follower := c.open("two", Options{})
		w := follower.post(save("x"))
		if p := follower.refused(w, 503, "not-leader", "not the leader"); p.Leader != "" || w.Header()["Location"] != nil || p.Outcome != "not committed" {
			t.Errorf("nobody leads: %s, %v", w.Body, w.Header())
		}
		c.leader("one", Options{})
		campaign, stop := context.WithCancel(t.Context())
		go func() { _ = follower.store.Campaign(campaign) }()
		time.Sleep(2 * time.Second)
		w = follower.post(save("x"))
		p := follower.refused(w, 503, "not-leader", "not the leader")
		if p.Leader != "http://one" || w.Header().Get("Location") != "http://one/v1/transactions" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s, %v", w.Body, w.Header())
		}
		w = follower.do("GET", "/v1/tasks?consistency=linearizable&role=a%2Fb", "")
		if follower.refused(w, 503, "not-leader", "ask the leader"); w.Header().Get("Location") != "http://one/v1/tasks?consistency=linearizable&role=a%2Fb" {
			t.Errorf("%v", w.Header())
		}
		self := New(follower.store, Options{URL: "http://one/"})
		w = httptest.NewRecorder()
		if self.ServeHTTP(w, httptest.NewRequest("GET", "/leaderz", nil)); w.Code != 503 || w.Header()["Location"] != nil {
			t.Errorf("sent to itself: %d, %v", w.Code, w.Header())
		}
		stop()
		synctest.Wait()
	})
}

// A leader that was deposed, and has not noticed yet, meets the seal.
func TestDeposedLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader("one", Options{})
		b := bucket.New(c.mem, "mem://operator", "", bucket.Options{})
		if _, err := lease.Break(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		next := c.leader("two", Options{})
		next.commit(save("t1"))
		if p := old.refused(old.post(save("x")), 503, "not-leader", "deposed, not committed"); p.Outcome != "not committed" {
			t.Errorf("outcome is %q", p.Outcome)
		}
		if got := next.get("/v1/tasks"); strings.Contains(got, `"x"`) {
			t.Errorf("it is there: %s", got)
		}
	})
}

func TestNoAnswerInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{CommitTimeout: 5 * time.Second})
		h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Times: 1, Do: memdriver.DelayReply(8 * time.Second)})
		start := time.Now()
		w := h.post(save("t1"), "Idempotency-Key: k")
		if p := h.refused(w, 504, "outcome-unknown", "repeat it with its Idempotency-Key"); p.Outcome != "unknown" {
			t.Errorf("outcome is %q", p.Outcome)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		// The commit goes on; the repeat joins it.
		if got, want := h.commit(save("t1"), "Idempotency-Key: k"), `{"transaction":1,"position":1,"epoch":1}`; got != want || h.number() != 1 {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// What is in no state to be told from a success is unknown, not an internal error.
func TestStoreFailsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Times: 1, Do: memdriver.LandAndFail})
		p := h.refused(h.post(save("t1")), 504, "outcome-unknown", "read whether it took effect before you send it again")
		if p.Outcome != "unknown" || strings.Contains(p.Detail, "Idempotency-Key") {
			t.Errorf("%+v", p)
		}
	})
}

// An op that changes nothing is answered with what is durable already.
func TestNothingChanged(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	attributes := ops(`{"saveHostAttributes":{"hostAttributes":{"host":"h1","slaveId":"a1","mode":"NONE","attributes":[]}}}`)
	first := h.commit(attributes)
	if again := h.commit(attributes); again != first || h.number() != 1 {
		t.Errorf("got %s, want %s", again, first)
	}
}

// Bodies that are parsed and applied at once are bounded in all: one that would be too
// much waits for those before it, and is refused when its time is up.
func TestLargeBodiesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := save("large")
		h := newCell(t).leader("one", Options{MaxBodyBytes: int64(len(large)), CommitTimeout: 5 * time.Second})
		release, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			_ = h.store.Write(t.Context(), func(context.Context, storage.Mutable) error {
				<-release
				return nil
			})
		}()
		synctest.Wait()
		var posts sync.WaitGroup
		for range 2 { // these are parsed, and wait for the write lock
			posts.Go(func() { h.commit(large) })
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request := httptest.NewRequestWithContext(ctx, "POST", "/v1/transactions", strings.NewReader(large))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request)
		h.refused(w, 503, "not-committed", "other large transactions")
		close(release)
		posts.Wait()
		<-done
		h.commit(large)
	})
}

// A client that gives up waiting is no failure of the server's: nothing of it is an
// error in its log.
func TestClientsThatGoAreNoErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))
		h := newCell(t).leader("one", Options{Logger: logger})
		h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Second)})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		body := ops(saveTasks(task("a", "www", "web", 0, "RUNNING", "")))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v1/transactions", strings.NewReader(body)))
		if w.Code != http.StatusGatewayTimeout {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
		if logged.Len() > 0 {
			t.Errorf("logged: %s", &logged)
		}
	})
}
