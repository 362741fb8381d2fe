package blob

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// headerOf is the header of an entry that must be there.
func (c *cell) headerOf(epoch persistence.Epoch, position persistence.Position) Header {
	c.Helper()
	h, err := decodeHeader(c.mem.Data(Key(epoch, position)))
	if err != nil {
		c.Fatal(err)
	}
	return h
}

func TestAcksSayWhereARecordIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(3)
		c.slow(time.Second)
		p.write("so that it knows how long a PUT takes")
		var results []*result
		for i := range 10 { // one alone, then nine together
			results = append(results, p.send(fmt.Sprint(i)))
			synctest.Wait()
		}
		for i, r := range results {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
			at := persistence.Position(2)
			if i > 0 {
				at = 3
			}
			if want := (persistence.Commit{Transaction: persistence.TransactionNumber(i) + 2, Position: at, Epoch: 3}); r.ack.Commit != want {
				t.Errorf("record %d: %+v, want %+v", i, r.ack.Commit, want)
			}
			// Only behind the last record of an entry the state belongs to a point.
			if last := i == 0 || i == 9; (r.ack.After != nil) != last {
				t.Errorf("record %d: point %v", i, r.ack.After)
			}
		}
		reader := c.process().reader
		if err := reader.CatchUp(c.ctx); err != nil || *results[9].ack.After != reader.At() {
			t.Errorf("the last record's point is %v, recovery's %v, %v", results[9].ack.After, reader.At(), err)
		}
	})
}

// An entry says which positions were durable when it was made: no more, for that
// would make a gap look like damage, and no fewer, for that would hide damage.
func TestEntriesSayWhatWasDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Do: memdriver.Delay(time.Minute)})
		p.write("1")
		for i := range 3 {
			p.send(fmt.Sprint(i + 2))
			synctest.Wait()
			time.Sleep(time.Second) // each its own entry
		}
		time.Sleep(time.Minute)
		p.write("5")
		c.leader(2)
		for position, want := range map[persistence.Position]persistence.Position{1: 1, 2: 2, 3: 2, 4: 2, 5: 5, 6: 6} {
			if got := c.headerOf(1, position).Committed; got != want {
				t.Errorf("position %d says that %d are durable, want %d", position, got, want)
			}
		}
	})
}

func TestEntriesAreNoLargerThanTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1000
		c := newCell(t)
		p := c.leaderWith(Options{EntryBytes: most})
		c.slow(time.Second)
		p.write("so that it knows how long a PUT takes")
		var want []string
		var results []*result
		for i := range 60 {
			record := fmt.Sprintf("%02d%s", i, strings.Repeat("x", 100+i))
			if i == 30 {
				record = "larger than an entry " + strings.Repeat("y", 2*most)
			}
			want = append(want, record)
			results = append(results, p.send(record))
		}
		for _, r := range results {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
		}
		for position := persistence.Position(2); position < p.reader.at.Next; position++ {
			if h := c.headerOf(1, position); h.RawSize > most && h.Count > 1 {
				t.Errorf("position %d has %d bytes of %d records, want %d at most", position, h.RawSize, h.Count, most)
			}
		}
		c.mustRecover("so that it knows how long a PUT takes " + strings.Join(want, " "))
	})
}

func TestEntrySizeIsBoundedByTheFormat(t *testing.T) {
	if o := (Options{EntryBytes: 1 << 40, MaxRecordBytes: 1 << 40}).withDefaults(); o.EntryBytes > packed.MaxRaw || o.MaxRecordBytes+packed.RecordSize(0) > packed.MaxRaw {
		t.Errorf("entries of %d bytes and records of %d, more than a reader takes", o.EntryBytes, o.MaxRecordBytes)
	}
}

// What the leader's reader keeps of the chain does not grow for ever, and is still
// right: after the next snapshot too it follows.
func TestTrailIsTrimmedBySnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).writeApart(100)
		name := p.snapshot()
		p.writer.Snapshotted(name)
		p.writeApart(10)
		p.snapshot()
		p.writer.Stop(fmt.Errorf("stepped down"))
		if n := len(p.reader.trail); n > 11 {
			t.Errorf("the reader keeps %d hashes, want those since the snapshot, 11", n)
		}
		if err := p.reader.CatchUp(c.ctx); err != nil || p.state.resets != 1 {
			t.Errorf("%v, begun %d times", err, p.state.resets)
		}
		if n := len(p.reader.trail); n > 1 {
			t.Errorf("after the look the reader keeps %d hashes, want 1", n)
		}
	})
}

// A snapshot that is not of this writer's history changes nothing.
func TestSnapshotOfAnotherHistoryIsNotTakenInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := newCell(t), newCell(t)
		p := c.leader(1).writeApart(5)
		q := other.leader(1).writeApart(3)
		foreign := q.snapshot()
		q.writeApart(10)
		beyond := q.snapshot()
		own := p.snapshot()
		p.writeApart(2)
		p.writer.Snapshotted(own)
		old := own
		old.Position = 1 // before what is kept
		p.writer.Snapshotted(foreign)
		p.writer.Snapshotted(beyond)
		p.writer.Snapshotted(old)
		p.write("x")
		p.writer.Stop(fmt.Errorf("stepped down"))
		if *p.reader.base != own {
			t.Errorf("in hand is %s, want %s", p.reader.base, own)
		}
		p.writer.Snapshotted(own) // after its end: nobody hangs
	})
}

// Records of all sizes, handed over at all times, come back whole and in order.
func TestRecordsOfAllSizesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(50 * time.Millisecond)
		var want []string
		for i := range 300 {
			record := fmt.Sprintf("%d%s", i, strings.Repeat("z", i*i%70_000))
			want = append(want, record)
			p.send(record)
			time.Sleep(time.Duration(i%7) * time.Millisecond)
		}
		if err := p.writer.Close(c.ctx); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(p.state.has()); !slices.Equal(got, want) {
			t.Error("acknowledged in another order")
		}
		c.mustRecover(strings.Join(want, " "))
	})
}
