package check

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	store "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/durability"
)

// aRandomRun is a right run of real stores, drawn from a seed. With double set, one of
// the transactions is sent twice without anybody knowing.
func aRandomRun(t *testing.T, seed uint64, double bool) *History {
	return record(t, func(r *run) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		follower := r.open("observer", store.Options{})
		for reign := range 3 {
			p := r.leader(fmt.Sprint("p", reign))
			if reign == 1 && double {
				same := p.set("a b")
				p.writeAs(Op{Wrote: same})
				p.write("a b") // a write that changes nothing is not recorded
				if pending, err := p.Apply(r.Context(), Ops(same), durability.WriteOptions{}); err == nil {
					_, _ = pending.Wait(r.Context())
				}
			}
			for range 5 + rnd.IntN(5) {
				r.randomStep(rnd, p)
			}
			if rnd.IntN(2) == 0 { // its last write is of unknown outcome
				p.wire.becomes(entries(fate(1 + rnd.IntN(2))))
				p.write("a c")
				p.wire.becomes(nil)
			}
			p.close()
			follower.show(Followed, 0)
		}
		time.Sleep(3 * time.Minute)
		follower.show(Followed, 0)
		r.open("last", store.Options{ReadOnly: true})
	})
}

// randomStep does something at the leader.
func (r *run) randomStep(rnd *rand.Rand, p *process) {
	registers := []string{"a", "b", "c", "a b", "b c d"}[rnd.IntN(5)]
	switch rnd.IntN(10) {
	case 0:
		p.snapshot()
	case 1:
		p.snapshot()
		p.collect()
	case 2:
		key := Op{Key: "k" + r.value(), Wrote: p.set(registers)}
		p.writeAs(key)
		p.writeAs(key)
	case 3, 4:
		p.read()
	case 5:
		time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
	case 6, 7: // several at once
		var all sync.WaitGroup
		for i := range 2 + rnd.IntN(4) {
			op := Op{Client: fmt.Sprint("c", i), Wrote: p.set(registers)}
			all.Go(func() { p.writeAs(op) })
		}
		all.Go(func() { p.read() })
		all.Wait()
	default:
		p.write(registers)
	}
}

// spoilers make one change of a right run. They return false if it has nothing to change.
var spoilers = map[string]func(rnd *rand.Rand, h *History) bool{
	"an acknowledged entry dropped": func(rnd *rand.Rand, h *History) bool {
		op := drawOp(rnd, h, func(op *Op) bool { return op.Kind == Write && op.Outcome == Committed })
		return op != nil && dropAt(h, blobKeyOf(op))
	},
	"the first seal dropped": func(_ *rand.Rand, h *History) bool {
		return dropAt(h, "log/0000000000/00000000000000000000")
	},
	"a snapshot's part dropped": func(rnd *rand.Rand, h *History) bool {
		i := drawLanding(rnd, h, func(l *Landing) bool {
			return l.Body != nil && strings.HasPrefix(l.Key, "snapshot/") && strings.Contains(l.Key, "/part-")
		})
		if i >= 0 {
			h.remove(i)
		}
		return i >= 0
	},
	"two acknowledgements swapped": func(rnd *rand.Rand, h *History) bool {
		committed := func(op *Op) bool { return op.Kind == Write && op.Outcome == Committed }
		a, b := drawOp(rnd, h, committed), drawOp(rnd, h, committed)
		if a == nil || a.Commit == b.Commit {
			return false
		}
		a.Commit, b.Commit = b.Commit, a.Commit
		return true
	},
	"a register of a state changed": func(rnd *rand.Rand, h *History) bool {
		s := &h.States[rnd.IntN(len(h.States))]
		return spoilRegister(rnd, s.Registers)
	},
	"a register of a read changed": func(rnd *rand.Rand, h *History) bool {
		op := drawOp(rnd, h, func(op *Op) bool { return op.Kind == Read && op.Outcome == Committed })
		return op != nil && spoilRegister(rnd, op.Saw)
	},
	"a read of an earlier state": func(rnd *rand.Rand, h *History) bool {
		answered := func(op *Op) bool { return op.Kind == Read && op.Outcome == Committed }
		a, b := drawOp(rnd, h, answered), drawOp(rnd, h, answered)
		if a == nil || a.Returned >= b.Invoked || maps.Equal(a.Saw, b.Saw) {
			return false
		}
		b.Saw, b.Commit = a.Saw, a.Commit
		return true
	},
	"a committed write called deposed": func(rnd *rand.Rand, h *History) bool {
		op := drawOp(rnd, h, func(op *Op) bool { return op.Kind == Write && op.Outcome == Committed && op.Key == "" })
		if op != nil {
			op.Outcome = Deposed
		}
		return op != nil
	},
	"a client's write forgotten": func(rnd *rand.Rand, h *History) bool {
		op := drawOp(rnd, h, func(op *Op) bool { return op.Kind == Write && op.Outcome == Committed && op.Key == "" })
		if op != nil {
			op.Kind = Read
			op.Outcome = Failed
		}
		return op != nil
	},
	"an entry that landed late": func(rnd *rand.Rand, h *History) bool {
		op := drawOp(rnd, h, func(op *Op) bool { return op.Kind == Write && op.Outcome == Committed })
		i := slices.IndexFunc(h.Landings, func(l Landing) bool { return l.Key == blobKeyOf(op) && l.Body != nil })
		l := h.Landings[i]
		h.remove(i)
		l.At = op.Returned + time.Millisecond
		j := slices.IndexFunc(h.Landings, func(o Landing) bool { return o.At > l.At })
		h.Landings = slices.Insert(h.Landings, max(j, 0), l)
		return j >= 0
	},
	"a state of another point": func(rnd *rand.Rand, h *History) bool {
		a, b := &h.States[rnd.IntN(len(h.States))], &h.States[rnd.IntN(len(h.States))]
		if a.Point == b.Point {
			return false
		}
		a.Point = b.Point
		return !maps.Equal(a.Registers, b.Registers)
	},
}

