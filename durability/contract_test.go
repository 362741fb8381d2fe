package durability

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// A task given twice to one save, and then changed in the same transaction, is in the
// record once: two of one id can't be replayed.
func TestTaskSavedTwiceAndChangedReplays(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		must(t, tx.Tasks().Save(newTask("a", api.ScheduleStatusPENDING), newTask("a", api.ScheduleStatusPENDING)))
		return tx.Tasks().Save(newTask("a", api.ScheduleStatusRUNNING))
	}))
	same(t, l.replayed(t), s)
}

// The context of a work is of no use once the work has ended: a write with it would
// be answered and lost.
func TestWriteWithTheContextOfAnEndedWorkIsRefused(t *testing.T) {
	s, _ := led(t, true)
	for _, outcome := range []error{nil, errWork} {
		var kept context.Context
		_ = s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
			kept = ctx
			return outcome
		})
		if err := s.Write(kept, save("b")); !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("after a work that returned %v: %v", outcome, err)
		}
	}
}

func TestNestedWriteThatPanicsIsUndone(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
		func() {
			defer func() { _ = recover() }()
			_ = s.Write(ctx, func(ctx context.Context, tx storage.Mutable) error {
				must(t, save("half")(ctx, tx))
				panic("in the nested work")
			})
		}()
		return save("whole")(ctx, tx)
	}))
	if got := s.ids(); got != "whole" {
		t.Errorf("state %q", got)
	}
	same(t, l.replayed(t), s)
}

// A reader that begins again, from an older snapshot or the origin, catches up before
// anybody sees its state.
func TestReadersNeverGoBackInTime(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), save("a")))
	must(t, s.Write(t.Context(), save("b")))
	f := l.replayed(t)
	must(t, f.Reset(persistence.Point{}))
	f.Loaded(persistence.Point{})
	if err := f.Lead(t.Context(), &tape{}, nil); !errors.Is(err, ErrBehind) {
		t.Errorf("leads with less than was seen: %v", err)
	}
	for i, record := range l.records {
		if got := f.ids(); got != "ab" || f.Checkpoint().At.Transaction != 2 {
			t.Errorf("after %d records readers see %q", i, got)
		}
		apply, err := f.Prepare(persistence.Batch{Records: [][]byte{record}, First: persistence.TransactionNumber(i + 1), Position: persistence.Position(i + 1), Epoch: 1})
		must(t, err)
		must(t, apply())
		f.Loaded(persistence.Point{Epoch: 1, Next: persistence.Position(i + 2), Transaction: persistence.TransactionNumber(i + 1)})
	}
	same(t, f, s)
	must(t, f.Lead(t.Context(), &tape{records: l.records}, nil))
}

func TestSnapshotRecordsAreBounded(t *testing.T) {
	s, _ := led(t, true)
	for i := range 20 {
		task := newTask(string(rune('A'+i)), api.ScheduleStatusPENDING)
		task.AssignedTask.Task.ExecutorConfig = &api.ExecutorConfig{Data: api.Some(string(rune('A'+i)) + strings.Repeat("x", 2<<20))}
		must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { return tx.Tasks().Save(task) }))
	}
	for record, err := range s.Checkpoint().Records() {
		must(t, err)
		if len(record) > 3<<20 || len(record) > packed.MaxRaw/2 {
			t.Errorf("snapshot record of %d bytes", len(record))
		}
	}
	same(t, fromCheckpoint(t, s), s)
}

// What a change puts into a task stays the caller's: neither it nor another task that
// it was taken from can change what is stored.
func TestMutateCopiesWhatItIsGiven(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), save("a", "b")))
	mutate := func(id string, config *api.TaskConfig) {
		t.Helper()
		must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
			_, err := tx.Tasks().Mutate(id, func(task *api.ScheduledTask) error {
				task.AssignedTask.Task = config
				return nil
			})
			return err
		}))
	}
	config := newTask("x", api.ScheduleStatusPENDING).AssignedTask.Task
	config.Priority = 5
	mutate("a", config)
	config.Priority = 99
	same(t, l.replayed(t), s)

	read := make(chan struct{})
	stop := make(chan struct{})
	go func() { // under the race detector
		defer close(read)
		for {
			select {
			case <-stop:
				return
			default:
				a, _ := s.View().Tasks().Fetch("a")
				_, _ = a.AppendBinary(nil)
			}
		}
	}()
	for range 50 {
		a, _ := s.View().Tasks().Fetch("a")
		mutate("b", a.AssignedTask.Task)
	}
	close(stop)
	<-read
}

