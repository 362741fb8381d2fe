// Package backup keeps whole states under names, stages them for recovery, and reads
// and writes Aurora's backup files.
//
// A backup is a state in a snapshot's format (see package snapshot), in a folder of its
// own, in the cell's bucket or another, which may hold those of many cells:
//
//	backup/<name>/key-…            the data key, wrapped, if it is encrypted; made first
//	backup/<name>/part-00000 …     records, packed
//	backup/<name>/manifest.json    the backup exists once this does; made last
//
// Unlike a snapshot it is no part of the log: no recovery looks at it, and no collection
// of garbage. It is never changed, and a name is never used for two. It goes when it is
// removed: manifest first, so that there is never half a backup to be seen.
//
// Backups with the name that is made from the time are automatic ones. Those alone are
// thinned out. Any may have a time from when on it is not wanted any more; then it goes
// when others are thinned out, or garbage is collected.
//
// A snapshot that is pinned under a name is listed, read and staged like a backup of that
// name.
package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// What errors match.
var (
	ErrNotExist = errors.New("there is no such backup")
	// ErrExists: the name can't be used, as there is a backup of that name, or parts of
	// one that is being made or was not finished.
	ErrExists      = errors.New("the backup's name is taken")
	ErrInvalidName = errors.New("not a backup's name")
	// ErrDamaged: an object of a backup is missing or wrong. The error names it.
	ErrDamaged = snapshot.ErrDamaged
)

// How many objects are written and read at once.
const (
	writeParallel = 2
	readParallel  = 4
	listParallel  = 8
)

// Kind tells what lies under a name.
type Kind string

// The kinds.
const (
	KindBackup   Kind = "backup"
	KindSnapshot Kind = "snapshot" // that is pinned under the name
)

// Info is what a backup says of itself.
type Info struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Snapshot is the one that is pinned under the name.
	Snapshot string `json:"snapshot,omitzero"`
	// Cell is the id of the cell whose state it is.
	Cell        string                        `json:"cell"`
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	Made        time.Time                     `json:"made"`
	By          string                        `json:"by"`
	Reason      string                        `json:"reason"`
	// Automatic ones have their name from the time, and go when newer ones come.
	Automatic bool `json:"automatic"`
	// Expires is from when on it goes by itself unless it is pinned; zero is never.
	Expires time.Time      `json:"expires,omitzero"`
	Bytes   int64          `json:"bytes"`
	Counts  map[string]int `json:"counts"`
	// Pin is the pin of the name, expired or not, if there is one. Only List and Get
	// look for it.
	Pin *PinInfo `json:"pin,omitzero"`
}

// infoOf describes what lies under a name.
func infoOf(name string, m *snapshot.Manifest) *Info {
	info := &Info{Name: name, Kind: KindBackup, Cell: m.Cell, Transaction: m.At.Transaction, Position: m.At.Next - 1, Made: m.Made, By: m.By,
		Reason: m.Reason, Expires: m.Expires, Bytes: m.Bytes(), Counts: m.Counts}
	if m.Folder() != folderOf(name) {
		info.Kind, info.Snapshot = KindSnapshot, m.Name
	}
	info.Automatic = info.Kind == KindBackup && automatic(name)
	return info
}

// Expired tells whether the backup goes by itself unless it is pinned.
func (i *Info) Expired(now time.Time) bool { return !i.Expires.IsZero() && !now.Before(i.Expires) }

// Backups are the backups in a bucket. Its methods may be called by many goroutines.
type Backups struct {
	bucket *bucket.Bucket
	codec  *packed.Codec
}

// New returns the backups in b.
func New(b *bucket.Bucket, c *packed.Codec) *Backups { return &Backups{b, c} }

// maxReason bounds what is said of a backup, in bytes: lists have it whole.
const maxReason = 1024

