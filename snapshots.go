package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// copyRest is how many times as long as it works the copying of a state rests: encoding
// and packing then take a fifth of a processor at most, so that writes hardly notice.
const copyRest = 9

// How long to wait after a snapshot that failed.
const (
	minSnapshotPause = 10 * time.Second
	maxSnapshotPause = 30 * time.Minute
)

// makeSnapshots makes snapshots when they are due, until ctx ends: one at a time,
// while writes go on.
func (s *Store) makeSnapshots(ctx context.Context, writer *blob.Writer) {
	start := time.Now()
	s.readBase(ctx, writer)
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
		if time.Now().Before(notBefore) || !s.snapshotDue(writer, start) {
			continue
		}
		made, err := s.scheduledSnapshot(ctx, writer, start)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // it leaves parts behind: not again at once
			s.metrics.failed(snapshotWork)
			s.logger.Error("snapshot failed, the log keeps everything", "retry_in", pause, "error", err)
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
	if !s.snapshotDue(writer, start) {
		return false, nil
	}
	_, err = s.snapshot(ctx, writer, s.storage.Checkpoint(), "schedule")
	return err == nil, err
}

// snapshotDue tells whether the next is due; where none is known, since leadership began.
func (s *Store) snapshotDue(writer *blob.Writer, start time.Time) bool {
	last, since := s.lastSnapshot()
	if last == nil {
		since = start
	}
	return s.options.Snapshots.Due(time.Since(since), transactionsSince(s.storage.Checkpoint(), last), s.replayEstimate(writer.Backlog()))
}

// lastSnapshot is the newest snapshot of this leadership, or the one that it began with;
// nil if there is none that can be gone on from.
func (s *Store) lastSnapshot() (*snapshot.Manifest, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.snapshot, s.progress.snapshotMade
}

// readBase reads the manifest of the snapshot that this leadership begins with. If it
// can't be read, or a rehearsal has found something wrong, the next is due sooner, and is
// full, which does no harm.
func (s *Store) readBase(ctx context.Context, writer *blob.Writer) {
	name, ok := writer.Base()
	if !ok {
		return
	}
	m, err := snapshot.Read(ctx, s.bucket, s.log.Cell().ID, name)
	if err != nil {
		if ctx.Err() == nil {
			s.logger.Warn("the newest snapshot can't be read, the next will be full", "snapshot", name.String(), "error", err)
		}
		return
	}
	s.mu.Lock()
	wrong := s.progress.rehearsal.wrong
	if !wrong {
		s.progress.noteSnapshot(m, m.Made)
	}
	s.mu.Unlock()
	if wrong {
		s.logger.Warn("a rehearsed restore failed, the next snapshot will be full", "snapshot", m.Name)
	}
}

func transactionsSince(c *durability.Checkpoint, m *snapshot.Manifest) int {
	if m == nil {
		return int(c.At.Transaction)
	}
	return int(c.At.Transaction - m.At.Transaction)
}

// snapshot makes a snapshot, an incremental one where that pays, and tells the writer.
// The caller holds copying.
func (s *Store) snapshot(ctx context.Context, writer *blob.Writer, c *durability.Checkpoint, reason string) (*snapshot.Manifest, error) {
	start := time.Now()
	source := s.sourceOf(c, reason)
	if base, since := s.goOnFrom(ctx, c); base != nil {
		source.Base, source.Records = base, since.Records()
	}
	m, err := snapshot.Write(ctx, s.bucket, s.log.Codec(), source, 1)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.progress.noteSnapshot(m, time.Now())
	s.mu.Unlock()
	s.metrics.snapshotted(m, time.Since(start))
	if name, err := snapshot.ParseName(m.Name); err == nil {
		writer.Snapshotted(name)
	}
	s.logger.Info("snapshot made", "snapshot", m.Name, "base", m.Base, "transaction", m.At.Transaction, "records", m.Records,
		"parts", len(m.Parts), "bytes", m.Bytes(), "own_bytes", m.OwnBytes(), "took", time.Since(start), "reason", reason)
	return m, nil
}

// sourceOf is a durable state as a snapshot or a backup takes it.
func (s *Store) sourceOf(c *durability.Checkpoint, reason string) snapshot.Source {
	return snapshot.Source{Cell: s.log.Cell().ID, At: c.At, Records: c.Records(), Counts: c.Counts(),
		By: s.options.Lease.Host, Reason: reason, Rest: copyRest}
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
	if last, _ := s.lastSnapshot(); last != nil && last.At == c.At {
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
	manifests, errs := snapshot.ReadAll(ctx, s.bucket, s.log.Cell().ID, names)
	for i := range errs {
		if errors.Is(errs[i], bucket.ErrNotExist) {
			errs[i] = nil // it was removed since it was listed
		}
	}
	return slices.DeleteFunc(manifests, func(m *snapshot.Manifest) bool { return m == nil }), errors.Join(errs...)
}
