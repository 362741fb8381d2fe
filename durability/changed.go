package durability

import (
	"iter"
	"strings"
	"sync"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// keptRows is the number of rows of which a generation of changed knows: more than a log
// changes that is read in half of the replay target, and some tens of megabytes at most.
const keptRows = 1 << 18

// rowKind is a store whose rows a transaction can touch.
type rowKind uint8

const (
	frameworkRow rowKind = iota
	hostRow
	taskRow
	cronJobRow
	quotaRow
	jobUpdateRow
	maintenanceRow
)

// rowKey names a row of any store: by its name, or by its key's canonical encoding.
type rowKey struct {
	kind rowKind
	key  string
}

// changed is which rows transactions have touched lately: what a snapshot must have that
// goes on from an older one. A row may be in it too often, but never too seldom: what it
// says is looked up in a state that never changes.
//
// It has two generations, so that it forgets without a look at each row. It belongs to
// one course of the state: a state that starts over has a new one.
type changed struct {
	mu         sync.Mutex
	older, now generation
	most       int // rows of a generation
}

// generation is the rows that were touched after a transaction, each with the last that
// did so. It may have some of that transaction's own too.
type generation struct {
	after persistence.TransactionNumber
	rows  map[rowKey]persistence.TransactionNumber
}

// newChanged knows of all that is changed after a transaction.
func newChanged(after persistence.TransactionNumber) *changed {
	c := &changed{most: keptRows}
	c.forget(after)
	return c
}

// forget makes everything up to a transaction unknown. It needs mu, or a changed that
// nobody else has.
func (c *changed) forget(after persistence.TransactionNumber) {
	c.older = generation{after, nil}
	c.now = generation{after, map[rowKey]persistence.TransactionNumber{}}
}

// note takes the ops of a transaction: before anybody can see the state that they made.
func (c *changed) note(number persistence.TransactionNumber, ops []*api.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		if !c.noteOp(number, op) {
			c.forget(number)
		}
		if len(c.now.rows) >= c.most {
			c.older, c.now = c.now, generation{number, map[rowKey]persistence.TransactionNumber{}}
		}
	}
}

// noteOp is false for an op of which it does not know what it touches.
func (c *changed) noteOp(number persistence.TransactionNumber, op *api.Op) bool {
	touch := func(kind rowKind, key string) { c.now.touch(rowKey{kind, key}, number) }
	switch {
	case op.SaveFrameworkID != nil:
		touch(frameworkRow, "")
	case op.SaveHostAttributes != nil:
		if a := op.SaveHostAttributes.HostAttributes; a != nil {
			touch(hostRow, a.Host.Value)
		}
	case op.SaveTasks != nil:
		for _, task := range op.SaveTasks.Tasks {
			touch(taskRow, task.AssignedTask.TaskID.Value)
		}
	case op.RemoveTasks != nil:
		for _, id := range op.RemoveTasks.TaskIDs {
			touch(taskRow, id)
		}
	case op.SaveCronJob != nil:
		touch(cronJobRow, encoded(op.SaveCronJob.JobConfig.Key))
	case op.RemoveJob != nil:
		touch(cronJobRow, encoded(op.RemoveJob.JobKey))
	case op.SaveQuota != nil:
		touch(quotaRow, op.SaveQuota.Role.Value)
	case op.RemoveQuota != nil:
		touch(quotaRow, op.RemoveQuota.Role.Value)
	case op.SaveJobUpdate != nil:
		touch(jobUpdateRow, encoded(op.SaveJobUpdate.JobUpdate.Summary.Key))
	case op.SaveJobUpdateEvent != nil:
		touch(jobUpdateRow, encoded(op.SaveJobUpdateEvent.Key))
	case op.SaveJobInstanceUpdateEvent != nil:
		touch(jobUpdateRow, encoded(op.SaveJobInstanceUpdateEvent.Key))
	case op.RemoveJobUpdate != nil:
		for _, key := range op.RemoveJobUpdate.Keys {
			touch(jobUpdateRow, encoded(key))
		}
	case op.SaveHostMaintenanceRequest != nil:
		touch(maintenanceRow, op.SaveHostMaintenanceRequest.HostMaintenanceRequest.Host.Value)
	case op.RemoveHostMaintenanceRequest != nil:
		touch(maintenanceRow, op.RemoveHostMaintenanceRequest.Host.Value)
	case op.SaveLock != nil, op.RemoveLock != nil, op.PruneJobUpdateHistory != nil: // retired: they touch nothing
	default:
		return false
	}
	return true
}

func encoded(key interface{ AppendCanonical([]byte) []byte }) string {
	return string(key.AppendCanonical(nil))
}

