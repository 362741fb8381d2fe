package blob

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Reader goes along a cell's history and hands what it finds to a consumer: from
// the newest snapshot, entry by entry, through the seals from epoch to epoch. It
// may go on for ever as a follower, and become the leader at the end.
//
// A Reader is for one goroutine at a time.
type Reader struct {
	log      *Log
	consumer persistence.Consumer
	fetch    *fetcher

	begun bool
	at    persistence.Point
	// base is the manifest in hand: the newest that was found to be on this
	// reader's own chain. nil while there was none.
	base *snapshot.Name
	// trail holds the entries from position trailFrom on, up to the one before at: the
	// part of the chain that a newer manifest is compared with.
	trailFrom persistence.Position
	trail     []passed
	bytes     int64 // of all that was read of the log, or written to it
	backlog   atomic.Pointer[Backlog]
	// bad are the snapshots that were found damaged.
	bad map[snapshot.Name]error

	report     func(Progress)
	progress   Progress
	recovering bool      // progress is being made
	since      time.Time // when that began

	// stretch is what Past reads; nil for a reader that goes to the end.
	stretch *stretch

	// prepared is the sure end that Prepare has read to; zero if none is.
	prepared persistence.Point
	// reached is when CatchUp last came to where no entry was.
	reached time.Time
}

// passed is an entry that a reader has passed: its hash, and what bytes was then.
type passed struct {
	hash  persistence.Hash
	bytes int64
}

// Backlog is the log behind the manifest in hand: what a recovery must read besides
// that snapshot. A state that was restored counts with its bytes.
type Backlog struct {
	Entries int
	Bytes   int64
}

// NewReader returns a reader at the beginning. Nothing is read before it is told to.
func (l *Log) NewReader(consumer persistence.Consumer) *Reader {
	return &Reader{log: l, consumer: consumer, fetch: newFetcher(l, consumer, l.options.Prefetch, 8*l.options.Prefetch), bad: map[snapshot.Name]error{}}
}

// At is the point up to which everything is applied.
func (r *Reader) At() persistence.Point { return r.at }

// Reached is when CatchUp, or Lead, last came to where no entry was, before it made
// sure that this was the end.
func (r *Reader) Reached() time.Time { return r.reached }

// errEnd is what next says where no entry is, before anybody made sure that this
// is the end.
var errEnd = errors.New("no entry here")

// errBeginAgain says that the history has gone on from a newer snapshot, off this
// reader's chain: what it stands before may have been collected.
var errBeginAgain = errors.New("begin again from a newer snapshot")

// CatchUp reads on to the end of the log and makes sure that it is the end. Errors
// match ErrDamaged where an object is missing or wrong.
func (r *Reader) CatchUp(ctx context.Context) error {
	defer r.fetch.drop()
	if r.begun {
		r.startProgress()
	}
	for {
		err := r.toEnd(ctx)
		if err == nil {
			r.reached = time.Now()
			err = r.confirmEnd(ctx, nil)
		}
		switch {
		case errors.Is(err, errBeginAgain):
			r.begun = false
		case errors.Is(err, errThere):
		default:
			return err
		}
	}
}

