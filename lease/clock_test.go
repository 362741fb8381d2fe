package lease_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/clock"
	"github.com/scheduler-store/scheduler-store/lease"
)

const (
	tenth = 100 * time.Millisecond // of each second
	step  = 10 * time.Millisecond
)

// handOver has one process take the lease that another, which is cut off from the
// store, held until now. It returns when the other was last held, and when it was
// taken, both from when the other's last renewal was sent.
func handOver(t *testing.T, holds, contends *clock.Clock) (held, taken time.Duration) {
	t.Helper()
	store := memdriver.New()
	a, b := newNode(store), newNode(store)
	start := time.Now()
	l := acquire(t, a, 0, lease.Options{TTL: ttl, Clock: holds})
	a.cut.Store(true)
	var holding sync.WaitGroup
	holding.Go(func() {
		for l.Held() {
			held = time.Since(start)
			time.Sleep(step)
		}
	})
	acquire(t, b, 0, lease.Options{TTL: ttl, Clock: contends})
	taken = time.Since(start)
	holding.Wait()
	return held, taken
}

// The margin is for a difference of a tenth between two clocks.
func TestClocksThatDrift(t *testing.T) {
	for _, c := range []struct {
		name            string
		holds, contends time.Duration // what the clock gains each second
		overlap         bool
	}{
		{"the contender's is fast", 0, tenth, false},
		{"the holder's is slow", -tenth, 0, false},
		{"both, by half as much", -tenth / 2, tenth / 2, false},
		{"the contender's is slow", 0, -tenth, false},
		{"the holder's is fast", tenth, 0, false},
		{"more than the margin is for", -2 * tenth, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				held, taken := handOver(t, clock.New(c.holds), clock.New(c.contends))
				if overlap := held >= taken; overlap != c.overlap {
					t.Errorf("held for %v, taken after %v", held, taken)
				}
				want := ttl * 10 / time.Duration(10+c.contends/tenth) // by a clock that is right
				if c.contends != tenth/2 {
					between(t, "taken", taken, want-1, want+ttl/300)
				}
			})
		})
	}
}

// A wall clock that is set costs reads at most: it gives nobody the lease sooner, and
// lets nobody keep it for longer.
func TestWallClocksThatJump(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		for _, who := range []string{"the holder's", "the contender's"} {
			t.Run(who+" by "+jump.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					holds, contends := clock.New(0), clock.New(0)
					jumps := holds
					if who == "the contender's" {
						jumps = contends
					}
					time.AfterFunc(ttl/2, func() { jumps.Jump(jump) })
					held, taken := handOver(t, holds, contends)
					if want := usable - step; jumps == holds && jump > 0 {
						between(t, "held", held, ttl/2-step, ttl/2)
					} else {
						between(t, "held", held, want, usable)
					}
					between(t, "taken", taken, ttl, ttl)
				})
			})
		}
	}
}

// After a jump forward the next renewal gives the reads back.
func TestReadsComeBackAfterAJump(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := clock.New(0)
			l := acquire(t, newNode(memdriver.New()), 0, lease.Options{TTL: ttl, Clock: c})
			c.Jump(jump)
			if held := l.Held(); held != (jump < 0) {
				t.Errorf("held is %v after a jump by %v", held, jump)
			}
			time.Sleep(ttl/3 + time.Second)
			if !l.Held() || l.Context().Err() != nil {
				t.Errorf("held is %v after the renewal that followed a jump by %v", l.Held(), jump)
			}
			between(t, "remaining", l.Remaining(), usable-time.Second, usable)
		})
	}
}

// What it waits for by its own clock comes when it should, for long.
func TestHeldForLongByAnyClock(t *testing.T) {
	for _, gains := range []time.Duration{tenth, -tenth, 1, -1} {
		synctest.Test(t, func(t *testing.T) {
			store := memdriver.New()
			l := acquire(t, newNode(store), 0, lease.Options{TTL: ttl, Clock: clock.New(gains)})
			time.Sleep(time.Hour)
			if !l.Held() || l.Context().Err() != nil {
				t.Error("the lease was lost")
			}
			want := 3600 * float64(time.Second+gains) / float64(ttl/3)
			if n := float64(store.Count(memdriver.Replace)); n < want-1 || n > want+1 {
				t.Errorf("%v renewals, want %v", n, want)
			}
		})
	}
}
