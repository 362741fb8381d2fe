package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// littered makes a cell with garbage of every class, and returns what it holds.
func littered(c *cell) string {
	p := c.leader(1).write("a", "b")
	full := p.snapshot()
	p.write("c")
	p.increment(full, "c")
	p.write("d").restore("x", "y")
	p = c.leader(2).write("z")
	second := p.snapshot()
	p.write("e").increment(second, "e") // its base goes, and what it takes over stays
	p.write("f").snapshot()
	c.mem.Put(strings.TrimSuffix(keysOf(full)[0], "manifest.json")+"part-00007", []byte("without a manifest"))
	if err := snapshot.WritePin(c.Context(), p.log.Bucket(), snapshot.Pin{Name: "old", Snapshot: full.Name, Expires: full.Made}); err != nil {
		c.Fatal(err)
	}
	p.write("g")
	return p.state.has()
}

// However it is cut off, at whichever request, whether that has landed or not: what is
// there is recovered whole, also where the newest snapshot is damaged, and the next run
// finishes it.
func TestCutOffAtEveryRequest(t *testing.T) {
	for _, do := range []memdriver.Effect{memdriver.Fail, memdriver.LandAndFail} {
		inCell(t, func(c *cell) {
			want := littered(c)
			if want != "x y z e f g" {
				c.Fatal(want)
			}
			full := c.mem.Clone()
			if _, err := Collect(c.Context(), c.openIn(full), newest(2), Options{BatchSize: 2}); err != nil {
				c.Fatal(err)
			}
			end := full.Keys()
			if len(without(c.mem.Keys(), end)) < 15 {
				c.Fatalf("little was removed: %q", without(c.mem.Keys(), end))
			}
			cut := 0
			for done := false; !done; cut++ {
				mem := c.mem.Clone()
				log := c.openIn(mem)
				operation := memdriver.Any
				if do == memdriver.LandAndFail {
					operation = memdriver.Delete
				}
				// From one request on nothing reaches the store.
				if do == memdriver.LandAndFail {
					mem.Inject(memdriver.Fault{Operation: operation, Skip: cut, Times: 1, Do: do})
				}
				mem.Inject(memdriver.Fault{Operation: operation, Skip: cut, Do: memdriver.Fail})
				_, err := Collect(c.Context(), log, newest(2), Options{BatchSize: 2})
				done = err == nil
				mem.Heal()
				if got, err := c.recovered(mem); err != nil || got != want {
					c.Fatalf("cut off at request %d: recovered %q, %v", cut, got, err)
				}
				c.recoversFromTheOldest(mem, cut, want)
				if _, err := Collect(c.Context(), c.openIn(mem), newest(2), Options{}); err != nil {
					c.Fatalf("after a run that was cut off at request %d: %v", cut, err)
				}
				if got := mem.Keys(); !slices.Equal(got, end) {
					c.Fatalf("cut off at request %d, then run again: too few went: %q; too many: %q", cut, without(got, end), without(end, got))
				}
			}
			if cut < 15 {
				c.Errorf("only %d requests", cut)
			}
		})
	}
}

// What a manifest needs is there for as long as the manifest is: at each delete of an entry
// or a part, no manifest that is there any more names the part, or needs the entry.
func TestManifestsGoFirst(t *testing.T) {
	inCell(t, func(c *cell) {
		littered(c)
		var entries, parts atomic.Int64
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Do: memdriver.Before(func(key string) {
			log := c.openIn(c.mem.Clone())
			names, err := snapshot.List(c.Context(), log.Bucket(), nil)
			if err != nil {
				c.Error(err)
			}
			var position uint64
			if n, _ := fmt.Sscanf(key, "log/%d/%d", new(uint64), &position); n == 2 {
				entries.Add(1)
				if oldest := names[0].Position; uint64(oldest) < position {
					c.Errorf("%s goes while the manifest of position %d is there", key, oldest)
				}
			}
			manifests, errs := snapshot.ReadAll(c.Context(), log.Bucket(), log.Cell().ID, names)
			if err := errors.Join(errs...); err != nil {
				c.Error(err)
			}
			for _, m := range manifests {
				for i := range m.Parts {
					if m.PartKey(i) == key {
						c.Errorf("%s goes while %s names it", key, m.Name)
					}
				}
			}
			if strings.Contains(key, "/part-") {
				parts.Add(1)
			}
		})})
		c.collect(newest(2))
		if entries.Load() < 5 || parts.Load() < 3 {
			c.Errorf("only %d entries and %d parts went", entries.Load(), parts.Load())
		}
	})
}

