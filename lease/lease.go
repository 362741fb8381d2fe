// Package lease decides who should write: one object in the bucket, replaced by
// compare-and-swap, says which process leads, in which epoch, and for how long it
// may go without a renewal (its TTL).
//
// No two clocks are ever compared. The holder counts from the instant *before* it
// sent its last confirmed renewal; a contender counts from the instant *after* it
// first read that renewal, which is later. Each takes its own monotonic clock, and
// the holder stops a margin early, for clocks that do not run equally fast:
//
//	holder     sent ──────────────── deadline │
//	                 landed                   │
//	contender          first read ─────────── one whole TTL ── takes it
//
// A contender takes the lease with a larger epoch, on the condition that it is
// still as watched, so a renewal that comes first wins.
//
// What the log holds is safe without any of this: whoever believes to lead must
// seal the log first, and the seal decides. The lease keeps healthy processes from
// deposing each other, and lets a leader answer linearizable reads by itself.
package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/clock"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Why the context of a Lease has ended.
var (
	// ErrLost: somebody else holds the lease now, or may do so.
	ErrLost = errors.New("the lease is lost")
	// ErrReleased: Release was called.
	ErrReleased = errors.New("the lease was released")
)

// usable is how long after sending a renewal the holder relies on it. The tenth
// that is left to the contenders' whole TTL is for the drift between two clocks:
// far more than quartz drifts (0.1 % at worst), enough for a virtual machine whose
// clock is being slewed.
func usable(ttl time.Duration) time.Duration { return ttl - ttl/10 }

// Lease is the lease as held by this process. Its methods may be called by many
// goroutines. Its owner calls Release, also after the lease is lost.
type Lease struct {
	bucket  *bucket.Bucket
	options Options
	metrics *metrics
	claim   Claim
	ctx     context.Context // ends with the lease
	end     context.CancelCauseFunc
	stopped chan struct{} // closed when the renewing goroutine has returned
	turn    chan struct{} // taken by who writes the object

	mu       sync.Mutex // guards what follows; never held during a request
	state    State      // the newest that is known to be in the bucket
	version  bucket.Version
	sent     instant // before the newest confirmed renewal was sent
	deadline instant
	alarm    *time.Timer // ends the lease at the deadline, whatever a request is doing
	beat     uint64      // the largest that was sent
	failure  error       // why the newest try failed; nil after a success
	settled  bool        // the object is released or somebody else's: nothing left to release
}

func start(ctx context.Context, c *contender, s State, version bucket.Version, sent instant, claim Claim) *Lease {
	l := &Lease{
		bucket: c.bucket, options: c.options, metrics: c.metrics, claim: claim,
		stopped: make(chan struct{}), turn: make(chan struct{}, 1),
		state: s, version: version, beat: s.Beat,
	}
	l.mu.Lock() // the alarm may ring at once
	defer l.mu.Unlock()
	l.relyFrom(sent)
	l.ctx, l.end = context.WithCancelCause(context.WithoutCancel(ctx))
	l.alarm = time.AfterFunc(l.untilDeadline(), l.checkDeadline)
	l.metrics.acquisitions.Inc()
	l.metrics.held.Set(1)
	l.metrics.epoch.Set(float64(s.Epoch))
	l.options.Logger.Info("lease acquired", "epoch", s.Epoch, "holder", s.Holder, "ttl", s.TTL)
	go l.renew()
	return l
}

// Claim is how a lease was won, in instants of this process's monotonic clock.
type Claim struct {
	// LastSign is when the holder before was last seen to live: when its last
	// change was first seen, or, of a lease that was found free, when the look was
	// sent that found it so.
	LastSign time.Time
	// Sent is when the write was sent that took the lease, Won when its answer came.
	Sent, Won time.Time
}

// Claim is how this lease was won.
func (l *Lease) Claim() Claim { return l.claim }

// Epoch is the epoch held. It grows by Raise only.
func (l *Lease) Epoch() persistence.Epoch { return l.State().Epoch }

