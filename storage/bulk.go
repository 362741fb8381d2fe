package storage

import (
	"slices"
	"sync"
)

// unbuilt are the rows of a task store that was empty, before there are trees of them.
// To save many tasks one by one costs several times what it takes to build the trees
// from all of them at once, as a state is loaded: in order, each tree by itself.
//
// Nobody sees the difference: the trees are built by the first who needs them. No
// version shares unbuilt rows.
type unbuilt struct {
	rows []*row // as they were saved: of those with one id the last counts
	// unordered: the ids of the rows do not ascend.
	unordered bool
	configs   configChanges
}

// save inserts or replaces rows, which must be new and of different ids.
func (t *taskTrees) save(rows []*row) {
	switch {
	case len(rows) == 0:
	case t.unbuilt != nil:
		t.unbuilt.add(rows)
	case t.byID.len() == 0:
		t.unbuilt = &unbuilt{configs: configChanges{pool: &t.configs}}
		t.unbuilt.add(rows)
	default:
		t.put(rows...)
	}
}

func (u *unbuilt) add(rows []*row) {
	for _, r := range rows {
		r.assigned.Task = u.configs.replace(nil, r.assigned.Task)
		if n := len(u.rows); n > 0 && !lessID(u.rows[n-1], r) {
			u.unordered = true
		}
		u.rows = append(u.rows, r)
	}
	// What the pool has instead of a copy is all that need be kept.
	u.configs.byPointer = nil
}

// ordered returns one row of each id, the one saved last, in order.
func (u *unbuilt) ordered() []*row {
	if !u.unordered {
		return u.rows
	}
	slices.SortStableFunc(u.rows, compareIDs)
	kept := u.rows[:0]
	for i, r := range u.rows {
		if i+1 < len(u.rows) && u.rows[i+1].id() == r.id() {
			u.configs.replace(r.assigned.Task, nil)
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// built returns the trees with all rows in them. It writes to the struct only if there
// are unbuilt rows, which are for the goroutine of their transaction.
func (t *taskTrees) built() *taskTrees {
	if t.unbuilt != nil {
		t.build()
	}
	return t
}

func (t *taskTrees) build() {
	u := t.unbuilt
	t.unbuilt = nil
	rows := u.ordered()
	var building sync.WaitGroup
	building.Go(func() { buildByHost(&t.byHost, rows) })
	// The tasks of a job are neighbours, as a rule, and statuses are few: what these
	// indices write to stays in the processor's cache.
	items := t.byID.writable()
	for _, r := range rows {
		items.Load(r)
		if job, has := jobOf(r); has {
			t.byJob.load(job, r)
		}
		if status, has := statusOf(r); has {
			t.byStatus.load(status, r)
		}
	}
	u.configs.apply()
	building.Wait()
}

// buildByHost fills the empty index of hosts. Neighbours have different ones, so the rows
// of each host are brought together first, and then written at once.
func buildByHost(byHost *index[string], rows []*row) {
	type span struct {
		group *group[string]
		rows  int
		end   int // of its rows among those of all hosts; where the next goes while they are placed
	}
	const none = -1
	var spans []span
	spanOf := make([]int32, len(rows)) // by the place of the row
	known := map[string]int32{}
	with := 0
	for i, r := range rows {
		host, has := hostOf(r)
		if !has {
			spanOf[i] = none
			continue
		}
		n, ok := known[host]
		if !ok {
			n = int32(len(spans))
			known[host] = n
			spans = append(spans, span{group: byHost.writable(host)})
		}
		spanOf[i] = n
		spans[n].rows++
		with++
	}
	end := 0
	for i := range spans {
		spans[i].end = end
		end += spans[i].rows
	}
	placed := make([]*row, with)
	for i, n := range spanOf {
		if n != none {
			placed[spans[n].end] = rows[i]
			spans[n].end++
		}
	}
	for _, s := range spans {
		for _, r := range placed[s.end-s.rows : s.end] {
			s.group.rows.Load(r)
		}
	}
	byHost.entries = with
}
