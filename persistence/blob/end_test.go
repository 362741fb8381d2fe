package blob

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// damage makes an object unreadable, its header too.
func (c *cell) damage(key string) {
	data := c.mem.Data(key)
	data[20] ^= 1
	c.mem.Put(key, data)
}

// keep removes the entries from a position of epoch 1 on, but for one.
func (c *cell) keep(from, one persistence.Position) {
	for _, key := range c.mem.Keys() {
		if epoch, position, err := parseKey(key); err == nil && epoch == 1 && position >= from && position != one {
			c.mem.Remove(key)
		}
	}
}

// An object at p + W shows by its place alone that p was there, whatever is in it;
// one position less shows nothing.
func TestPlaceBeyondTheWindowIsEvidenceEnough(t *testing.T) {
	for name, c := range map[string]struct {
		last    persistence.Position
		missing bool
	}{"the last of the window": {2 + Window - 1, false}, "the first beyond it": {2 + Window, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cell := newCell(t)
				cell.leader(1).writeApart(2 * Window)
				cell.keep(2, c.last)
				cell.damage(Key(1, c.last))
				if c.missing {
					cell.mustRefuse(Key(1, 2))
				} else {
					cell.mustRecover("0")
				}
			})
		})
	}
}

// A writer that died with a whole window on its way leaves a gap, and no damage.
func TestWholeWindowBeyondAGapIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Block})
		for range 2 * Window {
			p.send("beyond the gap")
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if c.mem.Data(Key(1, 2+Window-1)) == nil {
			t.Fatal("the window is not full: this test shows nothing")
		}
		c.mustRecover("a")
		c.leader(2).write("b")
		c.mustRecover("a b")
	})
}

// A seal stands behind all of its epoch: with the last entry gone it alone shows it.
func TestSealShowsThatTheEntryBeforeItIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b")
		c.leader(2)
		if keys := c.mem.Keys(); keys[len(keys)-1] != Key(1, 3) {
			t.Fatalf("the seal is not the last entry of %v", keys)
		}
		c.mem.Remove(Key(1, 2))
		c.mustRefuse(Key(1, 2))
	})
}

// While the end is checked, p and more are written, snapshotted and collected: what
// is left of it looks like a hole. The look has to come after the LIST.
func TestEntriesThatComeAndAreCollectedWhileTheEndIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is(logPrefix), Times: 1, Do: memdriver.Before(func(string) {
			leader.write("b")
			leader.snapshot()
			c.collect(2)
			leader.write("c")
		})})
		c.mustRecover("a b c")
	})
}

// Behind the last entries of an open epoch the log has nothing that could show that
// they are gone. The lease may know of them.
func TestLeaseShowsThatTheLastEntriesAreMissing(t *testing.T) {
	for name, do := range map[string]func(c *cell, leader *process) string{
		"it knows of no more than there are": func(c *cell, leader *process) string {
			c.leaseSays(leader.reader.at.Next)
			return ""
		},
		"it knows of one more": func(c *cell, leader *process) string {
			c.leaseSays(leader.reader.at.Next + 1)
			return Key(1, 3)
		},
		"it can't be believed": func(c *cell, leader *process) string {
			c.leaseSays(leader.reader.at.Next + 1)
			c.damage(lease.Key)
			return ""
		},
		"a snapshot covers what was collected": func(c *cell, leader *process) string {
			c.leaseSays(leader.reader.at.Next)
			leader.snapshot()
			c.collect(leader.reader.at.Next)
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				leader, slow := c.leader(1).write("a"), c.process()
				if err := slow.reader.CatchUp(c.ctx); err != nil {
					t.Fatal(err)
				}
				leader.write("b")
				missing := do(c, leader)
				if missing != "" {
					c.mustRefuse(missing)
					return
				}
				c.mustRecover("a b")
				if err := slow.reader.CatchUp(c.ctx); err != nil || slow.state.has() != "a b" {
					t.Errorf("slow reader has %q, %v", slow.state.has(), err)
				}
			})
		})
	}
}

