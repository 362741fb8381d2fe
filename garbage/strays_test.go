package garbage

import (
	"slices"
	"strings"
	"testing"
)

// What lies among the snapshots and is none of theirs stays, and is told of. A manifest
// in a folder with no snapshot's name says that nobody knows what is needed.
func TestStraysStay(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a", "b")
		p.snapshot()
		p.write("c").snapshot()
		const stray, unknown = "snapshot/notes.txt", "snapshot/latest/manifest.json"
		c.mem.Put(stray, []byte("x"))
		done, total := 0, 0
		report, err := Collect(c.Context(), c.open(), newest(1), Options{Progress: func(d, of int) { done, total = d, of }})
		if err != nil || !slices.Contains(c.mem.Keys(), stray) {
			t.Fatalf("%v, it is there: %t", err, slices.Contains(c.mem.Keys(), stray))
		}
		if len(report.Left) != 1 || report.Left[0].Object != stray || !strings.Contains(report.Left[0].Why, "remove it") {
			t.Errorf("left %+v", report.Left)
		}
		if removed := Total(report.Garbage).Objects; removed == 0 || done != total || done < removed {
			t.Errorf("%d went, progress %d of %d", removed, done, total)
		}
		c.mem.Put(unknown, []byte("x"))
		before := c.mem.Keys()
		if _, err := Collect(c.Context(), c.open(), newest(1), Options{}); err == nil || !strings.Contains(err.Error(), unknown) {
			t.Errorf("%v, want one that names %s", err, unknown)
		}
		if after := c.mem.Keys(); !slices.Equal(before, after) {
			t.Errorf("removed %q", without(before, after))
		}
	})
}

// Where nothing is to go, the report says all the same how far back the log reaches
// since the collections before.
func TestReportOfALogThatWasCollected(t *testing.T) {
	inCell(t, func(c *cell) {
		p := c.leader(1).write("a", "b")
		p.snapshot()
		last := p.write("c").snapshot()
		p.write("d")
		c.collect(newest(1))
		if report := c.collect(newest(5)); report.Oldest == nil || report.Oldest.Name != last.Name || Total(report.Garbage).Objects != 0 {
			t.Errorf("it reaches back to %+v, %+v", report.Oldest, Total(report.Garbage))
		}
	})
}