// touch keeps a copy of the key: one that was read shares the memory of its record.
func (g *generation) touch(row rowKey, number persistence.TransactionNumber) {
	if _, ok := g.rows[row]; !ok {
		row.key = strings.Clone(row.key)
	}
	g.rows[row] = number
}

// since returns the rows that were touched after a transaction, each once, and false if
// that is not known.
func (c *changed) since(after persistence.TransactionNumber) (rows []rowKey, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if after < c.older.after {
		return nil, false
	}
	for row, number := range c.now.rows {
		if number > after {
			rows = append(rows, row)
		}
	}
	for row, number := range c.older.rows {
		if _, later := c.now.rows[row]; number > after && !later {
			rows = append(rows, row)
		}
	}
	return rows, true
}

// Since is what has changed between an older state and a checkpoint.
type Since struct {
	// Rows is how many rows and idempotency keys have changed, or a few more.
	Rows       int
	checkpoint *Checkpoint
	after      persistence.TransactionNumber
	rows       []rowKey
}

// Since returns what has changed since the state as of a transaction of the same
// history, and false if that is not known: because too much has, because the state was
// replaced as a whole, or because this process has not read it all.
func (c *Checkpoint) Since(after persistence.TransactionNumber) (*Since, bool) {
	rows, known := c.version.changed.since(after)
	if !known {
		return nil, false
	}
	return &Since{len(rows) + len(c.version.keys.committed(after)), c, after, rows}, true
}

// Records yields the records that make the older state that of the checkpoint: a row
// that is there is saved, one that is not is removed. Each is valid until the next one
// is asked for.
func (s *Since) Records() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &recordWriter{yield: yield, lend: true}
		w.changes(s.checkpoint.version.stores, s.rows)
		w.keys(s.checkpoint.version.keys, s.after)
	}
}

// idsPerOp is how many tasks are removed by one op.
const idsPerOp = 256

// changes writes rows as a view has them. No order is needed, as no two are the same.
func (w *recordWriter) changes(v storage.View, rows []rowKey) {
	var gone []string
	there := func(yield func(*api.ScheduledTask) bool) {
		for _, row := range rows {
			if row.kind != taskRow {
				continue
			}
			if task, ok := v.Tasks().Fetch(row.key); !ok {
				gone = append(gone, row.key)
			} else if !yield(task) {
				return
			}
		}
	}
	for task := range byConfig(there) {
		if w.stopped {
			return
		}
		w.task(task)
	}
	for len(gone) > 0 && !w.stopped {
		n := min(len(gone), idsPerOp)
		op := &api.RemoveTasks{TaskIDs: gone[:n:n]}
		op.Canonicalize()
		w.add(&api.Op{RemoveTasks: op})
		gone = gone[n:]
	}
	for _, row := range rows {
		if w.stopped {
			return
		}
		if row.kind != taskRow {
			w.change(v, row)
		}
	}
	w.flush()
}

// change writes a row that is no task.
func (w *recordWriter) change(v storage.View, row rowKey) {
	switch row.kind {
	case frameworkRow: // there is no op that removes it, nor one for hosts
		if id, ok := v.FrameworkID(); ok {
			w.add(&api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(id)}})
		}
	case hostRow:
		if host, ok := v.Hosts().Fetch(row.key); ok {
			w.add(&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: host}})
		}
	case quotaRow:
		if quota, ok := v.Quotas().Fetch(row.key); ok {
			w.add(&api.Op{SaveQuota: &api.SaveQuota{Role: api.Some(row.key), Quota: quota}})
		} else {
			w.add(&api.Op{RemoveQuota: &api.RemoveQuota{Role: api.Some(row.key)}})
		}
	case maintenanceRow:
		if request, ok := v.Maintenance().Fetch(row.key); ok {
			w.add(&api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: request}})
		} else {
			w.add(&api.Op{RemoveHostMaintenanceRequest: &api.RemoveHostMaintenanceRequest{Host: api.Some(row.key)}})
		}
	case cronJobRow:
		key := new(api.JobKey)
		w.fail(key.UnmarshalBinary([]byte(row.key)))
		if job, ok := v.CronJobs().Fetch(key); ok {
			w.add(&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: job}})
		} else {
			w.add(&api.Op{RemoveJob: &api.RemoveJob{JobKey: key}})
		}
	case jobUpdateRow:
		key := new(api.JobUpdateKey)
		w.fail(key.UnmarshalBinary([]byte(row.key)))
		if update, ok := v.JobUpdates().Fetch(key); ok {
			w.update(update)
		} else {
			w.add(&api.Op{RemoveJobUpdate: &api.RemoveJobUpdates{Keys: []*api.JobUpdateKey{key}}})
		}
	}
}
