package garbage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// collectAt collects garbage, once, just before a request is answered.
func (c *cell) collectAt(operation memdriver.Operation, key string, r Retention) {
	var begun atomic.Bool
	log := c.open()
	c.mem.Inject(memdriver.Fault{Operation: operation, Key: memdriver.Is(key), Do: memdriver.Before(func(string) {
		if begun.CompareAndSwap(false, true) { // it reads the same objects itself
			if _, err := Collect(c.Context(), log, r, Options{}); err != nil {
				c.Error(err)
			}
		}
	})})
}

// A reader that began before and ends after, wherever it stands when all goes that it
// was about to read, begins again and finds the newest state.
func TestSlowReader(t *testing.T) {
	for i, more := 0, true; more; i++ {
		inCell(t, func(c *cell) {
			p := c.leader(1).write("a", "b")
			s := &state{}
			reader := c.open().NewReader(s)
			if err := reader.CatchUp(c.Context()); err != nil { // at "b", and slow from here on
				c.Fatal(err)
			}
			p.write("c").snapshot()
			p.write("d").restore("x", "y")
			p = c.leader(2).write("z")
			p.write("e").snapshot()
			p.write("f")
			keys := c.mem.Keys()
			more = i+1 < len(keys)
			for _, operation := range []memdriver.Operation{memdriver.Get, memdriver.GetRange} {
				c.collectAt(operation, keys[i], newest(1))
			}
			if err := reader.CatchUp(c.Context()); err != nil || s.has() != "x y z e f" {
				c.Errorf("collected before it read %s: %q, %v", keys[i], s.has(), err)
			}
			again := &state{}
			if err := c.open().NewReader(again).CatchUp(c.Context()); err != nil || again.has() != "x y z e f" {
				c.Errorf("%q, %v", again.has(), err)
			}
		})
	}
}

// A follower goes on while garbage goes beside it.
func TestFollowerMeanwhile(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1)
		s := &state{}
		reader := c.open().NewReader(s)
		failed := make(chan error, 1)
		ctx, stop := context.WithCancel(c.Context())
		go func() { failed <- reader.Follow(ctx, blob.FollowOptions{}) }()
		for i, w := range words("r", 50) {
			p.write(w)
			if i%5 == 4 {
				p.snapshot()
				c.collect(newest(1))
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(blob.DefaultCheckEnd + time.Minute) // without a grace period it may have to find out by the look
		if s.has() != p.state.has() {
			c.Errorf("%q; want %q", s.has(), p.state.has())
		}
		stop()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			c.Error(err)
		}
	})
}

// Parts that snapshots share stay as long as one that is kept names them.
func TestSharedPartsStay(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		full := p.snapshot()
		p.write("b")
		second := p.increment(full, "b")
		p.write("c")
		third := p.increment(second, "c")
		c.removes(newest(1), keysOf(full)[0], keysOf(second)[0], entry(1, 1), entry(1, 2), entry(1, 3))
		c.recovers("a b c")
		p.write("d")
		p.snapshot() // a full one
		c.removes(newest(1), append(keysOf(third), entry(1, 4))...)
		c.recovers("a b c d")
	})
}

// Parts above the oldest kept snapshot may be of one that is being made, whoever makes
// it; below it they go, and a manifest that comes late names nothing that counts.
func TestPartsWithoutAManifest(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Times: 2, Do: memdriver.LandLater})
		interrupted := func() (part string) {
			had := c.mem.Keys()
			if _, err := snapshot.Write(c.Context(), p.log.Bucket(), p.log.Codec(), p.source(), 1); err == nil {
				c.Fatal("the manifest was written")
			}
			return without(c.mem.Keys(), had)[0]
		}
		early := interrupted()
		p.write("b").snapshotAfter(slow)
		p.write("c")
		above := interrupted()
		report := c.collect(newest(1))
		if c.mem.Data(early) != nil || c.mem.Data(above) == nil {
			c.Errorf("%s is there: %v; %s is gone: %v", early, c.mem.Data(early) != nil, above, c.mem.Data(above) == nil)
		}
		if report.Orphans[0].Objects != 1 {
			c.Errorf("%+v; want the part above as an orphan", report.Orphans)
		}
		c.mem.Release() // both manifests
		c.recovers("a b c")
		p.write("d").snapshot()
		want := append(snapshotAt(c, 2), strings.Replace(early, "part-00000", "manifest.json", 1), entry(1, 3))
		c.removes(newest(2), want...) // the oldest that is kept is the one that came late
		c.recovers("a b c d")
	})
}

// snapshotAfter makes a snapshot without a fault, which goes on after it.
func (p *process) snapshotAfter(slow *memdriver.Rule) {
	p.Helper()
	slow.Stop()
	p.snapshot()
	p.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Times: 1, Do: memdriver.LandLater})
}

// The state of a restore stays until the oldest kept snapshot covers its entry, and a
// state that no entry names until it covers that place.
func TestStatesOfRestores(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		p.snapshot()
		orphan, err := snapshot.WriteIn(c.Context(), p.log.Bucket(), p.log.Codec(), blob.RestoreFolder(p.reader.At()), p.source(), 1)
		if err != nil {
			c.Fatal(err)
		}
		report := c.collect(newest(1))
		if c.mem.Data(keysOf(orphan)[0]) == nil || report.Orphans[1].Objects != 2 {
			c.Errorf("%+v; want that what may be in the making stays", report.Orphans)
		}
		p.write("b")
		p.snapshot()
		restored := p.restore("x")
		want := append(keysOf(orphan), entry(1, 2))
		c.removes(newest(1), append(want, snapshotAt(c, 1)...)...)
		c.recovers("x")
		p = c.leader(2).write("y")
		p.snapshot()
		c.removes(newest(1), append(append(keysOf(restored), entry(1, 3), entry(2, 5)), snapshotAt(c, 2)...)...)
		c.recovers("x y")
	})
}