// recoversFromTheOldest checks that the kept snapshots before the newest are of use.
func (c *cell) recoversFromTheOldest(mem *memdriver.Bucket, cut int, want string) {
	c.Helper()
	damaged := mem.Clone()
	names, err := snapshot.List(c.Context(), c.openIn(damaged).Bucket(), nil)
	if err != nil {
		c.Fatal(err)
	}
	key := strings.Replace(names[len(names)-1].ManifestKey(), "manifest.json", "part-00000", 1)
	damaged.Put(key, []byte("damaged"))
	if got, err := c.recovered(damaged); err != nil || got != want {
		c.Fatalf("cut off at request %d, and the newest snapshot is damaged: recovered %q, %v", cut, got, err)
	}
}

// A DELETE that fails ends it at once, and says which.
func TestDeleteThatFails(t *testing.T) {
	inCell(t, func(c *cell) {
		littered(c)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: memdriver.Under("log/"), Do: memdriver.Fail})
		report, err := Collect(c.Context(), c.open(), newest(2), Options{})
		if err == nil || !strings.Contains(err.Error(), "log/") {
			c.Errorf("%v; want an error that names the entry", err)
		}
		if n := Total(report.Garbage).Objects; n != 3 { // the manifests
			c.Errorf("%d objects went, want 3", n)
		}
		if n := c.mem.Count(memdriver.Delete); n > 3+parallel {
			c.Errorf("%d DELETEs; want that it ends at once", n)
		}
	})
}

// A DELETE that the store says it made, and did not: nothing goes that what is there
// still needs.
func TestDeleteThatDoesNothing(t *testing.T) {
	for _, prefix := range []string{"snapshot/", "log/", "restore/"} {
		inCell(t, func(c *cell) {
			want := littered(c)
			var kept atomic.Pointer[[]byte]
			before := func(key string) { data := c.mem.Data(key); kept.Store(&data) }
			one := func(k string) bool { return strings.HasPrefix(k, prefix) }
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: one, Do: memdriver.Before(before)})
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: one, Do: memdriver.After(func(key string) { c.mem.Put(key, *kept.Load()) })})
			had := c.mem.Keys()
			report, err := Collect(c.Context(), c.open(), newest(2), Options{BatchSize: 1})
			gone := without(had, c.mem.Keys())
			switch prefix {
			case "snapshot/":
				if err == nil || !strings.Contains(err.Error(), "lists it still") || len(gone) > 0 {
					c.Errorf("%v; gone are %q; want nothing, and that it is told", err, gone)
				}
			case "log/":
				if err != nil || slices.ContainsFunc(gone, func(k string) bool { return strings.HasPrefix(k, "restore/") }) || len(report.Left) == 0 {
					c.Errorf("%v; gone are %q; want that the restore's state stays as long as its entry", err, gone)
				}
			}
			c.mem.Heal()
			c.recovers(want)
			c.collect(newest(2))
			if n := Total(c.collect(newest(2)).Garbage).Objects; n != 0 {
				c.Errorf("%s: the run after does not finish it: %d objects are left", prefix, n)
			}
			c.recovers(want)
		})
	}
}

// One that is cut off while it reads what it may remove has removed what it had read: where
// leaders end early, again and again, garbage goes all the same. And there is no proof more
// than one for each batch.
func TestCutOffCollectionHasRemovedWhatItHadRead(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write(words("w", 2*stepSize+100)...)
		p.snapshot()
		p.write("last")
		oldest := p.snapshot()
		p.write("end").snapshot()
		part := keysOf(oldest)[0]
		proofs := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(part), Do: memdriver.After(func(string) {})})
		cut := c.mem.Inject(memdriver.Fault{Operation: memdriver.GetRange, Key: memdriver.Under("log/"), Skip: stepSize + 50, Do: memdriver.Fail})
		report, err := Collect(c.Context(), c.open(), newest(2), Options{})
		if n := report.Garbage[1].Objects; err == nil || n < stepSize-1 {
			c.Errorf("%v; %d entries went of %d that had been read", err, n, stepSize)
		}
		cut.Stop()
		before := proofs.Hits()
		c.collect(newest(2))
		if n := proofs.Hits() - before; n != 3 {
			c.Errorf("the oldest snapshot was read %d times, want one before all, one before the batch, and one before parts go", n)
		}
	})
}

