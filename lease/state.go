package lease

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/clock"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Key is where the lease is, below the cell's prefix.
const Key = "lease.json"

// format is the version of the lease object that this package writes and reads.
const format = 1

// State is what the lease object says.
type State struct {
	// Epoch is the holder's epoch, or the last holder's if the lease is released.
	Epoch persistence.Epoch
	// Holder is the writer that holds the lease, or held it last.
	Holder persistence.WriterID
	// Host is the holder's host name, and URL is where it serves, if it says so.
	Host, URL string
	// TTL is how long the holder may go without a renewal, in whole milliseconds.
	TTL time.Duration
	// Released tells that nobody holds the lease.
	Released bool
	// Breaker is the random id of the Break that released it; zero if none did.
	Breaker persistence.WriterID
	// Beat counts the changes of the object. With the holder's random id it makes
	// every body unique, without which a store that derives versions from the
	// content could not tell a changed lease from an unchanged one.
	Beat uint64
	// Durable counts the log's positions that holders knew to be durable: all below
	// it are. It only grows, and it is never ahead of what is true, so a log that
	// ends before it has lost its last entries, which nothing in the log itself
	// could show.
	Durable persistence.Position
	// Renewed is the holder's wall clock at its last change, to the millisecond.
	// It is for people only: no decision rests on it.
	Renewed time.Time
}

func (s State) String() string {
	switch {
	case s.Released && s.Breaker != persistence.WriterID{}:
		return fmt.Sprintf("epoch %d, broken while held by %s on %s", s.Epoch, s.Holder, s.Host)
	case s.Released:
		return fmt.Sprintf("epoch %d, released by %s on %s", s.Epoch, s.Holder, s.Host)
	}
	return fmt.Sprintf("epoch %d, held by %s on %s", s.Epoch, s.Holder, s.Host)
}

// object is the form of a State in the bucket.
type object struct {
	Format  int                   `json:"format"`
	Epoch   persistence.Epoch     `json:"epoch"`
	Holder  persistence.WriterID  `json:"holder"`
	Host    string                `json:"host"`
	URL     string                `json:"url"`
	TTL     int64                 `json:"ttl"` // milliseconds
	State   string                `json:"state"`
	Breaker *persistence.WriterID `json:"breaker,omitzero"`
	Beat    uint64                `json:"beat"`
	Durable persistence.Position  `json:"durable"`
	Renewed time.Time             `json:"renewed"`
}

const (
	stateHeld     = "held"
	stateReleased = "released"
)

func encode(s State) ([]byte, error) {
	o := object{
		Format: format, Epoch: s.Epoch, Holder: s.Holder,
		Host: strings.ToValidUTF8(s.Host, "?"), URL: strings.ToValidUTF8(s.URL, "?"),
		TTL: s.TTL.Milliseconds(), State: stateHeld, Beat: s.Beat,
		Durable: s.Durable, Renewed: s.Renewed,
	}
	if s.Released {
		o.State = stateReleased
	}
	if (s.Breaker != persistence.WriterID{}) {
		o.Breaker = &s.Breaker
	}
	return checked.Encode(o)
}

// stamp is the wall clock as the lease object has it.
func stamp(c *clock.Clock) time.Time { return c.Wall().UTC().Truncate(time.Millisecond) }

func decode(data []byte) (State, error) {
	var o object
	if err := checked.Decode(data, format, &o); err != nil {
		return State{}, err
	}
	if o.State != stateHeld && o.State != stateReleased {
		return State{}, fmt.Errorf("%w: its state is %q, neither held nor released", checked.ErrDamaged, o.State)
	}
	if o.Epoch == 0 || o.TTL <= 0 || o.TTL > maxTTL.Milliseconds() {
		return State{}, fmt.Errorf("%w: it has epoch %d and a TTL of %d ms", checked.ErrDamaged, o.Epoch, o.TTL)
	}
	s := State{
		Epoch: o.Epoch, Holder: o.Holder, Host: o.Host, URL: o.URL,
		TTL: time.Duration(o.TTL) * time.Millisecond, Released: o.State == stateReleased,
		Beat: o.Beat, Durable: o.Durable, Renewed: o.Renewed,
	}
	if o.Breaker != nil {
		s.Breaker = *o.Breaker
	}
	return s, nil
}

