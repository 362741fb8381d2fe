package durability

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func (s *Storage) changesAfter(t test, after persistence.TransactionNumber) *Cursor {
	t.Helper()
	c, ok := s.Changes(after)
	if !ok {
		t.Fatalf("what comes after %d is not in memory", after)
	}
	return c
}

// told returns what a cursor has to tell without waiting.
func told(t test, c *Cursor) (changes []*Change) {
	t.Helper()
	for c.Behind() > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		change, err := c.Next(ctx)
		cancel()
		must(t, err)
		changes = append(changes, change)
	}
	return changes
}

func numbers(changes []*Change) string {
	var all []string
	for _, c := range changes {
		text := c.Transaction.String()
		if c.Reset {
			text = "reset " + text
		}
		all = append(all, text)
	}
	return fmt.Sprint(all)
}

func TestEveryTransactionIsToldOnceAndInOrder(t *testing.T) {
	s, _ := led(t, true)
	early := s.changesAfter(t, 0)
	const writers, each = 32, 50
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if err := s.Write(t.Context(), save(fmt.Sprintf("%d-%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range persistence.TransactionNumber(writers * each) {
		c, err := early.Next(t.Context())
		must(t, err)
		if c.Transaction != n+1 || c.Position != persistence.Position(n+1) || c.Epoch != 1 || c.Time.IsZero() || len(c.Ops) != 1 || len(c.Events) != 1 || c.Reset {
			t.Fatalf("change %d is %+v", n+1, c)
		}
		// Readers have seen it before.
		if _, ok := s.View().Tasks().Fetch(c.Ops[0].SaveTasks.Tasks[0].AssignedTask.TaskID.Value); !ok {
			t.Fatalf("transaction %d was told before readers could see it", n+1)
		}
	}
	group.Wait()
	late := told(t, s.changesAfter(t, 100))
	if len(late) != writers*each-100 || late[0].Transaction != 101 {
		t.Errorf("after 100 there are %d from %d", len(late), late[0].Transaction)
	}
}

// To see the order, telling those who watch is made slow: the feed has very much to
// forget then.
func TestReadersSeeBeforeThoseWhoWatchAreTold(t *testing.T) {
	s, l := led(t, false)
	waiting := s.changesAfter(t, 0)
	_, err := s.Submit(t.Context(), save("a"), WriteOptions{})
	must(t, err)
	waiting.place = weak.Pointer[node]{}
	s.feed.maxChanges, s.feed.maxBytes = 1<<30, 1<<60
	for range 100_000 {
		s.feed.publish(new(Change), 0)
	}
	waiting.kept = s.feed.newest.Load()
	s.feed.maxChanges = 1
	go l.ack(1)
	_, err = waiting.Next(t.Context())
	must(t, err)
	if _, seen := s.Snapshot(); seen != 1 {
		t.Error("the transaction was told before readers could see it")
	}
}

// The writer's answer is held up behind a count: only then it can be seen that those
// who watch are told before.
func TestWriterHearsAfterThoseWhoWatch(t *testing.T) {
	s, l := led(t, false)
	p, err := s.Submit(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		key := &api.JobUpdateKey{Job: schema.NewJobKey("role", "prod", "job"), ID: api.Some("u")}
		must(t, tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}, Instructions: &api.JobUpdateInstructions{
			DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}))
		return tx.JobUpdates().SaveEvent(key, &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusABORTED)})
	}, WriteOptions{})
	must(t, err)
	for _, label := range []string{"one", "another"} {
		s.metrics.transitions.WithLabelValues(label)
	}
	collected := make(chan prometheus.Metric)
	go func() {
		defer close(collected)
		s.metrics.transitions.Collect(collected) // keeps new labels out while it is not read
	}()
	<-collected // it has begun, and is not done
	go l.ack(1)
	if _, err := s.changesAfter(t, 0).Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
		t.Error("the writer had its answer before those who watch were told")
	default:
	}
	for range collected {
	}
	<-p.Done()
}

func TestCursorWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := led(t, false)
		beyond := s.changesAfter(t, 1) // has not come yet
		got := make(chan *Change)
		go func() {
			c, err := beyond.Next(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- c
		}()
		for _, id := range []string{"a", "b"} {
			_, err := s.Submit(t.Context(), save(id), WriteOptions{})
			must(t, err)
		}
		l.ack(1)
		synctest.Wait()
		select {
		case c := <-got:
			t.Errorf("told %+v, which is not after 1", c.Commit)
		default:
		}
		l.ack(1)
		if c := <-got; c.Transaction != 2 {
			t.Errorf("told %+v", c.Commit)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errWork)
		if _, err := beyond.Next(ctx); err != errWork {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

func TestNothingIsToldOfWhatIsNotDurable(t *testing.T) {
	s, l := led(t, false)
	for _, id := range []string{"a", "b"} {
		_, err := s.Submit(t.Context(), save(id), WriteOptions{})
		must(t, err)
	}
	l.ack(1)
	l.fail(persistence.ErrUnknown)
	if got := numbers(told(t, s.changesAfter(t, 0))); got != "[1]" {
		t.Errorf("told %s", got)
	}
}

func TestWhatIsNotRecordedIsNoChange(t *testing.T) {
	s, l := led(t, true)
	nothing := func(context.Context, storage.Mutable) error { return nil }
	must(t, s.Write(t.Context(), nothing))
	p, err := s.Submit(t.Context(), nothing, WriteOptions{Key: "k"})
	must(t, err)
	<-p.Done()
	for name, s := range map[string]*Storage{"leader": s, "follower": l.replayed(t)} {
		changes := told(t, s.changesAfter(t, 0))
		if len(changes) != 1 || changes[0].Ops == nil || len(changes[0].Ops) != 0 || changes[0].Events == nil || len(changes[0].Events) != 0 {
			t.Errorf("%s tells %+v", name, changes)
		}
	}
}

// What is kept is bounded by number and by bytes; a cursor that is slow costs nothing,
// one that keeps all misses nothing.
func TestFeedForgets(t *testing.T) {
	for _, c := range []struct {
		name                 string
		maxChanges, maxBytes int
	}{{"by number", 10, 1 << 30}, {"by bytes", 1 << 30, 10 * 100}} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Options{})
			f := s.feed
			f.maxChanges, f.maxBytes = c.maxChanges, c.maxBytes
			slow := s.changesAfter(t, 0)
			kept := &Cursor{feed: f, kept: f.newest.Load()}
			for n := range persistence.TransactionNumber(100) {
				f.publish(&Change{Commit: persistence.Commit{Transaction: n + 1}}, 100)
			}
			if _, ok := s.Changes(89); ok {
				t.Error("transaction 90 is still kept")
			}
			if got := told(t, s.changesAfter(t, 90)); len(got) != 10 || got[0].Transaction != 91 {
				t.Errorf("kept are %s", numbers(got))
			}
			if got := told(t, kept); len(got) != 100 {
				t.Errorf("a cursor that keeps all has %d", len(got))
			}
			runtime.GC()
			if got := slow.Behind(); got < 10 {
				t.Errorf("100 behind is told as %d", got)
			}
			if _, err := slow.Next(t.Context()); !errors.Is(err, ErrOverrun) {
				t.Errorf("a slow cursor keeps what the feed has forgotten: %v", err)
			}
		})
	}
}

