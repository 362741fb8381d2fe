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
	"github.com/scheduler-store/scheduler-store/encryption"
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
	// Key unwraps the cell's data keys; nil where nothing is encrypted. A cell that has no
	// data key gets its first, unless ReadOnly: what is written from then on is encrypted.
	Key *encryption.Keeper
	// Hedge says whether a PUT or GET of an entry that is slow is sent once more.
	Hedge bucket.Hedging
	// Host is what the seals of this process say of where it runs; it is there for people,
	// and may be empty.
	Host   string
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
	object, found, err := l.openCell(ctx)
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
	if err := l.openKeys(ctx, found); err != nil {
		return nil, err
	}
	l.metrics = newMetrics(options.Registerer)
	l.codec.Keys().Register(options.Registerer)
	return l, nil
}

// openKeys opens the data keys, and says what is encrypted from now on.
func (l *Log) openKeys(ctx context.Context, found bool) error {
	logger := l.options.Logger
	keys, made, err := encryption.Open(ctx, l.bucket, l.cell.ID, l.options.Key, false)
	if err == nil && keys.Newest() == 0 && l.options.Key != nil && !l.options.ReadOnly {
		if found {
			err = l.checkKeys(ctx, keys)
		}
		if err == nil {
			keys, made, err = encryption.Open(ctx, l.bucket, l.cell.ID, l.options.Key, true)
		}
	}
	if err != nil {
		return keyDamage(err)
	}
	switch newest := keys.Newest(); {
	case made && found:
		logger.Warn("what is written from now on is encrypted; what is there stays as it is. Processes that run without a key must be started again with one", "key", newest, "keeper", l.options.Key.Name())
	case newest > 0:
		logger.Info("what is written is encrypted", "key", newest, "keeper", l.options.Key.Name())
	case l.options.Key != nil:
		logger.Warn("a key was given, but nothing is encrypted yet: that begins when the store is opened for writing with it", "keeper", l.options.Key.Name())
	}
	l.codec = l.codec.WithKeys(keys)
	return nil
}

// openCell reads cell.json, or makes it; found tells whether it was there.
func (l *Log) openCell(ctx context.Context) (object bucket.Object, found bool, err error) {
	object, err = l.bucket.Get(ctx, cellKey)
	if !errors.Is(err, bucket.ErrNotExist) {
		return object, true, err
	}
	if err := l.refuseOrphans(ctx); err != nil {
		// Another process may have made the cell, and led, since it was found absent.
		again, missing := l.bucket.Get(ctx, cellKey)
		if errors.Is(missing, bucket.ErrNotExist) {
			return object, false, err
		}
		return again, true, missing
	}
	if l.options.ReadOnly {
		return object, false, fmt.Errorf("%w: %s has no %s; check the URL, or make a cell with 'serve' or 'apply'", ErrNoCell, l.bucket.Name(), cellKey)
	}
	data, err := checked.Encode(&Cell{Format: cellFormat, ID: persistence.NewWriterID().String(), Window: Window,
		Made: time.Now().UTC().Truncate(time.Millisecond)})
	if err != nil {
		return object, false, err
	}
	version, err := l.bucket.Create(ctx, cellKey, data)
	if errors.Is(err, bucket.ErrExists) {
		object, err = l.bucket.Get(ctx, cellKey)
		return object, true, err
	}
	return bucket.Object{Data: data, Version: version}, false, err
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

// Codec is what packs the log's records, with the cell's keys; snapshots share it.
func (l *Log) Codec() *packed.Codec { return l.codec }

// origin is the point before the first entry.
func (l *Log) origin() persistence.Point { return persistence.Point{Hash: l.cellHash} }

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

// header reads an entry's header only. Errors match those of read.
func (l *Log) header(ctx context.Context, epoch persistence.Epoch, position persistence.Position) (Header, error) {
	key := Key(epoch, position)
	data, err := l.bucket.GetRange(ctx, key, 0, headerSize)
	if err != nil {
		return Header{}, err
	}
	h, err := decodeHeader(data)
	if errors.Is(err, ErrNewerFormat) {
		return h, fmt.Errorf("%s: %w", key, err)
	}
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
	e, err := decode(ctx, l.codec, object.Data)
	if errors.Is(err, ErrNewerFormat) || errors.Is(err, encryption.ErrLocked) {
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

// batch is the entry's records as a consumer takes them.
func (e *Entry) batch() persistence.Batch {
	return persistence.Batch{Object: Key(e.Epoch, e.Position), Records: e.Records, First: e.First, Position: e.Position,
		Epoch: e.Epoch, Time: e.Time}
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
