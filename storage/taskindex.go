package storage

import (
	"cmp"

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

// taskTrees is the task store: the rows by id and the indices over the same rows. An
// index has one entry for each row that has the key, so none is ever stale, and costs
// a pointer for it.
type taskTrees struct {
	byID     tree[*row]
	byJob    tree[*row]
	byHost   tree[*row]
	byStatus tree[*row]
	configs  tree[pooledConfig]
}

func newTaskTrees() taskTrees {
	return taskTrees{
		byID:     newTree(func(a, b *row) bool { return a.id() < b.id() }),
		byJob:    newTree(lessBy(compareJobs)),
		byHost:   newTree(lessBy(compareHosts)),
		byStatus: newTree(lessBy(compareStatuses)),
		configs:  newTree(lessConfig),
	}
}

func (t *taskTrees) freeze() {
	t.byID.frozen()
	t.byJob.frozen()
	t.byHost.frozen()
	t.byStatus.frozen()
	t.configs.frozen()
}

func (t *taskTrees) clear() {
	t.byID.clear()
	t.byJob.clear()
	t.byHost.clear()
	t.byStatus.clear()
	t.configs.clear()
}

// put inserts or replaces a row, which must be new, and keeps indices and pool in step.
func (t *taskTrees) put(r *row) {
	old, _ := t.byID.set(r)
	var oldConfig *api.TaskConfig
	if old != nil {
		oldConfig = old.assigned.Task
	}
	r.assigned.Task = replaceConfig(&t.configs, oldConfig, r.assigned.Task)
	reindex(&t.byJob, old, r, hasJob, compareJobs)
	reindex(&t.byHost, old, r, hasHost, compareHosts)
	reindex(&t.byStatus, old, r, hasStatus, compareStatuses)
}

// remove deletes the row with the id of r, if there is one.
func (t *taskTrees) remove(r *row) {
	old, ok := t.byID.delete(r)
	if !ok {
		return
	}
	replaceConfig(&t.configs, old.assigned.Task, nil)
	reindex(&t.byJob, old, nil, hasJob, compareJobs)
	reindex(&t.byHost, old, nil, hasHost, compareHosts)
	reindex(&t.byStatus, old, nil, hasStatus, compareStatuses)
}

// reindex moves an index from one row of a task to the next; either may be nil.
func reindex(index *tree[*row], old, next *row, has func(*row) bool, compare func(a, b *row) int) {
	indexed := next != nil && has(next)
	if old != nil && has(old) && !(indexed && compare(old, next) == 0) {
		index.delete(old)
	}
	if indexed {
		index.set(next)
	}
}

func hasJob(r *row) bool    { return r.job() != nil }
func hasHost(r *row) bool   { return r.assigned.SlaveHost.Set }
func hasStatus(r *row) bool { return r.task.Status.Set }

func compareJobs(a, b *row) int {
	if a.assigned.Task == b.assigned.Task {
		return 0 // often so, as equal configurations are shared
	}
	return compareJobKeys(a.job(), b.job())
}

func compareHosts(a, b *row) int {
	return cmp.Compare(a.assigned.SlaveHost.Value, b.assigned.SlaveHost.Value)
}

func compareStatuses(a, b *row) int { return cmp.Compare(a.task.Status.Value, b.task.Status.Value) }

// lessBy orders an index by a key and then by task id. A probe whose task id is unset
// comes after all rows of its key; no stored row is without one.
func lessBy(compare func(a, b *row) int) func(a, b *row) bool {
	return func(a, b *row) bool {
		if c := compare(a, b); c != 0 {
			return c < 0
		}
		if !a.assigned.TaskID.Set || !b.assigned.TaskID.Set {
			return a.assigned.TaskID.Set
		}
		return a.id() < b.id()
	}
}

// The probes below come before all rows of their key.

func idProbe(id string) *row {
	return &row{assigned: api.AssignedTask{TaskID: api.Some(id)}}
}

func jobProbe(key *api.JobKey) *row {
	r := idProbe("")
	r.assigned.Task = &api.TaskConfig{Job: key}
	return r
}

func hostProbe(host string) *row {
	r := idProbe("")
	r.assigned.SlaveHost = api.Some(host)
	return r
}

func statusProbe(status api.ScheduleStatus) *row {
	r := idProbe("")
	r.task.Status = api.Some(status)
	return r
}
