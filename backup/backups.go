// Package backup keeps whole states under names, stages them for recovery, and reads
// and writes Aurora's backup files.
//
// A backup is a state in a snapshot's format (see package snapshot), in a folder of its
// own, in the cell's bucket or another, which may hold those of many cells:
//
//	backup/<name>/part-00000 …     records, packed; made first
//	backup/<name>/manifest.json    the backup exists once this does; made last
//
// Unlike a snapshot it is no part of the log: no recovery looks at it, and no collection
// of garbage. It is never changed, and a name is never used for two. It goes when it is
// removed: manifest first, so that there is never half a backup to be seen.
//
// Backups with the name that is made from the time are automatic ones. Those alone are
// thinned out.
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

// Info is what a backup says of itself.
type Info struct {
	Name string `json:"name"`
	// Cell is the id of the cell whose state it is.
	Cell        string                        `json:"cell"`
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	Made        time.Time                     `json:"made"`
	By          string                        `json:"by"`
	Reason      string                        `json:"reason"`
	// Automatic ones have their name from the time, and go when newer ones come.
	Automatic bool           `json:"automatic"`
	Bytes     int64          `json:"bytes"`
	Counts    map[string]int `json:"counts"`
}

func infoOf(m *snapshot.Manifest) *Info {
	return &Info{Name: m.Name, Cell: m.Cell, Transaction: m.At.Transaction, Position: m.At.Next - 1, Made: m.Made, By: m.By,
		Reason: m.Reason, Automatic: automatic(m.Name), Bytes: m.Bytes(), Counts: m.Counts}
}

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
	if name == "" {
		name = newAutomaticName(time.Now())
	} else if err := b.checkFree(ctx, name); err != nil {
		return nil, err
	}
	m, err := snapshot.WriteIn(ctx, b.bucket, b.codec, folderOf(name), source, writeParallel)
	if errors.Is(err, bucket.ErrExists) { // another was faster
		return nil, fmt.Errorf("%w: %q: %w", ErrExists, name, err)
	} else if err != nil {
		return nil, fmt.Errorf("make backup %q: %w", name, err)
	}
	return infoOf(m), nil
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

// Get returns one backup. It reads the manifest only. The error matches ErrNotExist,
// ErrInvalidName or ErrDamaged, or checked.ErrNewerFormat.
func (b *Backups) Get(ctx context.Context, name string) (*Info, error) {
	m, err := b.manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	return infoOf(m), nil
}

func (b *Backups) manifest(ctx context.Context, name string) (*snapshot.Manifest, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	m, err := snapshot.ReadIn(ctx, b.bucket, folderOf(name))
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
	if err := snapshot.Load(ctx, b.bucket, b.codec, m, consumer, readParallel); err != nil {
		if _, gone := b.manifest(ctx, name); errors.Is(err, ErrDamaged) && errors.Is(gone, ErrNotExist) {
			return nil, fmt.Errorf("%w: it was removed meanwhile", gone)
		}
		return nil, fmt.Errorf("load backup %q: %w", name, err)
	}
	consumer.Loaded(m.At)
	return infoOf(m), nil
}
