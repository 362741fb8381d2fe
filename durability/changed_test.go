package durability

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// load gives a new storage records as those of a snapshot at a point.
func load(t test, at persistence.Point, parts ...[][]byte) *Storage {
	t.Helper()
	s := New(Options{})
	must(t, s.Reset(at))
	for _, records := range parts {
		apply, err := s.Prepare(persistence.Batch{Records: records, Snapshot: true})
		must(t, err)
		must(t, apply())
	}
	s.Loaded(at)
	return s
}

// copied returns copies of records that are lent.
func copied(t test, records func(func([]byte, error) bool)) (all [][]byte) {
	t.Helper()
	for record, err := range records {
		must(t, err)
		all = append(all, append([]byte(nil), record...))
	}
	return all
}

func applied(t test, s *Storage, key string, ops []*api.Op) {
	t.Helper()
	p, err := s.Apply(context.Background(), ops, WriteOptions{Key: key})
	must(t, err)
	_, err = p.Wait(context.Background())
	must(t, err)
}

// kindOf is the name of an op's one member.
func kindOf(op *api.Op) string {
	v := reflect.ValueOf(op).Elem()
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			return v.Type().Field(i).Name
		}
	}
	return "none"
}

// Whatever happens between them: a state and what has changed since make the later
// state, idempotency keys included, also in several steps, and also as one sees it who
// has replayed the log.
func TestWhatHasChangedMakesTheLaterState(t *testing.T) {
	seen := map[string]bool{}
	incremental := 0
	rapid.Check(t, func(r *rapid.T) {
		s, l := led(t, true)
		most := rapid.SampledFrom([]int{10, 30, keptRows}).Draw(r, "rows of a generation")
		s.durable.Load().changed.most = most
		source := randomstate.New(rapid.Uint64().Draw(r, "seed"))
		write := func(transactions int) {
			for i, ops := range source.Transactions(transactions) {
				for _, op := range ops {
					seen[kindOf(op)] = true
				}
				key := ""
				if i%3 == 0 {
					key = fmt.Sprint("key-", s.Checkpoint().At.Transaction)
				}
				applied(r, s, key, ops)
			}
		}
		write(rapid.IntRange(1, 40).Draw(r, "transactions before"))
		base := s.Checkpoint().At.Transaction
		parts := [][][]byte{copied(r, s.Checkpoint().Records())}
		for range rapid.IntRange(1, 4).Draw(r, "snapshots") {
			write(rapid.IntRange(0, 20).Draw(r, "transactions"))
			since, known := s.Checkpoint().Since(base)
			if !known {
				if most == keptRows {
					r.Fatal("what has changed is not known")
				}
				return
			}
			incremental++
			next := append(parts[:len(parts):len(parts)], copied(r, since.Records()))
			same(r, load(r, s.Checkpoint().At, next...), s)
			replayed, known := l.replayed(t).Checkpoint().Since(base)
			if !known || replayed.Rows != since.Rows {
				r.Fatalf("%d rows have changed for one who replayed (known: %t), %d for the leader", replayed.Rows, known, since.Rows)
			}
			same(r, load(r, s.Checkpoint().At, append(parts[:len(parts):len(parts)], copied(r, replayed.Records()))...), s)
			parts, base = next, s.Checkpoint().At.Transaction
		}
	})
	if incremental == 0 {
		t.Error("nothing was tried")
	}
	for i, ops := 0, reflect.TypeFor[api.Op](); i < ops.NumField(); i++ {
		switch kind := ops.Field(i).Name; kind {
		case "SaveLock", "RemoveLock", "PruneJobUpdateHistory": // retired
		default:
			if !seen[kind] {
				t.Errorf("%s was not tried", kind)
			}
		}
	}
}