// The lease is lost while it runs: not one object more goes.
func TestLeaseLostMeanwhile(t *testing.T) {
	inCell(t, func(c *cell) {
		want := littered(c)
		all := len(c.mem.Keys())
		for _, after := range []int{0, 1, 4, 7} {
			var asked atomic.Int64
			held := func() bool { return asked.Add(1) <= int64(after) }
			mem := c.mem.Clone()
			report, err := Collect(c.Context(), c.openIn(mem), newest(2), Options{Held: held, BatchSize: 1})
			if err == nil || !strings.Contains(err.Error(), "lease") {
				c.Errorf("%v; want that the lease is lost", err)
			}
			if went := all - len(mem.Keys()); went > after || went != Total(report.Garbage).Objects {
				c.Errorf("%d objects went, %d are told; the lease was held for %d", went, Total(report.Garbage).Objects, after)
			}
			if got, err := c.recovered(mem); err != nil || got != want {
				c.Errorf("recovered %q, %v", got, err)
			}
		}
	})
}

// Between two batches the oldest kept snapshot is damaged, or the newest is lost: no
// more goes.
func TestProofBeforeEachBatch(t *testing.T) {
	for _, which := range []string{"oldest", "newest"} {
		inCell(t, func(c *cell) {
			littered(c)
			names, err := snapshot.List(c.Context(), c.open().Bucket(), nil)
			if err != nil {
				c.Fatal(err)
			}
			key := names[len(names)-1].ManifestKey()
			if which == "oldest" {
				key = strings.Replace(names[len(names)-2].ManifestKey(), "manifest.json", "part-00001", 1) // its own
			}
			var once atomic.Bool
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: memdriver.Under("log/"), Do: memdriver.After(func(string) {
				if once.CompareAndSwap(false, true) {
					c.mem.Remove(key)
				}
			})})
			report, err := Collect(c.Context(), c.open(), newest(2), Options{BatchSize: 1})
			if err == nil || !strings.Contains(err.Error(), ErrDoubt.Error()) {
				c.Errorf("%v; want a doubt", err)
			}
			if n := report.Garbage[1].Objects; n != 1 {
				c.Errorf("%d entries went after the %s snapshot was found damaged; want the one before", n, which)
			}
		})
	}
}

// Backups go last: not in doubt, and not without the lease. One that can't be read is
// told of, and ends nothing; what else fails does.
func TestBackupsGoLast(t *testing.T) {
	inCell(t, func(c *cell) {
		littered(c)
		whole := c.mem
		var asked []bool
		failure := error(nil)
		collect := func(mem *memdriver.Bucket, o Options) (*Report, error) {
			asked = nil
			o.Backups = func(_ context.Context, dryRun bool) ([]string, error) {
				asked = append(asked, dryRun)
				return []string{"monday"}, failure
			}
			return Collect(c.Context(), c.openIn(mem), newest(2), o)
		}
		for name, o := range map[string]Options{
			"in doubt":          {},
			"without the lease": {Held: func() bool { return false }},
		} {
			mem := whole.Clone()
			if o.Held == nil {
				mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Ending("part-00000"), Do: memdriver.Corrupt})
			}
			if r, err := collect(mem, o); !errors.Is(err, ErrDoubt) || len(asked) != 0 || len(r.Backups) != 0 {
				c.Errorf("%s: %v, %v, %v", name, asked, r.Backups, err)
			}
		}
		for _, dryRun := range []bool{true, false} {
			if r, err := collect(whole.Clone(), Options{DryRun: dryRun}); err != nil || !slices.Equal(asked, []bool{dryRun}) || !slices.Equal(r.Backups, []string{"monday"}) {
				c.Errorf("dry run %t: %v, %v, %v", dryRun, asked, r.Backups, err)
			}
		}
		mem := whole.Clone()
		if _, err := collect(mem, Options{}); err != nil {
			c.Fatal(err)
		}
		if _, err := collect(mem, Options{Held: func() bool { return false }}); !errors.Is(err, ErrDoubt) || len(asked) != 0 {
			c.Errorf("without the lease, where nothing else goes: %v, %v", asked, err)
		}
		failure = fmt.Errorf("%w: backup/tuesday/manifest.json", snapshot.ErrDamaged)
		if r, err := collect(whole.Clone(), Options{}); err != nil || len(r.Left) == 0 || !strings.Contains(r.Left[len(r.Left)-1].Why, "tuesday") {
			c.Errorf("one that can't be read: %+v, %v", r.Left, err)
		}
		failure = memdriver.ErrInjected
		if _, err := collect(whole.Clone(), Options{}); !errors.Is(err, memdriver.ErrInjected) {
			c.Errorf("%v, want the failure", err)
		}
	})
}
