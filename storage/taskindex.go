package storage

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// row is a stored task: one allocation for the task and its assigned part. Rows never
// change; a change makes a new one.
type row struct {
	task     api.ScheduledTask
	assigned api.AssignedTask
}

// newRow copies the two structs and shares all that hangs below them. It never writes
// to the task, which readers of another version may hold.
func newRow(task *api.ScheduledTask) *row {
	r := &row{task: *task, assigned: *task.AssignedTask}
	r.task.AssignedTask = &r.assigned
	return r
}

func (r *row) id() string { return r.assigned.TaskID.Value }

func (r *row) job() *api.JobKey {
	if r.assigned.Task == nil {
		return nil
	}
	return r.assigned.Task.Job
}

// taskTrees is the task store: the rows by id and the indices over the same rows.
type taskTrees struct {
	byID     tree[*row]
	byJob    index[*api.JobKey]
	byHost   index[string]
	byStatus index[api.ScheduleStatus]
	configs  tree[*pooledConfig]
	// unbuilt is what is not in the trees yet, nil if nothing is. Whoever needs the
	// trees calls built.
	unbuilt *unbuilt
}

func newTaskTrees() taskTrees {
	return taskTrees{
		byID:     newTree(lessID),
		byJob:    newIndex(compareJobKeys, ownJobKey),
		byHost:   newIndex(cmp.Compare[string], strings.Clone),
		byStatus: newIndex(cmp.Compare[api.ScheduleStatus], func(s api.ScheduleStatus) api.ScheduleStatus { return s }),
		configs:  newTree(lessConfig),
	}
}

func (t *taskTrees) freeze() {
	t.built()
	t.byID.frozen()
	t.byJob.frozen()
	t.byHost.frozen()
	t.byStatus.frozen()
	t.configs.frozen()
}

func (t *taskTrees) clear() {
	t.unbuilt = nil
	t.byID.clear()
	t.byJob.clear()
	t.byHost.clear()
	t.byStatus.clear()
	t.configs.clear()
}

// put inserts or replaces rows, which must be new and of different ids, and keeps
// indices and pool in step.
func (t *taskTrees) put(rows ...*row) {
	// In order neighbours go to the same nodes and groups, which are then in the
	// processor's cache.
	slices.SortFunc(rows, compareIDs)
	configs := configChanges{pool: &t.configs}
	for _, r := range rows {
		old, _ := t.byID.set(r)
		var oldConfig *api.TaskConfig
		if old != nil {
			oldConfig = old.assigned.Task
		}
		r.assigned.Task = configs.replace(oldConfig, r.assigned.Task)
		t.reindex(old, r)
	}
	configs.apply()
}

// remove deletes the rows with these ids, if there are any.
func (t *taskTrees) remove(ids ...string) {
	configs := configChanges{pool: &t.configs}
	for _, id := range ids {
		if old, ok := t.byID.delete(idProbe(id)); ok {
			configs.replace(old.assigned.Task, nil)
			t.reindex(old, nil)
		}
	}
	configs.apply()
}

// reindex moves the indices from one row of a task to the next; either may be nil.
func (t *taskTrees) reindex(old, next *row) {
	move(&t.byJob, old, next, jobOf)
	move(&t.byHost, old, next, hostOf)
	move(&t.byStatus, old, next, statusOf)
}

// jobOf, hostOf and statusOf tell whether a row has a key of an index, and which.

func jobOf(r *row) (*api.JobKey, bool)           { return r.job(), r.job() != nil }
func hostOf(r *row) (string, bool)               { return r.assigned.SlaveHost.Value, r.assigned.SlaveHost.Set }
func statusOf(r *row) (api.ScheduleStatus, bool) { return r.task.Status.Value, r.task.Status.Set }

// move moves one index.
func move[K any](x *index[K], old, next *row, keyOf func(*row) (K, bool)) {
	var oldKey, nextKey K
	var had, has bool
	if old != nil {
		oldKey, had = keyOf(old)
	}
	if next != nil {
		nextKey, has = keyOf(next)
	}
	if had && !(has && x.compare(oldKey, nextKey) == 0) {
		x.delete(oldKey, old)
	}
	if has {
		x.set(nextKey, next)
	}
}

// jobsOf returns the groups of the jobs of a role, of an environment of it if that is
// set, in order.
func (t *taskTrees) jobsOf(role, environment api.Optional[string]) iter.Seq[*group[*api.JobKey]] {
	groups := t.byJob.from(&api.JobKey{Role: role, Environment: environment})
	return func(yield func(*group[*api.JobKey]) bool) {
		for g := range groups {
			if compareStrings(&g.key.Role, &role) != 0 || environment.Set && compareStrings(&g.key.Environment, &environment) != 0 || !yield(g) {
				return
			}
		}
	}
}

// ownJobKey copies a key and its strings.
func ownJobKey(key *api.JobKey) *api.JobKey {
	own := func(s api.Optional[string]) api.Optional[string] {
		s.Value = strings.Clone(s.Value)
		return s
	}
	return &api.JobKey{Role: own(key.Role), Environment: own(key.Environment), Name: own(key.Name)}
}

func idProbe(id string) *row {
	return &row{assigned: api.AssignedTask{TaskID: api.Some(id)}}
}
