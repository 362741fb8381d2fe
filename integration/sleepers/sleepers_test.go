package sleepers_test

import (
	"strings"
	"testing"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
)

// A writer sleeps with a PUT in its hand that the store has not seen. The key has the
// seal for ever: what it is told is never that it is committed.
func TestWriterWakesBeforeItsPut(t *testing.T) {
	stores(t, func(c *cell) {
		sleeper := c.leader("a")
		sleeper.arm("create", "log/", 1, sleepBefore)
		answer := sleeper.stops("write lost")
		next := c.goOn("b", "c")
		sleeper.wake()
		if got := sleeper.answer(answer); got != unknown {
			c.Errorf("its answer: %s, want unknown: a manifest is beyond the seal", got)
		}
		if got := sleeper.answer(sleeper.tell("write never")); got != notCommitted && got != unknown {
			c.Errorf("another write: %s", got)
		}
		c.holds("a b c")
		c.write(next, "d")
		c.snapshotAndCollect(next)
		c.holds("a b c d")
	})
}

// The PUT had landed before it slept, and is made again when the key has long been
// collected: it lands as an orphan, and what it is told is true.
func TestWriterWakesAfterItsPut(t *testing.T) {
	stores(t, func(c *cell) {
		sleeper := c.leader("a")
		sleeper.arm("create", "log/", 1, sleepBetween)
		answer := sleeper.stops("write durable")
		next := c.goOn("b")
		before := c.objects(next, "log/")
		sleeper.wake()
		if got := sleeper.answer(answer); got != done && got != unknown {
			c.Errorf("its answer: %s, but it is in the history", got)
		}
		if after := c.objects(next, "log/"); len(after) != len(before)+1 {
			c.Errorf("nothing fell on the collected key: this test shows nothing: %v", after)
		}
		c.holds("a b durable")
		c.write(next, "c")
		c.snapshotAndCollect(next)
		if left := c.objects(next, "log/0000000001/"); len(left) != 1 {
			c.Errorf("the orphan still is beside the seal: %v", left)
		}
		c.holds("a b c durable")
	})
}

// A standby has made sure of the end, and sleeps with the seal in its hand. The leader
// does not know of it, and goes on: what was the end is committed, in a snapshot, and
// collected. The seal falls on the empty key and is void.
func TestStandbyWakesWithItsSeal(t *testing.T) {
	stores(t, func(c *cell) {
		leader := c.open(schedulerstore.Options{})
		if err := leader.Campaign(c.Context()); err != nil {
			c.Fatal(err)
		}
		c.write(leader, "a")
		standby := start(c, c.url("one"), ttl)
		standby.arm("create", "log/", 1, sleepBefore)
		c.breakLease(leader)
		answer := standby.stops("lead")
		c.write(leader, "b", "c")
		c.snapshotAndCollect(leader)
		before := c.objects(leader, "log/0000000001/")
		standby.wake()
		if got := standby.answer(answer); got != done {
			c.Fatalf("it does not lead: %s", got)
		}
		if after := c.objects(leader, "log/0000000001/"); len(before) != 0 || len(after) != 2 {
			c.Errorf("epoch 1 had %v and has %v: want the void seal and the next leader's", before, after)
		}
		standby.must("a b c", "read")
		standby.must(done, "write d")
		c.holds("a b c d")
		if err := leader.Write(c.Context(), save("e")); outcome(err) == done {
			c.Error("the leader before was told that its write is committed")
		}
		c.holds("a b c d")
	})
}

// The seal has landed, and whoever put it sleeps before it looks at the manifests. The
// next leader follows the seal, and collects beyond it.
func TestStandbyWakesAfterItsSeal(t *testing.T) {
	stores(t, func(c *cell) {
		c.leader("a")
		sleeper := start(c, c.url("one"), ttl)
		follower := c.open(schedulerstore.Options{ReadOnly: true})
		sleeper.arm("create", "log/", 1, sleepBetween)
		c.breakLease(follower)
		answer := sleeper.stops("lead")
		c.goOn("b")
		sleeper.wake()
		if got := sleeper.answer(answer); got == done {
			if got := sleeper.answer(sleeper.tell("write lost")); got == done {
				c.Error("it was told that its write is committed")
			}
		}
		c.holds("a b")
	})
}

