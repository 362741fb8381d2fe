package bucket

import (
	"math"
	"slices"
	"sync"
	"time"
)

// When a request is hedged. The aim is a store of which few requests are slow, and
// those much slower than the rest.
const (
	// A request is slow when it takes hedgeFactor times as long as the share
	// hedgeQuantile of those like it lately did. The quantile lies in the body of
	// the distribution, so that up to a tenth may be slow without making it larger.
	// The factor spares a store whose times only scatter: of log-normal times whose
	// logarithm has a deviation of 0.5, one request in 250 is that slow.
	hedgeQuantile = 0.9
	hedgeFactor   = 2
	// hedgeWindow is how many requests "lately" are, hedgeObserved how many of them
	// must be known: of fewer, two slow ones would be the quantile.
	hedgeWindow   = 128
	hedgeObserved = 20
	// hedgeFloor: below it a hedge is of no use. It needs a new connection, which is
	// two or three round trips more; and what makes milliseconds of a request is as
	// likely this process, or a single server that would only have more to do.
	hedgeFloor = 20 * time.Millisecond
	// The budget: hedges are never more than one in hedgeShare requests, so that a
	// store that gets slow as a whole has not twice the load; what was not used is
	// kept, for hedgeBurst hedges at once.
	hedgeShare = 20
	hedgeBurst = 5
)

// never is how long a request waits that is not hedged.
const never = time.Duration(math.MaxInt64)

// trigger decides, for requests of one operation, when one is sent once more.
type trigger struct {
	mu     sync.Mutex
	recent [len(sizeLimits) + 1]window
	credit int // a request adds 1, a hedge takes hedgeShare
}

// sizeLimits are where classes of sizes end, in bytes: a request is only compared
// with those of its class. What is small takes a round trip, whatever its size; from
// there on, four times the bytes may take four times as long.
var sizeLimits = [...]int{64 << 10, 256 << 10, 1 << 20, 4 << 20}

func sizeClass(size int) int {
	class, _ := slices.BinarySearch(sizeLimits[:], size)
	return class
}

// begin counts a request of some size, and says how long it may take before it is
// sent once more: never, if too little is known.
func (t *trigger) begin(size int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.credit = min(t.credit+1, hedgeBurst*hedgeShare)
	w := &t.recent[sizeClass(size)]
	if len(w.sorted) < hedgeObserved {
		return never
	}
	return max(hedgeFactor*w.quantile(hedgeQuantile), hedgeFloor)
}

// spend takes what a hedge costs from the budget, if it has so much.
func (t *trigger) spend() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.credit < hedgeShare {
		return false
	}
	t.credit -= hedgeShare
	return true
}

// observe notes what a request of some size took.
func (t *trigger) observe(size int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent[sizeClass(size)].add(took)
}

// window holds the last hedgeWindow durations.
type window struct {
	ring   []time.Duration // in the order in which they came, from next on
	next   int
	sorted []time.Duration
}

func (w *window) add(d time.Duration) {
	if len(w.ring) < hedgeWindow {
		w.ring = append(w.ring, d)
	} else {
		oldest, _ := slices.BinarySearch(w.sorted, w.ring[w.next])
		w.sorted = slices.Delete(w.sorted, oldest, oldest+1)
		w.ring[w.next] = d
		w.next = (w.next + 1) % hedgeWindow
	}
	i, _ := slices.BinarySearch(w.sorted, d)
	w.sorted = slices.Insert(w.sorted, i, d)
}

// quantile is the least duration that a share q of them do not exceed.
func (w *window) quantile(q float64) time.Duration {
	return w.sorted[int(math.Ceil(q*float64(len(w.sorted))))-1]
}
