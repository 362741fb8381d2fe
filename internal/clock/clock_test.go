package clock

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates(t *testing.T) {
	for _, gains := range []time.Duration{0, 1, -1, 100 * time.Millisecond, -100 * time.Millisecond, 333333333, -999999999} {
		synctest.Test(t, func(t *testing.T) {
			c := New(gains)
			start, realStart := c.Now(), time.Now()
			for range 1000 {
				time.Sleep(rand.N(time.Duration(1) << rand.N(35)))
				passed := time.Since(realStart)
				want := float64(passed) * (1 + float64(gains)/1e9)
				if got := float64(c.Since(start)); got > want+1e-6*want || got < want-1-1e-6*want {
					t.Fatalf("a clock that gains %v shows %v after %v", gains, c.Since(start), passed)
				}
			}
		})
	}
}

// What waits for a deadline must find it passed, or it would wait for ever; and not
// much too late.
func TestWaitIsEnough(t *testing.T) {
	for _, gains := range []time.Duration{0, 1, -1, 100 * time.Millisecond, -100 * time.Millisecond, 333333333} {
		synctest.Test(t, func(t *testing.T) {
			c := New(gains)
			for range 1000 {
				d := rand.N(time.Duration(1)<<rand.N(43)) + 1
				deadline := c.Now().Add(d)
				time.Sleep(c.Wait(c.Until(deadline)))
				if late := -c.Until(deadline); late < 0 || late > 2 {
					t.Fatalf("a clock that gains %v shows %v after the deadline, %v away", gains, late, d)
				}
			}
		})
	}
}

func TestJumpsAreOfTheWallClockOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		now, wall := c.Now(), c.Wall()
		c.Jump(-time.Hour)
		if !c.Now().Equal(now) || c.Wall().Sub(wall) != -time.Hour {
			t.Errorf("now %v, was %v; wall %v, was %v", c.Now(), now, c.Wall(), wall)
		}
		c.Jump(2 * time.Hour)
		if !c.Now().Equal(now) || c.Wall().Sub(wall) != time.Hour {
			t.Errorf("now %v, was %v; wall %v, was %v", c.Now(), now, c.Wall(), wall)
		}
	})
}

func TestNoneIsThisMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Clock
		start := c.Now()
		time.Sleep(time.Second)
		if c.Since(start) != time.Second || c.Until(start) != -time.Second || c.Wait(time.Second) != time.Second ||
			!c.Now().Equal(time.Now()) || c.Wall() != time.Now().Round(0) {
			t.Error("it is not")
		}
	})
}
