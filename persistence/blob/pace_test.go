package blob

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// entries counts the entries that were sent, seals too.
func (c *cell) entries() int { return c.mem.CountOf(memdriver.Create, memdriver.Under(logPrefix)) }

// Under a steady load of small records the entries are spaced out: about
// paceParallel are on their way, and the rest waits for company.
func TestBusyLogSendsFewEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(600 * time.Millisecond)
		for range 60 { // so that it knows how long a PUT takes
			p.write("x")
		}
		before := c.entries()
		var results []*result
		for i := range 6000 {
			results = append(results, p.send(fmt.Sprint(i)))
			time.Sleep(time.Millisecond)
		}
		for _, r := range results {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
		}
		// One each 200 ms, for 6 s.
		if n := c.entries() - before; n < 25 || n > 35 {
			t.Errorf("6,000 records in 6 s took %d entries, want about 30", n)
		}
	})
}

// A record that nobody is on the way before is sent at once, whatever PUTs took
// before.
func TestIdleLogSendsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		slow := c.slow(time.Minute)
		for range 20 {
			p.write("x")
		}
		slow.Stop()
		start := time.Now()
		p.write("a", "b")
		if took := time.Since(start); took > 0 {
			t.Errorf("two records, one after another, waited %v", took)
		}
	})
}

// Clients whose records were acknowledged together come back one after another, but not
// for long: the next entry waits for them, and carries all. It does not wait longer.
func TestClientsComeBackTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(800 * time.Millisecond)
		for range 60 { // so that it knows how long a PUT takes
			p.write("x")
		}
		for round, clients := range []int{10, 9, 9} { // the very first is sent alone
			var results []*result
			for i := range clients {
				results = append(results, p.send(fmt.Sprint(round, i)))
				time.Sleep(time.Millisecond)
			}
			for _, r := range results {
				if err := r.wait(); err != nil {
					t.Fatal(err)
				}
			}
			first, last := results[0].ack.Position, results[clients-1].ack.Position
			if alone := round == 0; (first != last) != alone {
				t.Errorf("round %d: at positions %d to %d", round, first, last)
			}
		}
		start := time.Now()
		p.write("y")
		if took := time.Since(start) - 800*time.Millisecond; took <= 0 || took > 60*time.Millisecond {
			t.Errorf("one that came back alone waited %v, want a sixteenth of a PUT's time", took)
		}
		start = time.Now()
		p.write("z")
		if took := time.Since(start); took != 800*time.Millisecond {
			t.Errorf("one that had been alone took %v", took)
		}
	})
}

// With a linger a lone record waits for company, but not longer, and not for company
// that has no room.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leaderWith(Options{Linger: 50 * time.Millisecond, EntryBytes: 1000})
		before := c.entries()
		a := p.send("a")
		time.Sleep(49 * time.Millisecond)
		b := p.send("b")
		if n := c.entries() - before; n != 0 {
			t.Fatalf("%d entries were sent before the linger was over", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := c.entries() - before; n != 1 || a.wait() != nil || b.wait() != nil || a.ack.Position != b.ack.Position {
			t.Errorf("%d entries, a at position %d, b at %d; want one for both", n, a.ack.Position, b.ack.Position)
		}
		start := time.Now()
		full := p.send(strings.Repeat("x", 1000))
		if err := full.wait(); err != nil || time.Since(start) > 0 {
			t.Errorf("a full entry took %v, %v", time.Since(start), err)
		}
		last := p.send("last")
		if err := p.writer.Close(c.ctx); err != nil || last.wait() != nil || time.Since(start) > 0 {
			t.Errorf("closing lingered for %v: %v, %v", time.Since(start), err, last.err)
		}
	})
}

// A cap on the PUTs a second holds for a lone client, for many, and for full entries.
func TestCapOnPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leaderWith(Options{MaxPutsPerSecond: 10, EntryBytes: 1000})
		before, start := c.entries(), time.Now()
		p.write("1", "2", "3", "4", "5")
		if took := time.Since(start); took < 400*time.Millisecond || took > 500*time.Millisecond {
			t.Errorf("5 commits in series took %v, want 0.4 s of waiting", took)
		}
		var results []*result
		for i := range 5000 {
			results = append(results, p.send(fmt.Sprint(i, strings.Repeat("x", 100))))
			time.Sleep(time.Millisecond)
		}
		for _, r := range results {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(start)
		if n, most := c.entries()-before, int(took.Seconds()*10)+1; n > most || n < most-3 {
			t.Errorf("%d PUTs in %v, want %d at most, and no fewer than that", n, took, most)
		}
		if took > 6*time.Second {
			t.Errorf("it took %v: the entries did not grow", took)
		}
		start = time.Now()
		p.send("x")
		if err := p.writer.Close(c.ctx); err != nil || time.Since(start) > 0 {
			t.Errorf("closing waited %v: %v", time.Since(start), err)
		}
	})
}

// However small they are, records of one entry are not without number.
func TestRecordsOfAnEntryAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(time.Second)
		p.acked = make(chan string, 2*maxEntryRecords)
		p.write("so that it knows how long a PUT takes")
		first := p.send("first")
		synctest.Wait()
		before := c.entries()
		var last *result
		for range maxEntryRecords + 1 {
			last = p.send("")
		}
		synctest.Wait()
		if n := c.entries() - before; n != 1 {
			t.Errorf("%d entries were sent at once, want the full one", n)
		}
		if first.wait() != nil || last.wait() != nil || last.ack.Position != first.ack.Position+2 {
			t.Errorf("the first at position %d, the last at %d: %v", first.ack.Position, last.ack.Position, last.err)
		}
		if h := c.headerOf(1, first.ack.Position+1); h.Count != maxEntryRecords {
			t.Errorf("an entry of %d records, want %d", h.Count, maxEntryRecords)
		}
	})
}
