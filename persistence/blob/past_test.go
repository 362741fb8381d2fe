package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// past is the state as of a place, as a fresh process has it.
func (c *cell) past(until Until) (string, persistence.Point, error) {
	c.Helper()
	l, s := c.open(Options{ReadOnly: true}), &state{}
	at, err := l.Past(c.ctx, s, until, nil)
	if err == nil && s.at != at {
		c.Errorf("%v: the consumer was told of %v, the caller of %v", until, s.at, at)
	}
	return s.has(), at, err
}

func (c *cell) wantPast(until Until, want string) persistence.Point {
	c.Helper()
	got, at, err := c.past(until)
	if err != nil || got != want {
		c.Errorf("as of %v: %q, %v; want %q", until, got, err, want)
	}
	return at
}

// life is a history and what it held at each place, by a plain walk over its entries.
type life struct {
	*cell
	byPosition    []string // as of each position
	byTransaction []string // as of each transaction
	times         []time.Time
}

// lives makes a life of random entries, epochs, snapshots and restores.
func (c *cell) lives(seed uint64, steps int) *life {
	c.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	epoch := persistence.Epoch(1)
	p := c.leader(epoch)
	n := 0
	record := func() string { n++; return fmt.Sprint("r", n) }
	restored := map[string]string{}
	for range steps {
		time.Sleep(time.Duration(1+random.IntN(3)) * time.Second)
		switch k := random.IntN(12); {
		case k < 6:
			p.write(record())
		case k < 8:
			p.grouped(record(), record(), record(), record())
		case k < 10:
			p.snapshot()
		case k < 11:
			m := p.restored(record(), record())
			restored[string(m.Folder())] = fmt.Sprintf("r%d r%d", n-1, n)
			fallthrough
		default:
			epoch++
			p.writer.Stop(errors.New("deposed"))
			p = c.leader(epoch)
		}
	}
	return c.walk(restored)
}

// walk reads the entries one by one, by itself.
func (c *cell) walk(restored map[string]string) *life {
	c.Helper()
	l, life := c.open(Options{ReadOnly: true}), &life{cell: c, byTransaction: []string{""}}
	keys, err := l.Keys(c.ctx)
	if err != nil {
		c.Fatal(err)
	}
	var records []string
	for _, k := range WithoutOrphans(keys) {
		e, err := l.Read(c.ctx, k)
		if err != nil {
			c.Fatal(err)
		}
		for _, r := range e.Records {
			records = append(records, string(r))
			life.byTransaction = append(life.byTransaction, strings.Join(records, " "))
		}
		if e.Restore != nil {
			records = strings.Fields(restored[string(e.Restore.Folder)])
			life.byTransaction = append(life.byTransaction, strings.Join(records, " "))
		}
		life.byPosition = append(life.byPosition, strings.Join(records, " "))
		life.times = append(life.times, e.Time)
	}
	return life
}

func TestEveryPastStateIsWhatItWas(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			life := newCell(t).lives(seed, 40)
			for p, want := range life.byPosition {
				at := life.wantPast(UntilPosition(persistence.Position(p)), want)
				if at.Next != persistence.Position(p)+1 {
					t.Errorf("as of position %d it is at %v", p, at)
				}
				if p+1 < len(life.times) && life.times[p+1].After(life.times[p]) {
					life.wantPast(Until{Time: life.times[p]}, want)
					life.wantPast(Until{Time: life.times[p+1].Add(-time.Millisecond)}, want)
				}
			}
			for n, want := range life.byTransaction {
				at := life.wantPast(UntilTransaction(persistence.TransactionNumber(n)), want)
				if at.Transaction != persistence.TransactionNumber(n) {
					t.Errorf("as of transaction %d it is at %v", n, at)
				}
			}
			last := len(life.byPosition) - 1
			life.wantPast(Until{}, life.byPosition[last])
			life.wantPast(Until{Time: time.Now().Add(time.Hour)}, life.byPosition[last])
			life.wantPast(Until{Time: life.times[0].Add(-time.Second)}, "")
		})
	}
}

