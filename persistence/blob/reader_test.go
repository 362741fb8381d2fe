package blob

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// mustRefuse is a recovery that finds damage and names the object.
func (c *cell) mustRefuse(object string) {
	c.Helper()
	got, err := c.recovers()
	if !errors.Is(err, ErrDamaged) || !strings.Contains(fmt.Sprint(err), object) {
		c.Fatalf("recovered %q, %v; want a refusal that names %s", got, err, object)
	}
}

// each record in an entry of its own
func (p *process) writeApart(n int) *process {
	p.Helper()
	for i := range n {
		p.write(fmt.Sprint(i))
	}
	return p
}

func TestMissingEntryIsNeverTakenForTheEnd(t *testing.T) {
	for name, object := range map[string]string{
		"an entry, others after it":                 Key(1, 3),
		"the one before the last (committed)":       Key(1, 6),
		"the last of an epoch, a later one goes on": Key(1, 7),
		"a seal":       Key(1, 8),
		"the first":    Key(0, 0),
		"in epoch two": Key(2, 10),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.leader(1).writeApart(7)
				if object == Key(1, 6) {
					c.mem.Remove(object)
					c.mustRefuse(object)
					return
				}
				c.leader(2).writeApart(4)
				c.mem.Remove(object)
				c.mustRefuse(object)
				// Neither does a candidate fill the hole with a seal.
				if _, err := c.process().reader.Lead(c.ctx, 9, [16]byte{9}); !errors.Is(err, ErrDamaged) {
					t.Errorf("candidate: %v", err)
				}
				if c.mem.Data(object) != nil {
					t.Error("the hole was filled")
				}
			})
		})
	}
}

// An entry at p + W can be there only if p was (the window is of positions).
func TestEntryBeyondTheWindowShowsThatOneIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).writeApart(Window + 2)
		for _, key := range c.mem.Keys() {
			if key > Key(1, 2) && key < Key(1, 2+Window) {
				c.mem.Remove(key)
			}
		}
		c.mem.Remove(Key(1, 2))
		c.mustRefuse(Key(1, 2))
	})
}

// What a writer that died had on its way beyond a gap is no damage.
func TestGapOfADeadWriterIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Block})
		p.send("never lands")
		for range 3 {
			synctest.Wait()
			time.Sleep(time.Second)
			p.send("beyond the gap")
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if c.mem.Data(Key(1, 4)) == nil {
			t.Fatal("nothing is beyond the gap: this test shows nothing")
		}
		c.mustRecover("a")
		c.leader(2).write("b")
		c.mustRecover("a b")
	})
}

// p was not there when asked for; p and those after it land before the LIST: that
// is no damage (model: H5-no-second-look).
func TestEntriesThatComeWhileTheEndIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is(logPrefix), Skip: 0, Times: 1,
			Do: memdriver.Before(func(string) { leader.writeApart(5) })})
		c.mustRecover("a 0 1 2 3 4")
	})
}

func TestWrongBitIsNamedAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).writeApart(3)
		c.leader(2).writeApart(2)
		for _, key := range c.mem.Keys() {
			good := c.mem.Data(key)
			bad := append([]byte(nil), good...)
			bad[len(bad)/2] ^= 4
			c.mem.Put(key, bad)
			if !strings.HasPrefix(key, logPrefix) {
				if _, err := Open(c.ctx, c.bucket(), Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: %v", key, err)
				}
			} else {
				c.mustRefuse(key)
			}
			c.mem.Put(key, good)
		}
		c.mustRecover("0 1 2 0 1")
	})
}

// A bit that flips on the way is read again, not refused.
func TestBitThatFlipsOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).writeApart(3)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Corrupt})
		c.mustRecover("0 1 2")
	})
}

// Entries that were swapped are each whole, but not in their place.
func TestSwappedEntriesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).writeApart(3)
		a, b := c.mem.Data(Key(1, 1)), c.mem.Data(Key(1, 2))
		c.mem.Put(Key(1, 1), b)
		c.mem.Put(Key(1, 2), a)
		c.mustRefuse(Key(1, 1))
	})
}

// An entry of another history with the right place does not fit the chain.
func TestEntryOfAnotherCellIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := newCell(t), newCell(t)
		c.leader(1).writeApart(3)
		other.leader(1).writeApart(3)
		c.mem.Put(Key(1, 2), other.mem.Data(Key(1, 2)))
		c.mustRefuse(Key(1, 2))
	})
}

