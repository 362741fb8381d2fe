package blob

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// verified is what Verify says of the cell.
func (c *cell) verified() *Report {
	c.Helper()
	report, err := c.open(Options{}).Verify(c.ctx, nil)
	if err != nil {
		c.Fatal(err)
	}
	return report
}

// pin keeps a snapshot.
func (c *cell) pin(name snapshot.Name) {
	c.Helper()
	if err := snapshot.WritePin(c.ctx, c.bucket(), snapshot.Pin{Name: "kept", Snapshot: name.String()}); err != nil {
		c.Fatal(err)
	}
}

// mustName makes sure that the problems, and nothing else, speak of each of these.
func (r *Report) mustName(t *testing.T, what string, texts ...string) {
	t.Helper()
	all := strings.Join(r.Problems, "\n")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%s: problems %q, want %q", what, r.Problems, text)
		}
	}
	if len(texts) == 0 && len(r.Problems) > 0 {
		t.Errorf("%s: problems %q, want none", what, r.Problems)
	}
}

// collectedCell is a cell of which the beginning was collected. Its log:
//
//	0 seal | 1–5 gone, pinned snapshot | 6–9 gone | 10 seal | 11, 12 gone, 13 garbage, oldest snapshot | 14, 15 |
//	16 restore | 17 seal | 18, snapshot | 19, newest snapshot, which shares parts with it | 20, 21
//
// and an orphan of epoch 1 at 18.
type collectedCell struct {
	*cell
	pinned, oldest, middle, newest snapshot.Name
}

const collectedState = "x c0 c1 c2 c3"

func newCollectedCell(t *testing.T) *collectedCell {
	c := &collectedCell{cell: newCell(t)}
	p := c.leader(1).write("a0", "a1", "a2", "a3", "a4")
	c.pinned = p.snapshot()
	c.pin(c.pinned)
	p.write("a5", "a6", "a7", "a8")
	p = c.leader(2).write("b0", "b1", "b2")
	c.oldest = p.snapshot()
	garbage := c.mem.Data(Key(2, 13))
	p.write("b3", "b4")
	p.restored("x")
	p = c.leader(3).write("c0")
	c.middle = p.snapshot()
	p.write("c1")
	c.newest = p.incremental(c.middle, "c1")
	p.write("c2", "c3")
	c.orphan(1, 18)
	c.collect(13)
	c.mem.Put(Key(2, 13), garbage)
	return c
}

// orphan is what a deposed writer landed beyond its seal.
func (c *cell) orphan(epoch persistence.Epoch, position persistence.Position) {
	codec, err := packed.NewCodec(1)
	if err != nil {
		c.Fatal(err)
	}
	object, _ := encode(codec, &Header{Kind: KindRecords, Epoch: epoch, Position: position, First: 1, Count: 1}, packed.AppendRecord(nil, []byte("late")))
	c.mem.Put(Key(epoch, position), object)
}

func TestVerifyOfACollectedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCollectedCell(t)
		r := c.verified()
		r.mustName(t, "sound")
		head := r.Head
		r.Head, r.Bytes, r.GarbageBytes = persistence.Point{}, 0, 0
		want := Report{Entries: 10, Seals: 3, Transactions: 7, Snapshots: 4, Pins: 1, Parts: 5, Restores: 1, From: 14, Begin: c.oldest.String(),
			Garbage: 1, Alone: []string{c.pinned.String()}, Orphans: []string{Key(1, 18)}, Problems: []string{}}
		if got := fmt.Sprintf("%+v", *r); got != fmt.Sprintf("%+v", want) {
			t.Errorf("%s\nwant\n%+v", got, want)
		}
		if head.Next != 22 || head.Epoch != 3 || head.Transaction != 19 {
			t.Errorf("head is %v", head)
		}
	})
}

// Each object of a cell that was collected is damaged in each way. What is wrong is
// named, or is harmless: then a recovery finds the same as before.
func TestDamageOfEachObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCollectedCell(t)
		const removed = "removed"
		harmless := map[string]string{ // why, of what is not named
			removed + c.oldest.ManifestKey(): "a snapshot that is not there is one that was collected",
			removed + c.middle.ManifestKey(): "the same",
			removed + c.newest.ManifestKey(): "the same: the log reaches from the one before",
			removed + Key(2, 13):             "it is garbage",
			removed + Key(3, 21):             "nothing comes after it; the lease shows that it was there, if there is one",
			removed + Key(1, 18):             "it lies beyond a seal, and is never read",
			"flipped" + Key(1, 18):           "the same",
			"truncated" + Key(1, 18):         "the same",
		}
		for _, key := range c.mem.Keys() {
			if key == cellKey { // it can't be opened then: TestCellObject…
				continue
			}
			good := c.mem.Data(key)
			for what, bad := range map[string][]byte{removed: nil, "flipped": flipped(good), "truncated": good[:len(good)/2], "longer": append(slices.Clone(good), 0)} {
				if c.mem.Remove(key); bad != nil {
					c.mem.Put(key, bad)
				}
				r := c.verified()
				if why := harmless[what+key]; why == "" && what+key != "longer"+Key(1, 18) {
					r.mustName(t, what, nameOf(key, what))
				} else {
					r.mustName(t, what+" "+key)
					if key != Key(3, 21) {
						c.mustRecover(collectedState)
					}
				}
				c.mem.Put(key, good)
			}
		}
		c.verified().mustName(t, "put back")
	})
}

