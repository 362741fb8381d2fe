package blob

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Options of a Log. The zero value is good.
type Options struct {
	// ReadOnly opens a cell that exists, with no request that writes.
	ReadOnly bool
	// EntryBytes is the size of the records at which a group is closed while
	// others are on their way, in bytes; default 1 MiB.
	EntryBytes int
	// Linger is how long a record waits for company before its entry is sent, unless
	// that is full; default 0. It saves requests and makes every commit slower.
	Linger time.Duration
	// MaxPutsPerSecond caps the entries that are sent, which bounds what they cost:
	// at S3's list price of $0.005 for 1,000, one a second is $13 a month. Entries then
	// grow up to 8 MiB. Default 0, no cap. Close does not wait for it.
	MaxPutsPerSecond float64
	// MaxRecordBytes bounds one record; default 16 MiB.
	MaxRecordBytes int
	// QueueBytes is what may wait to be sent before WaitRoom makes callers wait;
	// default 32 MiB.
	QueueBytes int
	// Prefetch is the number of requests for entries that a recovery has on their way
	// at once; default 64.
	Prefetch int
	// Hedge says whether a PUT or GET of an entry that is slow is sent once more.
	Hedge  bucket.Hedging
	Logger *slog.Logger
	// Registerer takes the log's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() Options {
	setDefault(&o.EntryBytes, 1<<20)
	o.EntryBytes = min(o.EntryBytes, packed.MaxRaw)
	setDefault(&o.MaxRecordBytes, 16<<20)
	o.MaxRecordBytes = min(o.MaxRecordBytes, packed.MaxRaw/2)
	setDefault(&o.QueueBytes, 32<<20)
	setDefault(&o.Prefetch, 64)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

const cellFormat = 1

// Window is the number of positions that a writer of a new cell may have on
// their way at once. It is written into the cell: the end check of every reader
// rests on it.
const Window = 16

// Cell is what a cell says of itself. It is made once and never changes.
type Cell struct {
	Format int `json:"format"`
	// ID tells cells apart; random.
	ID string `json:"id"`
	// Window is the upload window W, in positions.
	Window int       `json:"window"`
	Made   time.Time `json:"made"`
}

// Log is one cell's log. Its methods may be called by many goroutines.
type Log struct {
	bucket   *bucket.Bucket
	options  Options
	cell     Cell
	cellHash persistence.Hash
	codec    *packed.Codec
	metrics  *metrics
	hedger   *bucket.Hedger // for whole entries
}

// Open opens the log of the cell in b and, unless ReadOnly, makes the cell where
// there is none and makes sure that the store honours conditions. Errors match
// ErrNoCell, checked.ErrNewerFormat, ErrDamaged, or those of package bucket.
func Open(ctx context.Context, b *bucket.Bucket, options Options) (*Log, error) {
	codec, err := packed.NewCodec(runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	l := &Log{bucket: b, options: options.withDefaults(), codec: codec, hedger: bucket.NewHedger(b, options.Hedge)}
	object, err := l.openCell(ctx)
	if err != nil {
		return nil, err
	}
	if err := checked.Decode(object.Data, cellFormat, &l.cell); errors.Is(err, checked.ErrNewerFormat) {
		return nil, fmt.Errorf("%s of %s: %w", cellKey, b.Name(), err)
	} else if err != nil {
		return nil, &DamageError{cellKey, err}
	}
	if l.cell.Window < 1 || l.cell.Window > 1<<16 {
		return nil, &DamageError{cellKey, fmt.Errorf("window is %d", l.cell.Window)}
	}
	l.cellHash = sha256.Sum256(object.Data)
	if !options.ReadOnly {
		if err := b.CheckConditions(ctx, cellKey, object); err != nil {
			return nil, err
		}
	}
	l.metrics = newMetrics(options.Registerer)
	return l, nil
}

func (l *Log) openCell(ctx context.Context) (bucket.Object, error) {
	object, err := l.bucket.Get(ctx, cellKey)
	if !errors.Is(err, bucket.ErrNotExist) {
		return object, err
	}
	if err := l.refuseOrphans(ctx); err != nil {
		return object, err
	}
	if l.options.ReadOnly {
		return object, fmt.Errorf("%w: %s has no %s; check the URL, or make a cell with 'serve' or 'apply'", ErrNoCell, l.bucket.Name(), cellKey)
	}
	data, err := checked.Encode(&Cell{Format: cellFormat, ID: persistence.NewWriterID().String(), Window: Window,
		Made: time.Now().UTC().Truncate(time.Millisecond)})
	if err != nil {
		return object, err
	}
	version, err := l.bucket.Create(ctx, cellKey, data)
	if errors.Is(err, bucket.ErrExists) {
		return l.bucket.Get(ctx, cellKey)
	}
	return bucket.Object{Data: data, Version: version}, err
}

// refuseOrphans keeps a place from being taken for free where a cell has lost its
// cell.json: a new one would hide the data that is still there.
func (l *Log) refuseOrphans(ctx context.Context) error {
	for info, err := range l.bucket.List(ctx, logPrefix, "") {
		if err != nil {
			return err
		}
		return &DamageError{cellKey, fmt.Errorf("missing, but %s is there", info.Key)}
	}
	return nil
}

// Cell is what the cell says of itself.
func (l *Log) Cell() Cell { return l.cell }

// Bucket is the bucket that the log is in.
func (l *Log) Bucket() *bucket.Bucket { return l.bucket }

// Codec is what packs the log's records; snapshots share it.
func (l *Log) Codec() *packed.Codec { return l.codec }

// origin is the point before the first entry.
func (l *Log) origin() persistence.Point { return persistence.Point{Hash: l.cellHash} }

// Get reads one entry, checked by itself only. It takes the entry from the
// newest epoch that has one at the position: the one in the history, unless a
// writer that was deposed left something beyond its seal.
func (l *Log) Get(ctx context.Context, position persistence.Position) (*Entry, string, error) {
	keys, err := l.Keys(ctx)
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(keys, func(k EntryKey) bool { return k.Position == position })
	if i < 0 {
		return nil, "", fmt.Errorf("no entry at position %d: %w", position, bucket.ErrNotExist)
	}
	for j := i + 1; j < len(keys) && keys[j].Position == position; j++ {
		i = j
	}
	key := Key(keys[i].Epoch, position)
	entry, err := l.read(ctx, keys[i].Epoch, position)
	return entry, key, err
}

// EntryKey is where an entry lies, and its size in bytes.
type EntryKey struct {
	Epoch    persistence.Epoch
	Position persistence.Position
	Size     int64
}

// Keys lists the log's objects by position, and at one position by epoch. It
// reads none of them.
func (l *Log) Keys(ctx context.Context) ([]EntryKey, error) {
	var keys []EntryKey
	for info, err := range l.bucket.List(ctx, logPrefix, "") {
		if err != nil {
			return nil, err
		}
		epoch, position, err := parseKey(info.Key)
		if err != nil {
			return nil, &DamageError{info.Key, err}
		}
		keys = append(keys, EntryKey{epoch, position, info.Size})
	}
	slices.SortFunc(keys, func(a, b EntryKey) int {
		if a.Position != b.Position {
			return cmp.Compare(a.Position, b.Position)
		}
		return cmp.Compare(a.Epoch, b.Epoch)
	})
	return keys, nil
}

// Headers reads the headers of the entries with these keys, in their order.
func (l *Log) Headers(ctx context.Context, keys []EntryKey) iter.Seq2[Header, error] {
	return func(yield func(Header, error) bool) {
		for _, k := range keys {
			h, err := l.header(ctx, k.Epoch, k.Position)
			if !yield(h, err) || err != nil {
				return
			}
		}
	}
}

// header reads an entry's header only.
func (l *Log) header(ctx context.Context, epoch persistence.Epoch, position persistence.Position) (Header, error) {
	key := Key(epoch, position)
	data, err := l.bucket.GetRange(ctx, key, 0, headerSize)
	if err != nil {
		return Header{}, err
	}
	h, err := decodeHeader(data)
	if err == nil {
		err = h.checkPlace(epoch, position)
	}
	if err != nil {
		return h, &DamageError{key, err}
	}
	return h, nil
}

// Read reads the entry with a key and checks it by itself. Errors match
// bucket.ErrNotExist when it is not there, ErrNewerFormat, or ErrDamaged.
func (l *Log) Read(ctx context.Context, key EntryKey) (*Entry, error) {
	return l.read(ctx, key.Epoch, key.Position)
}

// read reads one entry and checks it by itself. Errors match bucket.ErrNotExist
// when it is not there, ErrNewerFormat, or ErrDamaged.
func (l *Log) read(ctx context.Context, epoch persistence.Epoch, position persistence.Position) (*Entry, error) {
	key := Key(epoch, position)
	object, err := l.hedger.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	e, err := decode(l.codec, object.Data)
	if errors.Is(err, ErrNewerFormat) {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if err == nil {
		err = e.checkPlace(epoch, position)
	}
	if err != nil {
		return nil, &DamageError{key, err}
	}
	return e, nil
}

// checkPlace makes sure that an entry lies where it says.
func (h *Header) checkPlace(epoch persistence.Epoch, position persistence.Position) error {
	if h.Epoch != epoch || h.Position != position {
		return fmt.Errorf("says that it is epoch %d position %d", h.Epoch, h.Position)
	}
	return nil
}

// checkChain makes sure that an entry goes on from a point.
func (h *Header) checkChain(at persistence.Point) error {
	switch {
	case h.Prev != at.Hash:
		return fmt.Errorf("goes on from an entry with hash %s, but the one before has %s", h.Prev, at.Hash)
	case h.First != at.Transaction+1:
		return fmt.Errorf("begins with transaction %d, want %d", h.First, at.Transaction+1)
	case h.Committed > h.Position:
		return fmt.Errorf("says that %d positions are durable, it can't know of more than %d", h.Committed, h.Position)
	}
	return nil
}

// after is the point behind an entry.
func (e *Entry) after() persistence.Point {
	p := persistence.Point{Epoch: e.Epoch, Next: e.Position + 1,
		Transaction: e.First - 1 + persistence.TransactionNumber(e.Count), Hash: e.Hash}
	if e.Kind == KindSeal {
		p.Epoch = e.NextEpoch
	}
	return p
}
