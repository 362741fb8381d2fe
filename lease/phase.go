package lease

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// phase says when to look at a lease that somebody else holds. The holder renews
// every TTL/3, so who saw one change knows when the next one is due, and spends its
// looks there:
//
//	holder         renewal ─────────── TTL/3 ─────────── renewal
//	looks     before │ shown     ·          ·       early  │ due  late …
//
// Each change halves what is not known of the instant at which the holder renews:
// the early look comes half as far before the due one as before came before shown.
// So the look at the due instant comes soon after the renewal, and a holder that
// dies just after one is found out hardly later than one TTL after it.
//
// Nothing but the instants of looks rests on this: when the lease can be taken is
// counted from seen alone.
type phase struct {
	seen   time.Time // the newest change was first seen: the answer to shown
	shown  time.Time // the look was sent that first showed it
	before time.Time // the last one was sent that did not; zero: there was none
	period time.Duration
}

// wait is how long to wait for the next look, at a given instant.
func (p phase) wait(now time.Time, poll time.Duration, j jitter) time.Duration {
	if p.before.IsZero() { // the change that is seen may be as old as a period
		return j.less(poll / 2)
	}
	step := p.step()
	due := p.shown.Add(p.period)
	early := due.Add(-max(p.shown.Sub(p.before)/2, step))
	switch rest := early.Sub(now); {
	case rest > poll*3/2: // in steps of about a poll
		return j.less(rest / ((rest + poll/2) / poll))
	case rest > 0:
		return rest
	}
	if rest := due.Sub(now); rest > 0 {
		return rest + j.upTo(step/2)
	}
	// Late: it may come at any moment, or never.
	return min(max(step, now.Sub(due)), j.less(poll))
}

// step is the least time between two looks.
func (p phase) step() time.Duration { return p.period / 100 }

// jitter is what keeps contenders from going in step. It comes from the random id of
// one, so whoever knows that knows when it will look.
type jitter struct{ rand *rand.Rand }

func newJitter(id persistence.WriterID) jitter {
	return jitter{rand.New(rand.NewPCG(binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])))}
}

// upTo is a time up to d.
func (j jitter) upTo(d time.Duration) time.Duration {
	return time.Duration(j.rand.Int64N(int64(d) + 1))
}

// less is d less up to a fifth.
func (j jitter) less(d time.Duration) time.Duration { return d - j.upTo(d/5) }
