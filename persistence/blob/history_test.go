package blob

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// history is what History yields, as "number:record" of each transaction.
func (l *Log) history(c *cell, from, to persistence.TransactionNumber) (string, error) {
	var found []string
	for e, err := range l.History(c.ctx, from, to) {
		if err != nil {
			return strings.Join(found, " "), err
		}
		if e.Count == 0 {
			found = append(found, e.Kind.String())
		}
		if e.Restore != nil {
			found = append(found, fmt.Sprintf("%d:restore", e.First))
		}
		for i, r := range e.Records {
			found = append(found, fmt.Sprintf("%d:%s", int(e.First)+i, r))
		}
	}
	return strings.Join(found, " "), nil
}

func (c *cell) wantHistory(l *Log, from, to persistence.TransactionNumber, want string) {
	c.Helper()
	if got, err := l.history(c, from, to); err != nil || got != want {
		c.Errorf("from %d to %d: %q, %v; want %q", from, to, got, err, want)
	}
}

// grouped writes records of which the first two go alone, and the others together.
func (p *process) grouped(records ...string) {
	p.Helper()
	slow := p.slow(time.Second)
	defer slow.Stop()
	p.write(records[0]) // so that it knows how long a PUT takes
	var results []*result
	for _, r := range records[1:] {
		results = append(results, p.send(r))
		synctest.Wait()
	}
	for _, r := range results {
		if err := r.wait(); err != nil {
			p.Fatal(err)
		}
	}
}

// long is a log of three epochs with a restore, and single and grouped records.
func (c *cell) long() *process {
	p := c.leader(1).write("a")
	p.grouped("b1", "b2", "b", "c", "d")
	c.leader(2) // writes nothing
	c.leader(3).write("e").restored("x", "y", "z")
	return c.leader(4).writeApart(20)
}

func TestHistoryByTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		l := c.long().log
		all := []string{"1:a", "2:b1", "3:b2", "4:b", "5:c", "6:d", "7:e", "8:restore"}
		for i := range 20 {
			all = append(all, fmt.Sprintf("%d:%d", i+9, i))
		}
		entry := map[int][2]int{} // the numbers of the entry that holds one
		for e, err := range l.History(c.ctx, 1, 28) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range e.Count {
				entry[int(e.First)+i] = [2]int{int(e.First), int(e.First) + e.Count - 1}
			}
		}
		if len(entry) != 28 || entry[5] != [2]int{4, 6} {
			t.Fatalf("%d transactions, want 28, and 4 to 6 in one entry: %v", len(entry), entry)
		}
		for from := 1; from <= 28; from++ {
			for to := from; to <= 28; to++ {
				want := strings.Join(all[entry[from][0]-1:entry[to][1]], " ")
				c.wantHistory(l, persistence.TransactionNumber(from), persistence.TransactionNumber(to), want)
			}
		}
		c.wantHistory(l, 5, 4, "")
		c.wantHistory(l, 0, 0, "")
		c.wantHistory(l, 0, 1, "1:a")
		c.wantHistory(l, 29, 28, "")
	})
}

// What a deposed writer landed beyond its seal is not of the history, nor is what the
// newest writer has on its way.
func TestHistoryLeavesOutWhatIsNoHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader(1).write("a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Delay(time.Hour)})
		for i := range 6 {
			old.send(fmt.Sprintf("late %d", i))
			synctest.Wait()
			time.Sleep(time.Second)
		}
		if c.mem.Data(Key(1, 7)) == nil {
			t.Fatal("nothing landed beyond the gap: this test shows nothing")
		}
		// A seal at the gap; beyond it first nothing, then one large entry.
		p := c.leader(2)
		c.wantHistory(p.log, 1, 1, "1:a")
		p.grouped("b", "c", "d", "e", "f", "g", "h", "i")
		if last := c.headerOf(2, p.reader.at.Next-1); last.Count < 5 {
			t.Fatalf("the last entry has %d records: this test shows nothing", last.Count)
		}
		c.wantHistory(p.log, 2, 9, "2:b 3:c 4:d 5:e 6:f 7:g 8:h 9:i")
		for from := persistence.TransactionNumber(4); from <= 9; from++ {
			c.wantHistory(p.log, from, 9, "4:d 5:e 6:f 7:g 8:h 9:i")
		}
		// One in the air, and one beyond it that has landed.
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(2, p.reader.at.Next)), Times: 1, Do: memdriver.Delay(time.Hour)})
		for range 2 {
			p.send("not durable")
			synctest.Wait()
			time.Sleep(time.Second)
		}
		c.wantHistory(p.log, 9, 9, "4:d 5:e 6:f 7:g 8:h 9:i")
	})
}

func TestHistoryThatWasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b")
		p := c.leader(2).write("c", "d")
		name := p.snapshot()
		p.write("e")
		c.collect(name.Position)
		c.wantHistory(p.log, 5, 5, "5:e")
		for from := range persistence.TransactionNumber(5) {
			if got, err := p.log.history(c, from, 5); !errors.Is(err, ErrCollected) || errors.Is(err, ErrDamaged) || got != "" {
				t.Errorf("from %d: %q, %v; want that it was collected", from, got, err)
			}
		}
		// All of it.
		c.mem.Remove(Key(2, p.reader.at.Next-1))
		p.snapshot()
		if got, err := p.log.history(c, 5, 5); !errors.Is(err, ErrCollected) {
			t.Errorf("%q, %v; want that it was collected", got, err)
		}
	})
}

// What is collected while it is being found, or read.
func TestHistoryThatIsCollectedMeanwhile(t *testing.T) {
	for name, at := range map[string]memdriver.Operation{"while it is found": memdriver.GetRange, "while it is read": memdriver.Get} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).writeApart(20)
				l := c.open(Options{})
				c.mem.Inject(memdriver.Fault{Operation: at, Key: memdriver.Under(logPrefix), Times: 1, Do: memdriver.Before(func(string) {
					p.snapshot()
					c.collect(p.reader.at.Next - 1)
				})})
				if got, err := l.history(c, 3, 20); !errors.Is(err, ErrCollected) || errors.Is(err, ErrDamaged) {
					t.Errorf("%q, %v; want that it was collected", got, err)
				}
			})
		})
	}
}

func TestDamagedHistoryIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := newCell(t), newCell(t)
		l := c.leader(1).writeApart(8).log
		other.leader(1).writeApart(8)
		keys := c.mem.Keys()
		for _, key := range keys {
			if !strings.HasPrefix(key, epochPrefix(1)) {
				continue
			}
			good := c.mem.Data(key)
			for name, damage := range map[string]func(){
				"missing":         func() { c.mem.Remove(key) },
				"a bit":           func() { c.flip(key) },
				"another history": func() { c.mem.Put(key, other.mem.Data(key)) },
			} {
				damage()
				_, err := l.history(c, 1, 8)
				if foreign := name == "another history"; !errors.Is(err, ErrDamaged) || errors.Is(err, ErrCollected) || !foreign && !strings.Contains(err.Error(), key) {
					// The first that History reads has nothing before it to compare.
					if !foreign || key != Key(1, 8) || err != nil {
						t.Errorf("%s %s: %v", key, name, err)
					}
				}
				c.mem.Put(key, good)
			}
			c.mem.Remove(key)
			_, position, _ := parseKey(key) // which is its transaction's number too
			if got, err := l.history(c, persistence.TransactionNumber(position), 8); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) || got != "" {
				t.Errorf("missing %s alone: %q, %v", key, got, err)
			}
			c.mem.Put(key, good)
		}
		for _, key := range keys {
			if strings.HasPrefix(key, logPrefix) {
				c.mem.Remove(key)
			}
		}
		if _, err := l.history(c, 1, 8); !errors.Is(err, ErrDamaged) {
			t.Errorf("nothing left: %v", err)
		}
	})
}

func TestHistoryStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).writeApart(1000)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(20 * time.Millisecond)})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.GetRange, Do: memdriver.Delay(20 * time.Millisecond)})
		start, lists := time.Now(), c.mem.Count(memdriver.List)
		if _, err := p.log.history(c, 500, 1000); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("500 entries at 20 ms each took %v, want far less than 10 s", took)
		}
		if n := c.mem.Count(memdriver.List) - lists; n != 1 {
			t.Errorf("%d listings, want one", n)
		}
		// One that is asked for alone costs little, and few are ahead of a slow one.
		gets := c.mem.Count(memdriver.Get)
		c.wantHistory(p.log, 500, 500, "500:499")
		if n := c.mem.Count(memdriver.Get) - gets; n > 2 {
			t.Errorf("one entry took %d requests", n)
		}
		gets, yielded := c.mem.Count(memdriver.Get), 0
		for _, err := range p.log.History(c.ctx, 1, 1000) {
			if err != nil {
				t.Fatal(err)
			}
			yielded++
			synctest.Wait()
			if n := c.mem.Count(memdriver.Get) - gets; n > yielded+historyAhead {
				t.Fatalf("%d requests when %d entries were taken", n, yielded)
			}
			if yielded == 100 {
				break
			}
		}
	})
}
