package durability

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func TestReadersSeeOnlyWhatIsDurable(t *testing.T) {
	s, l := led(t, false)
	a, err := s.Submit(t.Context(), save("a"), WriteOptions{})
	must(t, err)
	b, err := s.Submit(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
		if _, ok := tx.Tasks().Fetch("a"); !ok {
			return errors.New("a write does not see the one before")
		}
		return save("b")(ctx, tx)
	}, WriteOptions{})
	must(t, err)
	if got := s.ids(); got != "" {
		t.Errorf("readers see %q before anything is durable", got)
	}
	l.ack(1)
	if got := s.ids(); got != "a" {
		t.Errorf("readers see %q, want a", got)
	}
	select {
	case <-b.Done():
		t.Error("b has an outcome before it is durable")
	default:
	}
	l.ack(1)
	if c, err := b.Wait(t.Context()); err != nil || c != (persistence.Commit{Transaction: 2, Position: 2, Epoch: 1}) {
		t.Errorf("b: %+v, %v", c, err)
	}
	if c, err := a.Wait(t.Context()); err != nil || c.Transaction != 1 {
		t.Errorf("a: %+v, %v", c, err)
	}
	if got := s.ids(); got != "ab" {
		t.Errorf("readers see %q", got)
	}
}

func TestFailedWorkLeavesNothing(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), save("a")))
	err := s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
		must(t, save("b")(ctx, tx))
		must(t, tx.Tasks().Delete("a"))
		return errWork
	})
	if err != errWork {
		t.Errorf("%v, want the work's own error", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
			must(t, save("c")(ctx, tx))
			panic("in the work")
		})
	}()
	must(t, s.Write(t.Context(), save("d"))) // the lock is free
	if got := s.ids(); got != "ad" || len(l.records) != 2 {
		t.Errorf("state %q, %d records", got, len(l.records))
	}
	same(t, l.replayed(t), s)
}

func TestNestedWriteJoinsTheOuter(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
		must(t, save("a")(ctx, tx))
		must(t, s.Write(ctx, save("b")))
		err := s.Write(ctx, func(ctx context.Context, tx storage.Mutable) error { // fails, the outer goes on
			must(t, save("a", "c")(ctx, tx))
			must(t, tx.Tasks().Delete("b"))
			must(t, s.Write(ctx, save("d")))
			return errWork
		})
		if err != errWork {
			t.Errorf("nested: %v", err)
		}
		if _, ok := tx.Tasks().Fetch("b"); !ok {
			t.Error("the nested part's removal was not undone")
		}
		return save("e")(ctx, tx)
	}))
	if got := s.ids(); got != "abe" || len(l.records) != 1 {
		t.Errorf("state %q, %d records, want abe in one", got, len(l.records))
	}
	same(t, l.replayed(t), s)
}

func TestWriteThatChangesNothingIsNotRecorded(t *testing.T) {
	s, l := led(t, false)
	p, err := s.Submit(t.Context(), save("a"), WriteOptions{})
	must(t, err)
	q, err := s.Submit(t.Context(), func(context.Context, storage.Mutable) error { return nil }, WriteOptions{})
	must(t, err)
	select {
	case <-q.Done():
		t.Error("a write that saw what is not durable returned")
	default:
	}
	l.ack(1)
	<-p.Done()
	<-q.Done()
	if len(l.records) != 1 {
		t.Errorf("%d records, want 1", len(l.records))
	}
}

func TestWhatIsNotAcknowledgedIsThrownAway(t *testing.T) {
	for _, outcome := range []error{persistence.ErrUnknown, persistence.ErrDeposed, persistence.ErrNotCommitted} {
		s, l := led(t, false)
		a, err := s.Submit(t.Context(), save("a"), WriteOptions{})
		must(t, err)
		l.ack(1)
		b, err := s.Submit(t.Context(), save("b"), WriteOptions{Key: "k"})
		must(t, err)
		l.fail(outcome)
		if _, err := b.Wait(t.Context()); !errors.Is(err, outcome) {
			t.Errorf("%v, want %v", err, outcome)
		}
		s.StepDown()
		if err := s.Write(t.Context(), save("c")); !errors.Is(err, ErrNotLeader) || !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("after stepping down: %v", err)
		}
		again := &tape{auto: true, records: l.records[:1], acked: 1, waiting: l.waiting[:1]}
		must(t, s.Lead(t.Context(), again, nil))
		if _, ok := s.View().Tasks().Fetch("b"); ok {
			t.Error("b is still there")
		}
		p, err := s.Submit(t.Context(), save("d"), WriteOptions{Key: "k"}) // the key is free again
		must(t, err)
		if c, err := p.Wait(t.Context()); err != nil || c.Transaction != 2 {
			t.Errorf("%+v, %v", c, err)
		}
		if got := s.ids(); got != "ad" {
			t.Errorf("state %q", got)
		}
		<-a.Done()
	}
}

