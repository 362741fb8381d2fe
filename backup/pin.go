package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// ErrPinned: a pin keeps the backup.
var ErrPinned = errors.New("the backup is pinned")

// PinInfo is what a pin says of itself.
type PinInfo struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Made   time.Time `json:"made"`
	// Expires is from when on it keeps nothing any more; zero is never.
	Expires time.Time `json:"expires,omitzero"`
}

func pinInfoOf(p *snapshot.Pin) *PinInfo { return &PinInfo{p.Reason, p.By, p.Made, p.Expires} }

// Pin keeps the backup of a name from being removed, by hand or by itself, until it
// expires (zero: never) or is unpinned. With a snapshot it keeps that one under the name
// instead, from which it can then be staged as from a backup: it costs no copy. Errors
// match ErrNotExist if there is nothing to be kept, or ErrExists if the name is pinned,
// or that of a backup.
func (b *Backups) Pin(ctx context.Context, pin snapshot.Pin) error {
	if len(pin.Reason) > maxReason {
		return fmt.Errorf("%w: pin %q: its reason has %d bytes, %d are allowed", storage.ErrInvalidArgument, pin.Name, len(pin.Reason), maxReason)
	}
	if err := checkName(pin.Name); err != nil {
		return err
	}
	pin.Made = time.Now().UTC().Truncate(time.Millisecond)
	if err := checkExpires(pin.Expires, pin.Made); err != nil {
		return fmt.Errorf("%w: pin %q: %w", storage.ErrInvalidArgument, pin.Name, err)
	}
	pin.Expires = pin.Expires.UTC().Truncate(time.Millisecond)
	f, err := b.folder(ctx, pin.Name)
	switch {
	case err != nil:
		return fmt.Errorf("pin %q: %w", pin.Name, err)
	case pin.Snapshot != "" && (f.whole() || len(f.parts) > 0):
		return fmt.Errorf("%w: %q is a backup's; choose another for the snapshot", ErrExists, pin.Name)
	case pin.Snapshot == "" && !f.whole():
		return fmt.Errorf("%w: %q in %s", ErrNotExist, pin.Name, b.bucket.Name())
	}
	if err := snapshot.WritePin(ctx, b.bucket, pin); errors.Is(err, bucket.ErrExists) {
		return fmt.Errorf("%w: %q is pinned already; unpin it first", ErrExists, pin.Name)
	} else if err != nil {
		return fmt.Errorf("pin %q: %w", pin.Name, err)
	}
	if _, err := b.manifest(ctx, pin.Name); err != nil { // it may have gone meanwhile
		return errors.Join(err, snapshot.RemovePin(ctx, b.bucket, pin.Name))
	}
	return nil
}

// Unpin takes the pin of a name away. The error matches ErrNotExist if there is none.
func (b *Backups) Unpin(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if _, err := snapshot.ReadPin(ctx, b.bucket, name); errors.Is(err, bucket.ErrNotExist) {
		return fmt.Errorf("%w: %q is not pinned", ErrNotExist, name)
	} else if err != nil {
		return fmt.Errorf("unpin %q: %w", name, err)
	}
	return snapshot.RemovePin(ctx, b.bucket, name)
}

// pinned is the pin that keeps a backup, nil if none does.
func (b *Backups) pinned(ctx context.Context, name string) (*snapshot.Pin, error) {
	pin, err := snapshot.ReadPin(ctx, b.bucket, name)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case pin.Expired(time.Now()):
		return nil, nil
	}
	return pin, nil
}

// pinnedSnapshot reads the manifest of the snapshot that is kept under a name. The error
// matches bucket.ErrNotExist if there is none.
func (b *Backups) pinnedSnapshot(ctx context.Context, name string) (*snapshot.Manifest, error) {
	pin, err := snapshot.ReadPin(ctx, b.bucket, name)
	if err != nil {
		return nil, err
	}
	return b.snapshotOf(ctx, pin)
}

// snapshotOf reads the manifest of the snapshot that a pin keeps.
func (b *Backups) snapshotOf(ctx context.Context, pin *snapshot.Pin) (*snapshot.Manifest, error) {
	of, err := snapshot.ParseName(pin.Snapshot)
	if err != nil {
		return nil, bucket.ErrNotExist
	}
	return snapshot.ReadIn(ctx, b.bucket, snapshot.FolderOf(of))
}
