package storage_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

type reading struct {
	q     *api.TaskQuery
	took  time.Duration
	tasks int
}

func TestOnQueryHearsOfEachReading(t *testing.T) {
	var heard []reading
	tx := storage.NewState(storage.Options{OnQuery: func(q *api.TaskQuery, took time.Duration, tasks int) {
		heard = append(heard, reading{q, took, tasks})
	}}).Begin()
	for n := range 1000 {
		must(t, tx.Tasks().Save(task(string(rune('a'+n%26))+string(rune('a'+n/26)), "r/e/j")))
	}
	q := &api.TaskQuery{Role: api.Some("r")}
	found, err := tx.Commit().Tasks().Query(q) // a successor has it too
	must(t, err)
	q.Role = api.Some("changed")
	if len(heard) != 0 {
		t.Fatal("nothing was read yet")
	}
	all := ids(found)
	for stop := range 700 {
		heard = nil
		n := 0
		for x := range found {
			if idOf(x) != all[n] {
				t.Fatalf("%d is %s, want %s", n, idOf(x), all[n])
			}
			if n++; n > stop {
				break
			}
		}
		if len(heard) != 1 || heard[0].tasks != stop+1 || heard[0].q.Role.Value != "r" {
			t.Fatalf("after %d tasks: %+v", stop+1, heard)
		}
	}
	heard = nil
	if n := len(ids(found)); n != 1000 || len(heard) != 1 || heard[0].tasks != 1000 {
		t.Fatalf("%d tasks, %+v", n, heard)
	}
	_, err = tx.Tasks().Query(&api.TaskQuery{JobKeys: jobs("not valid!/e/j")})
	wantError(t, err, storage.ErrInvalidArgument, "")
	if len(heard) != 1 {
		t.Fatal("a query that was refused was read")
	}
}

func TestWhatTheReaderDoesIsNotTheQuerysTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took time.Duration
		tx := storage.NewState(storage.Options{OnQuery: func(_ *api.TaskQuery, d time.Duration, _ int) { took += d }}).Begin()
		must(t, tx.Tasks().Save(task("a", "r/e/j"), task("b", "r/e/j"), task("c", "r/e/j")))
		found, err := tx.Tasks().Query(&api.TaskQuery{})
		must(t, err)
		for range found {
			time.Sleep(time.Minute) // of the bubble's clock, which stands still otherwise
		}
		if took != 0 {
			t.Fatalf("the query took %v", took)
		}
	})
}
