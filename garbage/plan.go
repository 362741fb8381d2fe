package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// parallel is the number of small objects that are read, or deleted, at once.
const parallel = 16

// plan is what is garbage by position, as one look at the cell shows it. It makes no
// promise that any of it may go.
type plan struct {
	log    *blob.Log
	names  []snapshot.Name // of the snapshots with a manifest, oldest first
	read   map[snapshot.Name]*snapshot.Manifest
	unread map[snapshot.Name]error // why the others can't be read
	sizes  map[string]int64        // of the objects of all snapshots
	pinned map[string]bool         // snapshots' names
	keys   []blob.EntryKey

	// oldest and newest are the snapshots to rely on, nil if nothing is garbage.
	oldest, newest *snapshot.Manifest
	kept           []snapshot.Name // oldest first

	manifests []snapshot.Object // oldest first
	entries   []blob.EntryKey   // by position, seals among them
	restores  []snapshot.Object // by position
	parts     []snapshot.Object
	expired   []*snapshot.Pin
}

// newPlan finds out what is garbage, and notes in the report what is not. It lists all
// of the cell but its backups and reads the manifests.
func newPlan(ctx context.Context, log *blob.Log, r Retention, report *Report) (*plan, error) {
	p := &plan{log: log, sizes: map[string]int64{}, pinned: map[string]bool{},
		read: map[snapshot.Name]*snapshot.Manifest{}, unread: map[snapshot.Name]error{}}
	now := time.Now()
	if err := p.findPins(ctx, now, report); err != nil {
		return nil, err
	}
	objects, strays, err := snapshot.Objects(ctx, log.Bucket())
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		p.sizes[o.Key] = o.Size
		if o.Manifest {
			p.names = append(p.names, o.Name)
		}
	}
	states, more, err := log.RestoreObjects(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range append(strays, more...) {
		report.leave(s.Key, s.Size, "it is neither a part nor a manifest; remove it if it is not this program's")
	}
	if err := p.readManifests(ctx); err != nil {
		return nil, err
	}
	if p.keys, err = log.Keys(ctx); err != nil {
		return nil, err
	}
	if err := p.choose(r, now, report); err != nil {
		return nil, err
	}
	p.sortSnapshots(objects, report)
	p.sortRestores(states, report)
	p.sortEntries(report)
	return p, nil
}

// findPins finds what pins keep, and those that have expired.
func (p *plan) findPins(ctx context.Context, now time.Time, report *Report) error {
	pins, err := snapshot.Pins(ctx, p.log.Bucket())
	for _, pin := range pins {
		switch {
		case pin.Expired(now):
			p.expired = append(p.expired, pin)
			continue
		case !pin.Expires.IsZero():
			report.Waiting = true
		}
		if pin.Snapshot != "" {
			p.pinned[pin.Snapshot] = true
		}
	}
	return err
}

// readManifests reads all manifests. That one can't be read matters only if it is of a
// snapshot that stays.
func (p *plan) readManifests(ctx context.Context) error {
	manifests, errs := snapshot.ReadAll(ctx, p.log.Bucket(), p.log.Cell().ID, p.names)
	for i, name := range p.names {
		if errs[i] != nil {
			p.unread[name] = errs[i]
		} else {
			p.read[name] = manifests[i]
		}
	}
	return context.Cause(ctx)
}

// manifest is that of a snapshot which must be readable.
func (p *plan) manifest(name snapshot.Name) (*snapshot.Manifest, error) {
	if err := p.unread[name]; err != nil {
		return nil, fmt.Errorf("%w: snapshot %s is to be kept and can't be read: %w", ErrDoubt, name, err)
	}
	return p.read[name], nil
}