// What is known reaches back one generation of rows at least, and two at most.
func TestChangesAreForgottenByGenerations(t *testing.T) {
	c := newChanged(5)
	c.most = 4
	save := func(number persistence.TransactionNumber, ids ...string) {
		var tasks []*api.ScheduledTask
		for _, id := range ids {
			tasks = append(tasks, newTask(id, api.ScheduleStatusRUNNING))
		}
		c.note(number, []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: tasks}}})
	}
	for _, step := range []struct {
		number persistence.TransactionNumber
		ids    []string
		after  map[persistence.TransactionNumber]int // how many rows since; -1: not known
	}{
		{6, []string{"a", "b"}, map[persistence.TransactionNumber]int{4: -1, 5: 2, 6: 0}},
		{7, []string{"b", "c"}, map[persistence.TransactionNumber]int{5: 3, 6: 2, 7: 0}},
		{8, []string{"d"}, map[persistence.TransactionNumber]int{4: -1, 5: 4, 6: 3, 7: 1}}, // the generation is full
		{9, []string{"a", "e"}, map[persistence.TransactionNumber]int{5: 5, 7: 3, 8: 2}},
		{10, []string{"f", "g"}, map[persistence.TransactionNumber]int{5: -1, 7: -1, 8: 4, 9: 2}},
		{11, []string{"h", "i", "j", "k", "l"}, map[persistence.TransactionNumber]int{8: -1, 9: -1, 10: 5}},
	} {
		save(step.number, step.ids...)
		for after, want := range step.after {
			rows, known := c.since(after)
			if got := len(rows); known != (want >= 0) || known && got != want {
				t.Errorf("after transaction %d: %d rows since %d (known: %t), want %d", step.number, got, after, known, want)
			}
		}
	}
}

// An op of which it is not known what it touches makes all that came before unknown.
func TestUnknownOpMakesChangesUnknown(t *testing.T) {
	c := newChanged(0)
	c.note(1, []*api.Op{{}})
	if _, known := c.since(0); known {
		t.Error("it is known")
	}
	if _, known := c.since(1); !known {
		t.Error("what comes after it is not known")
	}
}

// Nothing is known of what a snapshot or a restore brought, and an old checkpoint keeps
// to its own course of the state.
func TestChangesStartOverWithTheState(t *testing.T) {
	s, _ := led(t, true)
	must(t, s.Write(t.Context(), save("a")))
	old := s.Checkpoint()
	at := persistence.Point{Epoch: 1, Next: 3, Transaction: 2}
	records := copied(t, old.Records())
	must(t, s.Reset(at))
	prepared, err := s.Prepare(persistence.Batch{Records: records, Snapshot: true})
	must(t, err)
	must(t, prepared())
	if since, known := old.Since(0); !known || since.Rows != 1 {
		t.Error("the old checkpoint lost what it knew")
	}
	s.Loaded(at)
	if _, known := s.Checkpoint().Since(1); known {
		t.Error("what came before the new state is said to be known")
	}
	if since, known := s.Checkpoint().Since(2); !known || since.Rows != 0 {
		t.Error("what comes after the new state is not known")
	}
	if since, known := old.Since(0); !known || since.Rows != 1 {
		t.Error("the old checkpoint lost what it knew")
	}
}

// What was not acknowledged has not happened.
func TestChangesAreThoseThatAreDurable(t *testing.T) {
	s, l := led(t, false)
	_, err := s.Submit(t.Context(), save("a"), WriteOptions{})
	must(t, err)
	if rows, _ := s.durable.Load().changed.since(0); len(rows) != 0 {
		t.Errorf("%v are changed before they are durable", rows)
	}
	l.ack(1)
	if since, known := s.Checkpoint().Since(0); !known || since.Rows != 1 {
		t.Errorf("%+v, %t", since, known)
	}
}

// Records that are lent share one buffer: a whole state is encoded in the memory of one.
func TestRecordsOfACheckpointAreLent(t *testing.T) {
	s, _ := led(t, true)
	for i := range 3 {
		ids := []string{}
		for j := range tasksPerRecord {
			ids = append(ids, fmt.Sprint(i, "-", j))
		}
		must(t, s.Write(t.Context(), save(ids...)))
	}
	var first []byte
	n := 0
	for record, err := range s.Checkpoint().Records() {
		must(t, err)
		if n++; n == 1 {
			first = record
		} else if n == 2 && &first[0] != &record[0] {
			t.Error("the second record has memory of its own")
		}
	}
	if n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}
