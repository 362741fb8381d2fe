package lease

import (
	"context"
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// errBehind: an earlier write of ours had landed without our knowing, so this one
// had the wrong version; now it is known.
var errBehind = errors.New("an earlier write of this process landed after all")

// renew is the goroutine that renews the lease and does nothing else. It returns
// when the lease has ended.
func (l *Lease) renew() {
	defer close(l.stopped)
	for l.ctx.Err() == nil {
		l.mu.Lock()
		due := l.sent.monotonic.Add(renewEvery(l.state.TTL))
		l.mu.Unlock()
		if wait := l.clock().Wait(l.clock().Until(due)); wait > 0 {
			_ = sleep.For(l.ctx, wait)
			continue // a Raise may have renewed it meanwhile
		}
		// What an error means is in the context of the lease.
		_ = l.write(l.ctx, func(s State) State { return s })
	}
}

// Raise takes a larger epoch without letting the lease go: minEpoch, because the
// log has seen one as large as ours. It does nothing if ours is that large. After
// an error the epoch may be raised or not.
func (l *Lease) Raise(ctx context.Context, minEpoch persistence.Epoch) error {
	if l.Epoch() >= minEpoch {
		return context.Cause(l.ctx)
	}
	err := l.write(ctx, func(s State) State {
		s.Epoch = max(s.Epoch, minEpoch)
		return s
	})
	if err != nil {
		return fmt.Errorf("raise the epoch of %s of %s to %d: %w", Key, l.bucket.Name(), minEpoch, err)
	}
	l.options.Logger.Info("lease raised", "epoch", l.Epoch())
	return nil
}

// write changes the lease object, and tries until it succeeds, or until ctx or
// the lease ends.
func (l *Lease) write(ctx context.Context, change func(State) State) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()

	if err := l.takeTurn(ctx); err != nil {
		return err
	}
	defer l.endTurn()
	for {
		err := l.try(ctx, change)
		switch {
		case err == nil:
			return nil
		case l.ctx.Err() != nil:
			return context.Cause(l.ctx)
		case ctx.Err() != nil:
			return fmt.Errorf("%w (after: %v)", context.Cause(ctx), err)
		case errors.Is(err, errBehind):
			continue
		}
		l.options.Logger.Warn("lease not renewed; trying again", "error", err, "remaining", l.Remaining())
		if err := sleep.For(ctx, l.clock().Wait(l.options.TTL/15)); err != nil {
			return err
		}
	}
}

func (l *Lease) takeTurn(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Lease) endTurn() { <-l.turn }

// try sends one change of the lease object. No two tries have the same bytes, so
// a success always means the one that was sent at the instant noted for it.
func (l *Lease) try(ctx context.Context, change func(State) State) error {
	l.mu.Lock()
	if l.expired() {
		l.mu.Unlock()
		return context.Cause(l.ctx)
	}
	next, old := l.next(change)
	sent := now(l.clock())
	// A request that hangs takes half of the time that remains, so that another
	// one, on another connection, may still come in time.
	limit := l.left() / 2
	l.mu.Unlock()

	trying, cancel := context.WithTimeout(ctx, l.clock().Wait(limit))
	defer cancel()
	version, err := replace(trying, l.bucket, next, old)
	switch {
	case errors.Is(err, bucket.ErrChanged):
		l.metrics.renewals.WithLabelValues(renewalChanged).Inc()
		return l.catchUp(trying)
	case err != nil:
		l.metrics.renewals.WithLabelValues(renewalError).Inc()
		l.mu.Lock()
		l.failure = err
		l.mu.Unlock()
		return err
	}
	l.metrics.renewals.WithLabelValues(renewalOK).Inc()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirm(next, version, sent)
	return context.Cause(l.ctx)
}

// next is what to write now, and over which version. It needs mu and the turn.
func (l *Lease) next(change func(State) State) (State, bucket.Version) {
	l.beat++
	s := change(l.state)
	s.Beat, s.Renewed = l.beat, stamp(l.clock())
	if l.options.Durable != nil {
		s.Durable = max(s.Durable, l.options.Durable())
	}
	return s, l.version
}

// catchUp reads a lease object that is not as we know it. Either an earlier write
// of ours is in it, whose answer never came, or the lease is lost. The deadline
// stays: it is not known here when that write was sent.
func (l *Lease) catchUp(ctx context.Context) error {
	s, err := get(ctx, l.bucket)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		l.settled = true
		l.lose("the object was deleted")
	case err != nil:
		l.failure = err
		return err
	case s.Released || s.Holder != l.state.Holder:
		l.settled = true
		l.lose("we held epoch %d; it is now at %v", l.state.Epoch, s.State)
	case s.Epoch < l.state.Epoch || s.Beat < l.state.Beat || s.Beat > l.beat:
		l.lose("it names this writer, but with epoch %d and beat %d; we wrote epoch %d and beats %d to %d: somebody put an old state back, or uses our writer id",
			s.Epoch, s.Beat, l.state.Epoch, l.state.Beat, l.beat)
	default:
		l.state, l.version = s.State, s.version
		return errBehind
	}
	return context.Cause(l.ctx)
}

// Release lets the lease go, so that the next leader need not wait. Call it when
// the log's writer has stopped. From the first instant on Held is false and the
// context has ended; then the renewing goroutine is waited for, and the object is
// marked released. It is no error if somebody else has the lease by now. After an
// error it may be called again; if it is not, the next leader waits for one TTL.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	if l.ctx.Err() == nil {
		l.finish(ErrReleased)
	}
	l.mu.Unlock()
	select {
	case <-l.stopped:
	case <-ctx.Done():
		return l.notReleased(context.Cause(ctx))
	}
	if err := l.takeTurn(ctx); err != nil {
		return l.notReleased(err)
	}
	defer l.endTurn()
	for {
		err := l.markReleased(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errBehind) {
			return l.notReleased(err)
		}
	}
}

func (l *Lease) notReleased(err error) error {
	return fmt.Errorf("release %s of %s: %w; the next leader waits up to %v", Key, l.bucket.Name(), err, l.options.TTL)
}

// markReleased sends one change of the object to released, unless it is not ours
// any more. It needs the turn.
func (l *Lease) markReleased(ctx context.Context) error {
	l.mu.Lock()
	if l.settled {
		l.mu.Unlock()
		return nil
	}
	next, old := l.next(func(s State) State {
		s.Released = true
		return s
	})
	l.mu.Unlock()
	if mutation.On(mutation.ReleaseDeletes) {
		return l.bucket.Delete(ctx, Key)
	}
	_, err := replace(ctx, l.bucket, next, old)
	var now stored
	if errors.Is(err, bucket.ErrChanged) {
		if now, err = get(ctx, l.bucket); errors.Is(err, bucket.ErrNotExist) {
			now, err = stored{State: State{Released: true}}, nil
		}
	} else {
		now.State = next
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Released || now.Holder != l.state.Holder {
		l.settled = true
		if now.Holder == l.state.Holder {
			l.options.Logger.Info("lease released", "epoch", l.state.Epoch)
		} else {
			l.options.Logger.Info("the lease to be released was another's already", "epoch", l.state.Epoch, "newest", now.Epoch)
		}
		return nil
	}
	l.state, l.version = now.State, now.version
	return errBehind
}
