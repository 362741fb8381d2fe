package blob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// CollectedError says that a past state can't be had any more. It matches ErrCollected.
type CollectedError struct {
	Wanted Until
	// Missing is the first entry that is no longer there.
	Missing persistence.Position
	// Snapshot is the first one from there on: before its state, as of the point Oldest,
	// and made at that time, nothing can be had that needs the missing entry.
	Snapshot snapshot.Name
	Oldest   persistence.Point
	Made     time.Time
}

func (e *CollectedError) Error() string {
	return fmt.Sprintf("the state as of %v: %v: the entry at position %d was collected; the oldest state after it that can be had is as of position %d, transaction %d, in snapshot %s made %s",
		e.Wanted, ErrCollected, e.Missing, e.Oldest.Next-1, e.Oldest.Transaction, e.Snapshot, e.Made.UTC().Format(time.RFC3339))
}

// Is makes the error match ErrCollected.
func (e *CollectedError) Is(target error) bool { return target == ErrCollected }

// Observer is a consumer that is told of each entry of the log, seals too, just before
// it is applied.
type Observer interface {
	persistence.Consumer
	Entry(e *Entry)
}

// Past recovers the state as of a place in the history, with no request that writes: it
// begins at the newest snapshot at or before it, or at an older one if that is damaged.
// It returns the point that the state belongs to. If a transaction is not the last of
// its entry, that is the point before the entry but for the transaction's number:
// nobody can go on from there.
//
// A state whose end is the end of the log is made sure of like any recovery's. Errors
// match ErrNotYet if the log ends before the place, ErrCollected (a *CollectedError) if
// what is needed is no longer there, and ErrDamaged if it is missing or wrong.
//
// It has a reader of its own: others of this log are not disturbed. report may be nil.
func (l *Log) Past(ctx context.Context, consumer persistence.Consumer, until Until, report func(Progress)) (persistence.Point, error) {
	return l.Between(ctx, consumer, until, until, report)
}

// Between is Past, but begins at the newest snapshot at or before a place of its own,
// which is no later: so the consumer, which may be an Observer, sees all that happened
// from there on.
func (l *Log) Between(ctx context.Context, consumer persistence.Consumer, from, until Until, report func(Progress)) (persistence.Point, error) {
	if err := errors.Join(from.check(), until.check()); err != nil {
		return persistence.Point{}, err
	}
	quiet := *l
	quiet.metrics = newMetrics(nil) // those of the log say where its own reader is
	r := quiet.NewReader(consumer)
	r.stretch = &stretch{from: from, until: until}
	r.report = report
	defer r.fetch.drop()
	err := r.toBound(ctx)
	return r.at, err
}

// stretch is the part of the history that a reader is to read.
type stretch struct {
	from, until Until
	epoch       persistence.Epoch // in which it began
	fault       error             // what is wrong with the entry before which it began again
}

// errBound says that the reader has come to where it is to end.
var errBound = errors.New("come to the end of the stretch")

// toBound reads a stretch. Where the reader finds that the history may have gone on
// without what it stands before, it begins again, once: there may be a newer snapshot to
// begin from, or the entry has come meanwhile.
func (r *Reader) toBound(ctx context.Context) error {
	var again *persistence.Position // before which it began again
	for {
		err := r.toEnd(ctx)
		if err == nil {
			r.stretch.fault = nil
			if err = r.confirmEnd(ctx, nil); err == nil {
				return r.ended()
			}
		}
		if errors.Is(err, errBound) {
			if err = r.checkSeals(ctx); err == nil {
				r.endProgress()
				return nil
			}
		}
		switch {
		case errors.Is(err, errThere):
		case !errors.Is(err, errBeginAgain):
			return err
		case again != nil && *again == r.at.Next:
			return r.collected(ctx)
		default:
			at := r.at.Next
			again, r.begun = &at, false
		}
	}
}

// ended is what to say at the end of the log.
func (r *Reader) ended() error {
	if u := r.stretch.until; u.Position != nil || u.Transaction != nil {
		return fmt.Errorf("%v is %w: it ends with position %d, transaction %d", u, ErrNotYet, int64(r.at.Next)-1, r.at.Transaction)
	}
	return nil
}

// within makes sure that an entry belongs to the stretch. Of one that does only in part,
// it applies that part, and says errBound.
func (r *Reader) within(e *Entry) error {
	u := r.stretch.until
	if !u.Time.IsZero() && e.Time.After(u.Time) {
		return errBound
	}
	if o, ok := r.consumer.(Observer); ok {
		o.Entry(e)
	}
	if u.Transaction == nil || e.after().Transaction <= *u.Transaction {
		return nil
	}
	batch := e.batch()
	batch.Records = batch.Records[:*u.Transaction+1-e.First]
	apply, err := r.consumer.Prepare(batch)
	if err == nil {
		err = apply()
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrReplay, batch.Object, err)
	}
	r.at.Transaction = *u.Transaction
	r.consumer.Loaded(r.at)
	return errBound
}

// checkSeals makes sure that none of the seals that were crossed is void: one that fell
// on a key that had been collected (protocol §6.3). Its writer never led, so the epoch
// that it ends went on: the next snapshot is of that epoch, or, where it was sealed
// later, that seal was found when the void one was crossed.
func (r *Reader) checkSeals(ctx context.Context) error {
	if r.at.Epoch == r.stretch.epoch {
		return nil
	}
	names, err := r.log.snapshots(ctx, r.base)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name.Position < r.at.Next {
			if !r.fits(name) {
				return errBeginAgain
			}
			continue
		}
		m, err := snapshot.Read(ctx, r.log.bucket, r.log.cell.ID, name)
		if errors.Is(err, snapshot.ErrDamaged) {
			continue // a later one says as much
		} else if err != nil {
			return err
		}
		if m.At.Epoch < r.at.Epoch {
			return errBeginAgain
		}
		return nil
	}
	return nil
}

// collected says why the entry that the reader stands before is not to be had.
func (r *Reader) collected(ctx context.Context) error {
	names, err := r.log.snapshots(ctx, nil)
	if err != nil {
		return err
	}
	for name, bad := range r.bad {
		if slices.Contains(names, name) { // else it was collected while it was read
			return &DamageError{name.ManifestKey(), fmt.Errorf("%w, and the log from %v does not reach %v", bad, r.at, r.stretch.until)}
		}
	}
	if r.stretch.fault != nil {
		return r.stretch.fault
	}
	for _, name := range names {
		if r.base != nil && name.Compare(*r.base) <= 0 || name.Position < r.at.Next && r.fits(name) {
			continue
		}
		m, err := snapshot.Read(ctx, r.log.bucket, r.log.cell.ID, name)
		if errors.Is(err, snapshot.ErrDamaged) {
			continue
		} else if err != nil {
			return err
		}
		return &CollectedError{Wanted: r.stretch.until, Missing: r.at.Next, Snapshot: name, Oldest: m.At, Made: m.Made}
	}
	return &DamageError{Key(r.at.Epoch, r.at.Next), errors.New("missing, but the history went on from there")}
}
