package storage

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimedCountsTheFindingAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(yield func(int) bool) {
			for i := range 1000 {
				time.Sleep(time.Millisecond)
				if !yield(i) {
					return
				}
			}
			time.Sleep(time.Second) // until it is known that there are no more
		}
		for _, c := range []struct {
			stop int // after so many items
			want time.Duration
		}{{1, 1 * time.Millisecond}, {2, 3 * time.Millisecond}, {3, 3 * time.Millisecond}, {4, 7 * time.Millisecond}, {5000, 2 * time.Second}} {
			var got time.Duration
			items, n := timed(slow, func(took time.Duration, read int) { got = took }), 0
			for range items {
				time.Sleep(time.Hour)
				if n++; n == c.stop {
					break
				}
			}
			if got != c.want {
				t.Errorf("stopped after %d: %v, want %v", c.stop, got, c.want)
			}
		}
		if all := slices.Collect(timed(slow, func(time.Duration, int) {})); len(all) != 1000 || all[999] != 999 {
			t.Errorf("%d items", len(all))
		}
	})
}
