package durability

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// Replace takes the write lock, waits until all that was written is durable, and calls
// replace, which makes another state the history's next: by a way of its own, beside
// the transactions. No transaction runs meanwhile. It is given the state to be
// replaced, and the records of the idempotency keys that clients have used. They
// belong into the new state, so that a repeat of an old request stays a repeat: it is
// answered as before, although what it did may be gone.
//
// If replace succeeds, or its outcome is unknown, the storage can't be written to any
// more, and the new state comes by the log. If it fails otherwise, nothing has
// changed.
//
// An error is replace's own, or matches persistence.ErrNotCommitted, and ErrNotLeader
// when this process does not lead.
func (s *Storage) Replace(ctx context.Context, replace func(at *Checkpoint, keys iter.Seq2[[]byte, error]) error) error {
	if _, ok := ctx.Value(openKey{s}).(*recorder); ok {
		return fmt.Errorf("%w: the state can't be replaced within a transaction", persistence.ErrNotCommitted)
	}
	release, err := s.acquire(ctx, nil)
	if err != nil {
		return err
	}
	defer release()
	t := s.term.Load()
	if t == nil {
		return fmt.Errorf("%w: %w", ErrNotLeader, persistence.ErrNotCommitted)
	}
	select {
	case <-t.head.pending.done:
		if err := t.head.pending.err; err != nil { // whose own outcome says nothing of this
			return fmt.Errorf("%w: the write before failed: %v", persistence.ErrNotCommitted, err)
		}
	case <-ctx.Done():
		return fmt.Errorf("%w: waiting for the writes before: %w", persistence.ErrNotCommitted, context.Cause(ctx))
	}
	// The head is the last record that the log has, so it ends an entry: the
	// checkpoint is of it.
	c := s.Checkpoint()
	err = replace(c, c.keyRecords())
	if err == nil || errors.Is(err, persistence.ErrUnknown) {
		s.term.CompareAndSwap(t, nil)
	}
	return err
}

// keyRecords yields the records of the idempotency keys only.
func (c *Checkpoint) keyRecords() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		(&recordWriter{yield: yield}).keys(c.version.keys, 0)
	}
}