// stored is a lease object as it was read or written, with what is needed to
// replace it.
type stored struct {
	State
	version bucket.Version
	data    string
}

func get(ctx context.Context, b *bucket.Bucket) (stored, error) {
	o, err := b.Get(ctx, Key)
	if err != nil {
		return stored{}, err
	}
	s, err := decode(o.Data)
	if errors.Is(err, checked.ErrDamaged) {
		return stored{}, fmt.Errorf("read %s of %s: %w; nothing was changed; stop every process of this cell, then delete the object: the log keeps epochs growing",
			Key, b.Name(), err)
	} else if err != nil {
		return stored{}, fmt.Errorf("read %s of %s: %w", Key, b.Name(), err)
	}
	return stored{s, o.Version, string(o.Data)}, nil
}

// Read returns what the lease says now. The error matches bucket.ErrNotExist if
// there never was a lease.
func Read(ctx context.Context, b *bucket.Bucket) (State, error) {
	s, err := get(ctx, b)
	return s.State, err
}

// Break marks the lease released at once, for an operator who knows that the
// holder is gone, and returns what it wrote. No write is lost by it if the holder
// is alive after all: the next one seals the log. But until its next renewal, one
// TTL at most, a live holder may still answer reads as if it led. A lease that is
// released already is left as it is.
func Break(ctx context.Context, b *bucket.Bucket) (State, error) {
	first, err := get(ctx, b)
	if err != nil {
		return State{}, err
	}
	current, breaker := first, persistence.NewWriterID()
	for {
		if current.Released {
			return current.State, nil
		}
		if current.Epoch != first.Epoch || current.Holder != first.Holder {
			return current.State, fmt.Errorf("break %s of %s: it passed meanwhile to %v; break it again if you mean that one",
				Key, b.Name(), current.State)
		}
		next := current.State
		next.Released, next.Breaker = true, breaker
		next.Beat, next.Renewed = current.Beat+1, stamp(nil)
		_, err := replace(ctx, b, next, current.version)
		if !errors.Is(err, bucket.ErrChanged) {
			return next, err
		}
		// A renewal came first; the next one is a third of a TTL away.
		if current, err = get(ctx, b); err != nil {
			return State{}, err
		}
	}
}

func replace(ctx context.Context, b *bucket.Bucket, next State, old bucket.Version) (bucket.Version, error) {
	data, err := encode(next)
	if err != nil {
		return "", err
	}
	return b.Replace(ctx, Key, data, old)
}

// Watch reads the lease every poll (0 means 1.25 s) until ctx ends, and yields
// what it says whenever that is more than a renewal: first of all, and when the
// holder, its epoch or its address changes, or the lease is released. An error of
// reading is yielded once, until a read has another outcome; one that matches
// bucket.ErrNotExist means that nobody has led yet. It says nothing of whether
// the holder is alive.
func Watch(ctx context.Context, b *bucket.Bucket, poll time.Duration) iter.Seq2[State, error] {
	if poll <= 0 {
		poll = maxPoll
	}
	return func(yield func(State, error) bool) {
		var last State
		var lastErr string
		for first := true; ; first = false {
			s, err := Read(ctx, b)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if err.Error() != lastErr && !yield(State{}, err) {
					return
				}
				lastErr = err.Error()
			} else {
				if (first || lastErr != "" || !sameButForRenewal(s, last)) && !yield(s, nil) {
					return
				}
				last, lastErr = s, ""
			}
			if sleep.For(ctx, poll) != nil {
				return
			}
		}
	}
}

func sameButForRenewal(a, b State) bool {
	a.Beat, a.Durable, a.Renewed = b.Beat, b.Durable, b.Renewed
	return a == b
}
