package durability

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Checkpoint is a durable state together with the point of the log that it belongs
// to: what a snapshot is made of. It never changes.
type Checkpoint struct {
	At      persistence.Point
	version *version
}

// Checkpoint returns the newest one, nil before anything was recovered.
func (s *Storage) Checkpoint() *Checkpoint { return s.checkpoint.Load() }

// How much goes into one record of a snapshot: enough that its overhead is small,
// little enough that parts fill evenly. A record of more than recordBytes is split as
// far as it can be.
const (
	tasksPerRecord = 32
	rowsPerRecord  = 64
	keysPerRecord  = 256
	recordBytes    = 1 << 20
)

// Counts says how many of each a checkpoint has.
func (c *Checkpoint) Counts() map[string]int {
	v := c.version.stores
	counts := map[string]int{"hosts": v.Hosts().Len(), "tasks": v.Tasks().Len(), "cronJobs": v.CronJobs().Len(),
		"quotas": v.Quotas().Len(), "jobUpdates": v.JobUpdates().Len(), "maintenance": v.Maintenance().Len(),
		"idempotencyKeys": c.version.keys.byNumber.Len(), "frameworkId": 0}
	if _, ok := v.FrameworkID(); ok {
		counts["frameworkId"] = 1
	}
	return counts
}

// Records yields the records that rebuild the state, in the order of Aurora's
// snapshots: hosts, tasks, cron jobs, framework id, quotas, job updates, maintenance
// requests; then the idempotency keys. They are transactions as the log has them,
// so that one replay serves both.
func (c *Checkpoint) Records() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &recordWriter{yield: yield}
		c.writeRows(w)
		w.flush()
		committed := c.version.keys.committed()
		for len(committed) > 0 && !w.stopped {
			n := min(len(committed), keysPerRecord)
			w.write(&api.Transaction{Ops: []*api.Op{}, CommittedKeys: committed[:n]})
			committed = committed[n:]
		}
	}
}

func (c *Checkpoint) writeRows(w *recordWriter) {
	v := c.version.stores
	for host := range v.Hosts().All() {
		w.add(&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: host}})
	}
	var tasks []*api.ScheduledTask
	for task := range v.Tasks().All() {
		if w.stopped {
			return
		}
		if tasks = append(tasks, task); len(tasks) == tasksPerRecord {
			w.alone(&api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks}})
			tasks = tasks[:0]
		}
	}
	if len(tasks) > 0 {
		w.alone(&api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks}})
	}
	for job := range v.CronJobs().All() {
		w.add(&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: job}})
	}
	if id, ok := v.FrameworkID(); ok {
		w.add(&api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(id)}})
	}
	for role, quota := range v.Quotas().All() {
		w.add(&api.Op{SaveQuota: &api.SaveQuota{Role: api.Some(role), Quota: quota}})
	}
	for update := range v.JobUpdates().All() {
		w.update(update)
	}
	for request := range v.Maintenance().All() {
		w.add(&api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: request}})
	}
}

// recordWriter groups ops into records.
type recordWriter struct {
	yield   func([]byte, error) bool
	ops     []*api.Op
	stopped bool
}

// add puts an op into the current record.
func (w *recordWriter) add(op *api.Op) {
	if w.ops = append(w.ops, op); len(w.ops) >= rowsPerRecord {
		w.flush()
	}
}

// alone writes an op as a record of its own.
func (w *recordWriter) alone(op *api.Op) {
	w.flush()
	w.write(&api.Transaction{Ops: []*api.Op{op}})
}

// update writes an update and its events, those of instances after its own.
func (w *recordWriter) update(d *api.JobUpdateDetails) {
	key := d.Update.Summary.Key
	w.add(&api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: d.Update}})
	for _, e := range d.UpdateEvents {
		w.add(&api.Op{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Event: e, Key: key}})
	}
	for _, e := range d.InstanceEvents {
		w.add(&api.Op{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Event: e, Key: key}})
	}
}

func (w *recordWriter) flush() {
	if len(w.ops) > 0 {
		w.write(&api.Transaction{Ops: w.ops})
		w.ops = w.ops[:0]
	}
}

func (w *recordWriter) write(t *api.Transaction) {
	if w.stopped {
		return
	}
	t.SchemaVersion = api.CurrentSchemaVersion
	record, err := t.AppendBinary(nil)
	if err == nil && len(record) > recordBytes {
		if first, second, ok := split(t); ok {
			w.write(first)
			w.write(second)
			return
		}
	}
	w.stopped = !w.yield(record, err) || err != nil
}

// split halves a transaction that rebuilds rows: its ops, or the tasks of its only op.
func split(t *api.Transaction) (first, second *api.Transaction, ok bool) {
	if n := len(t.Ops); n > 1 {
		return &api.Transaction{Ops: t.Ops[:n/2]}, &api.Transaction{Ops: t.Ops[n/2:]}, true
	}
	if len(t.Ops) != 1 || t.Ops[0].SaveTasks == nil || len(t.Ops[0].SaveTasks.Tasks) < 2 {
		return nil, nil, false
	}
	tasks := t.Ops[0].SaveTasks.Tasks
	half := func(tasks []*api.ScheduledTask) *api.Transaction {
		return &api.Transaction{Ops: []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: tasks}}}}
	}
	return half(tasks[:len(tasks)/2]), half(tasks[len(tasks)/2:]), true
}
