package blob

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Get reads one entry, checked by itself only. It takes the entry from the
// newest epoch that has one at the position: the one in the history, unless a
// writer that was deposed left something beyond its seal. An error matches
// bucket.ErrNotExist if there is none, and ErrCollected too if a snapshot covers it.
//
// The snapshots and the lease bound the epochs in question, so that the log need not be
// listed; it is where there are many.
func (l *Log) Get(ctx context.Context, position persistence.Position) (*Entry, string, error) {
	names, err := l.snapshots(ctx, nil)
	if err != nil {
		return nil, "", err
	}
	from, to, err := l.epochBounds(ctx, position, names)
	if err != nil {
		return nil, "", err
	}
	covered := len(names) > 0 && names[len(names)-1].Position >= position
	if from <= to && to-from < fewEpochs {
		for n := range to - from + 1 {
			entry, err := l.read(ctx, to-n, position)
			if !errors.Is(err, bucket.ErrNotExist) {
				return entry, Key(to-n, position), err
			}
		}
		if covered {
			return nil, "", fmt.Errorf("no entry at position %d: %w: %w: snapshot %s covers it", position, bucket.ErrNotExist, ErrCollected, names[len(names)-1])
		}
	}
	keys, err := l.Keys(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, k := range slices.Backward(keys) { // at one position by epoch
		if k.Position == position {
			entry, err := l.Read(ctx, k)
			return entry, Key(k.Epoch, position), err
		}
	}
	return nil, "", fmt.Errorf("no entry at position %d: %w", position, bucket.ErrNotExist)
}

// fewEpochs is how many epochs are tried one by one.
const fewEpochs = 8

// epochBounds are the first and the last epoch in which the entry at a position can be:
// epochs grow along the log. If they are not known the last is smaller than the first.
func (l *Log) epochBounds(ctx context.Context, position persistence.Position, names []snapshot.Name) (from, to persistence.Epoch, err error) {
	after, _ := slices.BinarySearchFunc(names, position, func(n snapshot.Name, p persistence.Position) int {
		if n.Position < p {
			return -1
		}
		return 1
	})
	if after > 0 {
		m, err := snapshot.Read(ctx, l.bucket, l.cell.ID, names[after-1])
		switch {
		case err == nil:
			from = m.At.Epoch
		case !errors.Is(err, snapshot.ErrDamaged):
			return 0, 0, err
		}
	}
	if after < len(names) {
		m, err := snapshot.Read(ctx, l.bucket, l.cell.ID, names[after])
		if !errors.Is(err, snapshot.ErrDamaged) {
			if err == nil {
				to = m.At.Epoch
			}
			return from, to, err
		}
	}
	// Where the lease was lost and made anew it can be behind the log.
	state, err := lease.Read(ctx, l.bucket)
	switch {
	case errors.Is(err, bucket.ErrNotExist), errors.Is(err, checked.ErrDamaged), errors.Is(err, checked.ErrNewerFormat):
		return 1, 0, nil
	case err != nil:
		return 0, 0, err
	}
	return from, state.Epoch, nil
}