// A tier can be taken out of the configuration: what is stored stays readable, its
// tasks can end, but no new ones have it.
func TestTierThatIsGone(t *testing.T) {
	_, l := led(t, true)
	s := New(Options{Tiers: schema.Tiers{{Name: "old"}, {Name: "preemptible", Preemptible: true}}})
	must(t, s.Lead(t.Context(), l, nil))
	task := newTask("a", api.ScheduleStatusPENDING)
	task.AssignedTask.Task.Tier = api.Some("old")
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { return tx.Tasks().Save(task) }))
	now := l.replayed(t) // with the stock tiers
	must(t, now.Lead(t.Context(), l, nil))
	must(t, now.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		_, err := tx.Tasks().Mutate("a", func(task *api.ScheduledTask) error {
			task.Status = api.Some(api.ScheduleStatusKILLED)
			return nil
		})
		return err
	}))
	same(t, l.replayed(t), now)
	err := now.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { return tx.Tasks().Save(task) })
	if !errors.Is(err, storage.ErrInvalidArgument) {
		t.Errorf("a new task with the tier: %v", err)
	}
}

func TestRecordOfANewerSchemaIsToldApart(t *testing.T) {
	record, err := (&api.Transaction{Ops: []*api.Op{}, SchemaVersion: api.CurrentSchemaVersion + 1}).AppendBinary(nil)
	must(t, err)
	if _, err := New(Options{}).Prepare(persistence.Batch{Records: [][]byte{record}, First: 1}); !errors.Is(err, persistence.ErrNewerFormat) {
		t.Errorf("%v, want newer format", err)
	}
}

func TestInitialWorkIsTheFirst(t *testing.T) {
	s, l := New(Options{}), &tape{auto: true}
	must(t, s.Lead(t.Context(), l, save("initial")))
	must(t, s.Write(t.Context(), save("later")))
	var first api.Transaction
	must(t, first.UnmarshalBinary(l.records[0]))
	if got := first.Ops[0].SaveTasks.Tasks[0].AssignedTask.TaskID.Value; got != "initial" {
		t.Errorf("the first transaction saved %q", got)
	}
	again := New(Options{})
	if err := again.Lead(t.Context(), &tape{}, func(context.Context, storage.Mutable) error { return errWork }); err != errWork || again.Leading() {
		t.Errorf("initial work that fails: %v, leading %v", err, again.Leading())
	}
}

// Writing is strict: what could not be found again, or compared, is refused and
// changes nothing.
func TestWritingIsStrict(t *testing.T) {
	s, l := led(t, true)
	quota := func(cpus float64) *api.ResourceAggregate {
		return &api.ResourceAggregate{Resources: []*api.Resource{{NumCpus: api.Some(cpus)}, {RamMb: api.Some[int64](1)}, {DiskMb: api.Some[int64](1)}}}
	}
	update := func(key *api.JobUpdateKey) *api.JobUpdate {
		return &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}, Instructions: &api.JobUpdateInstructions{
			DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}
	}
	job := schema.NewJobKey("role", "prod", "job")
	for what, work := range map[string]func(tx storage.Mutable) error{
		"a quota without a role":  func(tx storage.Mutable) error { return tx.Quotas().Save("", quota(1)) },
		"a quota of not a number": func(tx storage.Mutable) error { return tx.Quotas().Save("role", quota(math.NaN())) },
		"a quota below zero":      func(tx storage.Mutable) error { return tx.Quotas().Save("role", quota(-1)) },
		"an update without an id": func(tx storage.Mutable) error { return tx.JobUpdates().Save(update(&api.JobUpdateKey{Job: job})) },
		"an update of half a job": func(tx storage.Mutable) error {
			return tx.JobUpdates().Save(update(&api.JobUpdateKey{ID: api.Some("u"), Job: &api.JobKey{Role: api.Some("role")}}))
		},
		"an event without a status": func(tx storage.Mutable) error {
			if err := tx.JobUpdates().Save(update(&api.JobUpdateKey{Job: job, ID: api.Some("u")})); err != nil {
				return nil // not what is tested
			}
			return tx.JobUpdates().SaveEvent(&api.JobUpdateKey{Job: job, ID: api.Some("u")}, &api.JobUpdateEvent{})
		},
		"a host without an agent": func(tx storage.Mutable) error {
			_, err := tx.Hosts().Save(&api.HostAttributes{Host: api.Some("h"), Mode: api.Some(api.MaintenanceModeNONE)})
			return err
		},
		"a task without a status": func(tx storage.Mutable) error {
			task := newTask("a", 0)
			task.Status = api.Optional[api.ScheduleStatus]{}
			return tx.Tasks().Save(task)
		},
		"a task of an unknown tier": func(tx storage.Mutable) error {
			task := newTask("a", 0)
			task.AssignedTask.Task.Tier = api.Some("x")
			return tx.Tasks().Save(task)
		},
	} {
		err := s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { return work(tx) })
		if !errors.Is(err, storage.ErrInvalidArgument) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(l.records) != 0 {
		t.Errorf("%d records", len(l.records))
	}
}

