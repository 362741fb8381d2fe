package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// BatchSize is by default the number of entries that are removed between two proofs.
const BatchSize = 10_000

// Options of Collect. The zero value is good.
type Options struct {
	// Held tells whether this process still holds the lease; nil is for a caller that
	// knows that nobody else writes. It is asked before each object that goes.
	Held func() bool
	// DryRun finds and proves all that Collect does, and deletes nothing.
	DryRun bool
	// Progress, if not nil, is told how many objects are done and how many there are.
	Progress func(done, total int)
	// BatchSize is the number of entries that are removed between two proofs, each of
	// which reads the oldest snapshot that is kept; by default that constant.
	BatchSize int
	// Backups, if not nil, removes the backups that have expired and returns their names;
	// of a dry run, only returns them. What can't be read of them is in its error, which
	// then matches snapshot.ErrDamaged or checked.ErrNewerFormat, and ends nothing.
	Backups func(ctx context.Context, dryRun bool) ([]string, error)
}

// Collect removes what is garbage from a cell. Only the leader may call it, and not
// while it makes a snapshot. It stops at the first doubt, with an error that matches
// ErrDoubt and says what is wrong, and at the first request that fails. What it has
// removed by then is in the report, and it can be called again from anywhere.
func Collect(ctx context.Context, log *blob.Log, r Retention, o Options) (*Report, error) {
	start := time.Now()
	if o.BatchSize <= 0 {
		o.BatchSize = BatchSize
	}
	c := &collection{options: o, report: newReport(o.DryRun), seals: map[blob.EntryKey]bool{}, stay: map[persistence.Position]bool{}}
	var err error
	if c.plan, err = newPlan(ctx, log, r, c.report); err == nil {
		err = c.run(ctx)
	}
	c.report.Took = time.Since(start)
	if err != nil {
		return c.report, fmt.Errorf("collect garbage: %w", err)
	}
	return c.report, nil
}

// collection is one run.
type collection struct {
	*plan
	options Options
	report  *Report
	proved  bool
	seals   map[blob.EntryKey]bool        // that were read
	stay    map[persistence.Position]bool // of covered entries that could not be read

	mu   sync.Mutex // guards done, and the report while objects go in parallel
	done int
}

