package schedulerstore

import (
	"context"
	"time"

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
	last, since := s.lastSnapshot(ctx), time.Now()
	if last != nil {
		since = last.Made
	}
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
		if time.Now().Before(notBefore) {
			continue
		}
		c := s.storage.Checkpoint()
		if !s.options.Snapshots.Due(time.Since(since), transactionsSince(c, last), entriesSince(c, last)) {
			continue
		}
		m, err := s.snapshot(ctx, c, "schedule")
		if ctx.Err() != nil {
			return
		}
		if err != nil { // it leaves parts behind: not again at once
			s.logger.Error("snapshot failed, the log keeps everything", "again in", pause, "error", err)
			notBefore, pause = time.Now().Add(pause), min(2*pause, maxSnapshotPause)
			continue
		}
		last, since, pause = m, time.Now(), minSnapshotPause
		if name, err := snapshot.ParseName(m.Name); err == nil {
			writer.Snapshotted(name)
		}
	}
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
	s.noteSnapshot(m)
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

func (s *Store) snapshot(ctx context.Context, c *durability.Checkpoint, reason string) (*snapshot.Manifest, error) {
	start := time.Now()
	m, err := snapshot.Write(ctx, s.bucket, s.log.Codec(), snapshot.Source{Cell: s.log.Cell().ID, At: c.At,
		Records: c.Records(), Counts: c.Counts(), By: s.options.Lease.Host, Reason: reason}, snapshotParallel)
	if err != nil {
		return nil, err
	}
	s.noteSnapshot(m)
	s.logger.Info("snapshot made", "snapshot", m.Name, "transaction", m.At.Transaction, "records", m.Records,
		"parts", len(m.Parts), "bytes", m.Bytes(), "took", time.Since(start), "reason", reason)
	return m, nil
}
