package schedulerstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// lifeVariable names a file of transactions as JSON lines, such as a cluster's life, for
// the past to be asked of, instead of a made-up one.
const lifeVariable = "SCHEDULER_STORE_LIFE"

// pastState is a state of the history, by a plain loop over its entries.
type pastState struct {
	position    persistence.Position
	transaction persistence.TransactionNumber
	last        bool // of its entry
	time        time.Time
	view        storage.View
}

// everyState applies each transaction of the log to a fresh state, one after another,
// and keeps what there is after each. restored are the states that were restored.
func everyState(t *trip, restored map[persistence.TransactionNumber]storage.View) []pastState {
	t.T.Helper()
	log := t.Store.Log()
	keys, err := log.Keys(t.Context())
	t.check(err)
	var states []pastState
	plain := durability.New(durability.Options{})
	t.check(plain.Reset(persistence.Point{}))
	plain.Loaded(persistence.Point{})
	number := persistence.TransactionNumber(0)
	for _, key := range blob.WithoutOrphans(keys) {
		e, err := log.Read(t.Context(), key)
		t.check(err)
		at := persistence.Point{Epoch: e.Epoch, Next: e.Position + 1}
		add := func(last bool) {
			at.Transaction = number
			plain.Loaded(at)
			states = append(states, pastState{e.Position, number, last, e.Time, plain.View()})
		}
		if e.Kind == blob.KindSeal {
			add(true)
		}
		for i, record := range e.Records {
			number++
			apply, err := plain.Prepare(persistence.Batch{Records: [][]byte{record}, First: number, Position: e.Position, Epoch: e.Epoch})
			t.check(err)
			t.check(apply())
			add(i+1 == len(e.Records))
		}
		if e.Kind == blob.KindRestore {
			number++
			t.check(plain.Reset(persistence.Point{Epoch: e.Epoch, Next: e.Position + 1, Transaction: number}))
			for record, err := range durability.RecordsOf(restored[number]) {
				t.check(err)
				apply, err := plain.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
				t.check(err)
				t.check(apply())
			}
			add(true)
		}
	}
	return states
}

// past is the state as of a place, as a process has it that only reads.
func (t *trip) past(until blob.Until) (storage.View, error) {
	stores := durability.New(durability.Options{})
	_, err := t.Store.Log().Past(t.Context(), stores, until, nil)
	return stores.View(), err
}

// wantPast compares all ways to ask for one state with it.
func (t *trip) wantPast(want *pastState) {
	t.T.Helper()
	places := []blob.Until{blob.UntilTransaction(want.transaction)}
	if want.last {
		places = append(places, blob.UntilPosition(want.position))
	}
	for _, until := range places {
		got, err := t.past(until)
		if err != nil {
			t.T.Fatalf("seed %d: as of %v: %v", t.seed, until, err)
		}
		if d := randomstate.Diff(got, want.view); d != "" {
			t.T.Fatalf("seed %d: as of %v: %s", t.seed, until, d)
		}
	}
}

// Every state of random lives with snapshots, incremental ones too, with seals, restores
// and groups is what it was; what is left when garbage was collected is still that, and
// the rest is said to be collected.
func TestEveryStateOfALifeCanBeHadAgain(t *testing.T) {
	for seed := range uint64(2) {
		trip := &trip{T: t, seed: seed, source: randomstate.New(seed), mem: memdriver.New()}
		trip.Store = trip.open(trip.mem, true)
		restored := trip.live(45)
		states := everyState(trip, restored)
		for i := range states {
			trip.wantPast(&states[i])
		}
		if _, err := trip.Store.CollectGarbage(t.Context(), garbage.Retention{Keep: 1, Window: -1, Grace: -1}, false); err != nil {
			t.Fatal(err)
		}
		collected := 0
		for i := range states {
			s := &states[i]
			got, err := trip.past(blob.UntilTransaction(s.transaction))
			switch {
			case errors.Is(err, blob.ErrCollected):
				collected++
			case err != nil:
				t.Fatalf("seed %d: as of transaction %d: %v", seed, s.transaction, err)
			case randomstate.Diff(got, s.view) != "" && s.transaction > 0:
				t.Fatalf("seed %d: as of transaction %d it is another state after a collection", seed, s.transaction)
			}
		}
		if collected == 0 {
			t.Fatalf("seed %d: nothing was collected: the test shows nothing", seed)
		}
		trip.check(trip.Store.Close(context.Background()))
	}
}

