package snapshot

import (
	"context"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/sleep"
)

// leastRest is the shortest rest that is taken: a shorter one is not worth waking up for.
const leastRest = time.Millisecond

// worked is a piece of work that rests now and then, in proportion to what it took.
type worked struct {
	times int
	since time.Time
	owed  time.Duration
}

func newWorked(times int) *worked { return &worked{times: times, since: time.Now()} }

// begin begins a bit of work.
func (w *worked) begin() { w.since = time.Now() }

// rest ends a bit of work, rests for it, and begins the next. It returns ctx's cause once
// that ends.
func (w *worked) rest(ctx context.Context) error {
	if w.times <= 0 {
		return nil
	}
	w.owed += time.Duration(w.times) * time.Since(w.since)
	if w.owed >= leastRest {
		if err := sleep.For(ctx, w.owed); err != nil {
			return err
		}
		w.owed = 0
	}
	w.begin()
	return nil
}
