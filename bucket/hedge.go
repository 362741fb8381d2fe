package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// Hedging says whether a request that is slow is sent once more.
type Hedging int

// HedgeAuto, the zero value, goes by the kind of store: see driver.Hedgeable.
const (
	HedgeAuto Hedging = iota
	HedgeOn
	HedgeOff
)

var hedgingNames = [...]string{"auto", "on", "off"}

// String is auto, on or off.
func (h Hedging) String() string {
	if h < 0 || int(h) >= len(hedgingNames) {
		return fmt.Sprintf("Hedging(%d)", int(h))
	}
	return hedgingNames[h]
}

// MarshalText implements encoding.TextMarshaler.
func (h Hedging) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hedging) UnmarshalText(text []byte) error {
	for i, name := range hedgingNames {
		if name == string(text) {
			*h = Hedging(i)
			return nil
		}
	}
	return errors.New("must be auto, on or off")
}

func (h Hedging) on(d driver.Bucket) bool {
	if h != HedgeAuto {
		return h == HedgeOn
	}
	hedgeable, ok := d.(driver.Hedgeable)
	return ok && hedgeable.Hedgeable()
}

// Hedger makes requests of a Bucket, and makes one once more (hedges it), on a
// connection of its own, when it takes much longer than others like it lately did.
// The first clear answer is the answer of both. When, and how often at most: see
// hedgetrigger.go.
//
// It is for many requests of one kind, such as those for the entries of a log, whose
// times it compares. Its methods may be called by many goroutines. They return when
// all that they have sent has ended, so that nothing uses the data after that; what is
// of no use any more is cancelled.
type Hedger struct {
	bucket  *Bucket
	isOn    bool
	creates trigger
	gets    trigger
}

// NewHedger returns a Hedger that knows nothing yet of how long requests take.
func NewHedger(b *Bucket, hedging Hedging) *Hedger {
	return &Hedger{bucket: b, isOn: hedging.on(b.driver)}
}

// Create is Bucket.Create, hedged: the same bytes are sent again, and as no two
// callers write the same bytes to one key, the object is ours whichever try made it.
// Errors mean what they mean there, of both tries together: while the outcome of one
// is unknown, that the other did not land says nothing.
func (h *Hedger) Create(ctx context.Context, key string, data []byte) (Version, error) {
	return hedge(ctx, h, hedged[Version]{&h.creates, OpCreate, len(data),
		func(ctx context.Context) (Version, error) { return h.bucket.Create(ctx, key, data) },
		func(err error) bool { return err == nil || errors.Is(err, ErrExists) },
	})
}

// Get is Bucket.Get, hedged. That there is no such object is an answer like any.
// How large an object is shows only later: all are compared with each other, which
// is fair to neighbours in a log.
func (h *Hedger) Get(ctx context.Context, key string) (Object, error) {
	return hedge(ctx, h, hedged[Object]{&h.gets, OpGet, 0,
		func(ctx context.Context) (Object, error) { return h.bucket.Get(ctx, key) },
		func(err error) bool { return err == nil || errors.Is(err, ErrNotExist) },
	})
}

// hedged is a request that may be sent once more.
type hedged[T any] struct {
	trigger   *trigger
	operation Operation
	size      int // in bytes, where it is known beforehand
	send      func(context.Context) (T, error)
	isClear   func(error) bool // no other try could tell more
}

// answer is what one try ended with.
type answer[T any] struct {
	value T
	err   error
}

func hedge[T any](ctx context.Context, h *Hedger, r hedged[T]) (T, error) {
	if !h.isOn {
		return r.send(ctx)
	}
	after := r.trigger.begin(r.size)
	if after == never {
		only := r.first(ctx)
		return only.value, only.err
	}
	firstCtx, cancelFirst := context.WithCancel(ctx)
	defer cancelFirst()
	secondCtx, cancelSecond := context.WithCancel(driver.OnFreshConnection(ctx))
	defer cancelSecond()

	var second *answer[T] // of the timer's goroutine until ended is closed
	ended := make(chan struct{})
	timer := time.AfterFunc(after, func() {
		defer close(ended)
		if !r.trigger.spend() {
			return
		}
		h.bucket.metrics.hedges.WithLabelValues(string(r.operation)).Inc()
		value, err := r.send(secondCtx)
		second = &answer[T]{value, err}
		if r.isClear(err) {
			cancelFirst()
		}
	})
	first := r.first(firstCtx)
	if !timer.Stop() {
		if r.isClear(first.err) {
			cancelSecond()
		}
		<-ended
	}
	got := r.pick(first, second)
	if got == second {
		h.bucket.metrics.hedgesWon.WithLabelValues(string(r.operation)).Inc()
	}
	return got.value, got.err
}

// first makes the first try, and notes what it took if it was answered. What a
// second try overtook is left out: the budget keeps that to a few.
func (r *hedged[T]) first(ctx context.Context) *answer[T] {
	start := time.Now()
	value, err := r.send(ctx)
	if r.isClear(err) {
		r.trigger.observe(r.size, time.Since(start))
	}
	return &answer[T]{value, err}
}

// pick makes one answer of two. second is nil if there was no second try.
func (r *hedged[T]) pick(first, second *answer[T]) *answer[T] {
	switch {
	case second == nil, first.err == nil:
		return first
	case second.err == nil:
		return second
	case r.isClear(first.err):
		return first
	case r.isClear(second.err):
		return second
	}
	return &answer[T]{err: bothFailed(first.err, second.err)}
}

// bothFailed tells that nothing landed only if neither try did: one alone says nothing
// of what became of the other.
func bothFailed(first, second error) error {
	if !NotLanded(first) || !NotLanded(second) {
		first, second = unknown{first}, unknown{second}
	}
	return fmt.Errorf("%w; sent once more: %w", first, second)
}
