package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// snapshotParallel is the number of a snapshot's parts that are made at once.
const snapshotParallel = 2

// How long to wait after a snapshot that failed.
const (
	minSnapshotPause = 10 * time.Second
	maxSnapshotPause = 30 * time.Minute
)

// makeSnapshots makes snapshots when they are due, until ctx ends: one at a time,
// while writes go on.
func (s *Store) makeSnapshots(ctx context.Context, writer *blob.Writer) {
	start := time.Now()
	s.lastSnapshot(ctx)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var notBefore time.Time
	pause := minSnapshotPause
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if time.Now().Before(notBefore) || !s.snapshotDue(start) {
			continue
		}
		made, err := s.scheduledSnapshot(ctx, writer, start)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // it leaves parts behind: not again at once
			s.metrics.failed("snapshot")
			s.logger.Error("snapshot failed, the log keeps everything", "again in", pause, "error", err)
			notBefore, pause = time.Now().Add(pause), min(2*pause, maxSnapshotPause)
		case made:
			pause = minSnapshotPause
		}
	}
}

// scheduledSnapshot makes a snapshot, unless another was made while it waited for its
// turn.
func (s *Store) scheduledSnapshot(ctx context.Context, writer *blob.Writer, start time.Time) (made bool, err error) {
	release, err := s.beginCopy(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if !s.snapshotDue(start) {
		return false, nil
	}
	_, err = s.snapshot(ctx, writer, s.storage.Checkpoint(), "schedule")
	return err == nil, err
}

// snapshotDue tells whether the next is due; where none is known, since leadership began.
func (s *Store) snapshotDue(start time.Time) bool {
	s.mu.Lock()
	last, since := s.progress.snapshot, s.progress.snapshotMade
	s.mu.Unlock()
	if last == nil {
		since = start
	}
	c := s.storage.Checkpoint()
	return s.options.Snapshots.Due(time.Since(since), transactionsSince(c, last), entriesSince(c, last))
}

// lastSnapshot is the newest snapshot's manifest, nil if there is none that can be
// read: then the next is due sooner, which does no harm.
func (s *Store) lastSnapshot(ctx context.Context) *snapshot.Manifest {
	names, err := snapshot.List(ctx, s.bucket, nil)
	if err != nil || len(names) == 0 {
		return nil
	}
	m, err := snapshot.Read(ctx, s.bucket, s.log.Cell().ID, names[len(names)-1])
	if err != nil {
		return nil
	}
	s.noteSnapshot(m, m.Made)
	return m
}

func transactionsSince(c *durability.Checkpoint, m *snapshot.Manifest) int {
	return int(c.At.Transaction - pointOf(m).Transaction)
}

func entriesSince(c *durability.Checkpoint, m *snapshot.Manifest) int {
	return int(c.At.Next - pointOf(m).Next)
}

func pointOf(m *snapshot.Manifest) persistence.Point {
	if m == nil {
		return persistence.Point{}
	}
	return m.At
}

// snapshot makes a snapshot and tells the writer. The caller holds copying.
func (s *Store) snapshot(ctx context.Context, writer *blob.Writer, c *durability.Checkpoint, reason string) (*snapshot.Manifest, error) {
	start := time.Now()
	m, err := snapshot.Write(ctx, s.bucket, s.log.Codec(), s.sourceOf(c, reason), snapshotParallel)
	if err != nil {
		return nil, err
	}
	s.noteSnapshot(m, time.Now())
	s.metrics.snapshotSeconds.Observe(time.Since(start).Seconds())
	if name, err := snapshot.ParseName(m.Name); err == nil {
		writer.Snapshotted(name)
	}
	s.logger.Info("snapshot made", "snapshot", m.Name, "transaction", m.At.Transaction, "records", m.Records,
		"parts", len(m.Parts), "bytes", m.Bytes(), "took", time.Since(start), "reason", reason)
	return m, nil
}

// sourceOf is a durable state as a snapshot or a backup takes it.
func (s *Store) sourceOf(c *durability.Checkpoint, reason string) snapshot.Source {
	return snapshot.Source{Cell: s.log.Cell().ID, At: c.At, Records: c.Records(), Counts: c.Counts(), By: s.options.Lease.Host, Reason: reason}
}

// beginCopy waits until this caller may copy the whole state, or replace it: one at a
// time, as each takes memory and bandwidth from the writes. Then release must be called.
func (s *Store) beginCopy(ctx context.Context) (release func(), err error) {
	select {
	case s.copying <- struct{}{}:
		return func() { <-s.copying }, nil
	case <-s.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another copy of the state: %w", context.Cause(ctx))
	}
}

// Snapshot makes a snapshot now, as the leader, after one that is being made (Aurora:
// SnapshotStore.snapshot). If the newest snapshot is of this very point of the log, it
// returns that. The error matches durability.ErrNotLeader if this process does not lead,
// or no longer.
func (s *Store) Snapshot(ctx context.Context, reason string) (*snapshot.Manifest, error) {
	s.mu.Lock()
	leadership, writer := s.progress.leadership, s.progress.writer
	s.mu.Unlock()
	if writer == nil {
		return nil, s.explain(fmt.Errorf("snapshot: %w", durability.ErrNotLeader))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(leadership, func() { cancel(context.Cause(leadership)) })()
	m, err := s.snapshotNow(ctx, writer, reason)
	if err != nil && leadership.Err() != nil {
		return nil, fmt.Errorf("snapshot: %w any more: %w", durability.ErrNotLeader, context.Cause(leadership))
	}
	return m, err
}

func (s *Store) snapshotNow(ctx context.Context, writer *blob.Writer, reason string) (*snapshot.Manifest, error) {
	release, err := s.beginCopy(ctx)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	defer release()
	c := s.storage.Checkpoint()
	if last := s.lastSnapshot(ctx); last != nil && last.At == c.At {
		return last, nil
	}
	return s.snapshot(ctx, writer, c, reason)
}

// ListSnapshots returns the manifests of the snapshots there are, oldest first. Those
// that are damaged are in the error, joined, and left out.
func (s *Store) ListSnapshots(ctx context.Context) ([]*snapshot.Manifest, error) {
	names, err := snapshot.List(ctx, s.bucket, nil)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	manifests, errs := make([]*snapshot.Manifest, len(names)), make([]error, len(names))
	var reads errgroup.Group
	reads.SetLimit(8)
	for i, name := range names {
		reads.Go(func() error {
			manifests[i], errs[i] = snapshot.Read(ctx, s.bucket, s.log.Cell().ID, name)
			if errors.Is(errs[i], bucket.ErrNotExist) {
				errs[i] = nil // it was removed since it was listed
			}
			return nil
		})
	}
	_ = reads.Wait() // the errors are in errs
	return slices.DeleteFunc(manifests, func(m *snapshot.Manifest) bool { return m == nil }), errors.Join(errs...)
}
