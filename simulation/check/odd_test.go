package check

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"

	store "github.com/scheduler-store/scheduler-store"
)

// entries makes a fate happen to the entries that are sent.
func entries(f fate) func(memdriver.Operation, string) fate {
	return func(op memdriver.Operation, key string) fate {
		if op == memdriver.Create && strings.HasPrefix(key, logPrefix) {
			return f
		}
		return 0
	}
}

// release lets the requests land that were held.
func (t *tape) release() {
	t.mu.Lock()
	late := t.late
	t.late = map[string]func(){}
	t.mu.Unlock()
	for _, land := range late {
		land()
	}
}

// What looks odd, and is right by the protocol, is called right.

func TestUnknownOutcomesMayBeEither(t *testing.T) {
	h := record(t, func(r *run) {
		one := r.leader("one")
		one.write("a")
		one.wire.becomes(entries(loseReply))
		one.write("b") // it landed
		one.wire.becomes(nil)
		one.close()
		two := r.leader("two")
		two.read()
		two.wire.becomes(entries(hold))
		two.write("c") // it did not
		two.wire.becomes(nil)
		two.close()
		three := r.leader("three")
		three.read()
		r.release() // now it meets the seal
		three.write("d")
		three.read()
		three.close()
	})
	r := wantRight(t, h)
	if r.Report.Landed != 1 || r.Report.Vanished != 1 {
		t.Errorf("report %+v, want one that landed and one that did not", r.Report)
	}
	opOf(t, h, Write, Unknown, 0).Outcome = Deposed
	wantRule(t, h, "resurrected")
}

// gapped is a run in which an entry has landed while that before it has not: two writes
// of unknown outcome.
func gapped(t *testing.T) *History {
	return record(t, func(r *run) {
		one := r.leader("one")
		one.write("a")
		var sent atomic.Bool
		one.wire.becomes(func(op memdriver.Operation, key string) fate {
			if op == memdriver.Create && strings.HasPrefix(key, logPrefix) && !sent.Swap(true) {
				time.Sleep(time.Second) // the next goes out meanwhile
				return hold
			}
			return 0
		})
		go one.writeAs(Op{Client: "1", Wrote: one.set("b")})
		time.Sleep(200 * time.Millisecond)
		one.writeAs(Op{Client: "2", Wrote: one.set("c")})
		synctest.Wait()
		one.close()
	})
}

func TestWhatIsNotCommittedMayNotLieBehindAGap(t *testing.T) {
	h := gapped(t)
	r := wantRight(t, h)
	if r.Report.Vanished != 2 {
		t.Fatalf("report %+v, want two of unknown outcome", r.Report)
	}
	landingOf(t, h, blob.Key(1, 3)) // behind the gap
	for i := range h.Ops {
		if h.Ops[i].Client == "2" {
			h.Ops[i].Outcome = NotCommitted
		}
	}
	wantRule(t, h, "resurrected")
}

// A seal that comes late falls on a key that was collected: an orphan, which is no part
// of the history. Neither is an entry that is deleted, and comes back by an old request.
func TestOrphansAreNoPartOfTheHistory(t *testing.T) {
	h := record(t, func(r *run) {
		one := r.leader("one")
		one.write("a")
		two := r.open("two", store.Options{})
		two.wire.becomes(entries(hold))
		one.Close(r.Context())
		if err := two.Campaign(r.Context()); err == nil {
			r.Error("leads without a seal")
		}
		two.close()
		three := r.leader("three")
		three.write("b")
		three.write("c")
		three.snapshot()
		three.collect()
		r.mu.Lock()
		var again []Landing
		for _, l := range r.landings {
			if strings.HasPrefix(l.Key, logPrefix) && l.Body != nil && l.Process == "three" && r.mem.Data(l.Key) == nil {
				again = append(again, l)
			}
		}
		r.mu.Unlock()
		if len(again) != 2 {
			r.Errorf("%d entries were collected, want 2", len(again))
		}
		for _, l := range again {
			_ = r.change("three", l.Key, l.Body, func() error { r.mem.Put(l.Key, l.Body); return nil })
		}
		r.release()
		three.write("d")
		three.read()
		three.collect()
		three.close()
		r.open("last", store.Options{ReadOnly: true})
	})
	wantRight(t, h)
}

