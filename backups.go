package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// backupProgress is what this process knows of backups. It is guarded by Store.mu.
type backupProgress struct {
	// begun is when the last automatic one was begun, whatever came of it, or when
	// this process began to lead.
	begun time.Time
	// transaction is the last one in the newest automatic backup, if that is known.
	transaction persistence.TransactionNumber
	known       bool
	made        time.Time // the last of any kind
}

func (s *Store) openBackups() {
	b := s.options.BackupBucket
	if b == nil {
		b = s.bucket
	}
	s.backups = backup.New(b, s.log.Codec())
	s.recovery = backup.NewRecovery(s.backups, s.options.Tiers, func(ctx context.Context, records iter.Seq2[[]byte, error], reason string, after *persistence.TransactionNumber) (persistence.Commit, error) {
		return s.Restore(ctx, Restoration{Records: records, Reason: reason, After: after})
	})
}

// Backups are where the store's backups lie: Options.BackupBucket, or its own bucket.
func (s *Store) Backups() *backup.Backups { return s.backups }

// Recovery is the store's staged recovery.
func (s *Store) Recovery() *backup.Recovery { return s.recovery }

// Backup makes a backup of the newest durable state, in any process that has recovered,
// after one that is being made; see backup.Backups.Create. One without a name is an
// automatic one (Aurora: StorageBackup.backupNow): the oldest go when there are too many,
// and the next by schedule comes an interval later.
func (s *Store) Backup(ctx context.Context, name, reason string) (*backup.Info, error) {
	return s.BackupUntil(ctx, name, reason, time.Time{})
}

// BackupUntil is Backup of one that goes by itself some time after it has expired, unless
// it is pinned: at the next automatic backup, or when CollectGarbage is called. Zero is
// never.
func (s *Store) BackupUntil(ctx context.Context, name, reason string, expires time.Time) (*backup.Info, error) {
	if s.options.ReadOnly {
		return nil, errors.New("backup: the store was opened read-only")
	}
	select {
	case <-s.recovered:
	default:
		return nil, errors.New("backup: the state is not recovered yet")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })()
	release, err := s.beginCopy(ctx)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	defer release()
	return s.backup(ctx, name, reason, expires)
}

// makeBackups makes automatic backups when they are due, until ctx ends. The time counts
// from now: there is none at start-up.
func (s *Store) makeBackups(ctx context.Context) {
	s.mu.Lock()
	s.progress.backups.begun, s.progress.backups.known = time.Now(), false
	s.mu.Unlock()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.backupDue(ctx) {
			s.scheduledBackup(ctx)
		}
	}
}

// backupDue tells whether it is time, and whether there was a transaction since the last
// automatic backup: another of the same state would cost and tell nothing. (Aurora makes
// it.)
func (s *Store) backupDue(ctx context.Context) bool {
	s.mu.Lock()
	p := s.progress.backups
	s.mu.Unlock()
	now := s.storage.Checkpoint().At.Transaction
	if !s.options.Backups.Due(time.Since(p.begun)) || now == 0 {
		return false
	}
	if !p.known {
		p.transaction, p.known = s.lastBackup(ctx)
		s.mu.Lock()
		s.progress.backups.transaction, s.progress.backups.known = p.transaction, p.known
		s.mu.Unlock()
	}
	return !p.known || now != p.transaction
}

// lastBackup finds the last transaction in this cell's newest automatic backup, 0 if
// there is none, and false if that can't be told: then one is made, which does no harm.
func (s *Store) lastBackup(ctx context.Context) (last persistence.TransactionNumber, known bool) {
	infos, err := s.backups.List(ctx)
	for _, info := range infos {
		if info.Automatic && info.Cell == s.log.Cell().ID {
			last = max(last, info.Transaction)
		}
	}
	return last, err == nil || last > 0
}

// unbacked is the number of transactions since the last automatic backup, as the leader
// knows it: all, before it has looked for one.
func (s *Store) unbacked() persistence.TransactionNumber {
	now := s.storage.Checkpoint()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress.backups
	switch {
	case s.progress.role != Leader || now == nil:
		return 0
	case !p.known:
		return now.At.Transaction
	}
	return now.At.Transaction - min(now.At.Transaction, p.transaction)
}

func (s *Store) scheduledBackup(ctx context.Context) {
	release, err := s.beginCopy(ctx)
	if err != nil {
		return // leadership has ended
	}
	defer release()
	if s.backupDue(ctx) { // none was made on demand meanwhile
		_, _ = s.backup(ctx, "", "schedule", time.Time{}) // it was logged and counted, and is not tried again before its time
	}
}

// backup makes a backup, and thins out the automatic ones after one of them. The caller
// holds copying.
func (s *Store) backup(ctx context.Context, name, reason string, expires time.Time) (*backup.Info, error) {
	c := s.storage.Checkpoint()
	if c == nil || c.At.Next == 0 {
		return nil, errors.New("backup: nothing was ever written")
	}
	start := time.Now()
	if name == "" {
		s.mu.Lock()
		s.progress.backups.begun = start
		s.mu.Unlock()
	}
	source := s.sourceOf(c, reason)
	source.Expires = expires
	info, err := s.backups.Create(ctx, name, source)
	switch {
	case errors.Is(err, backup.ErrExists), errors.Is(err, backup.ErrInvalidName), errors.Is(err, context.Canceled):
		return nil, err
	case err != nil:
		s.metrics.backups.WithLabelValues("error").Inc()
		s.logger.Error("backup failed", "reason", reason, "error", err)
		return nil, err
	}
	s.metrics.backups.WithLabelValues("ok").Inc()
	s.noteBackup(info)
	s.logger.Info("backup made", "backup", info.Name, "transaction", info.Transaction, "bytes", info.Bytes, "took", time.Since(start), "reason", reason)
	if info.Automatic {
		s.thinBackups(ctx)
	}
	return info, nil
}

func (s *Store) noteBackup(info *backup.Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.progress.backups
	p.made = time.Now()
	if info.Automatic {
		p.transaction, p.known = info.Transaction, true
	}
}

// thinBackups is no reason to call a backup that was made a failure.
func (s *Store) thinBackups(ctx context.Context) {
	old, expired, err := s.backups.Thin(ctx, s.log.Cell().ID, s.options.Backups.Kept())
	s.logExpired(expired)
	if len(old) > 0 {
		s.logger.Info("old backups removed", "backups", old)
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Error("old backups could not all be removed", "error", err)
	}
}

func (s *Store) logExpired(backups []string) {
	if len(backups) > 0 {
		s.logger.Info("expired backups removed", "backups", backups)
	}
}

// expireBackups is what a collection of garbage does with backups; see garbage.Options.
func (s *Store) expireBackups(ctx context.Context, dryRun bool) ([]string, error) {
	names, err := s.backups.Expire(ctx, s.log.Cell().ID, dryRun)
	if !dryRun {
		s.logExpired(names)
	}
	return names, err
}
