package server

import (
	"io"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// defaultMaxTransactions is more than the clients of a cluster have on their way, and few
// enough that a log which can hardly be written to still takes all of them in a few PUTs.
const defaultMaxTransactions = 4096

// inHand is the transactions that came here and are not answered yet, and the bytes of
// their bodies. Both are bounded. If more comes than the store can take, what is too much
// is refused at once: it would fill the memory, and wait until its client has given up,
// and then be written all the same.
//
// A body counts as it comes, its transaction once all of it is there: clients that send
// slowly, or nothing, keep nobody else out.
type inHand struct {
	mostTransactions int
	mostBytes        int64

	mu           sync.Mutex
	transactions int
	bytes        int64

	refused prometheus.Counter
}

// begin takes one more transaction in hand. done is to be called once it is answered.
func (h *inHand) begin() (done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.transactions >= h.mostTransactions {
		return nil, h.refuse()
	}
	h.transactions++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.transactions--
	}, nil
}

// look refuses a transaction that would not be taken, before its body is read.
func (h *inHand) look() error {
	done, err := h.begin()
	if err == nil {
		done()
	}
	return err
}

// refuse needs the lock.
func (h *inHand) refuse() error {
	h.refused.Inc()
	return newProblem(http.StatusServiceUnavailable, "overloaded", "overloaded",
		"%d transactions wait here for their answer, with %d bytes in hand, and the store does not take more as fast as they come; repeat this one later",
		h.transactions, h.bytes)
}

// body is a request's, counted as it is read. Its bytes are in hand until it is released.
type body struct {
	io.ReadCloser
	hand  *inHand
	bytes int64
}

func (h *inHand) body(r io.ReadCloser) *body { return &body{ReadCloser: r, hand: h} }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if full := b.take(int64(n)); full != nil {
		return 0, full
	}
	return n, err
}

func (b *body) take(n int64) error {
	b.hand.mu.Lock()
	defer b.hand.mu.Unlock()
	if b.hand.bytes+n > b.hand.mostBytes {
		return b.hand.refuse()
	}
	b.hand.bytes += n
	b.bytes += n
	return nil
}

func (b *body) release() {
	b.hand.mu.Lock()
	defer b.hand.mu.Unlock()
	b.hand.bytes -= b.bytes
}

// register makes the metrics, which r takes if it is not nil.
func (h *inHand) register(r prometheus.Registerer) {
	const ns = "scheduler_store_http_transactions_"
	h.refused = prometheus.NewCounter(prometheus.CounterOpts{Name: ns + "refused_total", Help: "Transactions refused as too many wait for their answer."})
	if r == nil {
		return
	}
	r.MustRegister(h.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ns + "waiting", Help: "Transactions that wait for their answer."}, func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(h.transactions)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ns + "bytes", Help: "Bytes of the bodies of transactions that came and are not answered."}, func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(h.bytes)
		}))
}
