package damage

import (
	"cmp"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// matrix counts what came of the damages.
type matrix struct {
	mu     sync.Mutex // guards all below
	counts map[line]int
	total  int
	// most is the most that was allocated while one observer looked.
	most uint64
}

// line is a line of the table.
type line struct{ kind, damage, observer, outcome, rule string }

// maxAllocated bounds what may be allocated while an observer looks at a cell of some
// dozens of small objects; two cells are looked at at once. One that believed what a
// damaged size says would take more.
const maxAllocated = 256 << 20

// sampleBits is how many bits and lengths one is tried of, where not all are.
const sampleBits = 5003

func TestDamageOfEachObject(t *testing.T) {
	sample := sampleBits
	all := os.Getenv("SCHEDULER_STORE_DAMAGE") == "all"
	if all {
		sample = 1
	}
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // each look leaves some MB behind
	m := &matrix{counts: map[line]int{}}
	key := encryption.NewLocalKeeper([32]byte{1})
	t.Run("cells", func(t *testing.T) {
		for _, kind := range []struct {
			name      string
			key       *encryption.Keeper
			collected bool
		}{{"plain", nil, false}, {"encrypted", key, false}, {"collected", key, true}} {
			t.Run(kind.name, func(t *testing.T) {
				t.Parallel()
				c, other := newCell(t, kind.name, kind.key, kind.collected), newCell(t, kind.name, kind.key, kind.collected)
				synctest.Test(t, func(t *testing.T) {
					(&trial{t, m, c, other, all}).run(sample)
				})
			})
		}
	})
	if !all {
		return
	}
	table := m.table()
	print(t, table)
	result := evidence.Result{Suite: "damage", Command: "make damage", Began: began, Took: time.Since(began), Tables: []evidence.Table{table},
		Notes: []string{fmt.Sprintf("%d damages. Each was recovered and verified; followers and leaders met one bit of each byte, one length of eight, and all else. No more than %d MiB were allocated meanwhile.", m.total, m.most>>20)}}
	if t.Failed() {
		result.Found = []string{"something was not found; make damage says what"}
	}
	if err := evidence.Save(result); err != nil {
		t.Error(err)
	}
}

// trial is one cell that is damaged.
type trial struct {
	*testing.T
	*matrix
	cell, other *cell
	progress    bool
}

// run tries every damage to every object.
func (t *trial) run(sample int) {
	c := t.cell
	whole := c.recovery(t.Context(), c.mem)
	if whole.err != nil {
		t.Fatal(whole.err)
	}
	for _, problem := range c.verification(t.Context(), c.mem) {
		if problem != nil {
			t.Fatalf("before any damage: %v", problem)
		}
	}
	for i, key := range c.keys {
		if t.progress {
			fmt.Printf("%s cell, object %d of %d: %s\n", c.name, i+1, len(c.keys), key)
		}
		for d := range damages(c, t.other, key, sample) {
			mem := c.mem.Clone()
			if mem.Remove(key); d.data != nil {
				mem.Put(key, d.data)
			}
			t.damage(key, d, mem, whole.state)
		}
	}
}

// damage shows a damaged cell to each observer.
func (t *trial) damage(key string, d damaged, mem *memdriver.Bucket, want string) {
	c := t.cell
	for _, observer := range []struct {
		name string
		look func() sight
	}{
		{"recovery", func() sight { return c.recovery(t.Context(), mem) }},
		{"follower", func() sight { return c.follower(t.Context(), mem) }},
		{"leader", func() sight { return c.leader(t.T, mem.Clone()) }},
	} {
		if d.minor && observer.name != "recovery" {
			continue
		}
		var found sight
		t.bounded(func() { found = observer.look() })
		t.judge(key, d, observer.name, c.outcome(key, found, want), found.err)
	}
	outcome, first := silent, error(nil)
	t.bounded(func() {
		for _, problem := range c.verification(t.Context(), mem) {
			switch {
			case problem == nil || outcome == named:
			case names(problem, key):
				outcome = named
			case outcome == silent:
				outcome, first = neighbour, problem
			}
		}
	})
	t.judge(key, d, "verification", outcome, first)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
}

// outcome says what an observer made of a damage.
func (c *cell) outcome(key string, found sight, want string) string {
	switch {
	case found.err != nil && names(found.err, key):
		return named
	case found.err != nil:
		return neighbour
	case found.state == want:
		return right
	case found.state == c.before:
		return lost
	}
	return wrongState
}

func (t *trial) judge(key string, d damaged, observer, outcome string, err error) {
	rule := t.cell.allowed(key, d, observer, outcome)
	if rule == "" {
		t.Errorf("%s cell, %s: %s %s: to the %s it is %s (%v)", t.cell.name, key, d.what, d.text, observer, outcome, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if rule == outcome {
		rule = ""
	}
	t.counts[line{kind(t.cell, key), d.what, observer, outcome, rule}]++
}

func (t *trial) bounded(call func()) {
	before := allocated()
	call()
	got := allocated() - before
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.most = max(t.most, got); got > maxAllocated {
		t.Errorf("%d bytes allocated", got)
	}
}

// allocated is what the process has allocated so far, without small objects of late.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func (m *matrix) table() evidence.Table {
	table := evidence.Table{Title: "Damage of each object", Header: []string{"object", "damage", "observer", "outcome", "times", "rule"}}
	var lines []line
	for l := range m.counts {
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.damage, b.damage), strings.Compare(a.observer, b.observer),
			strings.Compare(a.outcome, b.outcome), strings.Compare(a.rule, b.rule))
	})
	for _, l := range lines {
		table.Add(l.kind, l.damage, l.observer, l.outcome, m.counts[l], l.rule)
	}
	return table
}

func print(t *testing.T, table evidence.Table) {
	for _, row := range table.Rows {
		t.Logf("%-22s %-17s %-13s %-18s %8s  %s", row[0], row[1], row[2], row[3], row[4], row[5])
	}
}
