package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

const (
	// firstCollection is when a new leader first looks for garbage: what the one before
	// was at when it ended is finished soon, but not while others take over.
	firstCollection = 30 * time.Second
	// collectionPatience bounds how long snapshots, backups and restores wait for one
	// collection. One that is not done then goes on after them.
	collectionPatience = 5 * time.Minute
)

// garbageProgress is what this process knows of garbage as the leader. It is guarded by
// Store.mu.
type garbageProgress struct {
	last *GarbageStatus
	// waiting tells that another collection would find more with time alone, or that
	// the last one did not finish.
	waiting  bool
	snapshot string // the newest when the last collection began
}

// collectGarbage collects garbage now and then, until ctx ends: at once never, so that a
// cell in which nothing happens costs nothing.
func (s *Store) collectGarbage(ctx context.Context, l *lease.Lease) {
	s.mu.Lock()
	s.progress.garbage = garbageProgress{waiting: true}
	s.mu.Unlock()
	every := s.garbageEvery()
	if every < 0 {
		return
	}
	for wait := min(firstCollection, every); sleep.For(ctx, wait) == nil; wait = every {
		if !s.garbageDue() {
			continue
		}
		for s.scheduledCollection(ctx, l) {
		}
	}
}

// garbageEvery is the time between two collections; negative is never.
func (s *Store) garbageEvery() time.Duration {
	if s.options.GarbageEvery == 0 {
		return time.Hour
	}
	return s.options.GarbageEvery
}

// garbageDue tells whether there may be any since the last collection: it comes with
// snapshots, and some with time.
func (s *Store) garbageDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.garbage.waiting || s.progress.garbage.snapshot != s.progress.newestSnapshot()
}

// newestSnapshot needs mu.
func (p *progress) newestSnapshot() string {
	if p.snapshot == nil {
		return ""
	}
	return p.snapshot.Name
}

// scheduledCollection tells whether it is to go on after others have had their turn.
func (s *Store) scheduledCollection(ctx context.Context, l *lease.Lease) (more bool) {
	release, err := s.beginCopy(ctx)
	if err != nil {
		return false // leadership has ended
	}
	defer release()
	patience, cancel := context.WithTimeout(ctx, collectionPatience)
	defer cancel()
	_, err = s.collect(patience, l, s.options.Retention, garbage.Options{}) // it has logged and counted what went wrong
	return err != nil && ctx.Err() == nil && patience.Err() != nil
}

// collect collects garbage once. The caller holds copying.
func (s *Store) collect(ctx context.Context, l *lease.Lease, r garbage.Retention, o garbage.Options) (*garbage.Report, error) {
	s.mu.Lock()
	newest := s.progress.newestSnapshot()
	s.mu.Unlock()
	o.Held = l.Held
	report, err := garbage.Collect(ctx, s.log, r, o)
	if o.DryRun {
		return report, err
	}
	went := garbage.Total(report.Garbage)
	s.metrics.collected(report)
	s.mu.Lock()
	s.progress.garbage = garbageProgress{waiting: report.Waiting || err != nil, snapshot: newest, last: garbageStatus(report, err)}
	if errors.Is(err, garbage.ErrNeedsFull) && newest == s.progress.newestSnapshot() {
		s.progress.snapshot = nil // so the next goes on from none
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		s.metrics.garbageCollected.SetToCurrentTime()
	case ctx.Err() == nil:
		s.metrics.failed(garbageWork)
		s.logger.Error("garbage collection stopped; nothing that is needed is gone", "objects", went.Objects, "error", err)
		return report, err
	}
	if went.Objects > 0 || len(report.Left) > 0 {
		s.logger.Info("garbage collected", "objects", went.Objects, "bytes", went.Bytes, "done", err == nil, "took", report.Took)
	}
	for i, left := range report.Left {
		if i == maxLeftLogged {
			s.logger.Warn("more garbage was left", "objects", len(report.Left)-i)
			break
		}
		s.logger.Warn("this may be garbage, and was left", "object", left.Object, "bytes", left.Bytes, "reason", left.Why)
	}
	return report, err
}

// maxLeftLogged bounds what one collection logs.
const maxLeftLogged = 5

// Retention is that of the Options.
func (s *Store) Retention() garbage.Retention { return s.options.Retention }

// CollectGarbage removes now, as the leader, what recovery and a retention need no more,
// backups that have expired too, or tells what it would remove; see garbage.Collect. The error matches
// durability.ErrNotLeader if this process does not lead, or no longer.
func (s *Store) CollectGarbage(ctx context.Context, r garbage.Retention, dryRun bool) (*garbage.Report, error) {
	s.mu.Lock()
	leadership, l := s.progress.leadership, s.progress.lease
	s.mu.Unlock()
	if l == nil {
		return nil, s.explain(fmt.Errorf("collect garbage: %w", durability.ErrNotLeader))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(leadership, func() { cancel(context.Cause(leadership)) })()
	release, err := s.beginCopy(ctx)
	if err != nil {
		return nil, fmt.Errorf("collect garbage: %w", err)
	}
	defer release()
	report, err := s.collect(ctx, l, r, garbage.Options{DryRun: dryRun, Backups: s.expireBackups})
	if err != nil && leadership.Err() != nil && !errors.Is(err, durability.ErrNotLeader) {
		err = fmt.Errorf("%w any more: %w", durability.ErrNotLeader, err)
	}
	return report, err
}

// GarbageStatus is what the last collection did.
type GarbageStatus struct {
	// Ended is when it ended.
	Ended time.Time `json:"ended"`
	// Objects and Bytes are those that it removed, Left those that may be garbage and
	// can't be told to be.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Left    int   `json:"left"`
	// Oldest is the oldest state that can be recovered, and all since: that of when the
	// log began, if it has neither a transaction nor a time.
	Oldest RecoverableStatus `json:"oldestRecoverable"`
	// Problem is what kept it from its end, if anything did.
	Problem string `json:"problem,omitempty"`
}

// RecoverableStatus is a past state that can be recovered.
type RecoverableStatus struct {
	Transaction persistence.TransactionNumber `json:"transaction"`
	// Made is when a snapshot was made of it.
	Made time.Time `json:"made,omitzero"`
}

func garbageStatus(r *garbage.Report, err error) *GarbageStatus {
	went := garbage.Total(r.Garbage)
	g := &GarbageStatus{Ended: time.Now(), Objects: went.Objects, Bytes: went.Bytes, Left: len(r.Left)}
	if r.Oldest != nil {
		g.Oldest = RecoverableStatus{r.Oldest.At.Transaction, r.Oldest.Made}
	}
	if err != nil {
		g.Problem = err.Error()
	}
	return g
}