// leaseSays makes a lease that was held and released, and knows of so many durable
// positions.
func (c *cell) leaseSays(durable persistence.Position) {
	c.Helper()
	l, err := lease.Acquire(c.ctx, c.bucket(), persistence.NewWriterID(), 1,
		lease.Options{Durable: func() persistence.Position { return durable }})
	if err == nil {
		err = l.Release(c.ctx)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// The LIST shows later entries, and then the store does not answer: nothing is known.
func TestStoreThatFailsWhileTheEndIsCheckedIsNoDamage(t *testing.T) {
	for name, fault := range map[string]memdriver.Fault{
		"at the second look at p":   {Operation: memdriver.Get, Key: memdriver.Is(Key(1, 2)), Skip: 1, Do: memdriver.Fail},
		"at the later ones' header": {Operation: memdriver.GetRange, Do: memdriver.Fail},
		"at the lease":              {Operation: memdriver.Get, Key: memdriver.Is(lease.Key), Do: memdriver.Fail},
		"at the log's LIST":         {Operation: memdriver.List, Key: memdriver.Is(logPrefix), Do: memdriver.Fail},
		"at the manifests' LIST":    {Operation: memdriver.List, Key: memdriver.Is("snapshot/"), Skip: 1, Do: memdriver.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.leader(1).writeApart(4)
				if fault.Key == nil || !fault.Key(lease.Key) { // which is not asked if the log shows it
					c.mem.Remove(Key(1, 2))
				}
				c.mem.Inject(fault)
				if got, err := c.recovers(); !errors.Is(err, memdriver.ErrInjected) || errors.Is(err, ErrDamaged) {
					t.Errorf("recovered %q, %v; want the store's error", got, err)
				}
			})
		})
	}
}

// A slow reader meets a late seal on a key that was collected, with entries beyond
// it that show that an entry was there. A snapshot covers it: no damage.
func TestSlowReaderMeetsASealOnACollectedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		slow, late := c.process(), c.process()
		if err := errors.Join(slow.reader.CatchUp(c.ctx), late.reader.CatchUp(c.ctx)); err != nil {
			t.Fatal(err)
		}
		leader.write("b")
		leader.snapshot()
		c.collect(2)
		leader.write("c", "d")
		object := late.reader.seal(map[persistence.Point][]byte{}, 2, persistence.NewWriterID())
		c.mem.Put(Key(1, 2), object)
		if err := slow.reader.CatchUp(c.ctx); err != nil || slow.state.has() != "a b c d" {
			t.Errorf("slow reader has %q, %v", slow.state.has(), err)
		}
		if slow.state.resets != 2 {
			t.Errorf("it began %d times, want again from the snapshot", slow.state.resets)
		}
		leader.write("e")
		c.mustRecover("a b c d e")
	})
}

// The newest snapshot is damaged and all entries were collected: an older state must
// not be taken for the newest, although nothing in the log says otherwise.
func TestDamagedNewestSnapshotIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		p.snapshot()
		p.write("b", "c")
		newest := p.snapshot()
		c.collect(p.reader.at.Next - 1)
		part := strings.TrimSuffix(newest.ManifestKey(), "manifest.json") + "part-00000"
		good := c.mem.Data(part)
		c.mem.Remove(part)
		c.mustRefuse(newest.String())
		candidate := c.process()
		if _, err := candidate.reader.Lead(c.ctx, 2, persistence.NewWriterID()); !errors.Is(err, ErrDamaged) {
			t.Errorf("a candidate leads from an older state: %v", err)
		}
		// Put right, it serves, without a new start of the process.
		c.mem.Put(part, good)
		candidate.lead(2).write("d")
		if got := candidate.state.has(); got != "a b c d" {
			t.Errorf("new leader has %q", got)
		}
	})
}