// A writer's entry is in the history, collected, and a void seal lies on its key. The
// writer does not know of all that, sends it again, and finds the seal: it must not be
// told that the entry is not committed.
func TestWriterWakesAndFindsAVoidSeal(t *testing.T) {
	stores(t, func(c *cell) {
		writer := c.leader("a")
		standby := start(c, c.url("one"), ttl)
		standby.arm("create", "log/", 1, sleepBefore)
		c.breakLease(c.open(schedulerstore.Options{ReadOnly: true}))
		seal := standby.stops("lead")
		writer.arm("create", "log/", 1, sleepBetween)
		answer := writer.stops("write durable")
		next := c.goOn("b")
		before := c.objects(next, "log/0000000001/")
		standby.wake()
		if got := standby.answer(seal); got == done {
			c.Error("it leads, though the lease is another's")
		}
		if after := c.objects(next, "log/0000000001/"); len(after) != len(before)+1 {
			c.Errorf("no void seal lies there: this test shows nothing: %v", after)
		}
		writer.wake()
		if got := writer.answer(answer); got != unknown {
			c.Errorf("its answer: %s, want unknown", got)
		}
		c.write(next, "c")
		c.snapshotAndCollect(next)
		c.holds("a b c durable")
	})
}

// A leader sleeps with the entry of a restore in its hand. Its state was collected.
func TestLeaderWakesWithARestore(t *testing.T) {
	stores(t, func(c *cell) {
		c.each([]string{string(sleepBefore), string(sleepBetween)}, func(c *cell, do string) {
			sleeper := c.leader("a")
			sleeper.arm("create", "log/", 1, effect(do))
			answer := sleeper.stops("restore x y")
			next := c.goOn("b")
			if left := c.objects(next, "restore/"); len(left) > 0 {
				c.Errorf("the state of the restore is still there: %v", left)
			}
			sleeper.wake()
			got, want, state := sleeper.answer(answer), unknown, "a b"
			if effect(do) == sleepBetween {
				want, state = done, "b x y"
			}
			if got != want && got != unknown {
				c.Errorf("its answer: %s, want %s", got, want)
			}
			c.holds(state)
			c.write(next, "c")
			c.snapshotAndCollect(next)
			c.holds(strings.Replace(state, "b", "b c", 1))
		})
	})
}

// A snapshot's manifest comes when the snapshot is long garbage: its parts are gone,
// or it had been there and was collected itself.
func TestLeaderWakesWithAManifest(t *testing.T) {
	stores(t, func(c *cell) {
		c.each([]string{string(sleepBefore), string(sleepBetween)}, func(c *cell, do string) {
			sleeper := c.leader("a")
			sleeper.arm("create", "manifest.json", 1, effect(do))
			answer := sleeper.stops("snapshot")
			next := c.goOn("b")
			before := c.objects(next, "snapshot/")
			sleeper.wake()
			sleeper.answer(answer)
			if after := c.objects(next, "snapshot/"); len(before) != 2 || len(after) != 3 {
				c.Errorf("before there are %v, after %v: want one snapshot, and the manifest of another", before, after)
			}
			c.recovers("a b") // verifying says that the other one has no parts, until it goes
			c.write(next, "c")
			c.snapshotAndCollect(next)
			if left := c.objects(next, "snapshot/"); len(left) != 2 {
				c.Errorf("the manifest is still there: %v", left)
			}
			c.holds("a b c")
		})
	})
}

// A renewal of the lease comes when another leads.
func TestLeaderWakesWithARenewal(t *testing.T) {
	stores(t, func(c *cell) {
		sleeper := start(c, c.url("one"), 3*time.Second)
		sleeper.must(done, "lead")
		sleeper.must(done, "write a")
		sleeper.arm("replace", "lease.json", 1, sleepBefore)
		sleeper.stop("renewal", nil)
		next := c.goOn("b")
		sleeper.wake()
		if got := sleeper.answer(sleeper.tell("write lost")); got == done {
			c.Error("its write is said to be committed")
		}
		if next.Leadership().Err() != nil {
			c.Error("the renewal of another has ended the leadership")
		}
		c.write(next, "c")
		c.holds("a b c")
	})
}

// A collector sleeps in the midst of its work. The next leader collects the same, and
// more, also while the other wakes and goes on.
func TestCollectorWakes(t *testing.T) {
	stores(t, func(c *cell) {
		c.each([]string{"manifest.json", "log/", "part-", "restore/"}, func(c *cell, part string) {
			sleeper := c.garbage()
			sleeper.arm("delete", part, 1, sleepBefore)
			answer := sleeper.stops("collect")
			next := c.goOn("e", "f")
			sleeper.wake()
			c.write(next, "g")
			c.snapshotAndCollect(next)
			c.write(next, "h")
			c.Logf("its answer: %s", sleeper.answer(answer))
			c.holds("a b c d e f g h")
			c.snapshotAndCollect(next)
			c.clean(next)
			c.holds("a b c d e f g h")
		})
	})
}