// Create makes a backup of a state. An empty name means one made from the time, which
// makes it an automatic one. If the error matches ErrExists or ErrInvalidName no backup
// was made. After any other, List tells: if the answer to writing the manifest was lost,
// the backup may be there. Parts that stay behind mean nothing; Thin removes them.
func (b *Backups) Create(ctx context.Context, name string, source snapshot.Source) (*Info, error) {
	if len(source.Reason) > maxReason {
		return nil, fmt.Errorf("%w: make backup %q: its reason has %d bytes, %d are allowed", storage.ErrInvalidArgument, name, len(source.Reason), maxReason)
	}
	if err := checkExpires(source.Expires, time.Now()); err != nil {
		return nil, fmt.Errorf("%w: make backup %q: %w", storage.ErrInvalidArgument, name, err)
	}
	if name == "" {
		name = newAutomaticName(time.Now())
	} else if err := b.checkFree(ctx, name); err != nil {
		return nil, err
	}
	codec, err := b.carry(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("make backup %q: %w", name, err)
	}
	m, err := snapshot.WriteIn(ctx, b.bucket, codec, folderOf(name), source, writeParallel)
	if errors.Is(err, bucket.ErrExists) { // another was faster
		return nil, fmt.Errorf("%w: %q: %w", ErrExists, name, err)
	} else if err != nil {
		return nil, fmt.Errorf("make backup %q: %w", name, err)
	}
	return infoOf(name, m), nil
}

// carry puts the data key, wrapped, beside a backup that is to be encrypted, and returns
// what packs its parts with no other key.
func (b *Backups) carry(ctx context.Context, name string) (*packed.Codec, error) {
	if b.codec.Keys() == nil {
		return b.codec, nil
	}
	keys, err := b.codec.Keys().Carry(ctx, b.bucket, string(folderOf(name)))
	if err != nil {
		return nil, err
	}
	return b.codec.WithKeys(keys), nil
}

// carried returns what unpacks a backup's parts.
func (b *Backups) carried(m *snapshot.Manifest) *packed.Codec {
	if b.codec.Keys() == nil {
		return b.codec
	}
	return b.codec.WithKeys(b.codec.Keys().Carried(b.bucket, string(m.Folder()), m.Cell))
}

// checkFree makes sure that a name may be used. Parts that were left behind under it
// are never used again: Thin might be about to remove them.
func (b *Backups) checkFree(ctx context.Context, name string) error {
	if err := checkNewName(name); err != nil {
		return err
	}
	f, err := b.folder(ctx, name)
	switch {
	case err != nil:
		return fmt.Errorf("make backup %q: %w", name, err)
	case f.whole():
		return fmt.Errorf("%w: %q", ErrExists, name)
	case len(f.parts) > 0:
		return fmt.Errorf("%w: parts of %q are there without a manifest: it is being made, or was not finished; choose another name", ErrExists, name)
	}
	return nil
}

// Get returns one backup. It reads the manifest and the pin only. The error matches ErrNotExist,
// ErrInvalidName or ErrDamaged, or checked.ErrNewerFormat.
func (b *Backups) Get(ctx context.Context, name string) (*Info, error) {
	m, err := b.manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	info := infoOf(name, m)
	pin, err := snapshot.ReadPin(ctx, b.bucket, name)
	switch {
	case err == nil:
		info.Pin = pinInfoOf(pin)
	case !errors.Is(err, bucket.ErrNotExist):
		return nil, err
	}
	return info, nil
}

func (b *Backups) manifest(ctx context.Context, name string) (*snapshot.Manifest, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	m, err := snapshot.ReadIn(ctx, b.bucket, folderOf(name))
	if errors.Is(err, bucket.ErrNotExist) {
		m, err = b.pinnedSnapshot(ctx, name)
	}
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q in %s", ErrNotExist, name, b.bucket.Name())
	}
	return m, err
}

// Load hands a backup's records to a consumer, every bit checked: it resets it, and
// tells it when the state is whole. Errors match ErrNotExist, ErrInvalidName, ErrDamaged,
// checked.ErrNewerFormat, or persistence.ErrReplay where the consumer refuses a record;
// then what the consumer holds is of no use.
func (b *Backups) Load(ctx context.Context, name string, consumer persistence.Consumer) (*Info, error) {
	m, err := b.manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := consumer.Reset(m.At); err != nil {
		return nil, err
	}
	if err := snapshot.Load(ctx, b.bucket, b.carried(m), m, consumer, readParallel); err != nil {
		if _, gone := b.manifest(ctx, name); errors.Is(err, ErrDamaged) && errors.Is(gone, ErrNotExist) {
			return nil, fmt.Errorf("%w: it was removed meanwhile", gone)
		}
		return nil, fmt.Errorf("load backup %q: %w", name, err)
	}
	consumer.Loaded(m.At)
	return infoOf(name, m), nil
}