// choose finds the oldest snapshot that is kept, and with it what else is.
func (p *plan) choose(r Retention, now time.Time, report *Report) error {
	i, err := r.oldest(p.names, now, func(name snapshot.Name) (time.Time, error) {
		m, err := p.manifest(name)
		if err != nil {
			return time.Time{}, err
		}
		return m.Made, nil
	})
	if err != nil {
		return err
	}
	if newest := len(p.names) - r.WithDefaults().Keep; i < newest {
		report.Waiting = true // what is between them becomes the oldest in its time
	}
	if i < 0 {
		report.Oldest = p.reached()
		return nil
	}
	if p.oldest, err = p.manifest(p.names[i]); err != nil {
		return err
	}
	if p.newest, err = p.manifest(p.names[len(p.names)-1]); err != nil {
		return err
	}
	report.Oldest = p.oldest
	return nil
}

// reached is the oldest snapshot after which the log has no gap, nil if it reaches back
// to its beginning.
func (p *plan) reached() *snapshot.Manifest {
	history := blob.WithoutOrphans(p.keys)
	first := len(history) - 1
	for first > 0 && history[first].Position == history[first-1].Position+1 {
		first--
	}
	if first < 0 || history[first].Position == 0 {
		return nil
	}
	for _, name := range p.names {
		if m := p.read[name]; m != nil && m.At.Next >= history[first].Position {
			return m
		}
	}
	return nil
}

// below tells whether a position is below that of the oldest snapshot that is kept.
func (p *plan) below(position persistence.Position) bool {
	return p.oldest != nil && position+1 < p.oldest.At.Next
}

// covered tells whether that snapshot covers a position.
func (p *plan) covered(position persistence.Position) bool {
	return p.oldest != nil && position < p.oldest.At.Next
}

// sortSnapshots tells the snapshots that stay from those that go, and the parts that no
// manifest names any more.
func (p *plan) sortSnapshots(objects []snapshot.Object, report *Report) {
	goes := map[snapshot.Name]bool{}
	named := map[string]bool{} // parts that a manifest names, whether that goes or not
	needed := map[string]bool{}
	for _, name := range p.names {
		goes[name] = p.below(name.Position) && !p.pinned[name.String()]
		if !goes[name] {
			p.kept = append(p.kept, name)
			if p.below(name.Position) {
				report.Pinned = append(report.Pinned, name.String())
			}
		}
		if m := p.read[name]; m != nil {
			for i := range m.Parts {
				named[m.PartKey(i)] = true
				needed[m.PartKey(i)] = needed[m.PartKey(i)] || !goes[name]
			}
		}
	}
	for _, o := range objects {
		switch {
		case o.Manifest && goes[o.Name]:
			p.manifests = append(p.manifests, o)
		case o.Manifest, needed[o.Key]:
		case p.below(o.Name.Position), p.oldest != nil && !named[o.Key] && mutation.On(mutation.PartsOfTheFuture):
			p.parts = append(p.parts, o)
		case !named[o.Key]:
			report.orphan(Parts, o.Size)
		}
	}
}

// sortRestores finds the states of restores whose entry is covered. It comes right after
// the entry of which the state's name tells.
func (p *plan) sortRestores(states []snapshot.Object, report *Report) {
	for _, o := range states {
		if p.covered(o.Name.Position + 1) {
			p.restores = append(p.restores, o)
		} else if !slices.ContainsFunc(p.keys, func(k blob.EntryKey) bool { return k.Position == o.Name.Position+1 }) {
			report.orphan(Restores, o.Size)
		}
	}
}

// sortEntries finds the entries that are covered, in any epoch.
func (p *plan) sortEntries(report *Report) {
	inHistory := map[blob.EntryKey]bool{}
	for _, k := range blob.WithoutOrphans(p.keys) {
		inHistory[k] = true
	}
	for _, k := range p.keys {
		if p.covered(k.Position) {
			p.entries = append(p.entries, k)
		} else if !inHistory[k] {
			report.orphan(Entries, k.Size)
		}
	}
}

// ErrDoubt: something that stays is not as it must be, so nothing more may go. The error
// says what it is.
var ErrDoubt = errors.New("nothing more is removed")

