package garbage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// again has the next creation of an object whose key has a part come once more: it takes
// effect, then all that do does is done, then it takes effect again, and is answered.
func (c *cell) again(part string, do func()) *memdriver.Rule {
	return c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: func(key string) bool { return strings.Contains(key, part) }, Times: 1,
		Do: memdriver.After(func(key string) {
			data := c.mem.Data(key)
			do()
			if c.mem.Data(key) != nil {
				c.Errorf("%s was not collected: this test shows nothing", key)
			}
			c.mem.Put(key, data)
		})})
}

// A writer's PUT comes when its successor has collected: it meets the seal.
func TestPutThatComesLate(t *testing.T) {
	inCell(t, func(c *cell) {
		old := c.leader(1).write("a")
		c.late(memdriver.Create, entry(1, 2), func() { c.goOn(2, "b") })
		if err := <-old.send("late"); !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) {
			c.Errorf("%v, want unknown: a manifest is beyond the seal", err)
		}
		c.recovers("a b")
		c.goOn(3, "c")
		c.recovers("a b c")
	})
}

// One that had landed comes once more, on a key that was collected: what is
// acknowledged is in the history, and the orphan goes.
func TestPutThatComesTwice(t *testing.T) {
	inCell(t, func(c *cell) {
		old := c.leader(1).write("a")
		c.again(entry(1, 2), func() { c.goOn(2, "b") })
		if err := <-old.send("late"); err != nil {
			c.Errorf("%v, but it is in the history", err)
		}
		c.recovers("a late b")
		c.goOn(3, "c")
		c.recovers("a late b c")
		if c.mem.Data(entry(1, 2)) != nil {
			c.Error("the orphan is still there")
		}
	})
}

// A candidate has made sure of the end, and its seal comes when the leader has made a
// snapshot over it, and collected: it is void, and nobody leads on it.
func TestSealThatComesLate(t *testing.T) {
	inCell(t, func(c *cell) {
		leader := c.leader(1).write("a")
		candidate := &process{cell: c, log: c.open(), state: &state{}}
		candidate.reader = candidate.log.NewReader(candidate.state)
		c.late(memdriver.Create, entry(1, 2), func() {
			leader.write("b", "c").snapshot()
			c.collect(newest(1))
		})
		_, err := candidate.reader.Lead(c.Context(), 2, persistence.NewWriterID())
		void, ok := errors.AsType[*blob.EpochError](err)
		if !ok {
			c.Fatalf("%v, want that the seal is void", err)
		}
		c.recovers("a b c")
		next := c.goOn(void.Need, "d")
		if answer := <-leader.send("e"); answer == nil {
			c.Error("the leader before was told that its write is committed")
		}
		next.write("f")
		c.recovers("a b c d f")
	})
}

// A restore's entry comes late, or once more, when its state was collected.
func TestRestoreThatComesLate(t *testing.T) {
	for name, want := range map[string]string{"for the first time": "a b c", "once more": "x y b c"} {
		t.Run(name, func(t *testing.T) {
			inCell(t, func(c *cell) {
				old := c.leader(1).write("a")
				source := old.source()
				source.Records = each([]string{"x", "y"})
				m, err := snapshot.WriteIn(c.Context(), old.log.Bucket(), old.log.Codec(), blob.RestoreFolder(source.At), source, 2)
				if err != nil {
					c.Fatal(err)
				}
				come := c.again
				if name == "for the first time" {
					come = func(part string, do func()) *memdriver.Rule { return c.late(memdriver.Create, part, do) }
				}
				come(entry(1, 2), func() { c.goOn(2, "b") })
				answer := make(chan error, 1)
				if _, err := old.writer.Restore(m, func(_ persistence.Ack, err error) { answer <- err }); err != nil {
					c.Fatal(err)
				}
				if err := <-answer; errors.Is(err, persistence.ErrNotCommitted) || (err == nil) != (name == "once more") {
					c.Error(err)
				}
				for _, key := range keysOf(m) {
					if c.mem.Data(key) != nil {
						c.Errorf("%s is still there", key)
					}
				}
				c.recovers(strings.TrimSuffix(want, " c"))
				c.goOn(3, "c")
				c.recovers(want)
			})
		})
	}
}

