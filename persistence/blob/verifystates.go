package blob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// readManifests reads those of all snapshots there are. What is wrong with one is a
// problem if tell is set.
func (v *verifier) readManifests(ctx context.Context, tell bool) error {
	v.manifests = nil
	names, err := snapshot.List(ctx, v.log.bucket, nil)
	if errors.Is(err, snapshot.ErrDamaged) {
		if tell {
			v.problem(err)
		}
		return nil
	} else if err != nil {
		return err
	}
	manifests, errs := snapshot.ReadAll(ctx, v.log.bucket, v.log.cell.ID, names)
	for i, m := range manifests {
		switch err := errs[i]; {
		case errors.Is(err, bucket.ErrNotExist): // collected since it was listed
		case errors.Is(err, snapshot.ErrDamaged):
			if tell {
				v.problem(err)
			}
		case err != nil:
			return err
		default:
			v.manifests = append(v.manifests, m)
		}
	}
	return nil
}

// readPins finds out which snapshots are pinned. The log after one may be gone, also where
// the pin has expired; then the snapshot may be gone too.
func (v *verifier) readPins(ctx context.Context, tell bool) error {
	pins, err := snapshot.Pins(ctx, v.log.bucket)
	if errors.Is(err, snapshot.ErrDamaged) {
		if tell {
			v.problem(err)
		}
		return nil
	} else if err != nil {
		return err
	}
	v.report.Pins, v.pinned = len(pins), map[string]bool{}
	for _, pin := range pins {
		v.pinned[pin.Snapshot] = true
		name, err := snapshot.ParseName(pin.Snapshot)
		if err == nil && tell && !pin.Expired(time.Now()) && !v.readable(pin.Snapshot) { // else it is a backup's
			v.problem(fmt.Errorf("%w: %s keeps %s, which is missing or can't be read", snapshot.ErrDamaged, snapshot.PinKey(pin.Name), name.ManifestKey()))
		}
	}
	return nil
}

func (v *verifier) readable(name string) bool {
	return slices.ContainsFunc(v.manifests, func(m *snapshot.Manifest) bool { return m.Name == name })
}

// snapshots reads every snapshot whole.
func (v *verifier) snapshots(ctx context.Context) error {
	for _, m := range v.manifests {
		err := v.check(ctx, m)
		if errors.Is(err, snapshot.ErrDamaged) {
			if gone, asked := v.gone(ctx, m.Key()); asked != nil {
				return asked
			} else if !gone {
				v.problem(fmt.Errorf("snapshot %s: %w", m.Name, err))
			}
			continue
		} else if err != nil {
			return err
		}
		v.report.Snapshots++
		v.whole[m.Name] = true
	}
	return nil
}

// gone tells whether an object was collected since it was read.
func (v *verifier) gone(ctx context.Context, key string) (bool, error) {
	_, err := v.log.bucket.GetRange(ctx, key, 0, 1)
	if errors.Is(err, bucket.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// check reads the parts of a state that were not read before.
func (v *verifier) check(ctx context.Context, m *snapshot.Manifest) error {
	parts := v.states.Unchecked(m)
	v.report.Parts += parts
	v.total += parts
	return v.states.Check(ctx, m, func() {
		v.done++
		v.tell(len(v.onPath))
	})
}

// restore checks the state that a restore names.
func (v *verifier) restore(ctx context.Context, e *Entry) error {
	v.report.Restores++
	m, err := v.log.restoreManifest(ctx, e)
	if err == nil {
		err = v.check(ctx, m)
	}
	if !errors.Is(err, snapshot.ErrDamaged) {
		return err
	}
	// The state of a restore goes after its entry.
	if gone, err := v.gone(ctx, Key(e.Epoch, e.Position)); err != nil || gone {
		return err
	}
	v.problem(&DamageError{string(e.Restore.Folder), err})
	return nil
}

// compare makes sure that the snapshots of the place behind an entry are of this chain.
func (v *verifier) compare(e *Entry) {
	for _, m := range v.manifests {
		switch at := e.after(); {
		case m.At.Next != at.Next || m.At == at:
		case m.At.Hash != at.Hash:
			v.problem(fmt.Errorf("%w: %s is not of this history: the entry at position %d has another hash", snapshot.ErrDamaged, m.Key(), e.Position))
		default:
			v.problem(fmt.Errorf("%w: %s says that it is of %v, the entry there is before %v", snapshot.ErrDamaged, m.Key(), m.At, at))
		}
	}
}
