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

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// watcher collects what one watches, until stop.
type watcher struct {
	mu   sync.Mutex
	told []string
	err  error
	stop func() // and wait
}

func (c *cell) watch(s *Store, from persistence.TransactionNumber) *watcher {
	w := &watcher{}
	ctx, cancel := context.WithCancel(c.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for change, err := range s.Watch(ctx, from) {
			w.mu.Lock()
			if err != nil {
				w.err = err
			} else {
				w.told = append(w.told, changeText(change))
			}
			w.mu.Unlock()
		}
	}()
	w.stop = func() { cancel(); <-done }
	c.Cleanup(w.stop)
	synctest.Wait()
	return w
}

// changeText is a transaction's number with the task that it saved, and with an ! if
// its events are known.
func changeText(c *durability.Change) string {
	text := c.Transaction.String()
	if c.Reset {
		return "reset " + text
	}
	for _, op := range c.Ops {
		for _, task := range op.SaveTasks.Tasks {
			text += task.AssignedTask.TaskID.Value
		}
	}
	if c.Events != nil {
		text += "!"
	}
	return text
}

func (w *watcher) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.told, " "); got != want {
		t.Errorf("told %q, want %q (%v)", got, want, w.err)
	}
}

func TestWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		time.Sleep(time.Second)
		here, there := c.watch(one, 0), c.watch(two, 0)
		c.write(one, "a")
		here.want(t, "1a!")
		c.write(one, "b")
		c.write(one, "c")
		here.want(t, "1a! 2b! 3c!")
		time.Sleep(5 * time.Second)
		there.want(t, "1a! 2b! 3c!")
		second, fifth, now := c.watch(one, 2), c.watch(one, 5), c.watch(one, 0)
		second.want(t, "2b! 3c!")
		c.write(one, "d")
		second.want(t, "2b! 3c! 4d!")
		now.want(t, "4d!")
		fifth.want(t, "")
		c.write(one, "e")
		fifth.want(t, "5e!")

		second.stop()
		if second.err != nil {
			t.Errorf("a watch that was given up: %v", second.err)
		}
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(here.err, ErrClosed) {
			t.Errorf("a watch of a store that was closed: %v", here.err)
		}
		// Another leader goes on where the first has ended.
		if err := two.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(two, "f")
		there.want(t, "1a! 2b! 3c! 4d! 5e! 6f!")
	})
}

// snapshotted is a cell with transactions 1 to 9, of which a process that starts now
// has loaded 1 to snap from a snapshot.
func snapshotted(c *cell) (s *Store, snap persistence.TransactionNumber) {
	c.Helper()
	one := c.open("one", Options{Snapshots: snapshot.Schedule{Replay: 5500 * time.Microsecond}})
	if err := one.Campaign(c.Context()); err != nil {
		c.Fatal(err)
	}
	for i := range 9 {
		c.write(one, fmt.Sprintf("t%d", i+1))
		time.Sleep(time.Second)
	}
	time.Sleep(time.Minute)
	snap = one.Status().LastSnapshot.Transaction
	if err := one.Close(c.Context()); err != nil {
		c.Fatal(err)
	}
	s = c.open("two", Options{})
	if err := s.Recovered(c.Context()); err != nil {
		c.Fatal(err)
	}
	return s, snap
}

func TestWhatIsNotInMemoryIsReadBackFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s, snap := snapshotted(c)
		if snap < 3 || snap > 8 {
			t.Fatalf("the snapshot is of transaction %d", snap)
		}
		want := ""
		for n := persistence.TransactionNumber(2); n <= 9; n++ {
			want += fmt.Sprintf("%dt%d", n, n)
			if n > snap {
				want += "!"
			}
			want += " "
		}
		w := c.watch(s, 2)
		w.want(t, strings.TrimSpace(want))
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(s, "x")
		w.want(t, want+"10x!")
	})
}

func TestWhatWasCollectedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s, snap := snapshotted(c)
		c.mem.Remove(blob.Key(1, 2)) // transaction 2
		w := c.watch(s, 2)
		if !errors.Is(w.err, ErrCollected) {
			t.Errorf("from 2: %v", w.err)
		}
		w.want(t, "")
		if w := c.watch(s, 1); !errors.Is(w.err, ErrCollected) {
			t.Errorf("from 1, with a hole behind it: %v", w.err)
		}
		if w := c.watch(s, 3); w.err != nil {
			t.Errorf("from 3: %v", w.err)
		}
		for n := range snap { // all that the snapshot has
			c.mem.Remove(blob.Key(1, persistence.Position(n+1)))
		}
		if w := c.watch(s, 1); !errors.Is(w.err, ErrCollected) {
			t.Errorf("from 1, with nothing there: %v", w.err)
		}
		if w := c.watch(s, snap+1); w.err != nil || len(w.told) != int(9-snap) {
			t.Errorf("from behind the snapshot: %v, %v", w.told, w.err)
		}
	})
}

func TestWatchTellsWhatKeptItFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s, _ := snapshotted(c)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Under("log/"), Times: 1, Do: memdriver.Fail})
		w := c.watch(s, 2)
		if w.err == nil || errors.Is(w.err, ErrCollected) || len(w.told) > 0 {
			t.Errorf("%v, %v", w.told, w.err)
		}
	})
}

// Whoever watched before a state was loaded is told that it was, who comes later gets
// what it asks for.
func TestLoadingAStateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old, snap := snapshotted(c)
		if err := old.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		gate := c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Under("snapshot/"), Do: memdriver.Delay(time.Second)})
		defer gate.Stop()
		s := c.open("three", Options{})
		early := c.watch(s, 0)
		if err := s.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint("reset ", snap)
		for n := snap + 1; n <= 9; n++ {
			want += fmt.Sprintf(" %dt%d!", n, n)
		}
		early.want(t, want)
	})
}

// A loop that is stuck while very much happens delays no write, keeps nothing in
// memory, and misses nothing.
func TestSlowWatcherMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		const n = 6000
		stuck, goOn := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		var freed bool
		go func() {
			next := persistence.TransactionNumber(1)
			for change, err := range s.Watch(t.Context(), 1) {
				if err != nil {
					done <- err
					return
				}
				if change.Transaction != next {
					done <- fmt.Errorf("told %d, want %d", change.Transaction, next)
					return
				}
				if next == 1 {
					close(stuck)
					<-goOn
				}
				freed = freed || change.Events == nil
				if next++; next > n {
					done <- nil
					return
				}
			}
		}()
		c.write(s, "1")
		<-stuck
		var last *durability.Pending
		for i := range n - 1 {
			var err error
			if last, err = s.Submit(t.Context(), save(fmt.Sprint(i%100)), durability.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := last.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		close(goOn)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !freed {
			t.Error("nothing was read back: all of it was kept in memory")
		}
	})
}