// Positions and transactions beyond the end are not there yet, and the error says where
// the log ends.
func TestPlaceBeyondTheEndIsNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b")
		for _, until := range []Until{UntilPosition(3), UntilPosition(99), UntilTransaction(3), UntilTransaction(1 << 60)} {
			_, _, err := c.past(until)
			if !errors.Is(err, ErrNotYet) || !strings.Contains(err.Error(), "position 2, transaction 2") {
				t.Errorf("%v: %v", until, err)
			}
		}
		// The end that is no end is damage, as for every reader.
		c.leader(2).write("c")
		c.mem.Remove(Key(1, 2))
		for _, until := range []Until{UntilPosition(2), UntilTransaction(3), {Time: time.Now()}, {}} {
			if _, _, err := c.past(until); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), Key(1, 2)) {
				t.Errorf("%v with an entry missing: %v", until, err)
			}
		}
		c.wantPast(UntilPosition(1), "a")
		c.wantPast(UntilTransaction(1), "a")
	})
}

func TestTwoPlacesAtOnceAreRefused(t *testing.T) {
	c := newCell(t)
	until := UntilPosition(1)
	until.Time = time.Now()
	if _, err := c.open(Options{}).Past(c.ctx, &state{}, until, nil); err == nil {
		t.Error("it was not")
	}
}

func TestPastStateThatWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a", "b")
		time.Sleep(time.Minute)
		pinned := p.snapshot() // position 2
		time.Sleep(time.Minute)
		p.write("c", "d")
		oldest := p.snapshot() // position 4
		before := time.Now()
		time.Sleep(time.Minute)
		p.write("e")
		c.collect(4)
		c.wantPast(UntilPosition(2), "a b")
		c.wantPast(UntilPosition(4), "a b c d")
		c.wantPast(UntilPosition(5), "a b c d e")
		c.wantPast(Until{Time: before}, "a b c d")
		for until, missing := range map[*Until]persistence.Position{
			{Position: new(persistence.Position(1))}: 1, {Position: new(persistence.Position(3))}: 3,
			{Transaction: new(persistence.TransactionNumber(1))}: 1, {Transaction: new(persistence.TransactionNumber(3))}: 3,
			{Time: before.Add(-time.Second)}: 3, {Time: before.Add(-90 * time.Second)}: 1,
		} {
			_, _, err := c.past(*until)
			e, ok := errors.AsType[*CollectedError](err)
			if !ok || !errors.Is(err, ErrCollected) || e.Missing != missing {
				t.Errorf("%v: %v, want that the entry at %d was collected", until, err, missing)
				continue
			}
			want := oldest
			if missing == 1 {
				want = pinned
			}
			if e.Snapshot != want || e.Oldest.Next != want.Position+1 || e.Made.IsZero() || !strings.Contains(err.Error(), fmt.Sprintf("position %d", want.Position)) {
				t.Errorf("%v: %v, want that %v can be had", until, err, want)
			}
		}
	})
}

// A snapshot that is damaged is passed over, as long as the log reaches back to an
// older one.
func TestPastFromAnOlderSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		p.snapshot()
		p.write("b", "c")
		damaged := p.snapshot()
		p.write("d")
		p.snapshot()
		c.damage(damaged.ManifestKey())
		c.wantPast(UntilPosition(3), "a b c")
		c.wantPast(UntilTransaction(3), "a b c")
		c.collect(3)
		if _, _, err := c.past(UntilPosition(3)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), damaged.ManifestKey()) {
			t.Errorf("with the log collected: %v", err)
		}
	})
}

// An entry that is wrong is called that, although a newer snapshot covers it.
func TestPastThroughADamagedEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a", "b", "c")
		p.snapshot()
		c.damage(Key(1, 2))
		if _, _, err := c.past(UntilPosition(2)); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrCollected) || !strings.Contains(err.Error(), Key(1, 2)) {
			t.Error(err)
		}
		c.wantPast(UntilPosition(1), "a")
		c.wantPast(UntilPosition(3), "a b c")
	})
}

// A void seal on a collected key is no part of the past, whatever came after.
func TestPastDoesNotCrossAVoidSeal(t *testing.T) {
	for name, shape := range map[string]struct {
		covered []string // by the snapshot, the first on the void seal's key
		after   func(*process)
	}{
		"the snapshot is of its very place": {[]string{"b"}, func(*process) {}},
		"nothing after the snapshot":        {[]string{"b", "c"}, func(*process) {}},
		"another entry":                     {[]string{"b", "c"}, func(p *process) { p.write("d") }},
		"another epoch":                     {[]string{"b", "c"}, func(p *process) { p.cell.leader(3) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				leader := c.leader(1).write("a")
				leader.snapshot()
				candidate := c.process()
				if err := candidate.reader.CatchUp(c.ctx); err != nil {
					t.Fatal(err)
				}
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Before(func(string) {
					leader.write(shape.covered...)
					leader.snapshot()
					c.collect(leader.reader.at.Next - 1)
				})})
				if _, err := candidate.reader.Lead(c.ctx, 2, persistence.NewWriterID()); err == nil {
					t.Fatal("void seal was taken for good")
				}
				shape.after(leader)
				c.wantPast(UntilPosition(1), "a")
				for _, until := range []Until{UntilPosition(2), UntilTransaction(2)} {
					if len(shape.covered) == 1 {
						c.wantPast(until, "a b")
						continue
					}
					if got, _, err := c.past(until); !errors.Is(err, ErrCollected) {
						t.Errorf("as of %v: %q, %v", until, got, err)
					}
				}
				if at, err := c.open(Options{}).Between(c.ctx, &state{}, UntilPosition(1), UntilPosition(2), nil); !errors.Is(err, ErrCollected) {
					t.Errorf("from the snapshot before it: %v, %v", at, err)
				}
			})
		})
	}
}

