package simulation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// link is the way to the bucket of one life of a process. It is a store's driver, and
// does what the HTTP layer of a real one does: a try that fails is made again, with the
// same bytes, for a while.
type link struct {
	network *network
	process *process
	name    string // of this life: a#2
	life    int
	ended   chan struct{} // closed when the process is killed: nothing goes out or in any more
	// Of the driver: what the process had on its way is lost with it; and when it was last
	// given a damaged body.
	cutOff   bool
	deceived time.Duration
}

var (
	_ driver.Bucket    = (*link)(nil)
	_ driver.Hedgeable = (*link)(nil)
)

func newLink(n *network, p *process, life int) *link {
	return &link{network: n, process: p, name: fmt.Sprintf("%s#%d", p.name, life), life: life, ended: make(chan struct{})}
}

func (l *link) dead() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// Hedgeable says that a slow request may be sent once more.
func (l *link) Hedgeable() bool { return l.network.run.profile.hedge }

// Close does nothing: what is on its way stays there.
func (l *link) Close() error { return nil }

// Get reads a whole object with its version.
func (l *link) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	a := l.do(ctx, request{op: get, key: key})
	return a.data, a.version, a.err
}

// GetRange reads length bytes from offset on, or as many as there are.
func (l *link) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	a := l.do(ctx, request{op: part, key: key, offset: offset, length: length})
	return a.data, a.err
}

// Create writes an object whose key is free.
func (l *link) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	a := l.do(ctx, request{op: create, key: key, data: append([]byte{}, data...)})
	return a.version, a.err
}

// Replace writes an object whose version is old.
func (l *link) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	a := l.do(ctx, request{op: replace, key: key, data: append([]byte{}, data...), old: old})
	return a.version, a.err
}

// List yields the objects whose key has the prefix and is greater than after, page by
// page. Others write and delete between two pages.
func (l *link) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		for {
			a := l.do(ctx, request{op: list, key: prefix, after: after})
			if a.err != nil {
				yield(driver.Info{}, a.err)
				return
			}
			for _, info := range a.page {
				if !yield(info, nil) {
					return
				}
				after = info.Key
			}
			if !a.more {
				return
			}
		}
	}
}

// Delete removes an object; that it was not there is no error.
func (l *link) Delete(ctx context.Context, key string) error {
	return l.do(ctx, request{op: remove, key: key}).err
}

// do makes a request, in as many tries as the profile has.
func (l *link) do(ctx context.Context, q request) answer {
	p := &l.network.run.profile
	unclear, wait, start := false, minRetry, time.Now()
	for {
		try := q
		a := l.try(ctx, &try)
		if !a.again || time.Since(start)+wait > p.retryFor {
			if unclear && errors.Is(a.err, driver.ErrDenied) {
				a.err = fmt.Errorf("%v, and a try before may have taken effect", a.err)
			}
			return a
		}
		unclear = unclear || q.op.changes() && !a.nothingLanded
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-l.ended:
		}
		timer.Stop()
		wait = min(2*wait, maxRetry)
	}
}

// How long the HTTP layer waits before a further try.
const (
	minRetry = 50 * time.Millisecond
	maxRetry = 2 * time.Second
)

// try makes one try, and waits for its answer.
func (l *link) try(ctx context.Context, q *request) answer {
	if l.dead() {
		return answer{err: errDead}
	}
	if ctx.Err() != nil {
		return answer{err: context.Cause(ctx)}
	}
	q.ctx, q.link, q.answer = ctx, l, make(chan answer, 1)
	q.depth = runtime.Callers(2, q.callers[:])
	l.network.send(q)
	stalled := time.NewTimer(l.network.run.profile.stallAfter)
	defer stalled.Stop()
	select {
	case a := <-q.answer:
		return a
	case <-ctx.Done():
		return answer{err: context.Cause(ctx)}
	case <-l.ended:
		return answer{err: errDead}
	case <-stalled.C:
		return answer{err: errStalled, again: true}
	}
}
