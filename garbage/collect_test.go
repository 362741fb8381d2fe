package garbage

import (
	"testing"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// What recovery needs no more goes, of every class, and nothing else.
func TestGarbageGoesAndNothingElse(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a", "b")
		first := p.snapshot()
		p.write("c")
		restored := p.restore("x", "y") // position 4
		p = c.leader(2).write("z")      // a seal at 5, an entry at 6
		p.snapshot()
		p.write("later")
		p.snapshot()
		p.write("last")
		want := append(keysOf(first), keysOf(restored)...)
		want = append(want, entry(1, 1), entry(1, 2), entry(1, 3), entry(1, 4), entry(2, 6))
		c.removes(newest(2), want...)
		c.recovers("x y z later last")
		c.removes(newest(2))
	})
}

// Seals stay, whatever their epoch: a writer that wakes with a PUT in its hand must
// meet the seal of its epoch (M-delete-seals).
func TestSealsStay(t *testing.T) {
	inCell(t, func(c *cell) {
		var last *process
		for e := persistence.Epoch(1); e <= 5; e++ {
			last = c.leader(e).write("e" + e.String())
		}
		last.snapshot()
		report := c.collect(newest(1))
		for e := range persistence.Epoch(5) {
			key := entry(e, persistence.Position(2*e))
			if c.mem.Data(key) == nil {
				c.Errorf("the seal %s is gone", key)
			}
		}
		if report.Seals.Objects != 5 || Total(report.Garbage).Objects != 5 {
			c.Errorf("%+v; want 5 seals that stay, and 5 entries that went", report)
		}
	})
}
