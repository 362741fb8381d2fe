package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// sink collects events. While it is stopped it takes none.
type sink struct {
	mu      sync.Mutex
	told    []string
	stopped chan struct{}
}

func (k *sink) take(ctx context.Context, e durability.Event) {
	k.mu.Lock()
	stopped := k.stopped
	k.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	c := e.TaskStateChanged
	k.mu.Lock()
	defer k.mu.Unlock()
	text := c.Task.AssignedTask.TaskID.Value
	if c.OldState.Set {
		text = fmt.Sprintf("%s:%v", text, c.OldState)
	}
	k.told = append(k.told, text)
}

func (k *sink) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if got := strings.Join(k.told, " "); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	k.told = nil
}

func (k *sink) stop() (goOn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	stopped := make(chan struct{})
	k.stopped = stopped
	return func() {
		k.mu.Lock()
		k.stopped = nil
		k.mu.Unlock()
		close(stopped)
	}
}

func saveAt(id string, times ...int64) durability.Work {
	return func(_ context.Context, tx storage.Mutable) error {
		task := newTask(id)
		for _, at := range times {
			task.TaskEvents = append(task.TaskEvents, &api.TaskEvent{Timestamp: at, Status: api.Some(api.ScheduleStatusPENDING)})
		}
		return tx.Tasks().Save(task)
	}
}

// First all tasks that are there, in the order of their last events, then what happens.
func TestSinkIsToldWhatThereIsAndWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var one, two sink
		first := c.open("one", Options{Events: one.take})
		second := c.open("two", Options{Events: two.take, Initialize: saveAt("initial", 15)})
		if err := first.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, work := range []durability.Work{saveAt("late", 5, 30), saveAt("early", 40, 10), saveAt("never"), saveAt("also", 30)} {
			if err := first.Write(t.Context(), work); err != nil {
				t.Fatal(err)
			}
		}
		one.want(t, "late:INIT early:INIT never:INIT also:INIT")
		time.Sleep(5 * time.Second)
		two.want(t, "") // it follows
		if err := first.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := second.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		two.want(t, "never early initial also late")
		c.write(second, "x")
		c.write(second, "x") // nothing new
		two.want(t, "x:INIT")
		one.want(t, "")
	})
}

// Writes race with the beginning of leadership: each event comes once, or its task was
// there at first.
func TestSinkMissesNothingAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var k sink
		s := c.open("one", Options{Events: k.take, Initialize: save("initial")})
		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		var mu sync.Mutex
		written := map[string]bool{}
		for w := range 8 {
			writers.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					id := fmt.Sprintf("%d-%d", w, i)
					if s.Write(t.Context(), save(id)) == nil {
						mu.Lock()
						if written[id] = true; len(written) > 500 {
							stop()
						}
						mu.Unlock()
					} else {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		writers.Wait()
		stop()
		synctest.Wait()
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.told[0] != "initial" {
			t.Errorf("first is %s", k.told[0])
		}
		for _, text := range k.told[1:] {
			id, old, _ := strings.Cut(text, ":")
			if !written[id] || old != "INIT" {
				t.Errorf("told %s twice, or of no write", text)
			}
			delete(written, id)
		}
		if len(written) > 0 {
			t.Errorf("%d were not told", len(written))
		}
	})
}

// A sink that is stuck while very much happens delays no write, and misses nothing.
func TestSlowSinkMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var k sink
		s := c.open("one", Options{Events: k.take})
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		goOn := k.stop()
		const n = 6000
		var want strings.Builder
		var last *durability.Pending
		for i := range n {
			fmt.Fprintf(&want, "%d:INIT ", i)
			var err error
			if last, err = s.Submit(t.Context(), save(fmt.Sprint(i)), durability.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := last.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.unposted(); got != n {
			t.Errorf("%d are said to be untold, want %d", got, n)
		}
		runtime.GC()
		goOn()
		k.want(t, strings.TrimSpace(want.String()))
		if got := s.unposted(); got != 0 {
			t.Errorf("then %d are said to be untold", got)
		}
	})
}

func TestSinkIsNotCalledAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var k sink
		s := c.open("one", Options{Events: k.take})
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		goOn := k.stop()
		c.write(s, "0", "one transaction with it")
		c.write(s, "1")
		closed := make(chan error, 1)
		go func() { closed <- s.Close(t.Context()) }()
		time.Sleep(time.Hour)
		select {
		case <-closed:
			t.Error("closed while the sink was called")
		default:
		}
		c.leader("two") // the lease was given up all the same
		goOn()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		k.want(t, "0:INIT") // the call that was under way
	})
}

func TestSinkThatHangsDoesNotKeepCloseForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var k sink
		s := c.open("one", Options{Events: k.take})
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer k.stop()()
		c.write(s, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_ = s.Close(ctx)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("closing with one second took %v", took)
		}
	})
}

// Whoever leads again is told anew, and not before the old call has returned.
func TestCampaignWaitsForTheSinkOfTheLastLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var k sink
		s := c.open("one", Options{Events: k.take})
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		goOn := k.stop()
		c.write(s, "a")
		c.write(s, "b")
		s.loseLease(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Campaign(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "sink") {
			t.Errorf("campaign while the sink hangs: %v", err)
		}
		c.want(s, "a b") // it follows meanwhile
		goOn()
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.want(t, "a:INIT a b")
	})
}