// run removes one class after another. The order matters: each step leaves a cell that
// is whole, and can be the last.
func (c *collection) run(ctx context.Context) error {
	steps := []func(context.Context) error{c.removeManifests, c.removeEntries, c.removeRestores, c.removeParts, c.removePins, c.removeBackups}
	if mutation.On(mutation.EntriesBeforeManifests) {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// total is the number of objects to look at.
func (c *collection) total() int {
	return len(c.manifests) + len(c.entries) + len(c.restores) + len(c.parts) + len(c.expired)
}

// sure makes sure that what stays suffices, before something goes: the first time of
// all, then of the snapshots to rely on. Last, that none of what goes was pinned since
// this was planned.
func (c *collection) sure(ctx context.Context) error {
	if err := c.suffices(ctx); err != nil {
		return err
	}
	return c.pinnedMeanwhile(ctx)
}

func (c *collection) suffices(ctx context.Context) error {
	switch {
	case !c.proved:
		if err := c.prove(ctx); err != nil {
			return err
		}
		c.proved = true
	case c.options.DryRun:
	default:
		if err := c.there(ctx, c.newest); err != nil {
			return err
		}
		return c.whole(ctx, c.oldest)
	}
	return nil
}

// pinnedMeanwhile makes sure that there is no new pin of a snapshot below the oldest that
// is kept. It may be one whose manifest was not there when this was planned, as it came
// late: then its parts would go as those of none.
func (c *collection) pinnedMeanwhile(ctx context.Context) error {
	pins, err := snapshot.Pins(ctx, c.log.Bucket())
	if err != nil {
		return err
	}
	for _, pin := range pins {
		if pin.Snapshot == "" || pin.Expired(time.Now()) || c.pinned[pin.Snapshot] {
			continue
		}
		if name, err := snapshot.ParseName(pin.Snapshot); err != nil || c.below(name.Position) {
			return fmt.Errorf("%w: snapshot %s was pinned meanwhile", ErrDoubt, pin.Snapshot)
		}
	}
	return nil
}

// removeManifests removes those of old snapshots, the oldest first. From then on nobody
// begins from them, so that what they need can go. One that is there still although the
// store said that it is gone would name what will be missing.
func (c *collection) removeManifests(ctx context.Context) error {
	if len(c.manifests) == 0 {
		return nil
	}
	if err := c.sure(ctx); err != nil {
		return err
	}
	for _, o := range c.manifests {
		if err := c.remove(ctx, Snapshots, object{o.Key, o.Size}); err != nil {
			return err
		}
	}
	if c.options.DryRun {
		return nil
	}
	names, err := snapshot.List(ctx, c.log.Bucket(), nil)
	if err != nil {
		return err
	}
	for _, o := range c.manifests {
		if slices.Contains(names, o.Name) {
			return fmt.Errorf("%w: the store said that it deleted %s, and lists it still", ErrDoubt, o.Key)
		}
	}
	return nil
}

// stepSize is the number of entries of which it is read that they are no seals before the
// first of them goes: what is read is of no use to the next leader's collection if this
// one is cut off.
const stepSize = 500

// removeEntries removes the covered entries that are no seals, the oldest first, step by
// step, with a proof before each batch.
func (c *collection) removeEntries(ctx context.Context) error {
	if mutation.On(mutation.BeyondASealIsGarbage) {
		c.addBeyondSeals(ctx)
	}
	proved := 0 // how many may go before the next proof
	for step := range slices.Chunk(c.entries, min(stepSize, c.options.BatchSize)) {
		entries, err := c.noSeals(ctx, step)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			continue
		}
		if len(entries) > proved {
			if err := c.sure(ctx); err != nil {
				return err
			}
			proved = c.options.BatchSize
		}
		if err := c.remove(ctx, Entries, entries...); err != nil {
			return err
		}
		proved -= len(entries)
	}
	return nil
}

// noSeals reads those that may be seals and returns those that are none.
func (c *collection) noSeals(ctx context.Context, keys []blob.EntryKey) ([]object, error) {
	seal, errs := make([]bool, len(keys)), make([]error, len(keys))
	reads, reading := errgroup.WithContext(ctx)
	reads.SetLimit(parallel)
	for i, k := range keys {
		reads.Go(func() error {
			seal[i], errs[i] = c.log.IsSeal(reading, k)
			if errors.Is(errs[i], blob.ErrDamaged) || errors.Is(errs[i], blob.ErrNewerFormat) || errors.Is(errs[i], bucket.ErrNotExist) {
				return nil
			}
			return errs[i]
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	var entries []object
	for i, k := range keys {
		switch {
		case errors.Is(errs[i], bucket.ErrNotExist): // another has removed it
		case errs[i] != nil:
			c.stay[k.Position] = true
			c.report.leave(blob.Key(k.Epoch, k.Position), k.Size, fmt.Sprintf("it can't be read to be no seal: %v", errs[i]))
		case seal[i] && !mutation.On(mutation.SealsAreCollected):
			c.seals[k] = true
			c.report.Seals.add(k.Size)
		default:
			entries = append(entries, object{blob.Key(k.Epoch, k.Position), k.Size})
			continue
		}
		c.progress()
	}
	return entries, nil
}

// removeRestores removes the states of restores whose entries are gone: manifests first,
// as with snapshots. The entry that names a state lies right behind the position in the
// state's name.
func (c *collection) removeRestores(ctx context.Context) error {
	if len(c.restores) == 0 {
		return nil
	}
	if !c.options.DryRun { // the store may have said only that they are gone
		keys, err := c.log.Keys(ctx)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if !c.seals[k] {
				c.stay[k.Position] = true
			}
		}
	}
	if err := c.sure(ctx); err != nil {
		return err
	}
	var manifests, parts []object
	for _, o := range c.restores {
		switch {
		case c.stay[o.Name.Position+1]:
			c.report.leave(o.Key, o.Size, fmt.Sprintf("the entry at position %d is there still, and may name it", o.Name.Position+1))
			c.progress()
		case o.Manifest:
			manifests = append(manifests, object{o.Key, o.Size})
		default:
			parts = append(parts, object{o.Key, o.Size})
		}
	}
	if err := c.remove(ctx, Restores, manifests...); err != nil {
		return err
	}
	return c.remove(ctx, Restores, parts...)
}

// removeParts removes the parts that no manifest names any more.
func (c *collection) removeParts(ctx context.Context) error {
	if len(c.parts) == 0 {
		return nil
	}
	if err := c.sure(ctx); err != nil {
		return err
	}
	var parts []object
	for _, o := range c.parts {
		parts = append(parts, object{o.Key, o.Size})
	}
	return c.remove(ctx, Parts, parts...)
}

// removePins removes those that have expired, unless they are others by now.
func (c *collection) removePins(ctx context.Context) error {
	for _, pin := range c.expired {
		now, err := snapshot.ReadPin(ctx, c.log.Bucket(), pin.Name)
		if errors.Is(err, bucket.ErrNotExist) || err == nil && !now.Same(pin) {
			continue
		} else if err != nil {
			return err
		}
		if err := c.remove(ctx, Pins, object{snapshot.PinKey(pin.Name), 0}); err != nil {
			return err
		}
	}
	return nil
}

// removeBackups is the last step: what is in doubt may be needed yet.
func (c *collection) removeBackups(ctx context.Context) error {
	switch {
	case c.options.Backups == nil:
		return nil
	case !c.options.DryRun && c.options.Held != nil && !c.options.Held():
		return errNotHeld
	}
	var err error
	c.report.Backups, err = c.options.Backups(ctx, c.options.DryRun)
	if errors.Is(err, snapshot.ErrDamaged) || blob.IsNewerFormat(err) {
		c.report.leave("backup/", 0, fmt.Sprintf("not every backup can be read to have expired: %v", err))
		err = nil
	}
	return err
}

// errNotHeld: nothing goes any more.
var errNotHeld = fmt.Errorf("%w: the lease is not held any more", ErrDoubt)

// object is one that goes.
type object struct {
	key  string
	size int64
}

// remove deletes objects, or only notes them if this is a dry run.
func (c *collection) remove(ctx context.Context, class Class, objects ...object) error {
	deletes, deleting := errgroup.WithContext(ctx)
	deletes.SetLimit(parallel)
	for _, o := range objects {
		if deleting.Err() != nil {
			break
		}
		deletes.Go(func() error {
			if err := c.delete(deleting, o.key); err != nil {
				return err
			}
			c.mu.Lock()
			c.report.found(class, o.size)
			c.mu.Unlock()
			c.progress()
			return nil
		})
	}
	if err := deletes.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (c *collection) delete(ctx context.Context, key string) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.options.DryRun:
		return nil
	case c.options.Held != nil && !c.options.Held():
		return errNotHeld
	}
	return c.log.Bucket().Delete(ctx, key)
}

func (c *collection) progress() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	if c.options.Progress != nil {
		c.options.Progress(c.done, c.total())
	}
}
