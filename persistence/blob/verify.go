package blob

import (
	"context"
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Report is what Verify found.
type Report struct {
	Entries      int   `json:"entries"` // seals included
	Seals        int   `json:"seals"`
	Transactions int   `json:"transactions"`
	Bytes        int64 `json:"bytes"`
	Snapshots    int   `json:"snapshots"`
	Restores     int   `json:"restores"` // each one a transaction too
	// Head is the point behind the newest entry.
	Head persistence.Point `json:"head"`
	// Orphans are objects beyond a seal: what a deposed writer still landed. They
	// are harmless and never read.
	Orphans []string `json:"orphans"`
	// Problems name each object that is missing or wrong.
	Problems []string `json:"problems"`
}

// verifier walks the whole chain. Unlike a recovery it goes on behind what is
// wrong, so that one run names all of it.
type verifier struct {
	log    *Log
	fetch  *fetcher
	report *Report
	keys   []EntryKey
	there  map[EntryKey]bool // Size not set
	onPath map[EntryKey]bool
	hashes map[persistence.Position]persistence.Hash
	at     persistence.Point
	// unsure: the entry before is missing or wrong, so at's hash and transaction
	// number are not known.
	unsure bool
}

// Verify reads every entry, every snapshot and the state of every restore of the
// cell, and checks each by itself, the chain between them, and that none is missing. progress, if not nil,
// is told how many objects are done and how many there are.
func (l *Log) Verify(ctx context.Context, progress func(done, total int)) (*Report, error) {
	v := &verifier{log: l, fetch: newFetcher(l, nothing{}, l.options.Prefetch, 8*l.options.Prefetch), report: &Report{Orphans: []string{}, Problems: []string{}},
		there: map[EntryKey]bool{}, onPath: map[EntryKey]bool{}, hashes: map[persistence.Position]persistence.Hash{}, at: l.origin()}
	defer v.fetch.drop()
	var err error
	if v.keys, err = l.Keys(ctx); err != nil {
		return nil, err
	}
	for _, k := range v.keys {
		v.there[EntryKey{Epoch: k.Epoch, Position: k.Position}] = true
	}
	for more := true; more; {
		if more, err = v.step(ctx); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(len(v.onPath), len(v.keys))
		}
	}
	for _, k := range v.keys {
		if !v.onPath[EntryKey{Epoch: k.Epoch, Position: k.Position}] {
			v.report.Orphans = append(v.report.Orphans, Key(k.Epoch, k.Position))
		} else {
			v.report.Bytes += k.Size
		}
	}
	v.report.Head = v.at
	return v.report, v.snapshots(ctx)
}

// step checks the entry at v.at; it says whether there may be another.
func (v *verifier) step(ctx context.Context) (bool, error) {
	key := Key(v.at.Epoch, v.at.Next)
	got := v.fetch.get(ctx, v.at.Epoch, v.at.Next)
	if errors.Is(got.err, bucket.ErrNotExist) {
		evidence, err := v.log.evidenceBeyond(ctx, v.at.Epoch, v.at.Next)
		if err != nil && !errors.Is(err, ErrDamaged) || evidence == "" {
			return false, err
		}
		got = v.fetch.get(ctx, v.at.Epoch, v.at.Next) // it may have come since
		if errors.Is(got.err, bucket.ErrNotExist) {
			v.problem(&DamageError{key, fmt.Errorf("missing, but %s is there", evidence)})
			return v.skip(), nil
		}
	}
	if got.err != nil && !errors.Is(got.err, ErrDamaged) {
		return false, got.err
	}
	v.onPath[EntryKey{Epoch: v.at.Epoch, Position: v.at.Next}] = true
	if got.err != nil {
		v.problem(got.err)
		return v.skip(), nil
	}
	e := got.entry
	if err := e.checkChain(v.at); err != nil && !v.unsure {
		v.problem(&DamageError{key, err})
	}
	switch e.Kind {
	case KindSeal:
		if err := v.seal(ctx, e); err != nil {
			return false, err
		}
	case KindRestore:
		if err := v.restore(ctx, e); err != nil {
			return false, err
		}
	}
	v.report.Entries++
	v.report.Transactions += e.Count
	v.hashes[e.Position] = e.Hash
	v.at, v.unsure = e.after(), false
	return true, nil
}

// seal makes sure that no entry was in a seal's place.
func (v *verifier) seal(ctx context.Context, e *Entry) error {
	v.report.Seals++
	evidence, err := v.log.beyond(ctx, epochPrefix(e.Epoch), e.Epoch, e.Position)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	} else if evidence != "" {
		v.problem(&DamageError{Key(e.Epoch, e.Position), fmt.Errorf("a seal is here, but %s shows that an entry was", evidence)})
	}
	return nil
}

// restore checks the state that a restore names.
func (v *verifier) restore(ctx context.Context, e *Entry) error {
	v.report.Restores++
	m, err := v.log.restoreManifest(ctx, e)
	if err == nil {
		err = snapshot.Load(ctx, v.log.bucket, v.log.codec, m, nothing{}, loadParallel)
	}
	if errors.Is(err, snapshot.ErrDamaged) {
		v.problem(&DamageError{string(e.Restore.Folder), err})
		return nil
	}
	return err
}

// skip goes on behind an entry that is missing or wrong: with the next that is
// there, in the same epoch if it has one.
func (v *verifier) skip() bool {
	v.unsure = true
	for _, k := range v.keys { // by position, then epoch
		if k.Position > v.at.Next && k.Epoch >= v.at.Epoch {
			v.at.Epoch, v.at.Next = k.Epoch, k.Position
			return true
		}
	}
	return false
}

func (v *verifier) problem(err error) {
	v.report.Problems = append(v.report.Problems, err.Error())
}

// snapshots checks every snapshot, and that it belongs to this chain.
func (v *verifier) snapshots(ctx context.Context) error {
	names, err := snapshot.List(ctx, v.log.bucket, nil)
	if errors.Is(err, snapshot.ErrDamaged) {
		v.problem(err)
		return nil
	} else if err != nil {
		return err
	}
	for _, name := range names {
		m, err := snapshot.Verify(ctx, v.log.bucket, v.log.codec, v.log.cell.ID, name)
		if errors.Is(err, snapshot.ErrDamaged) {
			v.problem(err)
			continue
		} else if err != nil {
			return err
		}
		v.report.Snapshots++
		if hash, ok := v.hashes[name.Position]; ok && hash != m.At.Hash {
			v.problem(fmt.Errorf("%w: %s is not of this history: the entry at position %d has another hash", snapshot.ErrDamaged, name.ManifestKey(), name.Position))
		}
	}
	return nil
}

// nothing is a consumer that looks at nothing.
type nothing struct{}

func (nothing) Reset(persistence.Point) error { return nil }
func (nothing) Prepare(persistence.Batch) (func() error, error) {
	return func() error { return nil }, nil
}
func (nothing) Loaded(persistence.Point) {}