func TestKeysAreBounded(t *testing.T) {
	s, _ := led(t, true)
	for _, o := range []WriteOptions{{Key: strings.Repeat("k", maxKey+1)}, {Key: "k", Fingerprint: make([]byte, maxFingerprint+1)}} {
		if _, err := s.Submit(t.Context(), save("a"), o); !errors.Is(err, storage.ErrInvalidArgument) {
			t.Errorf("key of %d, fingerprint of %d: %v", len(o.Key), len(o.Fingerprint), err)
		}
	}
}

// What a caller keeps of the task that it was given is its own: the stored one is
// shared by all readers.
func TestMutateKeepsWhatItStores(t *testing.T) {
	s, _ := led(t, true)
	var kept *api.ScheduledTask
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		task := newTask("a", api.ScheduleStatusPENDING)
		task.TaskEvents = []*api.TaskEvent{{Timestamp: 1, Status: api.Some(api.ScheduleStatusPENDING)}}
		if err := tx.Tasks().Save(task); err != nil {
			return err
		}
		_, err := tx.Tasks().Mutate("a", func(task *api.ScheduledTask) error {
			kept, task.Status = task, api.Some(api.ScheduleStatusASSIGNED)
			return nil
		})
		return err
	}))
	kept.TaskEvents[0].Timestamp = 99
	if got, _ := s.View().Tasks().Fetch("a"); got.TaskEvents[0].Timestamp != 1 || got.Status.Value != api.ScheduleStatusASSIGNED {
		t.Errorf("the durable state is %+v", got.TaskEvents[0])
	}
}

// A transaction of a term that has ended is still open while the reader goes on: both
// have keys to add to the same ones.
func TestKeysOfAnEndedTermAndOfTheReader(t *testing.T) {
	s, l := led(t, true)
	p, err := s.Submit(t.Context(), save("a"), WriteOptions{Key: "k0"})
	must(t, err)
	_, err = p.Wait(t.Context())
	must(t, err)
	record, err := (&api.Transaction{Ops: []*api.Op{}, SchemaVersion: api.CurrentSchemaVersion, Idempotency: &api.Idempotency{Key: api.Some("k2")}}).AppendBinary(nil)
	must(t, err)
	in, out, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := s.Submit(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
			close(in)
			<-out
			return save("b")(ctx, tx)
		}, WriteOptions{Key: "k1"})
		ended <- err
	}()
	<-in
	l.fail(persistence.ErrUnknown)
	s.StepDown()
	apply, err := s.Prepare(persistence.Batch{Records: [][]byte{record}, First: 2, Position: 3, Epoch: 2})
	must(t, err)
	close(out)
	must(t, apply())
	s.Loaded(persistence.Point{Epoch: 2, Next: 4, Transaction: 2})
	if err := <-ended; !errors.Is(err, persistence.ErrUnknown) {
		t.Errorf("the open transaction: %v", err)
	}
}