func flipped(data []byte) []byte {
	data = slices.Clone(data)
	data[len(data)/3] ^= 16
	return data
}

// nameOf is how a problem names an object.
func nameOf(key, what string) string {
	if strings.HasPrefix(key, "pin/") && what == "removed" {
		return Key(1, 6) // a hole with entries after it: nothing says any more that the log there was collected
	}
	if epoch, position, err := parseKey(key); err == nil && position < 14 && what == "removed" {
		return fmt.Sprintf("the seal of epoch %d is missing", epoch)
	}
	return key
}

// Verify of a log that is written to meanwhile finds nothing wrong.
func TestVerifyOfALogInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader(1).write("a")
		l := c.open(Options{})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(Key(1, 2)), Times: 1,
			Do: memdriver.After(func(string) { leader.writeApart(5) })})
		report, err := l.Verify(c.ctx, nil)
		if err != nil || len(report.Problems) != 0 || report.Transactions != 6 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// What is missing after the oldest snapshot is damage, whatever covers it, and the
// problem says what can't be recovered any more.
func TestVerifySaysWhichStatesAreLost(t *testing.T) {
	for what, test := range map[string]struct {
		lost []EntryKey
		want []string
	}{
		"first entry after the oldest snapshot":   {[]EntryKey{{Epoch: 2, Position: 14}}, []string{Key(2, 14), "positions 14 to 17 can't be recovered, those from snapshot MIDDLE on can"}},
		"one in the middle":                       {[]EntryKey{{Epoch: 2, Position: 15}}, []string{Key(2, 15), "positions 15 to 17 can't be recovered, those from snapshot MIDDLE on can"}},
		"a seal":                                  {[]EntryKey{{Epoch: 2, Position: 17}}, []string{Key(2, 17), "position 17 can't be recovered, those from snapshot MIDDLE on can"}},
		"one that a snapshot is of":               {[]EntryKey{{Epoch: 3, Position: 18}}, []string{Key(3, 18), "no state is lost: snapshot MIDDLE is that of position 18"}},
		"one after the newest snapshot":           {[]EntryKey{{Epoch: 3, Position: 20}}, []string{Key(3, 20), "no state from position 20 on can be recovered"}},
		"all from there to a snapshot at the end": {[]EntryKey{{Epoch: 3, Position: 18}, {Epoch: 3, Position: 19}, {Epoch: 3, Position: 20}, {Epoch: 3, Position: 21}}, []string{Key(3, 18), "no state is lost"}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCollectedCell(t)
				for _, k := range test.lost {
					c.mem.Remove(Key(k.Epoch, k.Position))
				}
				r := c.verified()
				for _, want := range test.want {
					r.mustName(t, what, strings.ReplaceAll(want, "MIDDLE", c.middle.String()))
				}
				if r.From != 14 || r.Begin != c.oldest.String() || len(r.Problems) == 0 || len(r.Problems) > len(test.lost) {
					t.Errorf("from %d, %s: %q", r.From, r.Begin, r.Problems)
				}
			})
		})
	}
}

// What collection has left or has yet to remove is no problem, wherever it stopped.
func TestVerifyOfALogThatIsBeingCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a", "b", "c")
		first := p.snapshot()
		p.write("d", "e", "f")
		second := p.snapshot()
		p.write("g")
		from := func(what string, from persistence.Position, garbage, alone int) {
			t.Helper()
			r := c.verified()
			r.mustName(t, what)
			if r.From != from || r.Garbage != garbage || len(r.Alone) != alone {
				t.Errorf("%s: from %d, garbage %d, alone %q; want %d, %d, %d", what, r.From, r.Garbage, r.Alone, from, garbage, alone)
			}
			c.mustRecover("a b c d e f g")
		}
		from("all is there", 0, 0, 0)
		c.mem.Remove(Key(1, 2)) // not the first: requests of a batch overtake each other
		from("what lies before the oldest snapshot is going", 4, 2, 0)
		c.collect(3)
		from("and has gone", 4, 0, 0)
		c.mem.Remove(Key(1, 4))
		c.verified().mustName(t, "after one that is not pinned", Key(1, 4))
		c.pin(first)
		from("after a pinned one it is going", 7, 2, 1)
		c.collect(6)
		from("and has gone", 7, 0, 1)
		c.mem.Remove(snapshot.PinKey("kept"))
		from("which was pinned until now", 7, 0, 1)
		c.mem.Remove(first.ManifestKey())
		from("and goes", 7, 0, 0)
		if r := c.verified(); r.Begin != second.String() {
			t.Errorf("begins with %s", r.Begin)
		}
	})
}