// ErrNeedsFull is a doubt that passes with the next full snapshot: the newest one has
// parts of an older one which a delete that comes late may take.
var ErrNeedsFull = fmt.Errorf("%w before there is a new full snapshot", ErrDoubt)

// prove makes sure that all that is needed is there: the snapshots to rely on in every
// bit, those that are kept as far as the listing and their manifests show it, and the
// log after the oldest.
func (p *plan) prove(ctx context.Context) error {
	if err := p.lasting(p.newest); err != nil {
		return fmt.Errorf("%w: %w", ErrNeedsFull, err)
	}
	if err := p.lasting(p.oldest); err != nil {
		return fmt.Errorf("%w: %w", ErrDoubt, err)
	}
	if err := p.whole(ctx, p.newest); err != nil {
		return err
	}
	for _, name := range p.kept {
		m, err := p.manifest(name)
		if err != nil {
			return err
		}
		for i, part := range m.Parts {
			if size, ok := p.sizes[m.PartKey(i)]; !ok || size != int64(part.Bytes) {
				return fmt.Errorf("%w: snapshot %s is to be kept and needs %s, of %d bytes; there are %d", ErrDoubt, name, m.PartKey(i), part.Bytes, size)
			}
		}
	}
	there, err := p.log.GoesOn(ctx, p.oldest.At)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the log does not go on from the oldest snapshot that is kept, %s: %w", ErrDoubt, p.oldest.Name, err)
	case !there && p.newest.At.Next > p.oldest.At.Next && !p.pinned[p.oldest.Name]:
		return fmt.Errorf("%w: the log does not go on from the oldest snapshot that is kept, %s: %s is missing", ErrDoubt, p.oldest.Name, blob.Key(p.oldest.At.Epoch, p.oldest.At.Next))
	}
	return p.whole(ctx, p.oldest)
}

// lasting makes sure that no delete which comes late takes a part from a snapshot that
// took it over from an older one. Another collector may have set out when a snapshot
// between the two was the newest, whose manifest whoever made this one did not see: if
// that does not name the part, it is garbage to it. So all that lie between must name it.
// A full snapshot, whose parts are all its own, rests on nobody.
func (p *plan) lasting(m *snapshot.Manifest) error {
	names := map[string]bool{} // the parts' keys, of the snapshot at hand
	for _, between := range p.names {
		if between.String() == m.Name || between.Position >= m.At.Next {
			continue
		}
		clear(names)
		if other := p.read[between]; other != nil {
			for i := range other.Parts {
				names[other.PartKey(i)] = true
			}
		}
		for i := range m.Parts {
			of, err := m.PartOf(i)
			if err == nil && of.Position < between.Position && !names[m.PartKey(i)] {
				err = fmt.Errorf("a collector that relied on %s takes it", between)
			}
			if err != nil {
				return fmt.Errorf("snapshot %s needs %s, but %w", m.Name, m.PartKey(i), err)
			}
		}
	}
	return nil
}

// there makes sure that a snapshot's manifest is there, and as it was.
func (p *plan) there(ctx context.Context, m *snapshot.Manifest) error {
	again, err := snapshot.ReadIn(ctx, p.log.Bucket(), m.Folder())
	if err == nil && again.Hash() != m.Hash() {
		err = fmt.Errorf("%w: its manifest has changed", snapshot.ErrDamaged)
	}
	if err != nil {
		return fmt.Errorf("%w: snapshot %s: %w", ErrDoubt, m.Name, err)
	}
	return nil
}

// whole makes sure that a snapshot reads back in every bit, and as it was.
func (p *plan) whole(ctx context.Context, m *snapshot.Manifest) error {
	if err := p.there(ctx, m); err != nil {
		return err
	}
	if err := snapshot.NewChecker(p.log.Bucket(), p.log.Codec()).Check(ctx, m, nil); err != nil {
		return fmt.Errorf("%w: snapshot %s does not read back whole: %w", ErrDoubt, m.Name, err)
	}
	return nil
}
