package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

var (
	// ErrRestored ended a leadership: the state was replaced. Campaign again.
	ErrRestored = blob.ErrRestored
	// ErrNotEmpty: the store has transactions, and must not have any. Nothing was done.
	ErrNotEmpty = errors.New("the store is not empty")
)

// Restoration is a state to be restored.
type Restoration struct {
	// Records rebuild the state, as those of a snapshot do. This store's idempotency
	// keys are added to them.
	Records iter.Seq2[[]byte, error]
	Reason  string
	// OnlyEmpty refuses a store that has ever had a transaction, with ErrNotEmpty.
	OnlyEmpty bool
	// After, if not nil, is the number that the last transaction must have; else the
	// restore fails with durability.ErrConflict.
	After *persistence.TransactionNumber
	// Counts, if not nil, is told how many rows of each store were written, by the names
	// of durability.Checkpoint.Counts.
	Counts map[string]int
}

// restoreParallel is the number of a restore's parts that are sent at once. It is more
// than a snapshot's, as writes wait.
const restoreParallel = 4

// Restore replaces the whole state, as the leader: writes wait meanwhile, and are
// refused once it is done. Then leadership has ended with ErrRestored, and this
// process and all others load the new state. What was there stays in the log. If it
// fails the state is as it was, unless the error matches persistence.ErrUnknown; any
// other error matches persistence.ErrNotCommitted or ErrNotEmpty.
//
// Every record is tried before anything counts, so that the new state is sure to load.
// It is not held in memory for that.
func (s *Store) Restore(ctx context.Context, r Restoration) (commit persistence.Commit, err error) {
	if r.Records == nil {
		return commit, fmt.Errorf("restore: %w: %w: no records; those of an empty state are an empty sequence", persistence.ErrNotCommitted, storage.ErrNullArgument)
	}
	s.endRehearsals()
	done, err := s.beginCopy(ctx)
	if err != nil {
		return commit, fmt.Errorf("restore: %w: %w", persistence.ErrNotCommitted, err)
	}
	defer done()
	err = s.storage.Replace(ctx, func(c *durability.Checkpoint, keys iter.Seq2[[]byte, error]) (err error) {
		if n := c.At.Transaction; r.OnlyEmpty && n > 0 {
			return fmt.Errorf("%w: it has had %d transactions", ErrNotEmpty, n)
		}
		if r.After != nil && *r.After != c.At.Transaction {
			return fmt.Errorf("%w: the last transaction is %d, not %d: %w", durability.ErrConflict, c.At.Transaction, *r.After, persistence.ErrNotCommitted)
		}
		commit, err = s.restore(ctx, c, keys, &r)
		return err
	})
	if err != nil {
		return persistence.Commit{}, fmt.Errorf("restore: %w", s.explain(err))
	}
	return commit, nil
}

// restore writes the new state and then the entry that makes it count. Nothing is
// written to the log meanwhile.
func (s *Store) restore(ctx context.Context, c *durability.Checkpoint, keys iter.Seq2[[]byte, error], r *Restoration) (persistence.Commit, error) {
	writer, leadership := s.reigning()
	if writer == nil {
		return persistence.Commit{}, fmt.Errorf("%w: %w", durability.ErrNotLeader, persistence.ErrNotCommitted)
	}
	start := time.Now()
	m, err := s.writeRestore(ctx, leadership, c, keys, r)
	if err != nil {
		return persistence.Commit{}, fmt.Errorf("%w: %w", persistence.ErrNotCommitted, err)
	}
	var commit persistence.Commit
	answered := make(chan struct{})
	if _, handed := writer.Restore(m, func(ack persistence.Ack, failed error) {
		defer close(answered)
		if commit, err = ack.Commit, failed; failed == nil {
			s.restored.Store(uint64(ack.After.Next)) // before the lease is released
		}
	}); handed != nil {
		return commit, handed
	}
	select {
	case <-answered:
	case <-ctx.Done():
		select {
		case <-answered: // at the same time
		default:
			return persistence.Commit{}, fmt.Errorf("%w: gave up waiting: %w", persistence.ErrUnknown, context.Cause(ctx))
		}
	}
	<-leadership.Done() // this process must not answer with the old state any more
	if err == nil {
		s.logger.Info("the state was replaced", "transaction", commit.Transaction, "folder", string(m.Folder()),
			"records", m.Records, "bytes", m.Bytes(), "took", time.Since(start), "reason", r.Reason)
	}
	return commit, err
}

// reigning returns what this process leads with; no writer if it does not lead.
func (s *Store) reigning() (*blob.Writer, context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.writer, s.progress.leadership
}

// writeRestore writes the new state: its records, then those of the keys. It gives up
// when ctx or leadership ends.
func (s *Store) writeRestore(ctx, leadership context.Context, c *durability.Checkpoint, keys iter.Seq2[[]byte, error], r *Restoration) (*snapshot.Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(leadership, func() { cancel(context.Cause(leadership)) })()
	counts := r.Counts
	if counts == nil {
		counts = map[string]int{}
	}
	m, err := snapshot.WriteIn(ctx, s.bucket, s.log.Codec(), blob.RestoreFolder(c.At), snapshot.Source{Cell: s.log.Cell().ID, At: c.At,
		Records: durability.Proved(concat(r.Records, keys), s.options.Tiers, counts), Counts: counts, By: s.options.Lease.Host, Reason: r.Reason}, restoreParallel)
	if ended := context.Cause(ctx); ended != nil { // says more than that it was canceled
		return nil, ended
	}
	return m, err
}

// concat yields one sequence after another.
func concat(all ...iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, records := range all {
			for record, err := range records {
				if !yield(record, err) {
					return
				}
			}
		}
	}
}