func TestOneLargeChangeIsTold(t *testing.T) {
	s := New(Options{})
	waiting := s.changesAfter(t, 0)
	s.feed.publish(&Change{Commit: persistence.Commit{Transaction: 1}}, 2*keptChangeBytes)
	if c, err := waiting.Next(t.Context()); err != nil || c.Transaction != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

// load makes a state of another, at a point, as a reader does that begins there.
func (s *Storage) load(t *testing.T, from *Storage) {
	t.Helper()
	c := from.Checkpoint()
	must(t, s.Reset(c.At))
	for record, err := range c.Records() {
		must(t, err)
		apply, err := s.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
		must(t, err)
		must(t, apply())
	}
	s.Loaded(c.At)
}

// replay applies the tape's records from … to as one entry.
func (l *tape) replay(t *testing.T, s *Storage, from, to int) {
	t.Helper()
	at := time.UnixMilli(1234)
	apply, err := s.Prepare(persistence.Batch{Records: l.records[from-1 : to], First: persistence.TransactionNumber(from), Position: persistence.Position(to), Epoch: 3, Time: at})
	must(t, err)
	must(t, apply())
	s.Loaded(persistence.Point{Epoch: 3, Next: persistence.Position(to + 1), Transaction: persistence.TransactionNumber(to)})
}

func TestFollowersTellWhatTheyReplay(t *testing.T) {
	leader, l := led(t, true)
	var at5 *Storage
	for i := range 9 {
		must(t, leader.Write(t.Context(), save(fmt.Sprint(i))))
		if i == 4 {
			at5 = l.replayed(t)
		}
	}
	var want []*Change
	for n := range persistence.TransactionNumber(9) {
		want = append(want, &Change{Commit: persistence.Commit{Transaction: n + 1}})
	}

	t.Run("a store that starts empty", func(t *testing.T) {
		s := New(Options{})
		must(t, s.Reset(persistence.Point{}))
		s.Loaded(persistence.Point{})
		early := s.changesAfter(t, 0)
		l.replay(t, s, 1, 4)
		l.replay(t, s, 5, 9)
		got := told(t, early)
		if numbers(got) != numbers(want) {
			t.Errorf("told %s", numbers(got))
		}
		if c := got[2]; c.Commit != (persistence.Commit{Transaction: 3, Position: 4, Epoch: 3}) || !c.Time.Equal(time.UnixMilli(1234)) {
			t.Errorf("the third of the first entry is %+v", c)
		}
	})
	t.Run("a store that starts from a snapshot", func(t *testing.T) {
		s := New(Options{})
		early := s.changesAfter(t, 0)
		s.load(t, at5)
		l.replay(t, s, 6, 9)
		if got := numbers(told(t, early)); got != "[reset 5 6 7 8 9]" {
			t.Errorf("who came before is told %s", got)
		}
		if got := numbers(told(t, s.changesAfter(t, 5))); got != "[6 7 8 9]" {
			t.Errorf("after 5 there are %s", got)
		}
		for _, after := range []persistence.TransactionNumber{0, 4} { // they want what is not here
			if _, ok := s.Changes(after); ok {
				t.Errorf("what comes after %d is said to be in memory", after)
			}
		}
		if c := told(t, early); len(c) != 0 {
			t.Errorf("then %s", numbers(c))
		}
	})
	t.Run("a reader that begins again further back", func(t *testing.T) {
		s := l.replayed(t)
		s.load(t, at5)
		early := s.changesAfter(t, 0)
		l.replay(t, s, 6, 9)
		if got := numbers(told(t, early)); got != numbers(want) {
			t.Errorf("told %s", got)
		}
	})
	t.Run("a reader that begins again from a newer snapshot", func(t *testing.T) {
		s := New(Options{})
		l.replay(t, s, 1, 3)
		early, beyond := s.changesAfter(t, 2), s.changesAfter(t, 7)
		s.load(t, at5)
		l.replay(t, s, 6, 9)
		if got := numbers(told(t, early)); got != "[3 reset 5 6 7 8 9]" {
			t.Errorf("told %s", got)
		}
		if c, err := beyond.Next(t.Context()); err != nil || c.Transaction != 8 {
			t.Errorf("who has seen 7 elsewhere is told %+v, %v", c, err)
		}
	})
	t.Run("a reader that comes past what it knew within an entry", func(t *testing.T) {
		s := New(Options{})
		l.replay(t, s, 1, 7)
		s.load(t, at5)
		l.replay(t, s, 6, 9)
		if got := numbers(told(t, s.changesAfter(t, 0))); got != numbers(want) {
			t.Errorf("told %s", got)
		}
	})
	t.Run("read back from the log", func(t *testing.T) {
		changes, err := New(Options{}).ChangesOf(persistence.Batch{Records: l.records, First: 1, Position: 8, Epoch: 3})
		must(t, err)
		if numbers(changes) != numbers(want) || changes[0].Events != nil {
			t.Errorf("%s, events %v", numbers(changes), changes[0].Events)
		}
	})
}

// tellSame makes sure that two storages tell the same, but for who wrote it when.
func tellSame(t test, got, want *Storage) {
	t.Helper()
	a, b := told(t, got.changesAfter(t, 0)), told(t, want.changesAfter(t, 0))
	if len(a) != len(b) {
		t.Fatalf("%d changes, want %d", len(a), len(b))
	}
	for i := range a {
		if x, y := changeText(t, a[i]), changeText(t, b[i]); x != y {
			t.Fatalf("change %d differs:\n got %s\nwant %s", i+1, x, y)
		}
	}
}

func changeText(t test, c *Change) string {
	t.Helper()
	text, err := schema.ToJSON(struct {
		Ops    any
		Events any
	}{c.Ops, c.Events})
	must(t, err)
	return string(text)
}

// A term tells what comes after its initial work, whatever else was told before.
func TestTermBeginsBehindItsInitialWork(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), save("a")))
	s.StepDown()
	for _, c := range []struct {
		initial Work
		first   persistence.TransactionNumber
	}{{nil, 1}, {func(context.Context, storage.Mutable) error { return nil }, 1}, {save("initial"), 2}} {
		start, err := s.LeadFrom(t.Context(), l, c.initial)
		must(t, err)
		if start.Transaction != c.first || start.View.Tasks().Len() != int(c.first) {
			t.Errorf("the term begins with transaction %d and %d tasks, want %d", start.Transaction, start.View.Tasks().Len(), c.first)
		}
		if n := start.Changes.Behind(); c.first == 1 && n != 0 {
			t.Errorf("the term begins %d behind", n)
		}
		if c.initial != nil && c.first == 2 {
			must(t, s.Write(t.Context(), save("later")))
			if c, err := start.Changes.Next(t.Context()); err != nil || c.Transaction != 3 {
				t.Errorf("told %+v, %v", c, err)
			}
		}
		s.StepDown()
	}
}

func TestWriteInsideInitialWorkWithoutItsContextIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		var inner, joined error
		must(t, s.Lead(t.Context(), &tape{auto: true}, func(ctx context.Context, _ storage.Mutable) error {
			inner = s.Write(t.Context(), save("a"))
			joined = s.Write(ctx, save("b"))
			return nil
		}))
		if !errors.Is(inner, ErrNotLeader) || joined != nil {
			t.Errorf("without its context: %v; with it: %v", inner, joined)
		}
	})
}

// A removal's record is small, but what is told of it is not.
func TestFeedCountsTheTasksOfRemovals(t *testing.T) {
	f := newFeed()
	tasks := make([]*api.ScheduledTask, 3000)
	for i := range tasks {
		tasks[i] = newTask("", api.ScheduleStatusFINISHED)
		tasks[i].TaskEvents = make([]*api.TaskEvent, 8)
	}
	for n := range 60 {
		f.publish(&Change{Commit: persistence.Commit{Transaction: persistence.TransactionNumber(n + 1)}, Events: []Event{{TasksDeleted: &TasksDeleted{Tasks: tasks}}}}, 100)
	}
	if f.changes > 3 {
		t.Errorf("%d removals of 3,000 tasks each are kept", f.changes)
	}
}
