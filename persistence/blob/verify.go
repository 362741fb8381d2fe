package blob

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Report is what Verify found.
type Report struct {
	Entries      int   `json:"entries"` // that were checked, seals included
	Seals        int   `json:"seals"`
	Transactions int   `json:"transactions"`
	Bytes        int64 `json:"bytes"` // of these entries
	Snapshots    int   `json:"snapshots"`
	Pins         int   `json:"pins"`
	Parts        int   `json:"parts"`    // of snapshots and restores, each object once
	Restores     int   `json:"restores"` // each one a transaction too
	// From is the position that the log reaches back to, and Begin the snapshot that
	// it goes on from there; empty if that is the log's origin.
	From  persistence.Position `json:"from"`
	Begin string               `json:"begin,omitzero"`
	// Garbage counts the entries before From that are no seals: collection has yet to
	// remove them.
	Garbage      int   `json:"garbage"`
	GarbageBytes int64 `json:"garbageBytes"`
	// Alone are the snapshots before From. No log goes on from them: each is the state
	// of one position, and no more.
	Alone []string `json:"alone"`
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
	log      *Log
	progress func(done, total int) // may be nil
	fetch    *fetcher
	states   *snapshot.Checker
	report   *Report

	begin     *snapshot.Manifest   // nil for the origin
	keys      []EntryKey           // by position, then epoch
	manifests []*snapshot.Manifest // those that can be read, oldest first
	pinned    map[string]bool      // names of snapshots
	whole     map[string]bool      // by name
	there     map[EntryKey]bool    // Size not set
	onPath    map[EntryKey]bool
	seals     map[persistence.Epoch]*Entry // the last one of each epoch: before it there may be void ones

	at persistence.Point
	// unsure: the entry before is missing or wrong, so at's hash and transaction
	// number are not known.
	unsure      bool
	done, total int // of the objects
}

// Verify reads every snapshot, every entry from the position on that the log reaches
// back to, and the state of every restore there, and checks each by itself, the chain
// between them, and that none is missing. Before that position there may be what
// collection has left or has yet to remove; of that it checks what is kept: seals, and
// snapshots that stand alone. How long what is kept it does not know: it judges only by
// what is there. progress, if not nil, is told how many objects are done and how many
// there are.
func (l *Log) Verify(ctx context.Context, progress func(done, total int)) (*Report, error) {
	v := &verifier{log: l, progress: progress, fetch: newFetcher(l, nothing{}, l.options.Prefetch, 8*l.options.Prefetch), states: snapshot.NewChecker(l.bucket, l.codec),
		report: &Report{Alone: []string{}, Orphans: []string{}, Problems: []string{}},
		whole:  map[string]bool{}, onPath: map[EntryKey]bool{}, seals: map[persistence.Epoch]*Entry{}}
	defer v.fetch.drop()
	if err := v.survey(ctx); err != nil {
		return nil, err
	}
	if err := v.snapshots(ctx); err != nil {
		return nil, err
	}
	for more := true; more; {
		var err error
		if more, err = v.step(ctx); err != nil {
			return nil, err
		}
		v.tell(len(v.onPath))
	}
	v.report.Head = v.at
	return v.report, v.rest(ctx)
}

// tell tells how far it is, entries being how many of these are done.
func (v *verifier) tell(entries int) {
	if v.progress != nil {
		v.progress(v.done+entries, max(v.total, v.done+entries))
	}
}