// Two that write in one epoch, each on a branch of its own, do not escape, even where no
// object of theirs meets.
func TestTwoWritersInOneEpoch(t *testing.T) {
	var other []Landing
	h := record(t, func(r *run) {
		zero := r.leader("zero")
		zero.write("a")
		zero.close()
		branch := &run{T: r.T, tape: newTape(), values: 100}
		branch.start, branch.mem = r.start, r.mem.Clone()
		two := branch.leader("two")
		two.write("b")
		two.write("c")
		two.write("d")
		two.close()
		other = branch.landings
		one := r.leader("one")
		one.write("b")
		one.close()
	})
	wantRight(t, h)
	for _, l := range other {
		if l.Key == blob.Key(2, 5) {
			l.At = h.last()
			h.Landings = append(h.Landings, l)
			wantRule(t, h, "writer")
			return
		}
	}
	t.Fatalf("the branch has no third entry: %v", other)
}

// A snapshot of a state that never became durable would bring it back.
func TestSnapshotOfWhatIsNotDurable(t *testing.T) {
	h := record(t, func(r *run) {
		one := r.leader("one")
		one.write("a")
		c := one.Storage().Checkpoint()
		at := c.At
		at.Next, at.Transaction, at.Hash[0] = at.Next+1, at.Transaction+1, at.Hash[0]^1
		if _, err := snapshot.Write(r.Context(), one.Log().Bucket(), one.Log().Codec(), snapshot.Source{Cell: one.Log().Cell().ID, At: at, Records: c.Records(), By: "one"}, 1); err != nil {
			r.Fatal(err)
		}
		one.close()
	})
	wantRule(t, h, "snapshot")
}

// A snapshot of another state than its point's is noticed, also if only one register
// differs.
func TestSnapshotOfAnotherState(t *testing.T) {
	h := record(t, func(r *run) {
		one := r.leader("one")
		one.write("a")
		wrong := Records(map[string]string{"a": "0"})
		if _, err := snapshot.Write(r.Context(), one.Log().Bucket(), one.Log().Codec(), snapshot.Source{Cell: one.Log().Cell().ID, At: one.Storage().Checkpoint().At, Records: wrong, By: "one"}, 1); err != nil {
			r.Fatal(err)
		}
		one.close()
	})
	wantRule(t, h, "snapshot")
}

// One transaction that takes effect twice, as a retry without its key would.
func TestATransactionThatIsThereTwice(t *testing.T) {
	h := record(t, func(r *run) {
		one := r.leader("one")
		same := one.set("a")
		one.writeAs(Op{Wrote: same})
		one.writeAs(Op{Wrote: one.set("a")})
		one.writeAs(Op{Wrote: same})
		one.close()
	})
	h.Ops[0].Key, h.Ops[2].Key = "k", "k" // the client meant it to be one
	wantRule(t, h, "doubled")
	h.Ops = h.Ops[:2]
	wantRule(t, h, "doubled")
}

// A transaction of which only a part is there.
func TestATornTransaction(t *testing.T) {
	h := record(t, func(r *run) {
		one := r.leader("one")
		one.write("a b")
		one.close()
	})
	h.Ops[0].Wrote["c"] = "more"
	wantRule(t, h, "torn")
	wantRule(t, h, "moved")
}

func TestDrawingOfWhatIsNotLinearizable(t *testing.T) {
	h := copied(aRun(t))
	opOf(t, h, Read, Committed, 1).Saw["a"] = "1"
	folder := t.TempDir()
	r := CheckWith(h, Options{Folder: folder})
	page, err := os.ReadFile(r.Drawing)
	if err != nil || !strings.Contains(string(page), "read a=1") || !strings.HasPrefix(r.Drawing, folder) {
		t.Errorf("drew %d bytes, %v", len(page), err)
	}
}
