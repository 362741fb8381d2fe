package schedulerstore

import (
	"context"
	"fmt"
	"iter"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/storage"
)

// RestoreAt makes a past state of this store its newest, as Restore does. The past state
// is in memory beside the present one until it is written. What the clients' idempotency
// keys are stays as it is now. Errors are those of Restore, and match what those of
// blob.Log.Past do.
func (s *Store) RestoreAt(ctx context.Context, until blob.Until, reason string) (persistence.Commit, error) {
	if until == (blob.Until{}) {
		return persistence.Commit{}, fmt.Errorf("restore: %w: %w: the state as of now is there already", persistence.ErrNotCommitted, storage.ErrInvalidArgument)
	}
	if !s.storage.Leading() { // before the work
		return persistence.Commit{}, fmt.Errorf("restore: %w: %w", persistence.ErrNotCommitted, durability.ErrNotLeader)
	}
	past := durability.New(durability.Options{Tiers: s.options.Tiers})
	at, err := s.log.Past(ctx, past, until, nil)
	if err != nil {
		return persistence.Commit{}, fmt.Errorf("restore: %w: %w", persistence.ErrNotCommitted, err)
	}
	return s.Restore(ctx, Restoration{Records: durability.RecordsOf(past.View()),
		Reason: withReason(fmt.Sprintf("state as of %v, which is transaction %d", until, at.Transaction), reason)})
}

// RestoreBackup makes the state of a backup the store's, at once; see Recovery for how to
// look at it before.
func (s *Store) RestoreBackup(ctx context.Context, backups *backup.Backups, name, reason string) (persistence.Commit, error) {
	if !s.storage.Leading() {
		return persistence.Commit{}, fmt.Errorf("restore: %w: %w", persistence.ErrNotCommitted, durability.ErrNotLeader)
	}
	recovery := backup.NewRecovery(backups, s.options.Tiers, func(ctx context.Context, records iter.Seq2[[]byte, error], what string, after *persistence.TransactionNumber) (persistence.Commit, error) {
		return s.Restore(ctx, Restoration{Records: records, Reason: withReason(what, reason), After: after})
	})
	if _, err := recovery.Stage(ctx, name); err != nil {
		return persistence.Commit{}, err
	}
	return recovery.Commit(ctx, nil)
}

func withReason(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}
