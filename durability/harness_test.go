package durability

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// tape is a log on a slice: records are acknowledged when the test says so, or at
// once.
type tape struct {
	mu      sync.Mutex
	records [][]byte
	waiting []func(persistence.Ack, error)
	acked   int
	auto    bool
	err     error // of Append
}

func (l *tape) Append(record []byte, done func(persistence.Ack, error)) (persistence.TransactionNumber, error) {
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return 0, l.err
	}
	l.records = append(l.records, record)
	l.waiting = append(l.waiting, done)
	number := persistence.TransactionNumber(len(l.records))
	auto := l.auto
	l.mu.Unlock()
	if auto {
		go l.ack(1)
	}
	return number, nil
}

func (l *tape) WaitRoom(context.Context) error { return nil }

// ack acknowledges the next n records, each as an entry of its own.
func (l *tape) ack(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.acked++
		at := persistence.Point{Epoch: 1, Next: persistence.Position(l.acked) + 1, Transaction: persistence.TransactionNumber(l.acked)}
		l.waiting[l.acked-1](persistence.Ack{Commit: persistence.Commit{Transaction: at.Transaction, Position: at.Next - 1, Epoch: 1}, After: &at}, nil)
	}
}

// fail ends the log: what waits is told so.
func (l *tape) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	for _, done := range l.waiting[l.acked:] {
		done(persistence.Ack{}, err)
	}
}

// replayed is a new storage with the tape's records, as a recovery finds them.
func (l *tape) replayed(t *testing.T, o ...Options) *Storage {
	t.Helper()
	s := New(append(o, Options{})[0])
	must(t, s.Reset(persistence.Point{}))
	for i, record := range l.records {
		batch := persistence.Batch{Records: [][]byte{record}, First: persistence.TransactionNumber(i + 1), Position: persistence.Position(i + 1), Epoch: 1}
		apply, err := s.Prepare(batch)
		must(t, err)
		must(t, apply())
		s.Loaded(persistence.Point{Epoch: 1, Next: persistence.Position(i + 2), Transaction: batch.First})
	}
	return s
}

// fromCheckpoint is a new storage with a snapshot of s.
func fromCheckpoint(t test, s *Storage, o ...Options) *Storage {
	t.Helper()
	c := s.Checkpoint()
	n := New(append(o, Options{})[0])
	must(t, n.Reset(c.At))
	for record, err := range c.Records() {
		must(t, err)
		apply, err := n.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
		must(t, err)
		must(t, apply())
	}
	n.Loaded(c.At)
	return n
}

// test is what helpers need of a test, or of one run of a property.
type test interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t test, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func led(t *testing.T, auto bool) (*Storage, *tape) {
	s, l := New(Options{}), &tape{auto: auto}
	must(t, s.Reset(persistence.Point{}))
	s.Loaded(persistence.Point{})
	must(t, s.Lead(t.Context(), l, nil))
	return s, l
}

func newTask(id string, status api.ScheduleStatus) *api.ScheduledTask {
	return &api.ScheduledTask{Status: api.Some(status), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
		Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: api.Some("job")}, Production: api.Some(true)}}}
}

func save(ids ...string) Work {
	return func(_ context.Context, tx storage.Mutable) error {
		for _, id := range ids {
			if err := tx.Tasks().Save(newTask(id, api.ScheduleStatusPENDING)); err != nil {
				return err
			}
		}
		return nil
	}
}

// ids of the tasks that readers see.
func (s *Storage) ids() (ids string) {
	for task := range s.View().Tasks().All() {
		ids += task.AssignedTask.TaskID.Value
	}
	return ids
}

// same makes sure that two storages hold the same, keys included.
func same(t test, got, want *Storage) {
	t.Helper()
	a, b := contents(t, got), contents(t, want)
	if len(a) != len(b) {
		t.Fatalf("%d records, want %d", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("record %d of the state differs:\n got %q\nwant %q", i, a[i], b[i])
		}
	}
}

// contents is a state as its snapshot's records: values are canonical, so equal
// states have equal bytes.
func contents(t test, s *Storage) (records []string) {
	t.Helper()
	for record, err := range s.Checkpoint().Records() {
		must(t, err)
		records = append(records, string(record))
	}
	return records
}

var errWork = errors.New("work failed")
