package blob

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestRecoveryTellsHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		c := newCell(t)
		end := c.fill(c.leader(1).reader.at, numbers(n)...)
		c.leaseSays(end.Next)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(20 * time.Millisecond)})
		f := c.process()
		var all []Progress
		f.reader.Report(func(p Progress) { all = append(all, p) })
		start := time.Now()
		if err := f.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		if len(all) != 1+1+n+1 { // at the beginning, the seal, the entries, at the end
			t.Fatalf("told %d times", len(all))
		}
		if _, ok := all[0].Left(); ok || all[0].Entries != 0 || all[0].End != end.Next {
			t.Errorf("at the beginning: %+v", all[0])
		}
		half := all[n/2]
		left, ok := half.Left()
		took := time.Since(start)
		if !ok || half.Done || left < took/4 || left > took || half.Transactions != n/2-1 || half.At.Next != persistence.Position(n/2) {
			t.Errorf("half way of %v: %v left, %+v", took, left, half)
		}
		last := all[len(all)-1]
		if left, ok := last.Left(); !ok || left != 0 || !last.Done || last.At != end || last.Transactions != n || last.Bytes < n*headerSize {
			t.Errorf("at the end: %v left, %+v", left, last)
		}
		told := len(all)
		if err := f.reader.step(c.ctx); !errors.Is(err, errEnd) || len(all) != told {
			t.Errorf("a poll at the end: %v, told %d times", err, len(all)-told)
		}
		if r := last.EntriesPerSecond(); r < n/took.Seconds() || r > 2*n/took.Seconds() {
			t.Errorf("%v entries a second, and %d in %v", r, n, took)
		}
	})
}

// A follower that can't apply what it knows to exist says for how long, and how much.
func TestLagIsOfWhatIsKnownToExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		registry := prometheus.NewRegistry()
		f := c.process()
		f.log = c.open(Options{Registerer: registry})
		f.reader = f.log.NewReader(f.state)
		ready := make(chan struct{})
		ctx, cancel := context.WithCancel(c.ctx)
		defer cancel()
		go func() { _ = f.reader.Follow(ctx, FollowOptions{Ready: func() { close(ready) }}) }()
		<-ready
		lag := func(what string, positions, seconds float64) {
			t.Helper()
			synctest.Wait()
			if got := testutil.ToFloat64(f.log.metrics.lagPositions); got != positions {
				t.Errorf("%s: %v positions behind, want %v", what, got, positions)
			}
			if got := f.log.metrics.behind.seconds(); got < seconds || got > seconds+1 {
				t.Errorf("%s: %v s behind, want %v", what, got, seconds)
			}
		}
		lag("at the end", 0, 0)
		release := make(chan struct{})
		f.state.mu.Lock()
		f.state.fail = func(string) error { <-release; return nil }
		f.state.mu.Unlock()
		applied := leader.send("b")
		time.Sleep(10 * time.Second)
		lag("while an entry is applied", 1, 9)

		// Of those that come meanwhile one is slow to land, and those after it are there. As
		// several were there at once, the reader asks for several.
		late := applied.ack.Position + 5
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, late)), Do: memdriver.Delay(20 * time.Second)})
		for i := range 8 {
			leader.send(fmt.Sprint(i))
			synctest.Wait() // an entry each
		}
		close(release)
		time.Sleep(10 * time.Second)
		lag("before one that is missing", 4, 9)
		time.Sleep(15 * time.Second)
		lag("when it has landed", 0, 0)
	})
}
