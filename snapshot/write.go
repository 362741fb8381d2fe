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
	// Records yields the records that rebuild the state. Each is at most
	// packed.MaxRaw/2 bytes.
	Records iter.Seq2[[]byte, error]
	// Counts, By and Reason go into the manifest; Counts is read after Records
	// came to its end.
	Counts     map[string]int
	By, Reason string
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
	m := &Manifest{Format: format, Cell: s.Cell, Name: folder.name(), At: s.At, Counts: s.Counts, folder: folder,
		Made: time.Now().UTC().Truncate(time.Millisecond), By: s.By, Reason: s.Reason, Build: build.Details()}
	if err := m.writeParts(ctx, b, c, s.Records, parallel); err != nil {
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
	return m, nil
}

func (m *Manifest) writeParts(ctx context.Context, b *bucket.Bucket, c *packed.Codec, records iter.Seq2[[]byte, error], parallel int) error {
	uploads, ctx := errgroup.WithContext(ctx)
	uploads.SetLimit(max(parallel, 1))
	parts := []*Part{}
	flush := func(raw []byte, count int) {
		i, part := len(parts), &Part{Records: count, RawBytes: len(raw)}
		parts = append(parts, part)
		m.Records += count
		uploads.Go(func() error {
			var body []byte
			body, part.Compression = c.Pack(raw, 0)
			part.Bytes, part.SHA256 = len(body), sha256.Sum256(body)
			_, err := b.Create(ctx, m.folder.partKey(i), body)
			return err
		})
	}
	var raw []byte
	count := 0
	for record, err := range records {
		if err == nil && len(record) > packed.MaxRaw/2 {
			err = fmt.Errorf("record of %d bytes, more than the %d allowed", len(record), packed.MaxRaw/2)
		}
		if err == nil {
			err = ctx.Err() // an upload failed, or the caller gave up
		}
		if err != nil {
			return errors.Join(err, uploads.Wait())
		}
		if count > 0 && len(raw)+packed.RecordSize(len(record)) > PartBytes {
			flush(raw, count)
			raw, count = make([]byte, 0, PartBytes), 0
		}
		raw, count = packed.AppendRecord(raw, record), count+1
	}
	if count > 0 {
		flush(raw, count)
	}
	if err := uploads.Wait(); err != nil {
		return err
	}
	m.Parts = make([]Part, len(parts))
	for i, part := range parts {
		m.Parts[i] = *part
	}
	return nil
}
