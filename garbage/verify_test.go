package garbage

import (
	"fmt"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Wherever a collection is cut off, what it leaves is no damage: verification finds
// nothing wrong, and counts the garbage that is left.
func TestVerifyAfterEachDelete(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		t.Run(fmt.Sprint(pinned), func(t *testing.T) {
			inCell(t, func(c *cell) {
				littered(c)
				alone := 0
				if pinned {
					alone = 1
					b := c.open().Bucket()
					names, err := snapshot.List(c.Context(), b, nil)
					if err == nil {
						err = snapshot.WritePin(c.Context(), b, snapshot.Pin{Name: "kept", Snapshot: names[0].String()})
					}
					if err != nil {
						c.Fatal(err)
					}
				}
				for cut := 0; ; cut++ {
					mem := c.mem.Clone()
					mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Skip: cut, Do: memdriver.Fail})
					_, err := Collect(c.Context(), c.openIn(mem), newest(2), Options{BatchSize: 2})
					mem.Heal()
					r, verifyErr := c.openIn(mem).Verify(c.Context(), nil)
					if verifyErr != nil || len(r.Problems) > 0 {
						c.Fatalf("cut off at delete %d: %q, %v", cut, r.Problems, verifyErr)
					}
					if err == nil {
						if r.Garbage != 0 || r.From == 0 || len(r.Alone) != alone {
							c.Errorf("at the end: %+v", r)
						}
						return
					}
				}
			})
		})
	}
}
