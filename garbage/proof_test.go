package garbage

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Whatever is wrong with what stays: nothing goes, and the error says what it is.
func TestNothingGoesInDoubt(t *testing.T) {
	flip := func(c *cell, key string) {
		data := append([]byte{}, c.mem.Data(key)...)
		data[len(data)/2] ^= 1
		c.mem.Put(key, data)
	}
	for name, tt := range map[string]struct {
		damage func(c *cell, kept []*snapshot.Manifest) // the oldest first
		says   string
	}{
		"the oldest kept snapshot has a wrong bit": {func(c *cell, kept []*snapshot.Manifest) { flip(c, kept[0].PartKey(0)) }, "SHA-256"},
		"its manifest has":                         {func(c *cell, kept []*snapshot.Manifest) { flip(c, keysOf(kept[0])[0]) }, "can't be read"},
		"one of its parts is gone":                 {func(c *cell, kept []*snapshot.Manifest) { c.mem.Remove(kept[0].PartKey(0)) }, kept0},
		"the newest has a wrong bit":               {func(c *cell, kept []*snapshot.Manifest) { flip(c, kept[2].PartKey(0)) }, "SHA-256"},
		"its manifest can't be read":               {func(c *cell, kept []*snapshot.Manifest) { flip(c, keysOf(kept[2])[0]) }, "can't be read"},
		"one between can't be read":                {func(c *cell, kept []*snapshot.Manifest) { flip(c, keysOf(kept[1])[0]) }, "can't be read"},
		"a part of one between is gone":            {func(c *cell, kept []*snapshot.Manifest) { c.mem.Remove(kept[1].PartKey(0)) }, "needs"},
		"a part of one between has another size":   {func(c *cell, kept []*snapshot.Manifest) { c.mem.Put(kept[1].PartKey(0), []byte("x")) }, "needs"},
		"the entry after the oldest is gone":       {func(c *cell, kept []*snapshot.Manifest) { c.mem.Remove(entry(1, kept[0].At.Next)) }, "is missing"},
		"the entry after the oldest is wrong":      {func(c *cell, kept []*snapshot.Manifest) { flip(c, entry(1, kept[0].At.Next)) }, "does not go on"},
		"the entry after the oldest is another":    {func(c *cell, kept []*snapshot.Manifest) { c.strange(kept[0].At) }, "does not go on"},
	} {
		t.Run(name, func(t *testing.T) {
			inCell(t, func(c *cell) {
				p := c.leader(1).write("a")
				p.snapshot()
				kept := []*snapshot.Manifest{p.write("b").snapshot(), p.write("c").snapshot(), p.write("d").snapshot()}
				p.write("e")
				whole := c.mem.Clone()
				tt.damage(c, kept)
				says := tt.says
				if says == kept0 {
					says = kept[0].Name
				}
				c.refuses(newest(3), says)
				c.mem = whole
				if n := Total(c.collect(newest(3)).Garbage).Objects; n == 0 {
					c.Error("nothing goes where nothing is wrong either")
				}
			})
		})
	}
}

// kept0 stands for the name of the oldest snapshot that is kept.
const kept0 = "kept[0]"

// strange puts an entry of another history behind a point.
func (c *cell) strange(at persistence.Point) {
	other := &cell{c.T, memdriver.New()}
	p := other.leader(1)
	for p.reader.At().Next <= at.Next {
		p.write("strange")
	}
	c.mem.Put(entry(1, at.Next), other.mem.Data(entry(1, at.Next)))
}

// What may be a seal and can't be read is left and told. What is larger than any seal
// goes unread.
func TestUnreadableEntries(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a", "b", "c", large())
		p.write("d").snapshot()
		c.mem.Put(entry(1, 1), []byte("no entry at all"))
		newer := append([]byte{}, c.mem.Data(entry(1, 2))...)
		newer[9]++ // the format's version; the CRC is wrong then
		c.mem.Put(entry(1, 2), newer)
		c.mem.Put(entry(0, 3), c.mem.Data(entry(1, 3))) // says that it is another
		read := c.mem.Inject(memdriver.Fault{Operation: memdriver.GetRange, Key: memdriver.Is(entry(1, 4)), Do: memdriver.Fail})
		report := c.collect(newest(1))
		for _, key := range []string{entry(1, 1), entry(1, 2), entry(0, 3)} {
			if c.mem.Data(key) == nil {
				c.Errorf("%s is gone", key)
			}
		}
		for _, key := range []string{entry(1, 3), entry(1, 4), entry(1, 5)} {
			if c.mem.Data(key) != nil {
				c.Errorf("%s is there", key)
			}
		}
		if len(report.Left) != 3 || !strings.Contains(report.Left[0].Why, "no seal") || read.Hits() != 0 {
			c.Errorf("left %+v; want the three, and no look at the large one", report.Left)
		}
	})
}

