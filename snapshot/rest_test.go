package snapshot

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// slow yields records, each of which takes its time.
func slow(records [][]byte, each time.Duration) func(func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		for _, r := range records {
			time.Sleep(each)
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Writing rests in proportion to what it works, and what it waits for is no work.
func TestWritingRestsFromItsWork(t *testing.T) {
	for _, c := range []struct {
		rest        int
		most, least time.Duration
	}{
		{0, 26 * time.Second, 14 * time.Second},
		{3, 70 * time.Second, 56 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			cell := newCell(t)
			cell.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Delay(2 * time.Second)})
			s := source(1)
			s.Records, s.Rest = slow(large(14), time.Second), c.rest
			start := time.Now()
			_, name := cell.write(s)
			if took := time.Since(start); took < c.least || took > c.most {
				t.Errorf("14 s of work with a rest of %d took %v, want %v to %v", c.rest, took, c.least, c.most)
			}
			cell.mustLoad(name, large(14))
		})
	}
}

func TestRestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := source(1)
		s.Records, s.Rest = slow(large(3), time.Minute), 1000
		ctx, cancel := context.WithTimeout(c.ctx, time.Hour)
		defer cancel()
		start := time.Now()
		if _, err := Write(ctx, c.b, c.codec, s, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if keys := c.mem.Keys(); len(keys) != 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}