// State is the lease as last known to be in the bucket.
func (l *Lease) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Context ends when the lease is lost or released. context.Cause says why: it
// matches ErrLost, with who holds the lease now or which deadline passed, or
// ErrReleased. It does not end with the context of Acquire, but has its values.
func (l *Lease) Context() context.Context { return l.ctx }

// Held tells whether the lease is held now. It reads the clock, so it is right
// even at the first instruction after a pause of the whole process.
func (l *Lease) Held() bool { return l.Remaining() > 0 }

// Remaining is how long the lease is held for sure if no renewal succeeds; 0 if
// it is lost or released.
func (l *Lease) Remaining() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return 0
	}
	// The monotonic clock stands still while the machine is suspended. The own
	// wall clock does not, so the smaller of both counts; that it may jump ahead
	// costs some reads, never a wrong answer.
	left := l.left()
	if !mutation.On(mutation.LeaseWithoutDeadline) {
		left = min(left, l.deadline.wall.Sub(l.clock().Wall()))
	}
	return max(0, left)
}

// left is the time to the deadline by the monotonic clock. It needs mu.
func (l *Lease) left() time.Duration {
	switch {
	case mutation.On(mutation.LeaseByTheWallClock):
		return l.deadline.wall.Sub(l.clock().Wall())
	case mutation.On(mutation.LeaseWithoutDeadline):
		return l.state.TTL
	}
	return l.clock().Until(l.deadline.monotonic)
}

func (l *Lease) clock() *clock.Clock { return l.options.Clock }

// untilDeadline is how long the alarm must be set for, to ring at the deadline. It
// needs mu.
func (l *Lease) untilDeadline() time.Duration {
	return l.clock().Wait(l.left())
}

// instant is a moment by both clocks of this machine.
type instant struct{ monotonic, wall time.Time }

// now reads the wall clock first: if the machine is suspended in between, a deadline by
// the wall clock is too early, not too late.
func now(c *clock.Clock) instant {
	wall := c.Wall()
	return instant{c.Now(), wall}
}

func (i instant) add(d time.Duration) instant { return instant{i.monotonic.Add(d), i.wall.Add(d)} }

// relyFrom moves the deadline to what a renewal sent at that instant gives. It
// needs mu.
func (l *Lease) relyFrom(sent instant) {
	l.sent, l.deadline = sent, sent.add(usable(l.state.TTL))
}

// checkDeadline ends the lease if its deadline has passed.
func (l *Lease) checkDeadline() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired()
}

// expired tells whether the deadline has passed, and ends the lease if so. What
// was lost once stays lost: a late confirmation revives nothing. It needs mu.
func (l *Lease) expired() bool {
	if l.ctx.Err() == nil && l.left() <= 0 {
		reason := "no try failed, so the process was paused or the store hangs"
		if l.failure != nil {
			reason = l.failure.Error()
		}
		l.lose("epoch %d was not renewed in time: the last confirmed renewal was sent %v ago, the TTL is %v (%s)",
			l.state.Epoch, l.clock().Since(l.sent.monotonic), l.state.TTL, reason)
	}
	return l.ctx.Err() != nil
}

// confirm notes that a write of the lease succeeded that was sent at the given
// instant. It needs mu.
func (l *Lease) confirm(s State, version bucket.Version, sent instant) {
	l.state, l.version = s, version
	if l.expired() {
		return
	}
	l.metrics.epoch.Set(float64(s.Epoch))
	l.metrics.slack.Observe(float64(l.left()) / float64(usable(s.TTL)))
	l.failure = nil
	l.relyFrom(sent)
	l.alarm.Reset(l.untilDeadline())
}

// lose ends the lease. It needs mu.
func (l *Lease) lose(reason string, values ...any) {
	if l.ctx.Err() != nil {
		return
	}
	err := fmt.Errorf("%w: %s of %s: %s", ErrLost, Key, l.bucket.Name(), fmt.Sprintf(reason, values...))
	l.metrics.losses.Inc()
	l.options.Logger.Error("lease lost", "error", err)
	l.finish(err)
}

// finish ends the context and all that waits for time. It needs mu.
func (l *Lease) finish(why error) {
	l.alarm.Stop()
	l.metrics.held.Set(0)
	l.end(why)
}