func TestCallerWhoGivesUpGetsUnknown(t *testing.T) {
	s, l := led(t, false)
	p, err := s.Submit(t.Context(), save("a"), WriteOptions{})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, persistence.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	l.ack(1)
	if got := s.ids(); got != "a" {
		t.Errorf("the commit did not go on: %q", got)
	}
}

func TestWaitingForTheLockEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := led(t, true)
		held, release := make(chan struct{}), make(chan struct{})
		go func() {
			_ = s.Write(t.Context(), func(context.Context, storage.Mutable) error {
				close(held)
				<-release
				return nil
			})
		}()
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Write(ctx, save("a"))
		if !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(release)
	})
}

func TestConditionOnTheLastTransaction(t *testing.T) {
	s, _ := led(t, true)
	zero, one := persistence.TransactionNumber(0), persistence.TransactionNumber(1)
	if _, err := s.Submit(t.Context(), save("a"), WriteOptions{After: &one}); !errors.Is(err, ErrConflict) || !errors.Is(err, persistence.ErrNotCommitted) {
		t.Errorf("after 1 of none: %v", err)
	}
	p, err := s.Submit(t.Context(), save("a"), WriteOptions{After: &zero})
	must(t, err)
	// The next sees a even before it is durable: two with the same condition can't both pass.
	if _, err := s.Submit(t.Context(), save("b"), WriteOptions{After: &zero}); !errors.Is(err, ErrConflict) {
		t.Errorf("second with the same condition: %v", err)
	}
	<-p.Done()
}

func TestIdempotencyKeys(t *testing.T) {
	s, l := led(t, false)
	o := WriteOptions{Key: "key", Fingerprint: []byte("abc")}
	first, err := s.Submit(t.Context(), save("a"), o)
	must(t, err)
	again, err := s.Submit(t.Context(), save("a"), o) // while the first is on its way
	must(t, err)
	nothing, err := s.Submit(t.Context(), func(context.Context, storage.Mutable) error { return nil }, WriteOptions{Key: "nothing"})
	must(t, err)
	l.auto = true
	l.ack(2)
	want, err := first.Wait(t.Context())
	must(t, err)
	if got, err := again.Wait(t.Context()); err != nil || got != want {
		t.Errorf("repeat while on its way: %+v, %v; want %+v", got, err, want)
	}
	if c, err := nothing.Wait(t.Context()); err != nil || c.Transaction != 2 {
		t.Errorf("a write that changes nothing but has a key: %+v, %v", c, err)
	}
	must(t, s.Write(t.Context(), save("b")))
	if len(l.records) != 3 {
		t.Errorf("%d records, want 3", len(l.records))
	}
	for name, recovered := range map[string]*Storage{"same leader": s, "from the log": l.replayed(t), "from a snapshot": fromCheckpoint(t, s)} {
		must(t, recovered.Lead(t.Context(), &tape{records: l.records}, nil))
		p, err := recovered.Submit(t.Context(), save("a"), o)
		must(t, err)
		if got, err := p.Wait(t.Context()); err != nil || got != want {
			t.Errorf("%s: repeat %+v, %v; want %+v", name, got, err, want)
		}
		if _, err := recovered.Submit(t.Context(), save("x"), WriteOptions{Key: "key", Fingerprint: []byte("other")}); !errors.Is(err, ErrKeyReused) {
			t.Errorf("%s: key with another write: %v", name, err)
		}
	}
}

func TestOldKeysAreForgotten(t *testing.T) {
	k := newKeys()
	for i := range keptKeys + 10 {
		k = k.with(fmt.Sprint(i), &keyed{number: persistence.TransactionNumber(i + 1), pending: settled(persistence.Commit{})})
	}
	if n := k.byKey.Len(); n != keptKeys {
		t.Errorf("%d keys are kept, want %d", n, keptKeys)
	}
	if p, _ := k.find("9", nil); p != nil {
		t.Error("the oldest is still there")
	}
	if p, _ := k.find("10", nil); p == nil {
		t.Error("the newest are not all there")
	}
}

func TestValuesAreCopied(t *testing.T) {
	s, _ := led(t, true)
	task := newTask("a", api.ScheduleStatusPENDING)
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { return tx.Tasks().Save(task) }))
	task.Status = api.Some(api.ScheduleStatusLOST)
	task.AssignedTask.Task.Job.Role.Value = "changed"
	got, _ := s.View().Tasks().Fetch("a")
	if got.Status.Value != api.ScheduleStatusPENDING || got.AssignedTask.Task.Job.Role.Value != "role" {
		t.Error("a change of the caller's value changed what is stored")
	}
}

// Whoever has an answer finds its own write, at once.
func TestWriterReadsItsOwnWrite(t *testing.T) {
	s, _ := led(t, true)
	for i := range 5000 {
		id := fmt.Sprint(i)
		p, err := s.Submit(t.Context(), save(id), WriteOptions{})
		must(t, err)
		for answered := false; !answered; { // spinning hears of it soonest
			select {
			case <-p.Done():
				answered = true
			default:
			}
		}
		if _, ok := s.View().Tasks().Fetch(id); !ok {
			t.Fatalf("write %d returned before readers could see it", i)
		}
	}
}
