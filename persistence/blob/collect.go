package blob

import (
	"context"
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// MaxSeal bounds the size of a seal, in bytes and in all versions of the format
// (protocol §8): what is larger is no seal, and need not be read to know it.
const MaxSeal = 512

// IsSeal tells whether the object with a key of the listing is a seal. It reads the
// header of one that is small enough to be one. Errors match bucket.ErrNotExist,
// ErrNewerFormat, or ErrDamaged: then it may be one.
func (l *Log) IsSeal(ctx context.Context, key EntryKey) (bool, error) {
	if key.Size > MaxSeal {
		return false, nil
	}
	h, err := l.header(ctx, key.Epoch, key.Position)
	if err != nil {
		return false, err
	}
	switch h.Kind {
	case KindSeal:
		return true, nil
	case KindRecords, KindRestore:
		return false, nil
	}
	return false, fmt.Errorf("%s: %w: entry of unknown %v", Key(key.Epoch, key.Position), ErrNewerFormat, h.Kind)
}

// GoesOn makes sure that the entry at a point, if there is one, goes on from it. It
// tells whether there is one. Errors match ErrDamaged if it does not go on, or is wrong.
func (l *Log) GoesOn(ctx context.Context, at persistence.Point) (bool, error) {
	e, err := l.read(ctx, at.Epoch, at.Next)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return false, nil
	case err != nil:
		return true, err
	}
	if err := e.checkChain(at); err != nil {
		return true, &DamageError{Key(at.Epoch, at.Next), err}
	}
	return true, nil
}

// RestoreObjects lists the objects of all states of restores; see snapshot.Objects.
func (l *Log) RestoreObjects(ctx context.Context) ([]snapshot.Object, []bucket.Info, error) {
	return snapshot.ObjectsUnder(ctx, l.bucket, restorePrefix)
}
