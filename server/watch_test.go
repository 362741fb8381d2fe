package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// event is a server-sent event as a client reads it, or a comment.
type event struct {
	id, kind, data, comment string
}

// events reads a stream to its end.
func events(body io.Reader) <-chan event {
	all := make(chan event, 10_000)
	go func() {
		defer close(all)
		lines := bufio.NewReader(body)
		var e event
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimSuffix(line, "\n")
			if line == "" {
				all <- e
				e = event{}
				continue
			}
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				e.data = value
			case "":
				e.comment = value
			default:
				e.comment = "not an event: " + line
			}
		}
	}()
	return all
}

// pipes is a listener whose connections are in memory: the server that is used for
// real can be tested with synctest's time. What is written waits until it is read.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func newPipes() *pipes { return &pipes{connections: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8410} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.connections <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve serves a host's API for real, and returns a client for it.
func (h *host) serve() (*http.Client, *http.Server) {
	return h.serveOver(func(p *http.Protocols) { p.SetHTTP1(true) })
}

func (h *host) serveOver(protocol func(*http.Protocols)) (*http.Client, *http.Server) {
	listener, api, protocols := newPipes(), HTTPServer(h.Handler), new(http.Protocols)
	protocol(protocols)
	api.Protocols = protocols
	go func() { _ = api.Serve(listener) }()
	transport := &http.Transport{DialContext: listener.dial, Protocols: protocols}
	h.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = api.Close()
	})
	return &http.Client{Transport: transport}, api
}

func (h *host) watch(client *http.Client, query string, headers ...string) (<-chan event, *http.Response, func()) {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/v1/watch"+query, nil)
	if err != nil {
		h.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	answer, err := client.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	stop := func() { cancel(); _ = answer.Body.Close() }
	h.Cleanup(stop)
	if answer.StatusCode != http.StatusOK {
		return nil, answer, stop
	}
	all := events(answer.Body)
	if first := <-all; first.comment != "watching" {
		h.Errorf("the stream begins with %+v", first)
	}
	return all, answer, stop
}

func TestWatchIsAStreamOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		client, _ := h.serve()
		live, answer, _ := h.watch(client, "")
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		h.commit(ops(saveTasks(task("a", "www", "web", 0, "PENDING", "h1"))))
		h.commit(ops(saveTasks(task("a", "www", "web", 0, "RUNNING", "h1")), `{"removeTasks":{"taskIds":["a"]}}`))
		first, second := <-live, <-live
		if first.id != "1" || first.kind != "transaction" || second.id != "2" {
			t.Errorf("%+v, %+v", first, second)
		}
		var data struct {
			Transaction, Position, Epoch int
			Time                         time.Time
			Ops                          []map[string]any
			Events                       []struct {
				TaskStateChanged *struct {
					OldState string
					Task     struct{ Status string }
				}
				TasksDeleted *struct{ Tasks []any }
			}
		}
		if err := json.Unmarshal([]byte(second.data), &data); err != nil {
			t.Fatal(err)
		}
		if data.Transaction != 2 || data.Position != 2 || data.Epoch != 1 || time.Since(data.Time) > time.Minute || len(data.Ops) != 2 || data.Ops[1]["removeTasks"] == nil || len(data.Events) != 2 ||
			data.Events[0].TaskStateChanged.OldState != "PENDING" || data.Events[0].TaskStateChanged.Task.Status != "RUNNING" || len(data.Events[1].TasksDeleted.Tasks) != 1 {
			t.Errorf("data %s", second.data)
		}
		if !strings.HasPrefix(second.data, `{"transaction":2,"position":2,"epoch":1,"time":"20`) || !strings.Contains(second.data, `"oldState":"PENDING"`) {
			t.Errorf("data %s", second.data)
		}
	})
}

func TestWatchGoesOnWhereTheClientWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one", Options{}), c.open("two", Options{})
		for i := range 5 {
			one.commit(save(fmt.Sprint(i)))
		}
		time.Sleep(2 * time.Second)
		for _, h := range []*host{one, two} { // a follower tells the same
			client, _ := h.serve()
			for _, test := range []struct{ query, header, want string }{
				{"?from=3", "", "3 4 5"},
				{"", "Last-Event-ID: 3", "4 5"},
				{"?from=1", "Last-Event-ID: 4", "5"}, // the header is newer
				{"", "Last-Event-ID: 0", "1 2 3 4 5"},
			} {
				var headers []string
				if test.header != "" {
					headers = []string{test.header}
				}
				live, _, stop := h.watch(client, test.query, headers...)
				synctest.Wait()
				var ids []string
				for range len(live) {
					ids = append(ids, (<-live).id)
				}
				if got := strings.Join(ids, " "); got != test.want {
					t.Errorf("%s %s: told %q, want %q", test.query, test.header, got, test.want)
				}
				stop()
			}
		}
		client, _ := two.serve()
		beyond, _, _ := two.watch(client, "", "Last-Event-ID: 6") // seen elsewhere, not here yet
		one.commit(save("x"))
		one.commit(save("y"))
		time.Sleep(2 * time.Second)
		if e := <-beyond; e.id != "7" {
			t.Errorf("told %+v, want 7", e)
		}
	})
}

func TestWatchRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		for _, test := range []struct{ query, header, parameter string }{
			{"?from=x", "", "from"}, {"?from=-1", "", "from"}, {"?from=0", "", "from"}, {"?from=1.5", "", "from"}, {"?from=", "", "from"},
			{"?from=99999999999999999999", "", "from"}, {"?from=1&from=2", "", "from"}, {"?form=1", "", "form"},
			{"", "Last-Event-ID: x", "Last-Event-ID"}, {"", "Last-Event-ID: -1", "Last-Event-ID"}, {"", "Last-Event-ID: 18446744073709551615", "Last-Event-ID"},
			{"", "Last-Event-ID: ", "Last-Event-ID"},
		} {
			var headers []string
			if test.header != "" {
				headers = []string{test.header}
			}
			p := h.refused(h.do("GET", "/v1/watch"+test.query, "", headers...), http.StatusBadRequest, "invalid-parameter", test.parameter)
			if p.Parameter != test.parameter {
				t.Errorf("%s %s: parameter %q", test.query, test.header, p.Parameter)
			}
		}
		if w := h.do("HEAD", "/v1/watch", ""); w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("HEAD: %d %s", w.Code, w.Body)
		}
	})
}

func TestWatchBeforeTheStateIsRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Minute)})
		h := c.open("one", Options{})
		h.refused(h.do("GET", "/v1/watch", ""), http.StatusServiceUnavailable, "not-recovered", "not recovered")
	})
}

// What is not in memory comes from the log, without events; what is not there either
// is 410.
func TestWatchReadsBackFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one", Options{})
		for i := range 6 {
			one.commit(save(fmt.Sprint(i)))
		}
		storage, log := one.store.Storage(), one.store.Log()
		at := storage.Checkpoint()
		if _, err := snapshot.Write(t.Context(), log.Bucket(), log.Codec(), snapshot.Source{Cell: log.Cell().ID, At: at.At, Records: at.Records(), Counts: at.Counts()}, 1); err != nil {
			t.Fatal(err)
		}
		h := c.open("two", Options{})
		if err := h.store.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		client, _ := h.serve()
		live, _, _ := h.watch(client, "?from=5")
		fifth, sixth := <-live, <-live
		if fifth.id != "5" || sixth.id != "6" || strings.Contains(fifth.data, "events") || !strings.Contains(fifth.data, "saveTasks") {
			t.Errorf("told %+v, %+v", fifth, sixth)
		}
		one.commit(save("x"))
		time.Sleep(2 * time.Second)
		if e := <-live; e.id != "7" || !strings.Contains(e.data, "events") {
			t.Errorf("then %+v", e)
		}
		c.mem.Remove(blob.Key(1, persistence.Position(2)))
		h.refused(h.do("GET", "/v1/watch?from=2", ""), http.StatusGone, "collected", "transaction 2")
	})
}

