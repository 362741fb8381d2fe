package blob

import (
	"context"
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// survey lists what is there, and finds where the log begins. It comes again when an
// entry is missing: collection may have gone on meanwhile, and then that begins later.
//
// Collection removes manifests before the entries that these need (protocol §8), so the
// log is listed first: what goes on from a manifest that is there was there then.
func (v *verifier) survey(ctx context.Context) error {
	first := v.there == nil
	keys, err := v.log.Keys(ctx)
	if err != nil {
		return err
	}
	if err := v.readManifests(ctx, first); err != nil {
		return err
	}
	if err := v.readPins(ctx, first); err != nil {
		return err
	}
	v.keys, v.there = keys, map[EntryKey]bool{}
	for _, k := range keys {
		v.there[EntryKey{Epoch: k.Epoch, Position: k.Position}] = true
	}
	if v.begin, err = v.beginning(ctx); err != nil {
		return err
	}
	at := v.log.origin()
	v.report.Begin = ""
	if v.begin != nil {
		at, v.report.Begin = v.begin.At, v.begin.Name
	}
	if v.report.From = at.Next; first || at.Next > v.at.Next {
		v.at, v.unsure = at, false
	}
	v.total = len(keys) + v.report.Parts
	return nil
}

// beginning is the snapshot that the log goes on from, nil for the origin: the oldest
// after which the log has all entries up to the next one. Where it does not, there is
//   - nothing left but seals: the log there was collected, and the snapshot stands alone;
//   - some of it, after a snapshot that is pinned, or after the origin: a collection
//     that did not come to its end;
//   - else damage. A snapshot that is not kept goes before any entry that it needs.
func (v *verifier) beginning(ctx context.Context) (*snapshot.Manifest, error) {
	keys := v.keys
	var begin *snapshot.Manifest
	from := persistence.Position(0)
	for _, next := range v.manifests {
		n := 0
		for n < len(keys) && keys[n].Position < next.At.Next {
			n++
		}
		between := keys[:n]
		keys = keys[n:]
		whole := wholeBetween(between, from, next.At.Next)
		left := false
		if !whole && begin != nil && !v.pinned[begin.Name] {
			var err error
			if left, err = v.anyEntry(ctx, between); err != nil {
				return nil, err
			}
		}
		if whole || left {
			return begin, nil
		}
		begin, from = next, next.At.Next
	}
	return begin, nil
}

// wholeBetween tells whether keys, which are in order, have every position in from … to-1.
func wholeBetween(keys []EntryKey, from, to persistence.Position) bool {
	for _, k := range keys {
		if k.Position > from {
			return false
		}
		from = k.Position + 1
	}
	return from >= to
}

// anyEntry tells whether there is an entry that is read to be no seal.
func (v *verifier) anyEntry(ctx context.Context, keys []EntryKey) (bool, error) {
	for _, k := range keys {
		seal, err := v.log.IsSeal(ctx, k)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, bucket.ErrNotExist):
		case err != nil:
			return false, err
		case !seal:
			return true, nil
		}
	}
	return false, nil
}

// sealAt reads the seal with a key; it is nil if another kind of entry is there. What is
// larger than any seal is not read.
func (l *Log) sealAt(ctx context.Context, k EntryKey) (*Entry, error) {
	if k.Size > MaxSeal {
		return nil, nil
	}
	e, err := l.Read(ctx, k)
	if err != nil || e.Kind != KindSeal {
		return nil, err
	}
	return e, nil
}

// rest goes through the entries that are not of the history from where it begins on.
func (v *verifier) rest(ctx context.Context) error {
	for _, m := range v.manifests {
		if m.At.Next < v.report.From {
			v.report.Alone = append(v.report.Alone, m.Name)
		}
	}
	for i, k := range v.keys {
		switch {
		case v.onPath[EntryKey{Epoch: k.Epoch, Position: k.Position}]:
		case k.Position >= v.report.From:
			v.report.Orphans = append(v.report.Orphans, Key(k.Epoch, k.Position))
		default:
			if err := v.before(ctx, k); err != nil {
				return err
			}
		}
		v.tell(max(len(v.onPath), i+1))
	}
	v.sealed()
	return nil
}

// before checks an entry before the position that the log reaches back to. Seals there
// are kept for ever. Of another it is enough to know that it is none.
func (v *verifier) before(ctx context.Context, k EntryKey) error {
	seal, err := v.log.sealAt(ctx, k)
	switch {
	case errors.Is(err, bucket.ErrNotExist): // collected meanwhile
		return nil
	case errors.Is(err, ErrDamaged):
		v.problem(fmt.Errorf("%w; if it is no seal nothing needs it, but that can't be told", err))
		return nil
	case err != nil:
		return err
	case seal == nil:
		v.report.Garbage++
		v.report.GarbageBytes += k.Size
		return nil
	}
	v.report.Entries++
	v.report.Seals++
	v.report.Bytes += k.Size
	if last := v.seals[k.Epoch]; last == nil || last.Position < k.Position {
		v.seals[k.Epoch] = seal
	}
	return nil
}

// sealed makes sure that each epoch before that in which the log begins still has its
// seal, which names the next: without it a writer of that epoch that wakes up could
// acknowledge what nobody reads.
func (v *verifier) sealed() {
	if v.begin == nil {
		return // they were on the path
	}
	for epoch := persistence.Epoch(0); epoch < v.begin.At.Epoch; {
		next := v.begin.At.Epoch
		if seal := v.seals[epoch]; seal != nil && seal.NextEpoch <= next {
			epoch = seal.NextEpoch
			continue
		}
		v.problem(&DamageError{epochPrefix(epoch), fmt.Errorf("the seal of epoch %d is missing, and is kept for ever", epoch)})
		for e := range v.seals {
			if e > epoch {
				next = min(next, e)
			}
		}
		epoch = next
	}
}
