package garbage

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// late has the next request of an operation whose key has a part come late: it takes
// effect only when all that do does is done.
func (c *cell) late(op memdriver.Operation, part string, do func()) *memdriver.Rule {
	return c.mem.Inject(memdriver.Fault{Operation: op, Key: func(key string) bool { return strings.Contains(key, part) }, Times: 1,
		Do: memdriver.Before(func(string) { do() })})
}

// send hands a record over; its outcome comes in time.
func (p *process) send(record string) <-chan error {
	p.Helper()
	answer := make(chan error, 1)
	if _, err := p.writer.Append([]byte(record), func(_ persistence.Ack, err error) { answer <- err }); err != nil {
		p.Fatal(err)
	}
	return answer
}

// goOn has the next leader write, make a snapshot, and collect all beside it.
func (c *cell) goOn(epoch persistence.Epoch, records ...string) *process {
	c.Helper()
	p := c.leader(epoch).write(records...)
	p.snapshot()
	c.collect(newest(1))
	return p
}

// A collector is stopped before each of its deletes in turn, and goes on when another
// has led, made a snapshot, and collected: it hits only what is garbage for ever.
func TestDeleteThatComesLate(t *testing.T) {
	hits := 0
	for n := range 100 {
		more := false
		inCell(t, func(c *cell) {
			want := littered(c)
			var next *process
			rule := c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Skip: n, Times: 1, Do: memdriver.Before(func(string) {
				next = c.goOn(3, "h")
				next.write("i")
			})})
			_, err := Collect(c.Context(), c.open(), newest(1), Options{BatchSize: 1})
			if more = rule.Hits() > 0; !more {
				return
			}
			hits++
			if err != nil && !errors.Is(err, ErrDoubt) {
				c.Errorf("delete %d: %v", n, err)
			}
			c.recovers(want + " h i")
			next.write("j").snapshot()
			c.collect(newest(1))
			c.recovers(want + " h i j")
		})
		if !more {
			break
		}
	}
	if hits < 8 {
		t.Errorf("%d deletes: this test shows nothing", hits)
	}
}

// One leader's snapshot goes on from a snapshot of another's garbage: the leader before
// had made a newer one, whose manifest came late, and is about to collect what is older.
// Who relies on the snapshot that goes on would lose all when those deletes come.
func TestSnapshotThatGoesOnFromGarbageIsNotReliedOn(t *testing.T) {
	inCell(t, func(c *cell) {
		old := c.leader(1).write("a")
		base := old.snapshot()
		old.write("b")
		next := c.leader(2).write("c") // the newest snapshot that it sees is the base
		old.snapshot()                 // comes late
		var refused error
		rule := c.late(memdriver.Delete, base.PartKey(0), func() {
			next.increment(base, "b", "c")
			_, refused = Collect(c.Context(), c.open(), newest(1), Options{})
		})
		if _, err := Collect(c.Context(), c.open(), newest(1), Options{}); err != nil || rule.Hits() == 0 {
			c.Fatal(err, rule.Hits())
		}
		if !errors.Is(refused, ErrNeedsFull) || !errors.Is(refused, ErrDoubt) {
			c.Errorf("%v, want a doubt that a full snapshot ends", refused)
		}
		c.recovers("a b c")
		next.write("d").snapshot() // a full one
		c.collect(newest(1))
		c.recovers("a b c d")
	})
}

// One that goes on over a snapshot which has the same parts is relied on.
func TestSnapshotsThatGoOnFromEachOtherAreReliedOn(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a")
		base := p.snapshot()
		p.write("b")
		p.increment(base, "b") // nobody goes on from this one
		p.write("c")
		third := p.increment(base, "b", "c")
		p.write("d")
		p.increment(third, "d")
		c.collect(newest(1))
		c.recovers("a b c d")
		if keys := c.mem.Keys(); !slices.Contains(keys, base.PartKey(0)) {
			c.Errorf("the part that all have is gone: %v", keys)
		}
	})
}