// An idle stream is alive for hours: it has its heartbeat, and no time limit of the
// server ends it.
func TestWatchHasAHeartbeat(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { testHeartbeat(t, func(p *http.Protocols) { p.SetHTTP1(true) }) })
	t.Run("HTTP/2", func(t *testing.T) { testHeartbeat(t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }) })
}

func testHeartbeat(t *testing.T, protocol func(*http.Protocols)) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		client, _ := h.serveOver(protocol)
		live, _, _ := h.watch(client, "")
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if n := len(live); n != 240 {
			t.Errorf("%d heartbeats in an hour", n)
		}
		for range len(live) {
			if e := <-live; e.comment == "" || e.data != "" || e.id != "" {
				t.Fatalf("a heartbeat is %+v", e)
			}
		}
		time.Sleep(10 * time.Second)
		h.commit(save("a"))
		if e := <-live; e.id != "1" {
			t.Errorf("after an hour %+v", e)
		}
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if n := len(live); n != 0 {
			t.Errorf("a heartbeat right after a transaction")
		}
	})
}

// A client that takes nothing is cut off, and delays nobody meanwhile.
func TestWatchCutsOffASlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{MaxWatches: 1})
		client, _ := h.serve()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/v1/watch", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r) // and the body is not read
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		large := strings.Repeat("x", 1<<16)
		for i := range 20 {
			h.commit(ops(fmt.Sprintf(`{"saveFrameworkId":{"id":"%d%s"}}`, i, large)))
		}
		time.Sleep(29 * time.Second)
		full := h.do("GET", "/v1/watch", "")
		h.refused(full, http.StatusServiceUnavailable, "too-many-watches", "1 clients watch already")
		time.Sleep(20 * time.Second)
		if w := h.do("HEAD", "/v1/watch", ""); w.Code != http.StatusOK {
			t.Errorf("after the slow client's time: %d %s", w.Code, w.Body)
		}
		n := 0
		for e := range events(answer.Body) {
			if e.id != "" {
				n++
			}
		}
		if n >= 20 {
			t.Errorf("a client that was slow got all %d", n)
		}
	})
}

func TestWatchEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{MaxWatches: 2})
		client, _ := h.serve()
		for range 10 {
			_, _, stop := h.watch(client, "")
			stop()
			synctest.Wait()
		}
	})
}

func TestWatchEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		client, api := h.serve()
		live, _, _ := h.watch(client, "")
		start := time.Now()
		if err := api.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the server took %v to shut down", took)
		}
		for e := range live {
			if e.comment == "" {
				t.Errorf("told %+v", e)
			}
		}
	})
}

func TestWatchEndsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		client, _ := h.serve()
		live, _, _ := h.watch(client, "")
		if err := h.store.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := event{}
		for last = range live {
		}
		if last.comment != "ended, come back" {
			t.Errorf("the last is %+v", last)
		}
		if w := h.do("GET", "/v1/watch", ""); !strings.Contains(w.Body.String(), "ended") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// Whoever watches, here over real connections, hears of every transaction once and in
// order, however many write.
func TestWatchersHearEverythingInOrder(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	web := httptest.NewServer(h.Handler)
	defer web.Close()
	const writers, each, watchers = 32, 20, 8
	var group sync.WaitGroup
	for range watchers {
		answer, err := http.Get(web.URL + "/v1/watch")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		group.Go(func() {
			next := 1
			for e := range events(answer.Body) {
				if e.comment != "" {
					continue
				}
				if e.id != fmt.Sprint(next) || !strings.Contains(e.data, `"events":[{"taskStateChanged"`) {
					t.Errorf("told %s, want %d: %s", e.id, next, e.data)
					return
				}
				if next++; next > writers*each {
					return
				}
			}
			t.Errorf("the stream ended before %d", next)
		})
	}
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if w := h.post(save(fmt.Sprintf("%d-%d", w, i))); w.Code != http.StatusOK {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	group.Wait()
	_ = h.store.Close(context.Background()) // ends the watches, which web.Close waits for
}
