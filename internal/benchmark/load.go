package benchmark

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Load is a closed loop: each of a number of clients makes one call after another, the
// next once it has the answer to the last. At least one of Duration and Count says when
// it ends.
type Load struct {
	// Clients that call at once; 0 means one.
	Clients int
	// Duration after which no call begins; those under way are waited for. 0 means no bound.
	Duration time.Duration
	// Count is the number of calls of all clients together; 0 means no bound.
	Count int
	// Progress, if set, is called with the number of calls that have ended. Clients
	// call it at the same time.
	Progress func(done int)
}

// Call is one request of a client. i is the call's number, 0, 1, 2 …, among those of
// all clients.
type Call func(ctx context.Context, client, i int) error

// Run is what came of a load.
type Run struct {
	// Count is the number of calls, Seconds the time from the first's begin to the
	// last's end.
	Count   int
	Seconds float64
	// Took are the durations of the calls, sorted.
	Took []time.Duration
	// Usage is what this process used meanwhile, the load generator included.
	Usage Usage
}

// PerSecond is the number of calls a second.
func (r *Run) PerSecond() float64 { return perSecond(float64(r.Count), r.Seconds) }

// Latency is how long the calls took.
func (r *Run) Latency() Percentiles { return percentilesOfSorted(r.Took) }

func perSecond(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return n / seconds
}

var errEndless = errors.New("a load needs a duration or a count")

// Run lets the clients call. The first error ends it, and the context of the other
// calls; it is returned. When ctx ends, its cause is.
func (l Load) Run(ctx context.Context, call Call) (*Run, error) {
	if l.Duration <= 0 && l.Count <= 0 {
		return nil, errEndless
	}
	var mu sync.Mutex // guards r.Took
	r := &Run{}
	var begun, ended atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	before, start := readUsage(), time.Now()
	for client := range max(l.Clients, 1) {
		group.Go(func() error {
			var took []time.Duration
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				r.Took = append(r.Took, took...)
			}()
			for groupCtx.Err() == nil && (l.Duration <= 0 || time.Since(start) < l.Duration) {
				i := int(begun.Add(1)) - 1
				if l.Count > 0 && i >= l.Count {
					return nil
				}
				sent := time.Now()
				if err := call(groupCtx, client, i); err != nil {
					return err
				}
				took = append(took, time.Since(sent))
				if done := ended.Add(1); l.Progress != nil {
					l.Progress(int(done))
				}
			}
			return nil
		})
	}
	err := group.Wait()
	r.Seconds, r.Usage = time.Since(start).Seconds(), readUsage().since(before)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.Count = len(r.Took)
	slices.Sort(r.Took)
	return r, nil
}
