package durability

import (
	"context"
	"fmt"
	"testing"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// instantLog acknowledges at once, on a goroutine of its own as a real one does: what
// is left is what this package costs.
type instantLog struct {
	acks chan func(persistence.Ack, error)
	last persistence.TransactionNumber
}

func newInstantLog(b testing.TB) *instantLog {
	l := &instantLog{acks: make(chan func(persistence.Ack, error), 1024)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		at := persistence.Point{Epoch: 1}
		for done := range l.acks {
			at.Transaction++
			at.Next++
			point := at
			done(persistence.Ack{Commit: persistence.Commit{Transaction: at.Transaction, Position: at.Next - 1, Epoch: 1}, After: &point}, nil)
		}
	}()
	b.Cleanup(func() { close(l.acks); <-ended })
	return l
}

func (l *instantLog) Append(_ []byte, done func(persistence.Ack, error)) (persistence.TransactionNumber, error) {
	l.last++
	l.acks <- done
	return l.last, nil
}

func (*instantLog) WaitRoom(context.Context) error { return nil }

// A transaction of a few tasks whose status changes, from the lock to the
// acknowledgement.
func BenchmarkSubmit(b *testing.B) {
	for _, size := range []int{1, 20} {
		b.Run(fmt.Sprintf("tasks=%d", size), func(b *testing.B) {
			s := New(Options{})
			if err := s.Lead(b.Context(), newInstantLog(b), nil); err != nil {
				b.Fatal(err)
			}
			const stored = 10_000
			statuses := []api.ScheduleStatus{api.ScheduleStatusASSIGNED, api.ScheduleStatusRUNNING}
			at := 0
			work := func(_ context.Context, tx storage.Mutable) error {
				tasks := make([]*api.ScheduledTask, size)
				for i := range tasks {
					tasks[i] = newTask(fmt.Sprintf("task-%d", at%stored), statuses[at/stored%2])
					at++
				}
				return tx.Tasks().Save(tasks...)
			}
			submit := func() {
				if _, err := s.Submit(b.Context(), work, WriteOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			for at < stored {
				submit()
			}
			b.ReportAllocs()
			for b.Loop() {
				submit()
			}
		})
	}
}

// Replay of a log of such transactions.
func BenchmarkReplay(b *testing.B) {
	records := make([][]byte, 200)
	for i := range records {
		t := &api.Transaction{SchemaVersion: api.CurrentSchemaVersion, Ops: []*api.Op{{SaveTasks: &api.SaveTasks{
			Tasks: []*api.ScheduledTask{newTask(fmt.Sprintf("task-%d", i%50), api.ScheduleStatus(i%3))}}}}}
		var err error
		if records[i], err = t.AppendBinary(nil); err != nil {
			b.Fatal(err)
		}
	}
	s, at := New(Options{}), persistence.Point{Epoch: 1}
	b.ReportAllocs()
	for b.Loop() {
		apply, err := s.Prepare(persistence.Batch{Records: records, First: at.Transaction + 1, Position: at.Next, Epoch: 1})
		if err == nil {
			err = apply()
		}
		if err != nil {
			b.Fatal(err)
		}
		at.Next, at.Transaction = at.Next+1, at.Transaction+persistence.TransactionNumber(len(records))
		s.Loaded(at)
	}
}