// Two snapshots are kept. The newest is damaged, and the one before it was listed only
// when this reader had listed the snapshots: its manifest came late. The log reaches
// from that to the newest, so nothing is refused.
func TestSnapshotThatCameLateIsTriedBeforeRefusing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		first := p.snapshot()
		p.write("b")
		late := p.snapshot()
		from := p.reader.at.Next
		p.write("c")
		newest := p.snapshot()
		p.write("d")
		manifest := c.mem.Data(late.ManifestKey())
		c.mem.Remove(late.ManifestKey())
		c.mem.Remove(strings.TrimSuffix(newest.ManifestKey(), "manifest.json") + "part-00000")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(first.ManifestKey()), Times: 1, Do: memdriver.Before(func(string) {
			c.mem.Put(late.ManifestKey(), manifest)
			c.mem.Remove(first.ManifestKey())
			c.collect(from - 1)
		})})
		c.mustRecover("a b c d")
	})
}

// An object that passes for a manifest but can't be one may hide the newest.
func TestObjectThatPassesForAManifestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		f := c.process()
		c.leader(1).write("a")
		if err := f.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		const key = "snapshot/copy of the newest/manifest.json"
		c.mem.Put(key, []byte("{}"))
		c.mustRefuse(key)
		if err := f.reader.CatchUp(c.ctx); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
			t.Errorf("one that follows: %v, want a refusal that names %s", err, key)
		}
	})
}

// A follower stands at the end, idle. What comes then is snapshotted and collected
// before it asks: nothing in the log tells it, only the look that it takes now and
// then.
func TestIdleFollowerFindsThatItsEndWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		f := c.process()
		ready := make(chan struct{})
		go func() { _ = f.reader.Follow(c.ctx, FollowOptions{Ready: func() { close(ready) }}) }()
		<-ready
		asleep := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(Key(1, 2)), Do: memdriver.Fail, Err: driver.ErrNotExist})
		leader.write("b")
		leader.snapshot()
		c.collect(2)
		asleep.Stop()
		time.Sleep(DefaultCheckEnd + DefaultMaxPoll)
		if got := f.state.has(); got != "a b" {
			t.Errorf("follower has %q", got)
		}
		leader.write("c")
		time.Sleep(2 * DefaultMaxPoll)
		if got := f.state.has(); got != "a b c" {
			t.Errorf("follower has %q", got)
		}
	})
}

// Idle, a follower asks ever more rarely.
func TestIdleFollowerAsksRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		f := c.process()
		go func() {
			_ = f.reader.Follow(c.ctx, FollowOptions{MinPoll: time.Millisecond, MaxPoll: 10 * time.Second, CheckEnd: time.Minute})
		}()
		time.Sleep(time.Minute)
		before := c.mem.Count(memdriver.Any)
		time.Sleep(time.Hour)
		// A GET each 10 s, and each minute the check: two LISTs and the lease.
		if n := c.mem.Count(memdriver.Any) - before; n < 520 || n > 560 {
			t.Errorf("%d requests in an idle hour, want about 540", n)
		}
	})
}

// An entry is applied half when the state fails: what is there then is no state of
// the history, so the reader begins again.
func TestReaderBeginsAgainAfterAFailedApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, snapshot := range map[string]bool{"in an entry": false, "in a snapshot": true} {
			c := newCell(t)
			p := c.leader(1)
			c.slow(time.Second)
			p.write("a")
			for _, r := range []string{"b", "c", "d"} { // c and d together
				p.send(r)
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			if snapshot {
				p.snapshot()
			}
			broken := errors.New("out of memory")
			f := c.process()
			f.state.fail = func(record string) error {
				if record == "d" {
					return broken
				}
				return nil
			}
			if err := f.reader.CatchUp(c.ctx); !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v, want the state's error", name, err)
			}
			f.state.fail = nil
			if err := f.reader.CatchUp(c.ctx); err != nil || f.state.has() != "a b c d" {
				t.Errorf("%s: then it has %q, %v", name, f.state.has(), err)
			}
		}
	})
}
