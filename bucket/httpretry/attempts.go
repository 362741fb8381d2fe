package httpretry

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// Attempts tells what became of the tries of the requests made with a context.
type Attempts struct {
	number   atomic.Int64
	isUnsure atomic.Bool
	date     atomic.Pointer[time.Time]
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

// Date is the time by the server's clock as of the newest reply that told it, in whole
// seconds; zero if none did.
func (a *Attempts) Date() time.Time {
	if date := a.date.Load(); date != nil {
		return *date
	}
	return time.Time{}
}

func (a *Attempts) made(response *http.Response) {
	a.number.Add(1)
	if response == nil {
		return
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		a.date.Store(&date)
	}
}

func (a *Attempts) unclear() { a.isUnsure.Store(true) }
