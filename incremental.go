package schedulerstore

import (
	"context"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// How far incremental snapshots go before the next full one; docs/snapshots.md has the
// reasons.
const (
	// sinceShare is what incremental parts may weigh of the full ones: one in so many.
	sinceShare = 2
	// partWeight is what a part weighs besides its bytes: a GET takes about as long as so
	// many bytes more.
	partWeight = 256 << 10
	// maxSince bounds the incremental parts, however large the state is.
	maxSince = 1000
)

// goOnFrom returns the snapshot that the next one should go on from, and what has changed
// since; nil if it is to be full. The snapshot is of this process's own history: it began
// its leadership with it, or has made it. It must be the newest there is: a manifest of
// the leader before may have come late, and to that one what is older is garbage.
func (s *Store) goOnFrom(ctx context.Context, c *durability.Checkpoint) (*snapshot.Manifest, *durability.Since) {
	base, _ := s.lastSnapshot()
	if base == nil || base.At.Next >= c.At.Next {
		return nil, nil
	}
	since, known := c.Since(base.At.Transaction)
	if !known || !incrementalPays(base, since.Rows, c.Counts()) {
		return nil, nil
	}
	name, err := snapshot.ParseName(base.Name)
	if err != nil {
		return nil, nil
	}
	if newer, err := snapshot.List(ctx, s.bucket, &name); err != nil || len(newer) > 0 {
		s.logger.Warn("the snapshot will be full, as it is not sure that the last one is the newest", "snapshot", base.Name, "newer", len(newer), "error", err)
		return nil, nil
	}
	return base, since
}

// incrementalPays tells whether an incremental snapshot of so many rows, of a state that
// has so many of each kind, leaves what is to be read within bounds.
func incrementalPays(base *snapshot.Manifest, changed int, counts map[string]int) bool {
	rows := 0
	for _, n := range counts {
		rows += n
	}
	full, since := base.Lineage()
	if len(since) >= maxSince || rows == 0 {
		return false
	}
	own := float64(sizeOf(full)) * float64(changed) / float64(rows)
	return float64(weigh(since))+own+partWeight <= float64(weigh(full))/sinceShare
}

func weigh(parts []snapshot.Part) int64 { return sizeOf(parts) + partWeight*int64(len(parts)) }

func sizeOf(parts []snapshot.Part) (n int64) {
	for _, p := range parts {
		n += int64(p.Bytes)
	}
	return n
}