// live makes a life; it returns the states that were restored, by the transaction.
func (t *trip) live(steps int) map[persistence.TransactionNumber]storage.View {
	t.T.Helper()
	restored := map[persistence.TransactionNumber]storage.View{}
	for step := range steps {
		switch n := t.source.IntN(12); {
		case n < 9: // some of them share an entry
			var pending []*durability.Pending
			for range 1 + t.source.IntN(6) {
				p, err := t.Store.Apply(t.Context(), t.source.Transactions(1)[0], durability.WriteOptions{})
				t.check(err)
				pending = append(pending, p)
			}
			for _, p := range pending {
				_, err := p.Wait(t.Context())
				t.check(err)
			}
		case n < 11 || step < 10:
			_, err := t.Store.Snapshot(t.Context(), "test")
			t.check(err)
		default:
			// The newest state, and not an older one: the source knows what is in it.
			view, now := t.Store.Storage().View(), t.Store.Status()
			commit, err := t.Store.RestoreAt(t.Context(), blob.UntilTransaction(now.Transaction), "test")
			t.check(err)
			restored[commit.Transaction] = view
			t.check(t.Store.Campaign(t.Context()))
		}
	}
	_, err := t.Store.Snapshot(t.Context(), "test")
	t.check(err)
	return restored
}

// aurora is a state as an operator exports it.
func (t *trip) aurora(v storage.View) []byte {
	t.T.Helper()
	var b bytes.Buffer
	t.check(backup.WriteAurora(&b, v, time.Unix(0, 0), nil, func() {}))
	return b.Bytes()
}

// A wrong restore is undone by restoring the position before it: the state is the same,
// byte for byte of an export.
func TestWrongRestoreIsUndone(t *testing.T) {
	trip := &trip{T: t, seed: 7, source: randomstate.New(7), mem: memdriver.New()}
	trip.Store = trip.open(trip.mem, true)
	trip.live(30)
	right := trip.Store.Storage().View()
	before := trip.aurora(right)
	wrong, err := trip.Store.RestoreAt(t.Context(), blob.UntilTransaction(1), "by mistake")
	trip.check(err)
	trip.check(trip.Store.Campaign(t.Context()))
	if bytes.Equal(trip.aurora(trip.Store.Storage().View()), before) {
		t.Fatal("the wrong restore changed nothing")
	}
	_, err = trip.Store.RestoreAt(t.Context(), blob.UntilPosition(wrong.Position-1), "undo")
	trip.check(err)
	trip.check(trip.Store.Campaign(t.Context()))
	trip.equal(trip.Store.Storage().View(), right)
	if !bytes.Equal(trip.aurora(trip.Store.Storage().View()), before) {
		t.Error("the export is not what it was")
	}
	trip.recovered(trip.mem, right)

	// What can't be restored changes nothing, and says why.
	for until, want := range map[blob.Until]error{
		{}: storage.ErrInvalidArgument, blob.UntilPosition(1 << 40): blob.ErrNotYet} {
		if _, err := trip.Store.RestoreAt(t.Context(), until, ""); !errors.Is(err, want) || !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("%v: %v, want %v", until, err, want)
		}
	}
	if _, err := trip.Store.RestoreBackup(t.Context(), trip.Store.Backups(), "nobody", ""); !errors.Is(err, backup.ErrNotExist) {
		t.Error(err)
	}
	trip.equal(trip.Store.Storage().View(), right)
	trip.check(trip.Store.Close(context.Background()))
	if _, err := trip.Store.RestoreAt(t.Context(), blob.UntilPosition(2), ""); !errors.Is(err, durability.ErrNotLeader) {
		t.Errorf("without leading: %v", err)
	}
}

// Random positions of a whole cluster's life, or of a made-up one, are each what a plain
// replay of the transactions up to there has.
func TestPastOfALife(t *testing.T) {
	trip := &trip{T: t, seed: 11, source: randomstate.New(11), mem: memdriver.New()}
	trip.Store = trip.open(trip.mem, true)
	var life [][]*api.Op
	positions := 40
	if path := os.Getenv(lifeVariable); path != "" {
		life, positions = readLife(t, path), 1000
	} else {
		life = trip.source.Transactions(1500)
	}
	var pending []*durability.Pending
	for i, ops := range life {
		p, err := trip.Store.Apply(t.Context(), ops, durability.WriteOptions{})
		trip.check(err)
		if pending = append(pending, p); len(pending) >= 20 || i+1 == len(life) {
			for _, p := range pending {
				_, err := p.Wait(t.Context())
				trip.check(err)
			}
			pending = pending[:0]
		}
		if i%(len(life)/60) == 0 {
			_, err := trip.Store.Snapshot(t.Context(), "test")
			trip.check(err)
		}
	}
	states := everyState(trip, nil)
	ends := slices.DeleteFunc(slices.Clone(states), func(s pastState) bool { return !s.last })
	for i := range positions {
		s := ends[trip.source.IntN(len(ends))]
		got, err := trip.past(blob.UntilPosition(s.position))
		trip.check(err)
		trip.equal(got, s.view)
		if i%10 > 0 {
			continue
		}
		s = states[trip.source.IntN(len(states))]
		got, err = trip.past(blob.UntilTransaction(s.transaction))
		trip.check(err)
		trip.equal(got, s.view)
	}
	t.Logf("%d transactions at %d positions, %d of these asked for", len(life), len(ends), positions)
	trip.check(trip.Store.Close(context.Background()))
}

func readLife(t *testing.T, path string) (life [][]*api.Op) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		transaction, err := schema.ParseTransaction(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		life = append(life, transaction.Ops)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return life
}