// A collection that goes on while the log is read makes no problem.
func TestVerifyWhileTheLogIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a", "b", "c")
		first := p.snapshot()
		folder := string(p.write("d").restored("x").Folder())
		p = c.leader(2).write("e", "f")
		var second snapshot.Name
		collect := memdriver.Before(func(string) {
			second = p.snapshot()
			p.write("g")
			c.mem.Remove(first.ManifestKey())
			c.collect(second.Position)
			for _, key := range c.mem.Keys() {
				if strings.Contains(key, first.String()) || strings.HasPrefix(key, folder) {
					c.mem.Remove(key)
				}
			}
		})
		before := c.mem.Clone()
		for _, key := range before.Keys() {
			if key == cellKey || key == Key(0, 0) { // before it begins
				continue
			}
			at := &cell{t, before.Clone(), c.ctx}
			// The process writes to the first cell; what it does is done to this one too.
			at.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Times: 1, Do: memdriver.Before(func(key string) {
				if second == (snapshot.Name{}) {
					collect(key)
				}
				for _, key := range at.mem.Keys() {
					if c.mem.Data(key) == nil {
						at.mem.Remove(key)
					}
				}
				for _, key := range c.mem.Keys() {
					at.mem.Put(key, c.mem.Data(key))
				}
			})})
			at.verified().mustName(t, "collected before "+key+" is read")
		}
	})
}

// What is wrong with the snapshots that stay is found also when an older one is collected
// meanwhile.
func TestVerifyGoesOnBehindACollectedSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		old := strings.TrimSuffix(p.snapshot().ManifestKey(), "manifest.json") + "part-00000"
		part := strings.TrimSuffix(p.write("b").snapshot().ManifestKey(), "manifest.json") + "part-00000"
		c.mem.Remove(part)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(old), Times: 1, Do: memdriver.Before(func(string) {
			c.mem.Remove(strings.TrimSuffix(old, "part-00000") + "manifest.json")
			c.mem.Remove(old)
		})})
		c.verified().mustName(t, "", part)
	})
}

// A part is read once, however many snapshots share it.
func TestVerifyReadsSharedPartsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		name := p.snapshot()
		const snapshots = 5
		for i := range snapshots {
			record := fmt.Sprint("b", i)
			p.write(record)
			name = p.incremental(name, record)
		}
		parts := func() int {
			return c.mem.CountOf(memdriver.Get, func(key string) bool { return strings.Contains(key, "/part-") })
		}
		before := parts()
		if r := c.verified(); len(r.Problems) > 0 || r.Snapshots != snapshots+1 || r.Parts != snapshots+1 {
			t.Errorf("%+v", r)
		}
		if n := parts() - before; n != snapshots+1 {
			t.Errorf("parts were read %d times, there are %d", n, snapshots+1)
		}
	})
}

// A snapshot that is whole but of another place or another history is named.
func TestVerifyComparesSnapshotsWithTheChain(t *testing.T) {
	for what, change := range map[string]func(at *persistence.Point){
		"hash":        func(at *persistence.Point) { at.Hash[9] ^= 1 }, // the name does not show it
		"transaction": func(at *persistence.Point) { at.Transaction++ },
		"epoch":       func(at *persistence.Point) { at.Epoch++ },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a", "b")
				p.snapshot()
				p.write("c", "d")
				at := p.reader.at
				change(&at)
				p.write("e")
				m, err := snapshot.Write(c.ctx, p.log.bucket, p.log.codec, snapshot.Source{Cell: p.log.cell.ID, At: at, Records: each(nil)}, 1)
				if err != nil {
					t.Fatal(err)
				}
				if r := c.verified(); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], m.Key()) {
					t.Errorf("%q", r.Problems)
				}
			})
		})
	}
}

// Behind a seal that is missing the history goes on in the next epoch, not with what a
// deposed writer left.
func TestVerifyGoesOnBehindAMissingSeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a")
		c.leader(2).write("b", "c")
		c.orphan(1, 3)
		c.mem.Remove(Key(1, 2))
		r := c.verified()
		r.mustName(t, "missing seal", Key(1, 2))
		if len(r.Problems) != 1 || fmt.Sprint(r.Orphans) != fmt.Sprint([]string{Key(1, 3)}) || r.Head.Next != 5 {
			t.Errorf("%+v", r)
		}
	})
}
