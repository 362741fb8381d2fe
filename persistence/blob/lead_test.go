package blob

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestLeadersFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b")
		c.leader(2) // writes nothing
		p := c.leader(5).write("c")
		c.mustRecover("a b c")
		if got, want := p.reader.At(), (persistence.Point{Epoch: 5, Next: 6, Transaction: 3, Hash: p.reader.at.Hash}); got != want {
			t.Errorf("leader is at %v, want %v", got, want)
		}
	})
}

func TestEpochThatTheLogHasPassedCantLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(3).write("a")
		for _, epoch := range []persistence.Epoch{2, 3} { // the lease object was lost
			_, err := c.process().reader.Lead(c.ctx, epoch, persistence.NewWriterID())
			if e, ok := errors.AsType[*EpochError](err); !ok || e.Need != 4 {
				t.Errorf("epoch %d: %v, want that 4 is needed", epoch, err)
			}
		}
	})
}

// Two candidates were handed the same epoch: whichever seal is there first wins,
// the other must not take it for its own.
func TestEqualEpochIsNotOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		p := c.process()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1,
			Do: memdriver.Before(func(string) { c.leader(2) })})
		_, err := p.reader.Lead(c.ctx, 2, persistence.NewWriterID())
		if e, ok := errors.AsType[*EpochError](err); !ok || e.Need != 3 {
			t.Fatalf("%v, want that epoch 3 is needed", err)
		}
	})
}

// The old leader writes between the new one's last look and its seal: the entry
// is read and kept.
func TestEntryThatTheSealMeetsIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1,
			Do: memdriver.Before(func(string) { old.write("b") })})
		p := c.leader(2).write("c")
		if got := p.state.has(); got != "a b c" {
			t.Errorf("new leader has %q", got)
		}
		c.mustRecover("a b c")
	})
}

// A PUT that a deposed leader sent before lands after the seal of its successor,
// at the seal's position and beyond: neither changes anything.
func TestLatePutsOfADeposedLeaderAreNeverRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under(epochPrefix(1)), Times: 1, Do: memdriver.Delay(time.Hour)})
		first := old.send("late")
		synctest.Wait()
		second := old.send("beyond")
		synctest.Wait()
		c.leader(2).write("b")
		if err := first.wait(); !errors.Is(err, persistence.ErrDeposed) {
			t.Errorf("at the seal's position: %v, want deposed", err)
		}
		if err := second.wait(); !errors.Is(err, persistence.ErrDeposed) {
			t.Errorf("beyond the seal: %v, want deposed", err)
		}
		if c.mem.Data(Key(1, 3)) == nil {
			t.Fatal("nothing landed beyond the seal: this test shows nothing")
		}
		c.mustRecover("a b")
	})
}

// The answer to the seal's PUT is lost in every way there is.
func TestSealWhoseReplyIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.LoseReply})
		c.leader(2).write("b")
		c.mustRecover("a b")

		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under(logPrefix), Times: 1, Do: memdriver.LandAndFail})
		p := c.process()
		if _, err := p.reader.Lead(c.ctx, 3, persistence.NewWriterID()); !errors.Is(err, memdriver.ErrInjected) {
			t.Fatal(err)
		}
		_, err := p.reader.Lead(c.ctx, 3, persistence.NewWriterID())
		if e, ok := errors.AsType[*EpochError](err); !ok {
			t.Fatalf("%v, want that the epoch is used up", err)
		} else {
			p.lead(e.Need).write("c")
		}
		c.mustRecover("a b c")
	})
}

// A standby stands before position p. The leader writes p, snapshots it, and the
// collector takes p away: nothing later is in the log. The standby must not take
// the empty key for the end (model: H1-slow-standby).
func TestSlowStandbyFindsTheSnapshotThatCoversItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		standby := c.process()
		if err := standby.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		leader.write("b")
		leader.snapshot()
		c.collect(leader.reader.at.Next - 1)
		standby.lead(2).write("c")
		if got := standby.state.has(); got != "a b c" {
			t.Errorf("new leader has %q: an acknowledged record is lost", got)
		}
		c.mustRecover("a b c")
	})
}

// All looks were right, then the seal's PUT is slow: p is written, acknowledged,
// snapshotted and collected before it lands on the empty key. The seal is void
// (model: H2-late-seal).
func TestSealOnACollectedKeyIsVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		candidate := c.process()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Before(func(string) {
			leader.write("b", "c")
			leader.snapshot()
			c.collect(leader.reader.at.Next - 1)
		})})
		_, err := candidate.reader.Lead(c.ctx, 2, persistence.NewWriterID())
		e, ok := errors.AsType[*EpochError](err)
		if !ok {
			t.Fatalf("%v, want that the seal is void", err)
		}
		candidate.lead(e.Need).write("d")
		c.mustRecover("a b c d")
	})
}

