package blob

import (
	"context"
	"errors"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// How eagerly a follower asks, unless told otherwise. With these an idle follower
// makes a GET each 2 s, and two LISTs and a GET each 2 minutes.
const (
	DefaultMinPoll  = time.Millisecond
	DefaultMaxPoll  = 2 * time.Second
	DefaultCheckEnd = 2 * time.Minute
)

// FollowOptions say how eagerly a follower asks. The zero value is good.
type FollowOptions struct {
	// MinPoll and MaxPoll bound the time from the answer that an entry is not there
	// to the next request for it; defaults are DefaultMinPoll and DefaultMaxPoll.
	MinPoll, MaxPoll time.Duration
	// CheckEnd is the time between two proofs that the end is the end while
	// nothing comes; default DefaultCheckEnd.
	CheckEnd time.Duration
	// Ready is called once, when the end was reached.
	Ready func()
}

func (o FollowOptions) withDefaults() FollowOptions {
	setDefault(&o.MinPoll, DefaultMinPoll)
	setDefault(&o.MaxPoll, DefaultMaxPoll)
	setDefault(&o.CheckEnd, DefaultCheckEnd)
	return o
}

// Follow reads on as the history grows, until ctx ends; it returns what ended it.
// It asks for the next entries in the rhythm in which entries come, and ever more
// rarely while nothing comes; now and then it makes sure that it stands at the end,
// and not before an object that is missing. It says Ready once, when it has reached
// the end for the first time.
func (r *Reader) Follow(ctx context.Context, o FollowOptions) error {
	defer r.fetch.drop()
	r.prepared = persistence.Point{}
	o = o.withDefaults()
	if err := r.CatchUp(ctx); err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready()
	}
	rhythm := rhythm{min: o.MinPoll, max: o.MaxPoll, last: time.Now()}
	checked := time.Now()
	for {
		err := r.step(ctx)
		if errors.Is(err, errEnd) {
			if err = sleep.For(ctx, rhythm.wait()); err == nil && time.Since(checked) >= o.CheckEnd {
				checked = time.Now()
				err = r.confirmEnd(ctx, nil)
			}
		} else if err == nil {
			rhythm.came()
		}
		switch {
		case errors.Is(err, errBeginAgain):
			r.begun = false
		case err != nil && !errors.Is(err, errThere):
			return err
		}
	}
}

// rhythm says when to ask again for an entry that was not there. While entries come,
// that is after half the time between two of them: so each is asked for in vain three
// times at most, and lags behind by a request and half that time. After a pause, which
// says nothing of when the next one comes, it waits ever longer, each time as long as
// none has come: eight requests from the shortest wait to the longest.
type rhythm struct {
	min, max time.Duration
	gap      time.Duration // between two entries lately; 0 if not known
	last     time.Time     // when the last one came
}

// came notes that an entry was there.
func (r *rhythm) came() {
	now := time.Now()
	gap := now.Sub(r.last)
	r.last = now
	switch {
	case gap > r.max: // a pause; what it was before says nothing of what comes
		r.gap = 0
	case r.gap == 0:
		r.gap = gap
	default:
		r.gap += (gap - r.gap) / 8
	}
}

func (r *rhythm) wait() time.Duration {
	since := time.Since(r.last)
	wait := max(r.gap, since) / 2
	if r.gap == 0 {
		wait = max(since, r.max/firstWaits)
	}
	return max(r.min, min(wait, r.max))
}

// firstWaits is how many of the first wait after a pause the longest wait has: few
// requests for an entry that stays alone, and a short lag for the second of many.
const firstWaits = 64