// While a past state is read, the log goes on and what is needed is collected: then
// there is a newer snapshot to begin from, or it is said.
func TestCollectedWhileThePastIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).writeApart(100)
		once := func(key string) {
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Times: 1, Do: memdriver.Before(func(string) {
				p.snapshot()
				c.collect(p.reader.at.Next - 1)
			})})
		}
		once(Key(1, 3))
		c.wantPast(UntilTransaction(100), strings.Join(numbers(100), " "))
		p.write("x", "y")
		once(Key(1, 101))
		if _, _, err := c.past(UntilPosition(101)); !errors.Is(err, ErrCollected) {
			t.Error(err)
		}
	})
}

// So it is with the snapshot that the reading begins from: that is no damage.
func TestSnapshotIsCollectedWhileThePastIsRead(t *testing.T) {
	for _, file := range []string{"/manifest.json", "/part-00000"} {
		t.Run(file, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a", "b")
				folder := strings.TrimSuffix(p.snapshot().ManifestKey(), "/manifest.json")
				p.write("c")
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(folder + file), Times: 1, Do: memdriver.Before(func(string) {
					p.write("d").snapshot()
					c.mem.Remove(folder + "/manifest.json")
					c.collect(p.reader.at.Next - 1)
					c.mem.Remove(folder + "/part-00000")
				})})
				if _, _, err := c.past(UntilPosition(3)); !errors.Is(err, ErrCollected) || errors.Is(err, ErrDamaged) {
					t.Errorf("%v, want that it was collected", err)
				}
			})
		})
	}
}

// A follower of the same log goes on undisturbed, its metrics too.
func TestPastDoesNotDisturbAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).writeApart(10)
		p := c.process()
		if err := p.reader.CatchUp(c.ctx); err != nil {
			t.Fatal(err)
		}
		puts := c.mem.CountOf(memdriver.Create, memdriver.Under(""))
		if _, err := p.log.Past(c.ctx, &state{}, UntilPosition(4), nil); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(p.log.metrics.position); got != 10 {
			t.Errorf("the position is said to be %v", got)
		}
		if p.state.has() != strings.Join(numbers(10), " ") || c.mem.CountOf(memdriver.Create, memdriver.Under("")) != puts {
			t.Error("it was")
		}
	})
}

// The half of an entry that is applied and then fails is no state.
func TestPastWhoseConsumerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).grouped("a", "b", "c", "d", "e")
		s := &state{fail: func(r string) error {
			if r == "d" {
				return errors.New("no")
			}
			return nil
		}}
		if _, err := c.open(Options{}).Past(c.ctx, s, UntilTransaction(4), nil); !errors.Is(err, ErrReplay) {
			t.Error(err)
		}
	})
}

// watcher notes what an observer is told.
type watcher struct {
	state
	entries []string
}

func (w *watcher) Entry(e *Entry) {
	w.entries = append(w.entries, fmt.Sprintf("%d:%v", e.Position, e.Kind))
}

func TestBetweenShowsAllThatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		p.snapshot()
		p.write("b").restored("x")
		c.leader(2).write("c", "d").snapshot()
		w := &watcher{}
		var last Progress
		at, err := c.open(Options{}).Between(context.Background(), w, UntilPosition(2), UntilTransaction(4), func(p Progress) { last = p })
		if err != nil || w.has() != "x c" || at.Next != 6 {
			t.Errorf("%q at %v, %v", w.has(), at, err)
		}
		if got, want := strings.Join(w.entries, " "), "2:records 3:restore 4:seal 5:records"; got != want {
			t.Errorf("it was told of %q, want %q", got, want)
		}
		if !last.Done || last.Entries != 4 {
			t.Errorf("progress ended with %+v", last)
		}
	})
}
