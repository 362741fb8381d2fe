package durability

import (
	"cmp"
	"slices"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// opList keeps the ops of one transaction in order (Aurora: TransactionRecorder).
// Neighbours of the same kind merge, so that a transaction that saves a task ten
// times has it once:
//
//	saveFrameworkId     the later replaces the earlier
//	saveTasks           union by task id, the later definition wins
//	removeTasks         union of the ids
//	saveHostAttributes  of the same host: the later record wins whole
//	                    (Aurora keeps the earlier mode and agent id, and so loses the later)
//	all others          never merge
type opList struct {
	ops []*api.Op
	// merge is the first op that others may merge with: those before it belong
	// to an outer transaction, which may outlive the nested one.
	merge int
	// at is where each task id stands in the last op, if that is of tasks: so
	// merging costs what is merged, not what is there. nil when not known.
	at map[string]int
}

// mark is a place to which the list can be cut back.
type mark struct{ length, merge int }

// begin starts a nested part: nothing in it merges with what was before.
func (l *opList) begin() mark {
	m := mark{len(l.ops), l.merge}
	l.merge, l.at = len(l.ops), nil
	return m
}

// cut drops what was added since the mark.
func (l *opList) cut(m mark) { l.ops, l.merge, l.at = l.ops[:m.length], m.merge, nil }

// add takes an op; the list owns it from here on.
func (l *opList) add(op *api.Op) {
	if last := len(l.ops) - 1; last >= l.merge && l.mergeInto(l.ops[last], op) {
		return
	}
	l.ops, l.at = append(l.ops, op), nil
}

// mergeInto merges a later op into the last one, if their kind does that.
func (l *opList) mergeInto(earlier, later *api.Op) bool {
	switch {
	case earlier.SaveFrameworkID != nil && later.SaveFrameworkID != nil:
		earlier.SaveFrameworkID = later.SaveFrameworkID
	case earlier.SaveTasks != nil && later.SaveTasks != nil:
		l.mergeTasks(earlier.SaveTasks, later.SaveTasks)
	case earlier.RemoveTasks != nil && later.RemoveTasks != nil:
		l.mergeIDs(earlier.RemoveTasks, later.RemoveTasks)
	case earlier.SaveHostAttributes != nil && later.SaveHostAttributes != nil &&
		earlier.SaveHostAttributes.HostAttributes.Host == later.SaveHostAttributes.HostAttributes.Host:
		earlier.SaveHostAttributes = later.SaveHostAttributes
	default:
		return false
	}
	return true
}

// sorted returns the ops, at least an empty list, with what was merged in the order
// that sets have in their canonical form: so the leader tells of them as those do who
// read them. Nothing can be added afterwards.
func (l *opList) sorted() []*api.Op {
	for _, op := range l.ops {
		switch {
		case op.SaveTasks != nil: // the ids come first in a task's encoding, and differ
			slices.SortFunc(op.SaveTasks.Tasks, func(a, b *api.ScheduledTask) int {
				x, y := a.AssignedTask.TaskID.Value, b.AssignedTask.TaskID.Value
				return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
			})
		case op.RemoveTasks != nil:
			op.RemoveTasks.Canonicalize()
		}
	}
	if l.ops == nil {
		return []*api.Op{}
	}
	return l.ops
}

func (l *opList) mergeTasks(earlier, later *api.SaveTasks) {
	if l.at == nil {
		l.at = make(map[string]int, len(earlier.Tasks)+len(later.Tasks))
		for i, task := range earlier.Tasks {
			l.at[task.AssignedTask.TaskID.Value] = i
		}
	}
	for _, task := range later.Tasks {
		id := task.AssignedTask.TaskID.Value
		if i, ok := l.at[id]; ok {
			earlier.Tasks[i] = task
			continue
		}
		l.at[id] = len(earlier.Tasks)
		earlier.Tasks = append(earlier.Tasks, task)
	}
}

func (l *opList) mergeIDs(earlier, later *api.RemoveTasks) {
	if l.at == nil {
		l.at = make(map[string]int, len(earlier.TaskIDs)+len(later.TaskIDs))
		for i, id := range earlier.TaskIDs {
			l.at[id] = i
		}
	}
	for _, id := range later.TaskIDs {
		if _, ok := l.at[id]; !ok {
			l.at[id] = len(earlier.TaskIDs)
			earlier.TaskIDs = append(earlier.TaskIDs, id)
		}
	}
}
