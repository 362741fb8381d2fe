package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// ErrCollected: transactions that far back are not in the log any more.
var ErrCollected = blob.ErrCollected

// Watch yields every durable transaction from a number on, each once and in order,
// then live, until ctx ends. Those of which this process has no memory are read back
// from the log; they have no Events. From 0 it yields what comes after the newest
// that is durable here when the iteration begins. From a number that has not come yet
// it waits for that.
//
// It works in any process. In one that leads a transaction is yielded when readers
// see it, before its writer has its answer; in one that follows when it was read. A
// Change with Reset tells that the state was replaced, and that transactions may be
// missing before it: watch from 0 before the state is recovered (see Recovered), and
// the recovery shows as one.
//
// An error ends the sequence: one that matches ErrCollected where a transaction was
// collected, ErrClosed when the store is closed, or what kept the log from being read.
// What has come before the close and was not yielded then is in the log.
//
// A loop that is slow delays nobody, and costs no memory: what it misses is read back
// for it.
func (s *Store) Watch(ctx context.Context, from persistence.TransactionNumber) iter.Seq2[*durability.Change, error] {
	return func(yield func(*durability.Change, error) bool) {
		s.metrics.watchers.Inc()
		defer s.metrics.watchers.Dec()
		watching, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })()
		w := &watch{store: s, ctx: watching, yield: yield, after: from - 1}
		if from == 0 {
			_, w.after = s.storage.Snapshot()
		}
		if err := w.run(); !errors.Is(err, errStopped) && ctx.Err() == nil {
			yield(nil, err)
		}
	}
}

// watch is one iteration of Watch.
type watch struct {
	store *Store
	ctx   context.Context
	yield func(*durability.Change, error) bool
	after persistence.TransactionNumber // the last that was told
}

// errStopped: the loop that watches has ended.
var errStopped = errors.New("the watcher has stopped")

// run tells what is in memory, and goes back to the log for what is not any more. It
// returns what ended it.
func (w *watch) run() error {
	for {
		err := w.live()
		if errors.Is(err, durability.ErrOverrun) {
			err = w.missed()
		}
		if err != nil {
			return err
		}
	}
}

func (w *watch) tell(c *durability.Change) error {
	w.after = c.Transaction
	if !w.yield(c, nil) {
		return errStopped
	}
	return nil
}

// live tells what is in memory and what comes.
func (w *watch) live() error {
	cursor, ok := w.store.storage.Changes(w.after)
	if !ok {
		return durability.ErrOverrun
	}
	for {
		c, err := cursor.Next(w.ctx)
		if err == nil {
			err = w.tell(c)
		}
		if err != nil {
			return err
		}
	}
}

// missed tells, from the log, what is durable here but not in memory.
func (w *watch) missed() error {
	_, newest := w.store.storage.Snapshot()
	for c, err := range w.store.history(w.ctx, w.after+1, newest) {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		if err != nil {
			return fmt.Errorf("watch from transaction %d, the newest is %d: %w; begin again from the state", w.after+1, newest, err)
		}
		if err := w.tell(c); err != nil {
			return err
		}
		if _, ok := w.store.storage.Changes(w.after); ok {
			return nil // from here on they are in memory, with their events
		}
	}
	return nil
}