// All looks were right, then the seal's PUT is slow: p is written, acknowledged and lost
// by an accident before it lands in the hole. What lies beyond it shows it, to the leader
// itself and to all who come after (model: M-own-seal-not-crossed).
func TestOwnSealInALostEntrysPlaceIsDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		candidate := c.process()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Before(func(string) {
			leader.writeApart(3)
			c.mem.Remove(Key(1, 2))
		})})
		_, err := candidate.reader.Lead(c.ctx, 2, persistence.NewWriterID())
		if damage, ok := errors.AsType[*DamageError](err); !ok || damage.Object != Key(1, 2) {
			t.Fatalf("%v, want that %s is damaged", err, Key(1, 2))
		}
		c.mustRefuse(Key(1, 2))
	})
}

// A slow reader meets a void seal at the newest snapshot's position: its chain is
// false there, and the hash shows it, where the position would not (H1-chain).
func TestFalseBranchIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		slow := c.process()
		if err := slow.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		candidate := c.process()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Before(func(string) {
			leader.write("b")
			leader.snapshot()
			c.collect(leader.reader.at.Next - 1)
		})})
		if _, err := candidate.reader.Lead(c.ctx, 2, persistence.NewWriterID()); err == nil {
			t.Fatal("void seal was taken for good")
		}
		slow.lead(3).write("c")
		if got := slow.state.has(); got != "a b c" {
			t.Errorf("new leader has %q", got)
		}
		c.mustRecover("a b c")
	})
}

// A leader's entry is history, but its reply is lost; the entry is snapshotted and
// collected, and a late seal falls on its key. The leader tries again and reads
// the seal: it must not say "not committed" (H3-false-answer).
func TestNothingIsClaimedOfWhatASnapshotCovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		var sealed []byte
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Before(func(key string) {
			// The entry's first try landed and became history: another process
			// leads after it, snapshots, and collects. Then an old seal lands.
			other := c.process()
			if err := other.reader.CatchUp(c.ctx); err != nil {
				t.Fatal(err)
			}
			object := other.reader.seal(map[persistence.Point][]byte{}, 9, persistence.NewWriterID())
			sealed = object
			c.mem.Put(key, sealed)
			next := c.process()
			if err := next.reader.CatchUp(c.ctx); err != nil {
				t.Fatal(err)
			}
			next.snapshot() // at or beyond the seal's position
		})})
		err := leader.send("b").wait()
		if !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("%v, want unknown", err)
		}
	})
}

func TestLeadGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under(logPrefix), Do: memdriver.Block})
		ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
		defer cancel()
		if _, err := c.process().reader.Lead(ctx, 2, persistence.NewWriterID()); err == nil || !strings.Contains(err.Error(), "deadline") {
			t.Errorf("%v, want that the deadline passed", err)
		}
	})
}

// The store says that the seal's key is taken and it is not: the request is on its
// way still. The seal is sent again with the very same bytes, so that whichever
// lands is known for its own.
func TestSealKeepsItsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.LandLater, Err: driver.ErrExists})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1,
			Do: memdriver.Before(func(string) { c.mem.Release() })})
		// Between the two tries the end is checked again, and time passes.
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Delay(time.Second)})
		c.leader(2).write("b")
		c.mustRecover("a b")
	})
}

// Another leads between this candidate's LIST and its seal, with a larger epoch: its
// seal is met, read, and not written over.
func TestSealOfALargerEpochIsMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		var winner *process
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1,
			Do: memdriver.Before(func(string) { winner = c.leader(7).write("b") })})
		p := c.process()
		_, err := p.reader.Lead(c.ctx, 2, persistence.NewWriterID())
		if e, ok := errors.AsType[*EpochError](err); !ok || e.Need != 8 {
			t.Fatalf("%v, want that epoch 8 is needed", err)
		}
		winner.write("c")
		c.mustRecover("a b c")
	})
}

// One with a smaller epoch was faster: its seal and what it wrote are followed.
func TestSealOfASmallerEpochIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		var faster *process
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1,
			Do: memdriver.Before(func(string) { faster = c.leader(2).write("b") })})
		p := c.leader(3).write("c")
		if got := p.state.has(); got != "a b c" {
			t.Errorf("new leader has %q", got)
		}
		if err := faster.send("d").wait(); !errors.Is(err, persistence.ErrDeposed) {
			t.Errorf("the faster one: %v, want deposed", err)
		}
		c.mustRecover("a b c")
	})
}
