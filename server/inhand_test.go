package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sync/semaphore"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// More comes than the store can take: what is too much is refused at once and never
// happens, readers notice nothing, and as soon as there is room again all is as before.
func TestTooManyTransactionsAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, more = 8, 100
		c, registry := newCell(t), prometheus.NewRegistry()
		h := c.leader("one", Options{MaxTransactions: most, Registerer: registry, Gatherer: registry})
		h.commit(save("before"))
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(10 * time.Second)})
		var taken sync.WaitGroup
		for i := range most {
			taken.Go(func() { h.commit(save(fmt.Sprint("taken-", i))) })
		}
		synctest.Wait()
		start := time.Now()
		for i := range more {
			w := h.post(save(fmt.Sprint("refused-", i)), fmt.Sprint("Idempotency-Key: ", i))
			p := h.refused(w, 503, "overloaded", "8 transactions wait here")
			if p.Outcome != notCommitted || w.Header().Get("Retry-After") != "1" || w.Header().Get("Location") != "" {
				t.Errorf("outcome %q, %v", p.Outcome, w.Header())
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/leaderz", "/v1/tasks?consistency=linearizable"} {
			h.get(path)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		metrics := h.get("/metrics")
		for _, sample := range []string{"transactions_waiting 8", "transactions_refused_total 100"} {
			if !strings.Contains(metrics, "scheduler_store_http_"+sample+"\n") {
				t.Errorf("no %s in the metrics", sample)
			}
		}
		taken.Wait()
		slow.Stop()
		for i := range most {
			h.commit(save(fmt.Sprint("after-", i)))
		}
		if got := h.get("/v1/tasks"); strings.Count(got, `"taskId"`) != 1+2*most || strings.Contains(got, "refused") {
			t.Errorf("the tasks are %s", got)
		}
	})
}

// A client that sends slowly, or not at all, keeps nobody out; only bytes that came
// count. Where those are too many more are refused, and what was refused is let go.
func TestBodiesCountAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := save("large") + strings.Repeat(" ", 1<<10)
		h := newCell(t).leader("one", Options{MaxTransactions: 4, MaxBodyBytes: int64(len(large))})
		type slow struct {
			*io.PipeWriter
			answer *httptest.ResponseRecorder
			done   chan struct{}
		}
		begin := func() *slow {
			r, w := io.Pipe()
			s := &slow{w, httptest.NewRecorder(), make(chan struct{})}
			go func() {
				defer close(s.done)
				h.ServeHTTP(s.answer, httptest.NewRequest("POST", "/v1/transactions", r))
			}()
			return s
		}
		var senders []*slow
		for range 50 {
			senders = append(senders, begin())
		}
		synctest.Wait()
		h.commit(save("a")) // though 50 have begun to send
		for _, s := range senders[:4] {
			if _, err := io.WriteString(s, large[:len(large)-1]); err != nil {
				t.Fatal(err)
			}
		}
		w := h.post(save("b")) // 4 bytes are left
		if p := h.refused(w, 503, "overloaded", "bytes in hand"); p.Outcome != notCommitted || w.Header().Get("Connection") != "close" {
			t.Errorf("outcome %q, %v", p.Outcome, w.Header())
		}
		for _, s := range senders[:4] {
			if _, err := io.WriteString(s, large[len(large)-1:]); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			if <-s.done; s.answer.Code != http.StatusOK {
				t.Errorf("%d %s", s.answer.Code, s.answer.Body)
			}
		}
		for _, s := range senders[4:] {
			_ = s.CloseWithError(io.ErrUnexpectedEOF)
			if <-s.done; s.answer.Code != http.StatusBadRequest {
				t.Errorf("%d %s", s.answer.Code, s.answer.Body)
			}
		}
		h.commit(large)
	})
}

// However a transaction ends, it is not in hand any more.
func TestNothingStaysInHand(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	hand := &inHand{mostTransactions: 1, mostBytes: 1 << 20}
	hand.register(nil)
	s := &server{Options: Options{MaxBodyBytes: 1 << 10, CommitTimeout: time.Minute}, store: h.store, inHand: hand, parsing: semaphore.NewWeighted(1 << 20)}
	for _, body := range []string{save("a"), "no JSON", "", save(strings.Repeat("x", 2<<10)), save("b")} {
		_, _ = s.transact(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/transactions", strings.NewReader(body)))
		if hand.transactions != 0 || hand.bytes != 0 {
			t.Errorf("%.20q: %d transactions and %d bytes are in hand", body, hand.transactions, hand.bytes)
		}
	}
	if n := testutil.ToFloat64(hand.refused); n != 0 {
		t.Errorf("%v were refused", n)
	}
}
