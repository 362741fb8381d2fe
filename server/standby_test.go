package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
)

// standBy lets a host campaign, and ask the leader through a client. It ends with the
// test.
func (h *host) standBy(client *http.Client, logger *slog.Logger) (leads chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	leads = make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		if h.store.Campaign(ctx) == nil {
			close(leads)
		}
	})
	running.Go(func() { Standby{Store: h.store, Client: client, Logger: logger}.Run(ctx) })
	h.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return leads
}

// shutDown ends a process as the daemon does.
func (h *host) shutDown(api *http.Server) {
	h.Helper()
	drained := make(chan error, 1)
	go func() { drained <- api.Shutdown(context.Background()) }()
	synctest.Wait() // it does not listen any more
	if err := h.store.Close(h.Context()); err != nil {
		h.Error(err)
	}
	if err := <-drained; err != nil {
		h.Error(err)
	}
}

func TestStandbyTakesOverWhenTheLeaseIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one", Options{}), c.open("two", Options{})
		client, api := one.serve()
		leads := two.standBy(client, nil)
		time.Sleep(time.Minute + 700*time.Millisecond)
		// Told before the release has landed, the standby would find the lease held.
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Times: 1, Do: memdriver.Delay(200 * time.Millisecond)})
		start := time.Now()
		go one.shutDown(api)
		<-leads
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("it led %v after the end of the first began, the release took 200 ms", took)
		}
		time.Sleep(time.Minute) // until the first is gone
	})
}

// A leader that dies breaks the connection; whoever hears it looks, and does not
// believe it.
func TestStandbyOfALeaderThatDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one", Options{}), c.open("two", Options{})
		client, api := one.serve()
		leads := two.standBy(client, nil)
		time.Sleep(time.Minute + 700*time.Millisecond)
		looks := func() int { return c.mem.CountOf(memdriver.Get, memdriver.Is(lease.Key)) }
		before := looks()
		_ = api.Close()
		synctest.Wait()
		if got := looks() - before; got != 1 {
			t.Errorf("%d looks when the connection broke", got)
		}
		time.Sleep(10 * time.Minute)
		select {
		case <-leads:
			t.Error("it took over from a leader that renews its lease")
		default:
		}
		if got := looks() - before; got > 660 {
			t.Errorf("%d looks in ten minutes", got)
		}
	})
}

// Where the leader can't be asked the standby is as cheap, says why once, and is a
// look later.
func TestStandbyThatCantAskTheLeader(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"unreachable":        func() (*http.Response, error) { return nil, errors.New("no route to host") },
		"another server":     func() (*http.Response, error) { return recorded(http.StatusNotFound), nil },
		"does not wait":      func() (*http.Response, error) { return recorded(http.StatusOK), nil },
		"says it is no more": func() (*http.Response, error) { return recorded(http.StatusServiceUnavailable), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				one, two := c.leader("one", Options{}), c.open("two", Options{})
				var log bytes.Buffer
				asked := 0
				leads := two.standBy(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					asked++
					if r.URL.String() != "http://one/leaderz?wait=30s" {
						t.Errorf("asked %s", r.URL)
					}
					return answer()
				})}, slog.New(slog.NewTextHandler(&log, nil)))
				before := c.mem.CountOf(memdriver.Get, memdriver.Is(lease.Key))
				time.Sleep(time.Hour)
				if looks := c.mem.CountOf(memdriver.Get, memdriver.Is(lease.Key)) - before; looks > 3900 {
					t.Errorf("%d looks in an hour", looks)
				}
				synctest.Wait()
				if asked < 50 || asked > 150 {
					t.Errorf("asked %d times in an hour", asked)
				}
				if n := strings.Count(log.String(), "can't be asked"); n > 1 || n == 0 && (name == "unreachable" || name == "another server") {
					t.Errorf("said %d times: %s", n, log.String())
				}
				start := time.Now()
				if err := one.store.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-leads
				if took := time.Since(start); took > 2500*time.Millisecond {
					t.Errorf("it led %v after the release", took)
				}
				synctest.Wait()
				before = asked
				time.Sleep(time.Hour)
				if asked != before {
					t.Errorf("a leader asked %d times", asked-before)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func recorded(status int) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	return w.Result()
}

func TestLeaderzWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader, follower := c.leader("one", Options{}), c.open("two", Options{})
		for _, q := range []struct {
			of     *host
			wait   string
			status int
			after  time.Duration
		}{
			{leader, "10s", http.StatusOK, 10 * time.Second},
			{leader, "1h", http.StatusOK, maxWait},
			{leader, "0s", http.StatusOK, 0},
			{leader, "", http.StatusOK, 0},
			{leader, "soon", http.StatusBadRequest, 0},
			{leader, "-1s", http.StatusBadRequest, 0},
			{follower, "10s", http.StatusServiceUnavailable, 0},
		} {
			start := time.Now()
			w := q.of.do("GET", "/leaderz?wait="+q.wait, "")
			if took := time.Since(start); w.Code != q.status || took != q.after {
				t.Errorf("wait=%s: %d after %v, want %d after %v", q.wait, w.Code, took, q.status, q.after)
			}
		}
	})
}

// Many that wait, and some that go away, keep nobody from being answered.
func TestLeaderzBoundsThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range maxWaiting {
			waiting.Go(func() {
				r := httptest.NewRequestWithContext(ctx, "GET", "/leaderz?wait=30s", nil)
				h.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		synctest.Wait()
		start := time.Now()
		if w := h.do("GET", "/leaderz?wait=30s", ""); w.Code != http.StatusOK || time.Since(start) != 0 {
			t.Errorf("one more: %d after %v", w.Code, time.Since(start))
		}
		cancel()
		waiting.Wait()
		if time.Since(start) != 0 {
			t.Errorf("clients that are gone were waited for: %v", time.Since(start))
		}
		if w := h.do("GET", "/leaderz?wait=30s", ""); w.Code != http.StatusOK || time.Since(start) != maxWait {
			t.Errorf("after they went: %d after %v", w.Code, time.Since(start))
		}
	})
}