// toEnd begins where that is to be done, and reads on until no entry is there.
func (r *Reader) toEnd(ctx context.Context) error {
	for {
		if err := r.step(ctx); errors.Is(err, errEnd) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// step begins where that is to be done, and reads and applies one entry. It says
// errEnd where none is.
func (r *Reader) step(ctx context.Context) error {
	if !r.begun {
		if err := r.begin(ctx); err != nil {
			return err
		}
	}
	if r.stretch != nil && r.stretch.until.reached(r.at) {
		return errBound
	}
	err := r.next(ctx)
	if errors.Is(err, errEnd) {
		r.endProgress()
	}
	return err
}

// next reads and applies one entry. It says errEnd where none is.
func (r *Reader) next(ctx context.Context) error {
	got := r.fetch.get(ctx, r.at.Epoch, r.at.Next)
	r.noteLag(&got)
	if got.missing() {
		return errEnd
	}
	if got.err == nil {
		if err := got.entry.checkChain(r.at); err != nil {
			got.err = &DamageError{Key(r.at.Epoch, r.at.Next), err}
		}
	}
	if errors.Is(got.err, ErrDamaged) {
		r.fetch.drop()
		err := r.confirmEnd(ctx, got.err)
		if r.stretch != nil && errors.Is(err, errBeginAgain) {
			r.stretch.fault = got.err
		}
		return err
	}
	if got.err != nil {
		return got.err
	}
	e := got.entry
	if r.stretch != nil {
		if err := r.within(e); err != nil {
			return err
		}
	}
	if err := r.apply(ctx, e, got.apply); err != nil {
		return err
	}
	r.advance(e.after(), e.Size())
	r.consumer.Loaded(r.at)
	r.log.metrics.entriesRead.Inc()
	r.log.metrics.recordsRead.Add(float64(e.Count))
	r.noteLag(nil)
	r.noteProgress(e)
	return nil
}

// apply does to the state what an entry says. prepared is that of its records.
func (r *Reader) apply(ctx context.Context, e *Entry, prepared func() error) error {
	switch e.Kind {
	case KindSeal:
		return r.checkBeyondSeal(ctx, e)
	case KindRestore:
		return r.restore(ctx, e)
	}
	if err := prepared(); err != nil {
		r.begun = false // the state may hold half of it
		return fmt.Errorf("%w: %s: %w", ErrReplay, Key(e.Epoch, e.Position), err)
	}
	return nil
}

// advance notes that everything up to a point is applied, behind an entry of a size.
func (r *Reader) advance(after persistence.Point, size int64) {
	r.at = after
	r.bytes += size
	r.trail = append(r.trail, passed{after.Hash, r.bytes})
	r.noteBacklog()
	r.noteAt()
}

// noteAt tells the metrics where the reader stands.
func (r *Reader) noteAt() {
	r.log.metrics.position.Set(float64(r.at.Next) - 1)
	r.log.metrics.transaction.Set(float64(r.at.Transaction))
}

// begin loads the newest snapshot that can be read, or starts at the origin. A
// damaged one is reported and the next older one used; whether the log still
// reaches from there to the newest is found out at the end.
func (r *Reader) begin(ctx context.Context) error {
	r.fetch.drop()
	r.fetch.sure = r.log.durable(ctx)
	if r.stretch != nil && r.stretch.until.Position != nil {
		r.fetch.sure = min(r.fetch.sure, *r.stretch.until.Position+1)
	}
	names, err := r.log.snapshots(ctx, nil)
	if err != nil {
		return err
	}
	for i := len(names) - 1; i >= 0; i-- {
		if r.bad[names[i]] != nil {
			continue
		}
		err := r.load(ctx, names[i])
		if err == nil {
			return nil
		}
		if errors.Is(err, errTooNew) {
			continue
		}
		if !errors.Is(err, snapshot.ErrDamaged) {
			return err
		}
		r.bad[names[i]] = err
		r.log.metrics.damaged.Inc()
		r.log.options.Logger.Error("snapshot is damaged, using an older state and the log after it", "snapshot", names[i].String(), "error", err)
	}
	if err := r.consumer.Reset(r.log.origin()); err != nil {
		return err
	}
	r.start(r.log.origin(), nil)
	return nil
}

// loadParallel is the number of a state's parts that are read at once.
const loadParallel = 4

// errTooNew says that a snapshot has more than is to be read.
var errTooNew = errors.New("snapshot is newer than what is wanted")

func (r *Reader) load(ctx context.Context, name snapshot.Name) error {
	if r.stretch != nil && r.stretch.from.before(name) {
		return errTooNew
	}
	m, err := snapshot.Read(ctx, r.log.bucket, r.log.cell.ID, name)
	if err != nil {
		return err
	}
	if r.stretch != nil && !r.stretch.from.covers(m) {
		return errTooNew
	}
	if err := r.consumer.Reset(m.At); err != nil {
		return err
	}
	if err := snapshot.Load(ctx, r.log.bucket, r.log.codec, m, r.consumer, loadParallel); err != nil {
		return err
	}
	r.start(m.At, &name)
	return nil
}

// start puts the reader at a point, with all that comes before it applied.
func (r *Reader) start(at persistence.Point, base *snapshot.Name) {
	r.begun, r.base, r.at = true, base, at
	r.trail, r.trailFrom, r.bytes = r.trail[:0], at.Next, 0
	if base != nil {
		r.trail, r.trailFrom = append(r.trail, passed{hash: at.Hash}), at.Next-1
	}
	if r.stretch != nil {
		r.stretch.epoch = at.Epoch
	}
	r.noteBacklog()
	r.noteAt()
	r.consumer.Loaded(at)
	r.startProgress()
}

// noteBacklog tells others what lies behind the manifest in hand.
func (r *Reader) noteBacklog() {
	b := &Backlog{Entries: int(r.at.Next - r.trailFrom), Bytes: r.bytes}
	if r.base != nil { // whose last entry begins the trail
		b.Entries, b.Bytes = b.Entries-1, r.bytes-r.trail[0].bytes
	}
	r.backlog.Store(b)
}

// IsNewerFormat tells whether an error came from an object of a newer version of
// this program.
func IsNewerFormat(err error) bool {
	return errors.Is(err, ErrNewerFormat) || errors.Is(err, checked.ErrNewerFormat)
}
