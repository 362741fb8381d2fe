package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/build"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// PartBytes is the size of the records at which a part is closed, before
// compression: large enough that a request's latency is small beside the
// transfer, small enough that few are in memory at once.
const PartBytes = 8 << 20

// Source is a state to be written: an immutable view of a durable state. That it
// is durable is the caller's duty: a snapshot of what may be lost would bring it
// back.
type Source struct {
	// Cell is the cell's id, At the point whose state this is.
	Cell string
	At   persistence.Point
	// Base, if not nil, is an older snapshot of the same history that this one goes on
	// from. That it is of the same history is the caller's duty too.
	Base *Manifest
	// Records yields the records that rebuild the state, those that rebuild it from
	// that of Base if there is one. Each is at most packed.MaxRaw/2 bytes, and need not
	// stay as it is once the next is asked for.
	Records iter.Seq2[[]byte, error]
	// Counts, By and Reason go into the manifest; Counts is read after Records
	// came to its end.
	Counts     map[string]int
	By, Reason string
	// Expires goes there too; see Manifest. Not for snapshots.
	Expires time.Time
	// Rest, if more than 0, spares whatever else the process does: parts are sent one
	// after another, and after each bit of work, writing rests so many times as long as it
	// took.
	Rest int
}

// Write makes a snapshot: the parts first, parallel of them at a time, the
// manifest last. If it fails, parts without a manifest stay behind; they mean
// nothing.
func Write(ctx context.Context, b *bucket.Bucket, c *packed.Codec, s Source, parallel int) (*Manifest, error) {
	return WriteIn(ctx, b, c, NewName(s.At).folder(), s, parallel)
}

// WriteIn does what Write does, in a folder of the caller's choice. An error matches
// bucket.ErrExists if the folder has a state already.
func WriteIn(ctx context.Context, b *bucket.Bucket, c *packed.Codec, folder Folder, s Source, parallel int) (*Manifest, error) {
	if s.At.Next == 0 {
		return nil, errors.New("snapshot of a history that has not begun")
	}
	m := &Manifest{Format: formatFull, Cell: s.Cell, Name: folder.name(), At: s.At, Counts: s.Counts, Parts: []Part{}, folder: folder,
		Made: time.Now().UTC().Truncate(time.Millisecond), By: s.By, Reason: s.Reason, Build: build.Details()}
	if !s.Expires.IsZero() {
		m.Format, m.Expires = formatExpiring, s.Expires.UTC().Truncate(time.Millisecond)
	}
	err := m.goOnFrom(s.Base)
	if err == nil {
		err = m.checkParts(folder)
	}
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", folder, err)
	}
	if s.Rest > 0 {
		parallel = 1
	}
	create, late := b.Create, func() error { return nil }
	if mutation.On(mutation.ManifestBeforeParts) {
		create, late = putOff(ctx, b)
	}
	if err := m.writeParts(ctx, create, c, s, parallel); err != nil {
		return nil, fmt.Errorf("write %s: %w", folder, err)
	}
	object, err := checked.Encode(m)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", folder, err)
	}
	if _, err := b.Create(ctx, folder.manifestKey(), object); err != nil {
		return nil, fmt.Errorf("write %s: %w", folder, err)
	}
	m.hash = sha256.Sum256(object)
	return m, late()
}

// creating is what Bucket.Create does.
type creating = func(ctx context.Context, key string, data []byte) (bucket.Version, error)

func (m *Manifest) writeParts(ctx context.Context, create creating, c *packed.Codec, s Source, parallel int) error {
	uploads, ctx := errgroup.WithContext(ctx)
	uploads.SetLimit(max(parallel, 1))
	parts := []*Part{}
	flush := func(raw []byte, count int) {
		i, part := len(m.Parts)+len(parts), &Part{Records: count, RawBytes: len(raw)}
		parts = append(parts, part)
		m.Records += count
		uploads.Go(func() error {
			worked := newWorked(s.Rest)
			var body []byte
			body, part.Compression = c.Pack(raw, 0)
			part.Bytes, part.SHA256 = len(body), sha256.Sum256(body)
			if err := worked.rest(ctx); err != nil {
				return err
			}
			_, err := create(ctx, m.folder.partKey(i), body)
			return err
		})
	}
	var raw []byte
	count := 0
	worked := newWorked(s.Rest)
	for record, err := range s.Records {
		if err == nil && len(record) > packed.MaxRaw/2 {
			err = fmt.Errorf("record of %d bytes, more than the %d allowed", len(record), packed.MaxRaw/2)
		}
		if err == nil {
			err = ctx.Err() // an upload failed, or the caller gave up
		}
		if err == nil {
			err = worked.rest(ctx)
		}
		if err != nil {
			return errors.Join(err, uploads.Wait())
		}
		if count > 0 && len(raw)+packed.RecordSize(len(record)) > PartBytes {
			flush(raw, count)
			raw, count = make([]byte, 0, PartBytes), 0
			worked.begin() // waiting for the parts before is no work
		}
		raw, count = packed.AppendRecord(raw, record), count+1
	}
	if count > 0 {
		flush(raw, count)
	}
	if err := uploads.Wait(); err != nil {
		return err
	}
	for _, part := range parts {
		m.Parts = append(m.Parts, *part)
	}
	return m.checkParts(m.folder)
}