// snapshotAt are the objects of the snapshots at a position.
func snapshotAt(c *cell, position persistence.Position) (keys []string) {
	objects, _, err := snapshot.Objects(c.Context(), c.open().Bucket())
	if err != nil {
		c.Fatal(err)
	}
	for _, o := range objects {
		if o.Name.Position == position {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// A writer that sleeps through it, and wakes with the PUT of a restore or of an entry in
// its hand: it lands where nobody reads it, and goes the next time.
func TestLateWritesOfWhatWasCollected(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		p.restore("x")
		late := []string{entry(1, 1), entry(1, 2)}
		data := [][]byte{c.mem.Data(late[0]), c.mem.Data(late[1])}
		s := &state{}
		standby := c.open().NewReader(s) // stands at the beginning, and sleeps too
		p = c.leader(2).write("y")
		p.snapshot()
		p.write("z")
		c.collect(newest(1))
		for i, key := range late {
			c.mem.Put(key, data[i])
		}
		c.recovers("x y z")
		if err := standby.CatchUp(c.Context()); err != nil || s.has() != "x y z" {
			c.Errorf("%q, %v", s.has(), err)
		}
		c.removes(newest(1), late...)
		c.recovers("x y z")
	})
}

// A pinned snapshot stays, with its parts, until the pin expires or is taken away.
func TestPinnedSnapshotsStay(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		pinned := p.snapshot()
		p.write("b").snapshot()
		p.write("c").snapshot()
		if err := snapshot.WritePin(c.Context(), p.log.Bucket(), snapshot.Pin{Name: "p", Snapshot: pinned.Name, Expires: time.Now().Add(time.Hour)}); err != nil {
			c.Fatal(err)
		}
		report := c.collect(newest(1))
		if !slices.Equal(report.Pinned, []string{pinned.Name}) || !report.Waiting {
			c.Errorf("pinned %q, waiting %v", report.Pinned, report.Waiting)
		}
		name, _ := snapshot.ParseName(pinned.Name)
		if _, err := snapshot.Verify(c.Context(), p.log.Bucket(), p.log.Codec(), p.log.Cell().ID, name); err != nil {
			c.Error(err)
		}
		time.Sleep(time.Hour)
		c.removes(newest(1), append(keysOf(pinned), snapshot.PinKey("p"))...)
		c.recovers("a b c")
	})
}

// A pin that can't be read may keep anything, and one that is made meanwhile counts.
func TestPinsInDoubt(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		old := p.snapshot()
		p.write("b").snapshot()
		c.mem.Put(snapshot.PinKey("bad"), []byte("{}"))
		before := c.mem.Keys()
		if _, err := Collect(c.Context(), c.open(), newest(1), Options{}); err == nil || !strings.Contains(err.Error(), "pin/bad.json") {
			c.Errorf("%v; want that the pin can't be read", err)
		}
		if gone := without(before, c.mem.Keys()); len(gone) > 0 {
			c.Errorf("removed %q", gone)
		}
		c.mem.Remove(snapshot.PinKey("bad"))
		var once sync.Once
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is("log/"), Do: memdriver.After(func(string) {
			once.Do(func() {
				if err := snapshot.WritePin(c.Context(), p.log.Bucket(), snapshot.Pin{Name: "p", Snapshot: old.Name}); err != nil {
					c.Error(err)
				}
			})
		})})
		if _, err := Collect(c.Context(), c.open(), newest(1), Options{}); err == nil || !strings.Contains(err.Error(), "pinned meanwhile") {
			c.Errorf("%v; want that it was pinned meanwhile", err)
		}
		c.removes(newest(1), entry(1, 1), entry(1, 2))
	})
}

// A manifest comes late, and its snapshot is pinned, while a collection that did not list
// it is under way. To that its parts are those of none.
func TestSnapshotThatCameLateIsPinned(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		p.snapshot()
		p.write("b")
		late := p.snapshot()
		p.write("c").snapshot()
		key := string(late.Folder()) + "/manifest.json"
		manifest := c.mem.Data(key)
		c.mem.Remove(key)
		var once sync.Once
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: memdriver.Under("log/"), Do: memdriver.After(func(string) {
			once.Do(func() {
				c.mem.Put(key, manifest)
				if err := snapshot.WritePin(c.Context(), p.log.Bucket(), snapshot.Pin{Name: "p", Snapshot: late.Name}); err != nil {
					c.Error(err)
				}
			})
		})})
		if _, err := Collect(c.Context(), c.open(), newest(1), Options{}); err == nil || !strings.Contains(err.Error(), "pinned meanwhile") {
			c.Errorf("%v; want that it was pinned meanwhile", err)
		}
		name, _ := snapshot.ParseName(late.Name)
		if _, err := snapshot.Verify(c.Context(), p.log.Bucket(), p.log.Codec(), p.log.Cell().ID, name); err != nil {
			c.Errorf("the pinned snapshot: %v", err)
		}
		c.recovers("a b c")
	})
}