func (v *verifier) problem(err error) {
	v.report.Problems = append(v.report.Problems, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// step checks the entry at v.at; it says whether there may be another.
func (v *verifier) step(ctx context.Context) (bool, error) {
	got := v.fetch.get(ctx, v.at.Epoch, v.at.Next)
	if errors.Is(got.err, bucket.ErrNotExist) {
		evidence, err := v.evidence(ctx)
		if err != nil && !errors.Is(err, ErrDamaged) || evidence == "" {
			return false, err
		}
		got = v.fetch.get(ctx, v.at.Epoch, v.at.Next) // it may have come since
		if errors.Is(got.err, bucket.ErrNotExist) {
			return v.missing(ctx, evidence)
		}
	}
	if got.err != nil && !errors.Is(got.err, ErrDamaged) {
		return false, got.err
	}
	v.onPath[EntryKey{Epoch: v.at.Epoch, Position: v.at.Next}] = true
	if got.err != nil {
		v.problem(fmt.Errorf("%w; %s", got.err, v.lost()))
		return v.skip(), nil
	}
	e := got.entry
	if err := e.checkChain(v.at); err != nil && !v.unsure {
		v.problem(&DamageError{Key(e.Epoch, e.Position), err})
	}
	if err := v.count(ctx, e); err != nil {
		return false, err
	}
	v.at, v.unsure = e.after(), false
	v.compare(e)
	return true, nil
}

// evidence names an object that shows that the entry at v.at existed: as for a recovery,
// or a snapshot beyond it.
func (v *verifier) evidence(ctx context.Context) (string, error) {
	evidence, err := v.log.evidenceBeyond(ctx, v.at.Epoch, v.at.Next)
	if evidence != "" || err != nil {
		return evidence, err
	}
	for _, m := range v.manifests {
		if m.At.Next > v.at.Next {
			return m.Key(), nil
		}
	}
	return "", nil
}

// count checks what an entry says beside its place in the chain.
func (v *verifier) count(ctx context.Context, e *Entry) error {
	v.report.Entries++
	v.report.Transactions += e.Count
	v.report.Bytes += e.Size()
	switch e.Kind {
	case KindSeal:
		return v.seal(ctx, e)
	case KindRestore:
		return v.restore(ctx, e)
	}
	return nil
}

// seal makes sure that no entry was in a seal's place.
func (v *verifier) seal(ctx context.Context, e *Entry) error {
	v.report.Seals++
	v.seals[e.Epoch] = e
	evidence, err := v.log.beyond(ctx, epochPrefix(e.Epoch), e.Epoch, e.Position)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	} else if evidence != "" {
		v.problem(&DamageError{Key(e.Epoch, e.Position), fmt.Errorf("a seal is here, but %s shows that an entry was", evidence)})
	}
	return nil
}

// missing names the entry at v.at, unless it was collected since this run began.
func (v *verifier) missing(ctx context.Context, evidence string) (bool, error) {
	key, at := Key(v.at.Epoch, v.at.Next), v.at.Next
	if err := v.survey(ctx); err != nil {
		return false, err
	}
	if v.report.From > at {
		return true, nil // from there
	}
	v.problem(&DamageError{key, fmt.Errorf("missing, but %s is there; %s", evidence, v.lost())})
	return v.skip(), nil
}

// lost says what can't be recovered any more without the entry at v.at.
func (v *verifier) lost() string {
	for _, m := range v.manifests {
		switch {
		case !v.whole[m.Name] || m.At.Next <= v.at.Next:
		case m.At.Next == v.at.Next+1:
			return fmt.Sprintf("no state is lost: snapshot %s is that of position %d", m.Name, v.at.Next)
		case m.At.Next == v.at.Next+2:
			return fmt.Sprintf("the state of position %d can't be recovered, those from snapshot %s on can", v.at.Next, m.Name)
		default:
			return fmt.Sprintf("the states of positions %d to %d can't be recovered, those from snapshot %s on can", v.at.Next, m.At.Next-2, m.Name)
		}
	}
	return fmt.Sprintf("no state from position %d on can be recovered", v.at.Next)
}

// skip goes on behind an entry that is missing or wrong: from the next snapshot, or with
// the next entry of the history if that is before.
func (v *verifier) skip() bool {
	next := v.at.Next
	v.unsure = true
	found := false
	for _, k := range WithoutOrphans(v.keys) {
		if k.Position > next && k.Epoch >= v.at.Epoch {
			v.at.Epoch, v.at.Next, found = k.Epoch, k.Position, true
			break
		}
	}
	for _, m := range v.manifests {
		if m.At.Next > next && (!found || m.At.Next <= v.at.Next) {
			v.at, v.unsure = m.At, false
			return true
		}
	}
	return found
}

// nothing is a consumer that looks at nothing.
type nothing struct{}

func (nothing) Reset(persistence.Point) error { return nil }
func (nothing) Prepare(persistence.Batch) (func() error, error) {
	return func() error { return nil }, nil
}
func (nothing) Loaded(persistence.Point) {}