// A reader stands before a restore that comes once more, without its state: it begins
// from the snapshot that covers it.
func TestReaderMeetsARestoreThatCameTwice(t *testing.T) {
	inCell(t, func(c *cell) {
		old := c.leader(1).write("a")
		slow := &state{}
		reader := c.open().NewReader(slow)
		if err := reader.CatchUp(c.Context()); err != nil {
			c.Fatal(err)
		}
		c.again(entry(1, 2), func() { c.goOn(2, "b") })
		old.restore("x", "y")
		if err := reader.CatchUp(c.Context()); err != nil || slow.has() != "x y b" {
			c.Errorf("it has %q, %v", slow.has(), err)
		}
	})
}

// A snapshot's manifest comes when its parts were collected. It is not the newest, so
// nobody needs it; it goes like any other.
func TestManifestThatComesLate(t *testing.T) {
	inCell(t, func(c *cell) {
		old := c.leader(1).write("a")
		var next *process
		c.late(memdriver.Create, "manifest.json", func() { next = c.goOn(2, "b") })
		m := old.snapshot()
		if c.mem.Data(m.PartKey(0)) != nil {
			c.Error("its parts are there: this test shows nothing")
		}
		c.recovers("a b")
		c.removes(newest(2))
		next.write("c").snapshot()
		c.removes(newest(2), string(m.Folder())+"/manifest.json")
		c.recovers("a b c")
	})
}

// A manifest that comes once more, of a snapshot that was collected.
func TestManifestThatComesTwice(t *testing.T) {
	inCell(t, func(c *cell) {
		old := c.leader(1).write("a")
		c.again("manifest.json", func() { c.goOn(2, "b") })
		m := old.snapshot()
		c.recovers("a b")
		c.removes(newest(1), string(m.Folder())+"/manifest.json")
		c.recovers("a b")
	})
}

// The state of a restore is written right behind the oldest snapshot that is kept, and a
// snapshot's parts at its very place: both are in the making.
func TestWhatIsInTheMakingStays(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		p.snapshot()
		c.late(memdriver.Create, entry(1, 2), func() { c.collect(newest(1)) })
		p.restore("x", "y")
		c.recovers("x y")

		p = c.leader(2).write("z")
		p.state.records = []string{"x", "y", "z"}
		p.snapshot()
		c.late(memdriver.Create, "manifest.json", func() { c.collect(newest(1)) })
		for _, key := range keysOf(p.snapshot()) {
			if c.mem.Data(key) == nil {
				c.Errorf("%s is gone", key)
			}
		}
		c.recovers("x y z")
		c.collect(newest(1))
		c.recovers("x y z")
	})
}

// Two collect at once, again and again, while the leader writes and makes snapshots, and
// somebody follows: who follows sees every state in its order, and the cell stays small.
func TestTwoCollectUnderLoad(t *testing.T) {
	inCell(t, func(c *cell) {
		c.mem.Inject(memdriver.Fault{Do: memdriver.Delay(3 * time.Millisecond)})
		leader := c.leader(1)
		ctx, stop := context.WithCancel(c.Context())
		var busy, following sync.WaitGroup
		for n := range 2 {
			busy.Go(func() {
				for ctx.Err() == nil {
					_, err := Collect(ctx, c.open(), newest(1+n), Options{BatchSize: 20})
					if err != nil && !errors.Is(err, ErrDoubt) && ctx.Err() == nil {
						c.Error(err)
					}
					time.Sleep(time.Duration(5+n) * time.Millisecond)
				}
			})
		}
		follower := &state{}
		reading, leave := context.WithCancel(c.Context())
		following.Go(func() {
			if err := c.open().NewReader(follower).Follow(reading, blob.FollowOptions{}); reading.Err() == nil {
				c.Errorf("the follower ended: %v", err)
			}
		})
		most, last := 0, (*snapshot.Manifest)(nil)
		for i := range 1000 {
			leader.write(fmt.Sprint(i))
			switch {
			case i%30 == 10:
				last = leader.snapshot()
			case i%10 == 0 && last != nil:
				last = leader.increment(last, leader.since(last)...)
			}
			most = max(most, len(c.mem.Keys()))
		}
		stop()
		busy.Wait()
		want := leader.state.has()
		time.Sleep(5 * time.Minute) // who follows looks at the snapshots
		leave()
		following.Wait()
		if got := follower.has(); got != want {
			c.Errorf("the follower has %q", got)
		}
		c.mem.Heal()
		c.recovers(want)
		if most > 150 {
			c.Errorf("there were %d objects at once", most)
		}
		c.Logf("%d objects at most", most)
	})
}

// since is what was written since a snapshot.
func (p *process) since(m *snapshot.Manifest) []string {
	return strings.Fields(p.state.has())[m.At.Transaction:]
}
