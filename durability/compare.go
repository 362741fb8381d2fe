package durability

import (
	"bytes"
	"iter"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// View is the state of a checkpoint.
func (c *Checkpoint) View() storage.View { return c.version.stores }

// DifferentKeys yields the idempotency keys that not both checkpoints have, or with
// another fingerprint or result.
func (c *Checkpoint) DifferentKeys(o *Checkpoint) iter.Seq[string] {
	return func(yield func(string) bool) {
		a, b := c.version.keys, o.version.keys
		more := true
		a.byNumber.Scan(func(_ persistence.TransactionNumber, key string) bool {
			if !a.alike(b, key) {
				more = yield(key)
			}
			return more
		})
		b.byNumber.Scan(func(_ persistence.TransactionNumber, key string) bool {
			if _, both := a.byKey.Get(key); more && !both {
				more = yield(key)
			}
			return more
		})
	}
}

// alike tells whether others have a key of these, with the same fingerprint and result.
func (k keys) alike(others keys, key string) bool {
	mine, _ := k.byKey.Get(key)
	theirs, ok := others.byKey.Get(key)
	return ok && mine.number == theirs.number && mine.pending.commit == theirs.pending.commit && bytes.Equal(mine.fingerprint, theirs.fingerprint)
}

// shareTasks makes tasks that a state has too share with it all that is below them, and
// those that have come to differ the configuration if that is equal. What a state has
// never changes, so only the tasks themselves are written to.
func shareTasks(with storage.Tasks, tasks []*api.ScheduledTask) {
	for _, task := range tasks {
		if task.AssignedTask == nil {
			continue
		}
		row, ok := with.Fetch(task.AssignedTask.TaskID.Value)
		switch {
		case !ok:
		case row.Equal(task):
			*task = *row
			assigned := *row.AssignedTask
			task.AssignedTask = &assigned
		case row.AssignedTask.Task != nil && task.AssignedTask.Task != nil && row.AssignedTask.Task.Equal(task.AssignedTask.Task):
			task.AssignedTask.Task = row.AssignedTask.Task
		}
	}
}
