package schedulerstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// statesVariable is how many random states take each way; 'make properties' has
// thousands.
const statesVariable = "SCHEDULER_STORE_STATES"

// States take every way that leads out of a store and back. A failure names the seed.
func randomStates(t *testing.T, way func(t *trip)) {
	n := 100
	if many := os.Getenv(statesVariable); many != "" {
		var err error
		if n, err = strconv.Atoi(many); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(n) {
		trip := &trip{T: t, seed: seed, source: randomstate.New(seed), mem: memdriver.New()}
		if seed%3 == 0 {
			trip.key = encryption.NewLocalKeeper([32]byte{byte(seed)})
		}
		trip.Store = trip.open(trip.mem, true)
		for _, ops := range trip.source.Transactions(12) {
			trip.apply(ops)
		}
		way(trip)
		trip.check(trip.Store.Close(context.Background()))
		if t.Failed() {
			return
		}
	}
}

// trip is one random state in a store that leads.
type trip struct {
	*testing.T
	seed   uint64
	source *randomstate.Source
	mem    *memdriver.Bucket
	key    *encryption.Keeper // of each third, and of the cells that it goes to
	*Store
}

func (t *trip) check(err error) {
	t.T.Helper()
	if err != nil {
		t.T.Fatalf("seed %d: %v", t.seed, err)
	}
}

func (t *trip) open(mem *memdriver.Bucket, lead bool) *Store {
	t.T.Helper()
	s, err := OpenBucket(t.Context(), bucket.New(mem, "mem://trip", "", bucket.Options{}), Options{ReadOnly: !lead, Key: t.key})
	t.check(err)
	if lead {
		t.check(s.Campaign(t.Context()))
	} else {
		t.check(s.Recovered(t.Context()))
	}
	return s
}

func (t *trip) apply(ops []*api.Op) {
	t.T.Helper()
	p, err := t.Store.Apply(t.Context(), ops, durability.WriteOptions{})
	t.check(err)
	_, err = p.Wait(t.Context())
	t.check(err)
}

// recovered compares what a new process finds with what must be there.
func (t *trip) recovered(mem *memdriver.Bucket, want storage.View) {
	t.T.Helper()
	s := t.open(mem, false)
	t.equal(s.Storage().View(), want)
	t.check(s.Close(t.Context()))
}

func (t *trip) equal(got, want storage.View) {
	t.T.Helper()
	if d := randomstate.Diff(got, want); d != "" {
		t.T.Fatalf("seed %d: %s", t.seed, d)
	}
}

func TestRoundTripThroughTheLog(t *testing.T) {
	randomStates(t, func(t *trip) { t.recovered(t.mem, t.Storage().View()) })
}

// The entries before the snapshot are taken away, so that it alone can have the state;
// what comes after it is in the log.
func TestRoundTripThroughASnapshot(t *testing.T) {
	randomStates(t, func(t *trip) {
		_, err := t.Store.Snapshot(t.Context(), "test")
		t.check(err)
		for _, key := range t.mem.Keys() {
			if strings.HasPrefix(key, "log/0000000001/") {
				t.check(t.mem.Delete(t.Context(), key))
			}
		}
		if t.seed%2 == 0 {
			t.apply([]*api.Op{t.source.Op()})
		}
		t.recovered(t.mem, t.Storage().View())
	})
}

func TestRoundTripThroughAnAuroraBackupFile(t *testing.T) {
	randomStates(t, func(t *trip) {
		var file bytes.Buffer
		t.check(backup.WriteAurora(&file, t.Storage().View(), time.Now(), map[string]string{"version": "1"}, nil))
		ops := backup.ReadAurora(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file.Bytes())), nil })

		other := memdriver.New()
		to := t.open(other, true)
		_, err := to.Restore(t.Context(), Restoration{Records: durability.Import(ops, nil, new(durability.Imported)), Reason: "import", OnlyEmpty: true})
		t.check(err)
		t.check(to.Close(t.Context()))
		t.recovered(other, t.Storage().View())
	})
}

// What a cell's records hold can be taken to another cell op by op.
func TestRoundTripThroughOps(t *testing.T) {
	randomStates(t, func(t *trip) {
		other := memdriver.New()
		to := t.open(other, true)
		ops := durability.Ops(durability.RecordsOf(t.Storage().View()))
		_, err := to.Restore(t.Context(), Restoration{Records: durability.Import(ops, nil, new(durability.Imported)), Reason: "copy", OnlyEmpty: true})
		t.check(err)
		t.check(to.Close(t.Context()))
		t.recovered(other, t.Storage().View())
	})
}

// A backup is made, the state goes on, the backup is staged, some of its tasks are
// deleted, and it becomes the state again: but for those it is as it was.
func TestRoundTripThroughAStagedBackup(t *testing.T) {
	randomStates(t, func(t *trip) {
		_, err := t.Backup(t.Context(), "before", "test")
		t.check(err)
		want := t.Storage().View().(*storage.State)
		for range 5 {
			t.apply([]*api.Op{t.source.Op()})
		}
		_, err = t.Recovery().Stage(t.Context(), "before")
		t.check(err)
		unwanted := &api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusRUNNING, api.ScheduleStatusLOST}}
		tx, deleted := want.Begin(), 0
		matches, err := want.Tasks().Query(unwanted)
		t.check(err)
		for task := range matches {
			deleted++
			t.check(tx.Tasks().Delete(task.AssignedTask.TaskID.Value))
		}
		n, err := t.Recovery().DeleteTasks(unwanted)
		t.check(err)
		if n != deleted {
			t.T.Fatalf("seed %d: %d tasks were deleted, want %d", t.seed, n, deleted)
		}
		last := t.Status().Transaction
		commit, err := t.Recovery().Commit(t.Context(), nil)
		t.check(err)
		if commit.Transaction != last+1 {
			t.T.Fatalf("seed %d: restored by transaction %d, want %d", t.seed, commit.Transaction, last+1)
		}
		t.recovered(t.mem, tx.Commit())
		t.check(t.Campaign(t.Context())) // the same process goes on with it
		t.equal(t.Storage().View(), tx.Commit())
		t.apply([]*api.Op{{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{newTask(fmt.Sprint("after-", t.seed))}}}})
		t.recovered(t.mem, t.Storage().View())
	})
}