// large is a record that stays larger than a seal when it is compressed.
func large() string {
	bytes := make([]byte, 4*blob.MaxSeal)
	rand.NewChaCha8([32]byte{}).Read(bytes)
	return fmt.Sprintf("%x", bytes)
}

// Entries beyond a seal are no reason to delete while they are above the oldest kept
// snapshot (H6-beyond-a-seal): the seal itself may mean nothing. Here a late seal falls
// on a key that was collected, in the epoch of the leader.
func TestEntriesBeyondALateSealStay(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(entry(1, 2)), Do: memdriver.LandLater})
		reader := c.open().NewReader(&state{})
		if _, err := reader.Lead(c.Context(), 9, persistence.NewWriterID()); err == nil {
			c.Fatal("leads although its seal is not there")
		}
		slow.Stop()
		p.write("b", "c").snapshot()
		p.write("d", "e")
		c.collect(newest(1))
		c.mem.Release()
		if c.mem.Data(entry(1, 2)) == nil {
			c.Fatal("the late seal did not land")
		}
		c.removes(newest(1))
		c.recovers("a b c d e")
		p.write("f").snapshot()
		c.removes(newest(2))
		c.recovers("a b c d e f")
	})
}

// So stay those that the keys alone show to be orphans: they go when the oldest kept
// snapshot has passed them.
func TestOrphansGoByPosition(t *testing.T) {
	inCell(t, func(c *cell) {
		c.leader(1).write("a").snapshot()
		p := c.leader(2).write("b") // behind a seal at position 2
		c.mem.Put(entry(1, 3), []byte(large()))
		c.removes(newest(1), entry(1, 1))
		first := p.snapshot()
		p.write("c")
		c.removes(newest(1), append(snapshotAt(c, 1), entry(1, 3), entry(2, 3))...)
		p.snapshot()
		c.removes(newest(1), append(keysOf(first), entry(2, 4))...)
		c.recovers("a b c")
	})
}

// The window keeps what it says, by the default retention too, and the log from its
// beginning on as long as no snapshot is that old.
func TestWindow(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1)
		for i, w := range words("r", 30) { // one an hour
			p.write(w).snapshot()
			time.Sleep(time.Hour)
			report := c.collect(Retention{})
			before := time.Now().Add(-day)
			if i < 23 && (Total(report.Garbage).Objects > 0 || report.Oldest != nil) {
				c.Fatalf("in hour %d: %+v", i, report)
			}
			if i > 23 && (report.Oldest.Made.After(before) || report.Oldest.Made.Before(before.Add(-time.Hour))) {
				c.Errorf("in hour %d the oldest snapshot is of %v", i, report.Oldest.Made)
			}
			if !report.Waiting && i >= 3 {
				c.Errorf("hour %d: time alone makes more of it garbage", i)
			}
		}
		time.Sleep(10 * day)
		report := c.collect(Retention{})
		if names, _ := snapshot.List(c.Context(), p.log.Bucket(), nil); len(names) != 3 || report.Waiting {
			c.Errorf("%d snapshots, waiting %v; want the newest 3, which stay", len(names), report.Waiting)
		}
		c.recovers(p.state.has())
	})
}

// A dry run finds what a run removes, and deletes nothing.
func TestDryRun(t *testing.T) {
	inCell(t, func(c *cell) {
		littered(c)
		before := c.mem.Keys()
		dry, err := Collect(c.Context(), c.open(), newest(2), Options{DryRun: true, Held: func() bool { return false }, BatchSize: 2})
		if err != nil || len(without(before, c.mem.Keys())) > 0 || c.mem.Count(memdriver.Delete) > 0 || !dry.DryRun {
			c.Fatalf("%v; removed %q", err, without(before, c.mem.Keys()))
		}
		done := c.collect(newest(2))
		for i, a := range done.Garbage {
			if a != dry.Garbage[i] || a.Objects == 0 {
				c.Errorf("a dry run finds %+v, a run removes %+v", dry.Garbage[i], a)
			}
		}
		if n := len(without(before, c.mem.Keys())); n != Total(done.Garbage).Objects {
			c.Errorf("%d objects went, %d are told", n, Total(done.Garbage).Objects)
		}
	})
}

// A seal is never larger than what is read to find out.
func TestSealsAreSmall(t *testing.T) {
	inCell(t, func(c *cell) {
		c.leader(1<<34 - 1)
		if n := len(c.mem.Data(entry(0, 0))); n == 0 || n > blob.MaxSeal {
			c.Errorf("a seal has %d bytes, MaxSeal is %d", n, blob.MaxSeal)
		}
	})
}
