package blob

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Restore is the one record of an entry of KindRestore, a transaction that replaces
// the whole state: whoever comes to it drops what it has and loads the state that is
// named here (protocol §8). That state was written before, in a folder where recovery
// does not look; it counts for nothing until the entry is durable.
type Restore struct {
	Format int `json:"format"`
	// Folder is where the state lies. Its name, which is like a snapshot's, says
	// which entry comes before this one.
	Folder snapshot.Folder `json:"folder"`
	// Manifest is the SHA-256 of the state's manifest, which vouches for all of it:
	// so the chain covers the restored state too.
	Manifest persistence.Hash `json:"manifest"`
	Reason   string           `json:"reason"`
}

const restoreFormat = 1

// RestoreFolder returns a fresh folder for a state that is to be restored at a point.
func RestoreFolder(at persistence.Point) snapshot.Folder {
	return snapshot.Folder(restorePrefix + snapshot.NewName(at).String())
}

func decodeRestore(h *Header, raw []byte) (*Restore, error) {
	if h.Count != 1 {
		return nil, fmt.Errorf("restore with %d transactions, want one", h.Count)
	}
	records, err := packed.Records(raw, 1)
	if err != nil {
		return nil, err
	}
	r := new(Restore)
	if err := checked.Decode(records[0], restoreFormat, r); errors.Is(err, checked.ErrNewerFormat) {
		return nil, fmt.Errorf("%w: restore: %w", ErrNewerFormat, err)
	} else if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return r, r.check(h)
}

// check makes sure that the state was written for this place in this history.
func (r *Restore) check(h *Header) error {
	text, ok := strings.CutPrefix(string(r.Folder), restorePrefix)
	name, err := snapshot.ParseName(text)
	switch {
	case !ok || err != nil:
		return fmt.Errorf("restore names %q, which is no folder of a restore", r.Folder)
	case name.Position+1 != h.Position || !name.Fits(h.Prev):
		return fmt.Errorf("restore at position %d, after the entry %s, names %s, which is of another place", h.Position, h.Prev, r.Folder)
	}
	return nil
}

// errRestoring is why a writer takes no more records while a restore is on its way.
var errRestoring = errors.New("the state is being restored")

// Restore hands over, as the writer's last record, the restore of a state that has
// been written whole in a RestoreFolder, at the point behind all records that were
// handed over before. It takes no more records from here on. When the restore is
// durable the writer ends with ErrRestored. For done, the number and the error it is
// like Append.
func (w *Writer) Restore(m *snapshot.Manifest, done func(persistence.Ack, error)) (persistence.TransactionNumber, error) {
	r := &Restore{Format: restoreFormat, Folder: m.Folder(), Manifest: m.Hash(), Reason: m.Reason}
	record, err := checked.Encode(r)
	if err == nil && len(record) > w.log.options.MaxRecordBytes {
		err = fmt.Errorf("%w: %d bytes, %d are allowed; give a shorter reason", ErrTooLarge, len(record), w.log.options.MaxRecordBytes)
	}
	if err != nil {
		return 0, &commitError{persistence.ErrNotCommitted, err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended != nil || w.closing:
		return 0, &commitError{persistence.ErrNotCommitted, w.reason()}
	case w.last != m.At.Transaction:
		return 0, &commitError{persistence.ErrNotCommitted, fmt.Errorf("the state to be restored is of transaction %d, the last one is %d", m.At.Transaction, w.last)}
	}
	w.closing, w.restoring = true, true
	return w.enqueue(pending{record: record, done: done, since: time.Now(), restore: r}), nil
}

// restore makes the state that a restore entry names the consumer's. If that is not
// whole nobody can go on from here, unless a newer snapshot covers it.
func (r *Reader) restore(ctx context.Context, e *Entry) error {
	err := r.loadRestore(ctx, e)
	if errors.Is(err, snapshot.ErrDamaged) {
		err = r.loadRestore(ctx, e) // a bit may have flipped on the way
	}
	if !errors.Is(err, snapshot.ErrDamaged) {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	r.log.metrics.damaged.Inc()
	return &DamageError{string(e.Restore.Folder), err}
}

func (r *Reader) loadRestore(ctx context.Context, e *Entry) error {
	m, err := r.log.restoreManifest(ctx, e)
	if err != nil {
		return err
	}
	r.begun = false // until all of it is there, the state is none of the history
	if err := r.consumer.Reset(e.after()); err != nil {
		return err
	}
	if err := snapshot.Load(ctx, r.log.bucket, r.log.codec, m, r.consumer, loadParallel); err != nil {
		return err
	}
	r.begun = true
	if r.stretch != nil {
		return nil // it was long ago
	}
	r.bytes += m.Bytes()
	r.log.options.Logger.Info("the state was restored", "transaction", e.First, "folder", string(e.Restore.Folder), "reason", e.Restore.Reason)
	return nil
}

// restoreManifest reads the manifest that a restore names. Errors match
// snapshot.ErrDamaged when it is gone or is not the one that was named.
func (l *Log) restoreManifest(ctx context.Context, e *Entry) (*snapshot.Manifest, error) {
	m, err := snapshot.ReadIn(ctx, l.bucket, e.Restore.Folder)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", snapshot.ErrDamaged, err)
	case err != nil:
		return nil, err
	case m.Hash() != e.Restore.Manifest:
		return nil, fmt.Errorf("%w: the manifest in %s has SHA-256 %s, %s names %s", snapshot.ErrDamaged, e.Restore.Folder,
			m.Hash(), Key(e.Epoch, e.Position), e.Restore.Manifest)
	}
	return m, nil
}