func blobKeyOf(op *Op) string {
	return fmt.Sprintf("log/%010d/%020d", op.Commit.Epoch, op.Commit.Position)
}

func drawOp(rnd *rand.Rand, h *History, match func(*Op) bool) *Op {
	for _, i := range rnd.Perm(len(h.Ops)) {
		if match(&h.Ops[i]) {
			return &h.Ops[i]
		}
	}
	return nil
}

func drawLanding(rnd *rand.Rand, h *History, match func(*Landing) bool) int {
	for _, i := range rnd.Perm(len(h.Landings)) {
		if match(&h.Landings[i]) {
			return i
		}
	}
	return -1
}

func dropAt(h *History, key string) bool {
	before := len(h.Landings)
	h.Landings = slices.DeleteFunc(h.Landings, func(l Landing) bool { return l.Key == key && l.Body != nil })
	return len(h.Landings) < before
}

// spoilRegister changes a register, unsets it, or sets one more.
func spoilRegister(rnd *rand.Rand, registers map[string]string) bool {
	names := slices.Sorted(maps.Keys(registers))
	switch n := rnd.IntN(3); {
	case n == 0 || len(names) == 0:
		registers["x"] = "1"
	case n == 1:
		delete(registers, names[rnd.IntN(len(names))])
	default:
		registers[names[rnd.IntN(len(names))]] = "0"
	}
	return true
}

// Random right runs are right, and each single change of one is noticed.
func TestRandomRunsAndTheirCorruptions(t *testing.T) {
	runs := uint64(5)
	if testing.Short() {
		runs = 2
	}
	tried, noticed := map[string]int{}, map[string]int{}
	for seed := range runs {
		right := aRandomRun(t, seed, false)
		wantRight(t, right)
		doubled := aRandomRun(t, seed, true)
		tried["a transaction doubled"]++
		if len(Check(doubled)) > 0 {
			noticed["a transaction doubled"]++
		}
		for _, name := range slices.Sorted(maps.Keys(spoilers)) {
			for i := range uint64(5) {
				h := copied(right)
				if !spoilers[name](rand.New(rand.NewPCG(seed, i)), h) {
					continue
				}
				tried[name]++
				if len(Check(h)) > 0 {
					noticed[name]++
				} else {
					t.Errorf("seed %d, draw %d: %s was not noticed", seed, i, name)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tried)) {
		t.Logf("%-36s noticed %d of %d", name, noticed[name], tried[name])
		if noticed[name] < tried[name] {
			t.Errorf("%s: %d of %d were not noticed", name, tried[name]-noticed[name], tried[name])
		}
	}
	if len(tried) != len(spoilers)+1 {
		t.Errorf("%d kinds of corruption were tried, want %d", len(tried), len(spoilers)+1)
	}
}
