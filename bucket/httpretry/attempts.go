package httpretry

import (
	"context"
	"sync/atomic"
)

// Attempts tells what became of the tries of the requests made with a context.
type Attempts struct {
	number   atomic.Int64
	isUnsure atomic.Bool
}

type attemptsKey struct{}

// Watch returns a context whose requests are recorded in the Attempts.
func Watch(ctx context.Context) (context.Context, *Attempts) {
	a := &Attempts{}
	return context.WithValue(ctx, attemptsKey{}, a), a
}

func attemptsOf(ctx context.Context) *Attempts {
	if a, ok := ctx.Value(attemptsKey{}).(*Attempts); ok {
		return a
	}
	return &Attempts{}
}

// Number of tries.
func (a *Attempts) Number() int { return int(a.number.Load()) }

// Unsure says whether a try that was followed by another may have taken effect:
// a refusal of the last one then does not mean that nothing was done.
func (a *Attempts) Unsure() bool { return a.isUnsure.Load() }

func (a *Attempts) made()    { a.number.Add(1) }
func (a *Attempts) unclear() { a.isUnsure.Store(true) }
