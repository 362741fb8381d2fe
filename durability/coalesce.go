package durability

import (
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
}

// mark is a place to which the list can be cut back.
type mark struct{ length, merge int }

// begin starts a nested part: nothing in it merges with what was before.
func (l *opList) begin() mark {
	m := mark{len(l.ops), l.merge}
	l.merge = len(l.ops)
	return m
}

// cut drops what was added since the mark.
func (l *opList) cut(m mark) { l.ops, l.merge = l.ops[:m.length], m.merge }

// add takes an op; the list owns it from here on.
func (l *opList) add(op *api.Op) {
	if last := len(l.ops) - 1; last >= l.merge && mergeInto(l.ops[last], op) {
		return
	}
	l.ops = append(l.ops, op)
}

// mergeInto merges a later op into an earlier one, if their kind does that.
func mergeInto(earlier, later *api.Op) bool {
	switch {
	case earlier.SaveFrameworkID != nil && later.SaveFrameworkID != nil:
		earlier.SaveFrameworkID = later.SaveFrameworkID
	case earlier.SaveTasks != nil && later.SaveTasks != nil:
		earlier.SaveTasks.Tasks = mergeTasks(earlier.SaveTasks.Tasks, later.SaveTasks.Tasks)
	case earlier.RemoveTasks != nil && later.RemoveTasks != nil:
		ids := append(earlier.RemoveTasks.TaskIDs, later.RemoveTasks.TaskIDs...)
		slices.Sort(ids)
		earlier.RemoveTasks.TaskIDs = slices.Compact(ids)
	case earlier.SaveHostAttributes != nil && later.SaveHostAttributes != nil &&
		earlier.SaveHostAttributes.HostAttributes.Host == later.SaveHostAttributes.HostAttributes.Host:
		earlier.SaveHostAttributes = later.SaveHostAttributes
	default:
		return false
	}
	return true
}

func mergeTasks(earlier, later []*api.ScheduledTask) []*api.ScheduledTask {
	if len(later) == 0 {
		return earlier
	}
	at := make(map[string]int, len(earlier)+len(later))
	for i, task := range earlier {
		at[task.AssignedTask.TaskID.Value] = i
	}
	for _, task := range later {
		id := task.AssignedTask.TaskID.Value
		if i, ok := at[id]; ok {
			earlier[i] = task
			continue
		}
		at[id] = len(earlier)
		earlier = append(earlier, task)
	}
	return earlier
}
