package check

import (
	"testing"
	"time"

	store "github.com/scheduler-store/scheduler-store"
)

// aRun is a right run with everything in it: three leaders, a follower, snapshots,
// collections, a restore, retries, and outcomes of all kinds.
func aRun(t *testing.T) *History {
	return record(t, func(r *run) {
		one := r.leader("one")
		one.write("a b")
		one.read()
		one.write("b c")
		one.snapshot()
		follower := r.open("follower", store.Options{ReadOnly: true})
		one.write("a")
		one.collect()
		time.Sleep(5 * time.Second)
		follower.show(Followed, 0)
		one.close()
		two := r.leader("two")
		two.read()
		two.writeAs(Op{Key: "k", Wrote: map[string]string{"d": "keyed"}})
		two.writeAs(Op{Key: "k", Wrote: map[string]string{"d": "keyed"}})
		two.snapshot()
		two.restore("a e")
		two.write("a") // refused: it does not lead any more
		two.close()
		three := r.leader("three")
		three.read()
		three.write("f")
		three.snapshot()
		three.collect()
		three.read()
		time.Sleep(3 * time.Minute) // what the follower stood before has been collected: it looks seldom
		follower.show(Followed, 0)
		three.close()
		r.open("last", store.Options{ReadOnly: true})
	})
}

func TestARightRunIsRight(t *testing.T) {
	h := aRun(t)
	r := wantRight(t, h)
	if r.Transactions != 6 || r.Epochs != 3 || r.Report.Acknowledged != 6 || r.Report.Refused != 1 || r.Report.Reads != 4 {
		t.Errorf("checked %+v", r)
	}
}
