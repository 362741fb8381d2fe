// Package clock is the time of one machine: a monotonic clock and a wall clock. Tests
// give each process one of its own, to show what rests on clocks that run equally fast,
// or that tell the same time, and what does not.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock is a machine's time. nil is that of this machine.
type Clock struct {
	gains time.Duration
	began time.Time
	wall  atomic.Int64 // how far the wall clock is ahead
}

// New returns a clock that gains so much in each second, or loses it if negative; less
// than a second. Until it is told to jump, its wall clock goes with it.
func New(gains time.Duration) *Clock { return &Clock{gains: gains, began: time.Now()} }

// Now is the monotonic clock. Its instants are to be compared only with one another.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	passed, rate := time.Since(c.began), time.Second+c.gains
	return c.began.Add(passed/time.Second*rate + passed%time.Second*rate/time.Second)
}

// Wall is the wall clock, and has no monotonic reading.
func (c *Clock) Wall() time.Time {
	if c == nil {
		return time.Now().Round(0)
	}
	return c.Now().Round(0).Add(time.Duration(c.wall.Load()))
}

// Since is how much of the monotonic clock has passed since an instant of it.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until is how much of the monotonic clock is left until an instant of it.
func (c *Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// Wait is how long a timer must be set for, so that d has passed on this clock.
func (c *Clock) Wait(d time.Duration) time.Duration {
	if c == nil || d <= 0 {
		return d
	}
	rate := time.Second + c.gains
	return d/rate*time.Second + (d%rate*time.Second+rate-1)/rate
}

// Jump sets the wall clock forward by d, or back. The monotonic clock does not see it.
func (c *Clock) Jump(d time.Duration) { c.wall.Add(int64(d)) }
