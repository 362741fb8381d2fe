package blob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// errThere says that the entry which was missing or wrong is there after all.
var errThere = errors.New("the entry is there now")

// confirmEnd makes sure that the reader stands at the end of the log, where no
// entry was found, or where fault says that the one found does not fit. Each
// request is made after the answer to the one before; the order matters (protocol
// §9.3), and each step is there because data is lost without it:
//
//  1. LIST the log from here on and GET the lease, in any order. If what they show could not be
//     there unless the entry here had been, GET that once more: it may have come
//     since.
//  2. The look: the newest manifest must be on this reader's own chain. If not,
//     the entry here may have been collected, and the reader begins again.
//  3. Only now: something that is missing although the LIST shows its successors,
//     or that is wrong, is damage. Else this is the end.
//
// It returns nil at the end, errThere, errBeginAgain, a DamageError, or what
// kept it from knowing.
func (r *Reader) confirmEnd(ctx context.Context, fault error) error {
	evidence, err := r.log.evidenceBeyond(ctx, r.at.Epoch, r.at.Next)
	if err != nil {
		return err
	}
	if mutation.On(mutation.NoEndCheck) {
		evidence = ""
	}
	if (evidence != "" || fault != nil) && !mutation.On(mutation.NoSecondGet) {
		r.fetch.drop() // what is asked for now must be answered now
		got := r.fetch.get(ctx, r.at.Epoch, r.at.Next)
		r.fetch.drop()
		switch {
		case got.err == nil && got.entry.checkChain(r.at) == nil:
			return errThere
		case got.err != nil && !errors.Is(got.err, bucket.ErrNotExist) && !errors.Is(got.err, ErrDamaged):
			return got.err
		}
	}
	if fault == nil && evidence == "" && (mutation.On(mutation.NoLookAtTheEnd) || mutation.On(mutation.NoLook)) {
		return nil
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	switch {
	case fault != nil:
		r.log.metrics.damaged.Inc()
		return fault
	case evidence != "":
		r.log.metrics.damaged.Inc()
		return &DamageError{Key(r.at.Epoch, r.at.Next), fmt.Errorf("missing, but %s is there", evidence)}
	}
	return nil
}

// evidenceBeyond names an object that shows that the entry at a place exists or
// existed. The log from there on shows it by a seal after it, an entry of a later
// epoch, one beyond the upload window, or one whose writer knew that it was durable;
// anything else may be what a writer that died had on its way. The lease shows it by
// what its holders knew to be durable: that reveals the loss of the very last
// entries, after which the log has nothing.
//
// Both are asked at once: neither has anything to do with the other.
func (l *Log) evidenceBeyond(ctx context.Context, epoch persistence.Epoch, position persistence.Position) (string, error) {
	var fromLease string
	var leaseErr error
	var asking sync.WaitGroup
	asking.Go(func() { fromLease, leaseErr = l.leaseBeyond(ctx, position) })
	evidence, err := l.beyond(ctx, logPrefix, epoch, position)
	asking.Wait()
	if evidence != "" || err != nil {
		return evidence, err
	}
	return fromLease, leaseErr
}

// leaseBeyond tells whether the lease knows of an entry at a position.
func (l *Log) leaseBeyond(ctx context.Context, position persistence.Position) (string, error) {
	state, err := lease.Read(ctx, l.bucket)
	switch {
	case errors.Is(err, bucket.ErrNotExist), errors.Is(err, checked.ErrDamaged), errors.Is(err, checked.ErrNewerFormat):
		return "", nil // it is evidence only where there is any
	case err != nil:
		return "", err
	case state.Durable > position:
		return fmt.Sprintf("%s, which says that all positions below %d are durable,", lease.Key, state.Durable), nil
	}
	return "", nil
}

// durable is the number of positions that the lease says are durable, 0 where it says
// nothing that can be believed or read. How much is fetched ahead rests on it, no more.
func (l *Log) durable(ctx context.Context) persistence.Position {
	state, err := lease.Read(ctx, l.bucket)
	if err != nil {
		return 0
	}
	return state.Durable
}

// checkBeyondSeal makes sure, when a seal is crossed, that nothing in its epoch
// shows that an entry of the writer had been where the seal is (protocol §9.5):
// then an object was lost, and a late seal took its place.
func (r *Reader) checkBeyondSeal(ctx context.Context, seal *Entry) error {
	if mutation.On(mutation.NoListBeyondSeals) {
		return nil
	}
	evidence, err := r.log.beyond(ctx, epochPrefix(seal.Epoch), seal.Epoch, seal.Position)
	if err != nil || evidence == "" {
		return err
	}
	// Not damage if the entry was collected and a late seal fell on its key: then
	// a newer manifest shows it.
	if err := r.look(ctx); err != nil {
		return err
	}
	return r.sealInAHole(evidence)
}

// checkOwnSeal makes sure, once the reader's own seal is where the reader stands, that it
// has ended the log (protocol §6.3, §9.5): it is not on a key that was collected, which the
// look tells, and not in the place of an entry that was lost, which what lies beyond it
// tells. Both are asked at once: the seal is there, so nothing that either tells of can
// begin after it.
func (r *Reader) checkOwnSeal(ctx context.Context) error {
	var evidence string
	var listErr error
	var listing sync.WaitGroup
	if !mutation.On(mutation.NoListBeyondSeals) {
		listing.Go(func() {
			evidence, listErr = r.log.beyond(ctx, epochPrefix(r.at.Epoch), r.at.Epoch, r.at.Next)
		})
	}
	var err error
	if !mutation.On(mutation.NoLookAfterTheSeal) && !mutation.On(mutation.NoLook) {
		err = r.look(ctx)
	}
	listing.Wait()
	switch {
	case err != nil:
		return err
	case listErr != nil:
		return listErr
	case evidence != "":
		return r.sealInAHole(evidence)
	}
	return nil
}

// sealInAHole says that the seal where the reader stands is where an entry had been.
func (r *Reader) sealInAHole(evidence string) error {
	r.log.metrics.damaged.Inc()
	return &DamageError{Key(r.at.Epoch, r.at.Next), fmt.Errorf("a seal is here, but %s shows that an entry was", evidence)}
}

// beyond looks among the objects with the prefix that come after (epoch, position)
// for one that shows that an entry was durable there.
func (l *Log) beyond(ctx context.Context, prefix string, epoch persistence.Epoch, position persistence.Position) (string, error) {
	var near []persistence.Position // in the window: their headers tell
	for info, err := range l.bucket.List(ctx, prefix, Key(epoch, position)) {
		if err != nil {
			return "", err
		}
		e, p, err := parseKey(info.Key)
		switch {
		case err != nil:
			return "", &DamageError{info.Key, err}
		case e > epoch, e == epoch && p >= position+persistence.Position(l.cell.Window):
			return info.Key, nil
		case e == epoch && p > position:
			near = append(near, p)
		}
	}
	for _, p := range near {
		h, err := l.header(ctx, epoch, p)
		switch {
		case errors.Is(err, bucket.ErrNotExist): // collected since: the look will tell
		case errors.Is(err, ErrDamaged): // says nothing that can be believed
		case err != nil:
			return "", err
		case h.Kind == KindSeal, h.Committed > position:
			return Key(epoch, p), nil
		}
	}
	return "", nil
}

// snapshots lists the snapshots after one (nil: all), oldest first. An object that
// only looks like one may hide what the history goes on from: that is damage.
func (l *Log) snapshots(ctx context.Context, after *snapshot.Name) ([]snapshot.Name, error) {
	names, err := snapshot.List(ctx, l.bucket, after)
	if errors.Is(err, snapshot.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return names, err
}

// look makes sure that the newest manifest is on the reader's own chain: it covers
// a position that the reader has passed, with the hash that the reader found
// there. If it does, it becomes the manifest in hand.
func (r *Reader) look(ctx context.Context) error {
	names, err := r.log.snapshots(ctx, r.base)
	if err != nil || len(names) == 0 {
		return err
	}
	newest := names[len(names)-1]
	if !r.fits(newest) {
		// A manifest that came late, behind the newest, is tried before anything is refused.
		untried := slices.ContainsFunc(names, func(n snapshot.Name) bool { return r.bad[n] == nil })
		if bad := r.bad[newest]; bad != nil && !untried {
			clear(r.bad) // it may have been put right when this is tried again
			return &DamageError{newest.ManifestKey(), fmt.Errorf("%w, and the log from %v does not reach it", bad, r.at)}
		}
		if r.stretch != nil {
			return errBeginAgain // the snapshot may be of what comes after the stretch
		}
		r.log.metrics.restarts.Inc()
		r.log.options.Logger.Info("a newer snapshot is off this reader's chain, beginning again from it",
			"snapshot", newest.String(), "at", r.at.String())
		return errBeginAgain
	}
	r.rebase(newest)
	return nil
}

// rebase makes a manifest on the reader's own chain the one in hand.
func (r *Reader) rebase(name snapshot.Name) {
	r.trail = append([]passed(nil), r.trail[name.Position-r.trailFrom:]...)
	r.base, r.trailFrom = &name, name.Position
	r.noteBacklog()
}

func (r *Reader) fits(name snapshot.Name) bool {
	if name.Position < r.trailFrom || name.Position >= r.at.Next {
		return false
	}
	return name.Fits(r.trail[name.Position-r.trailFrom].hash) || mutation.On(mutation.PositionFitsTheChain)
}