// Each thing that an entry says of its place is checked by itself: a writer that is
// wrong in one of them would else be believed, for the hashes are its own.
func TestEntryThatDoesNotGoOnFromTheOneBeforeIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Header){
		"":                            func(*Header) {},
		"another hash before it":      func(h *Header) { h.Prev[31] ^= 1 },
		"a transaction left out":      func(h *Header) { h.First++ },
		"a transaction twice":         func(h *Header) { h.First-- },
		"it knows the future":         func(h *Header) { h.Committed = h.Position + 1 },
		"another position":            func(h *Header) { h.Position++ },
		"another epoch":               func(h *Header) { h.Epoch++ },
		"the place of the one before": func(h *Header) { h.Position-- },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a")
				h := Header{Kind: KindRecords, Position: 2, Epoch: 1, Writer: p.writer.id, Prev: p.reader.at.Hash, Committed: 1, First: 2, Count: 1, Time: time.Now()}
				change(&h)
				object, _ := encode(p.log.codec, &h, packed.AppendRecord(nil, []byte("b")))
				c.mem.Put(Key(1, 2), object)
				if name == "" {
					c.mustRecover("a b")
				} else {
					c.mustRefuse(Key(1, 2))
				}
			})
		})
	}
}

// An object was lost and a late seal took its place: what the epoch holds beyond
// shows it.
func TestSealInALostEntrysPlaceIsDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		late := c.process()
		if err := late.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		object := late.reader.seal(map[persistence.Point][]byte{}, 2, [16]byte{2})
		p.writeApart(3)
		c.mem.Put(Key(1, 2), object)
		c.mustRefuse(Key(1, 2))
	})
}

func TestDamagedSnapshotIsReportedAndTheOlderUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).writeApart(3)
		p.snapshot()
		p.write("x")
		newest := p.snapshot()
		p.write("y")
		for _, key := range c.mem.Keys() {
			if !strings.Contains(key, newest.String()) {
				continue
			}
			good := c.mem.Data(key)
			bad := append([]byte(nil), good...)
			bad[len(bad)/2] ^= 1
			c.mem.Put(key, bad)
			c.mustRecover("0 1 2 x y")
			c.mem.Remove(key)
			c.mustRecover("0 1 2 x y")
			c.mem.Put(key, good)
		}
		// But not where the log does not reach from there to the newest.
		c.mem.Remove(newest.ManifestKey()[:len(newest.ManifestKey())-len("manifest.json")] + "part-00000")
		c.collect(p.reader.at.Next - 2)
		c.mustRefuse(newest.String())
	})
}

func TestRecoveryBeginsFromTheNewestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).writeApart(50)
		p.snapshot()
		p.write("tail")
		before := c.mem.CountOf(memdriver.Get, memdriver.Under(logPrefix))
		c.recovers()
		if n := c.mem.CountOf(memdriver.Get, memdriver.Under(logPrefix)) - before; n > 5 {
			t.Errorf("recovery asked for %d entries, want the tail only", n)
		}
	})
}

func TestFollowerSeesPrefixesAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		f := c.process()
		ctx, cancel := context.WithCancel(c.ctx)
		ended := make(chan error)
		ready := make(chan struct{})
		go func() { ended <- f.reader.Follow(ctx, FollowOptions{Ready: func() { close(ready) }}) }()
		<-ready
		if got := f.state.has(); got != "a" {
			t.Errorf("ready with %q", got)
		}
		time.Sleep(time.Minute) // idle: it asks rarely, and takes the look
		leader.write("b")
		time.Sleep(2 * DefaultMaxPoll)
		if got := f.state.has(); got != "a b" {
			t.Errorf("follower has %q", got)
		}
		next := c.leader(2).write("c")
		time.Sleep(2 * DefaultMaxPoll)
		next.snapshot()
		time.Sleep(time.Minute)
		next.write("d")
		time.Sleep(2 * DefaultMaxPoll)
		if got := f.state.has(); got != "a b c d" {
			t.Errorf("follower has %q", got)
		}
		if f.state.resets != 1 {
			t.Errorf("follower began %d times, want once: a snapshot on its chain is no reason to begin again", f.state.resets)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A follower that slept while what it needs was collected begins again; one that
// stands before a hole says so.
func TestFollowerThatFellBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		f := c.process()
		if err := f.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		leader.writeApart(10)
		leader.snapshot()
		c.collect(leader.reader.at.Next - 1)
		leader.write("b")
		ended := make(chan error, 1)
		go func() { ended <- f.reader.Follow(c.ctx, FollowOptions{}) }()
		time.Sleep(5 * time.Second)
		if got := f.state.has(); got != "a 0 1 2 3 4 5 6 7 8 9 b" {
			t.Errorf("follower has %q", got)
		}
		leader.writeApart(2)
		time.Sleep(5 * time.Second)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(Key(1, leader.reader.at.Next)), Do: memdriver.Fail, Err: driver.ErrNotExist})
		leader.writeApart(2)
		if err := <-ended; !errors.Is(err, ErrDamaged) {
			t.Errorf("before a hole: %v", err)
		}
	})
}
