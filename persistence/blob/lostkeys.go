package blob

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// CheckKeys makes sure, before another data key is made, that the one which sealed what
// was written last is not lost: else the new one might get its number, and what it sealed
// could not be opened even where it is put back. The error matches ErrDamaged then.
func (l *Log) CheckKeys(ctx context.Context) error {
	return l.checkKeys(ctx, l.codec.Keys())
}

func (l *Log) checkKeys(ctx context.Context, keys *encryption.Ring) error {
	for _, find := range []func(context.Context) (string, int64, error){l.newestPart, l.newestBody} {
		key, from, err := find(ctx)
		if err != nil {
			return err
		}
		if key == "" {
			continue
		}
		body, err := l.bucket.GetRange(ctx, key, from, encryption.Overhead)
		if errors.Is(err, bucket.ErrNotExist) {
			continue // recovery says what is missing
		}
		if err != nil {
			return err
		}
		if len(body) < encryption.Overhead {
			return &DamageError{key, fmt.Errorf("its encrypted body has %d bytes, %d at least are wanted", len(body), encryption.Overhead)}
		}
		if err := keys.HasKeyOf(ctx, body); err != nil {
			return keyDamage(err)
		}
	}
	return nil
}

// newestPart is the last part of the newest snapshot, and where the body begins in it;
// empty if there is none, or it is not encrypted.
func (l *Log) newestPart(ctx context.Context) (key string, from int64, err error) {
	names, err := l.snapshots(ctx, nil)
	if err != nil || len(names) == 0 {
		return "", 0, err
	}
	m, err := snapshot.Read(ctx, l.bucket, l.cell.ID, names[len(names)-1])
	if errors.Is(err, snapshot.ErrDamaged) {
		return "", 0, nil // recovery says so
	} else if err != nil {
		return "", 0, err
	}
	if last := len(m.Parts) - 1; last >= 0 && m.Parts[last].Compression&packed.Encrypted != 0 {
		return m.PartKey(last), 0, nil
	}
	return "", 0, nil
}

// newestBody does the same for the newest entry that has a body. Seals are never encrypted.
func (l *Log) newestBody(ctx context.Context) (key string, from int64, err error) {
	keys, err := l.Keys(ctx)
	if err != nil {
		return "", 0, err
	}
	for _, k := range slices.Backward(keys) {
		h, err := l.header(ctx, k.Epoch, k.Position)
		switch {
		case errors.Is(err, bucket.ErrNotExist), errors.Is(err, ErrDamaged), err == nil && (h.Kind == KindSeal || h.BodySize == 0):
			continue
		case err != nil:
			return "", 0, err
		case h.Compression&packed.Encrypted == 0:
			return "", 0, nil
		}
		return Key(k.Epoch, k.Position), headerSize, nil
	}
	return "", 0, nil
}

// keyDamage says that a key object which is missing or wrong is damage of the log.
func keyDamage(err error) error {
	if damage, ok := errors.AsType[*encryption.ObjectError](err); ok {
		return &DamageError{damage.Object, damage.Reason}
	}
	return err
}
