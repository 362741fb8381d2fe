package durability

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// How much goes into one record of a whole state: enough that its overhead is small,
// little enough that the parts of a snapshot fill evenly. A record of more than
// recordBytes is split as far as it can be.
const (
	tasksPerRecord = 256
	rowsPerRecord  = 64
	keysPerRecord  = 256
	recordBytes    = 1 << 20
)

// recordWriter groups rows into records.
type recordWriter struct {
	yield func([]byte, error) bool
	// lend tells that records need not stay as they are once the next is asked for.
	lend    bool
	ops     []*api.Op
	tasks   taskGroup
	buf     []byte // grown once, for all records
	stopped bool
}

// state writes everything that a view has.
func (w *recordWriter) state(v storage.View) {
	for host := range v.Hosts().All() {
		w.add(&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: host}})
	}
	for task := range byConfig(v.Tasks().All()) {
		if w.stopped {
			return
		}
		w.task(task)
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
	w.flush()
}

// keys writes the idempotency keys of transactions after one.
func (w *recordWriter) keys(k keys, after persistence.TransactionNumber) {
	committed := k.committed(after)
	for len(committed) > 0 && !w.stopped {
		n := min(len(committed), keysPerRecord)
		w.write(&api.Transaction{Ops: []*api.Op{}, CommittedKeys: committed[:n]})
		committed = committed[n:]
	}
}

// byConfig returns all tasks, those that share a configuration together, and those of
// a job together. A state has each configuration once, so its address tells it apart.
func byConfig(tasks iter.Seq[*api.ScheduledTask]) iter.Seq[*api.ScheduledTask] {
	type group struct {
		job   string
		tasks []*api.ScheduledTask
	}
	var groups []*group
	of := map[*api.TaskConfig]*group{}
	for task := range tasks {
		config := task.AssignedTask.Task
		g := of[config]
		if g == nil {
			g = &group{}
			if config != nil {
				g.job = schema.JobKeyString(config.Job)
			}
			of[config], groups = g, append(groups, g)
		}
		g.tasks = append(g.tasks, task)
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return cmp.Compare(a.job, b.job) })
	return func(yield func(*api.ScheduledTask) bool) {
		for _, g := range groups {
			for _, task := range g.tasks {
				if !yield(task) {
					return
				}
			}
		}
	}
}

// add puts an op into the current record.
func (w *recordWriter) add(op *api.Op) {
	if len(w.tasks.partial) > 0 {
		w.flush()
	}
	if w.ops = append(w.ops, op); len(w.ops) >= rowsPerRecord {
		w.flush()
	}
}

// task puts a task into the current record of tasks. No two in it have one id.
func (w *recordWriter) task(task *api.ScheduledTask) {
	if task.AssignedTask.Task == nil { // old logs may have such
		w.add(&api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}})
		return
	}
	if len(w.ops) > 0 {
		w.flush()
	}
	if w.tasks.add(task); len(w.tasks.partial) >= tasksPerRecord || w.tasks.configBytes >= recordBytes {
		w.flush()
	}
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

// flush writes the current record.
func (w *recordWriter) flush() {
	if len(w.ops) > 0 {
		w.write(&api.Transaction{Ops: w.ops})
		w.ops = w.ops[:0]
	}
	if len(w.tasks.partial) > 0 {
		w.write(&api.Transaction{Ops: []*api.Op{}, DeduplicatedTasks: w.tasks.deduplicated()})
		w.tasks.reset()
	}
}

func (w *recordWriter) write(t *api.Transaction) {
	if w.stopped {
		return
	}
	t.SchemaVersion = api.CurrentSchemaVersion
	var err error
	if w.buf, err = t.AppendBinary(w.buf[:0]); err == nil && len(w.buf) > recordBytes {
		if first, second, ok := split(t); ok {
			w.write(first)
			w.write(second)
			return
		}
	}
	record := w.buf
	if !w.lend {
		record = bytes.Clone(record)
	}
	w.stopped = !w.yield(record, err) || err != nil
}

// fail ends the records with an error, if it is one.
func (w *recordWriter) fail(err error) {
	if err != nil && !w.stopped {
		w.yield(nil, err)
		w.stopped = true
	}
}

// split halves a transaction that rebuilds rows: its ops, or its tasks.
func split(t *api.Transaction) (first, second *api.Transaction, ok bool) {
	if n := len(t.Ops); n > 1 {
		return &api.Transaction{Ops: t.Ops[:n/2]}, &api.Transaction{Ops: t.Ops[n/2:]}, true
	}
	if d := t.DeduplicatedTasks; d != nil && len(d.PartialTasks) > 1 {
		half := func(partial []*api.DeduplicatedScheduledTask) *api.Transaction {
			return &api.Transaction{Ops: []*api.Op{}, DeduplicatedTasks: withConfigsOf(partial, d.TaskConfigs)}
		}
		n := len(d.PartialTasks) / 2
		return half(d.PartialTasks[:n]), half(d.PartialTasks[n:]), true
	}
	return nil, nil, false
}

// withConfigsOf returns tasks with those of the configurations that they have.
func withConfigsOf(partial []*api.DeduplicatedScheduledTask, configs []*api.TaskConfig) *api.DeduplicatedTasks {
	d := &api.DeduplicatedTasks{}
	at := map[int32]int32{}
	for _, p := range partial {
		id, ok := at[p.TaskConfigID]
		if !ok {
			id = int32(len(d.TaskConfigs))
			at[p.TaskConfigID] = id
			d.TaskConfigs = append(d.TaskConfigs, configs[p.TaskConfigID])
		}
		d.PartialTasks = append(d.PartialTasks, &api.DeduplicatedScheduledTask{PartialScheduledTask: p.PartialScheduledTask, TaskConfigID: id})
	}
	return d
}

// taskGroup is tasks with each configuration once. The zero value is empty.
type taskGroup struct {
	partial []*api.DeduplicatedScheduledTask
	configs []*api.TaskConfig
	// configBytes is the size of the configurations.
	configBytes int
	// byAddress and byContent are where configurations are that were met: most are
	// found without a look at what is in them.
	byAddress map[*api.TaskConfig]int32
	byContent map[string]int32
	// copies are the tasks of partial without their configurations: made once, as a whole
	// state has very many.
	copies []taskCopy
}

type taskCopy struct {
	entry    api.DeduplicatedScheduledTask
	task     api.ScheduledTask
	assigned api.AssignedTask
}

// reset empties the group, whose tasks nobody must have any more.
func (g *taskGroup) reset() {
	clear(g.byAddress)
	clear(g.byContent)
	g.partial, g.configs, g.copies, g.configBytes = g.partial[:0], g.configs[:0], g.copies[:0], 0
}

// add takes a task that has a configuration, up to tasksPerRecord of them.
func (g *taskGroup) add(task *api.ScheduledTask) {
	if g.copies == nil {
		g.copies = make([]taskCopy, 0, tasksPerRecord)
	}
	config := task.AssignedTask.Task
	id, ok := g.byAddress[config]
	if !ok {
		id = g.find(config)
		g.byAddress[config] = id
	}
	g.copies = append(g.copies, taskCopy{task: *task, assigned: *task.AssignedTask})
	c := &g.copies[len(g.copies)-1]
	c.assigned.Task, c.task.AssignedTask = nil, &c.assigned
	c.entry = api.DeduplicatedScheduledTask{PartialScheduledTask: &c.task, TaskConfigID: id}
	g.partial = append(g.partial, &c.entry)
}

// find returns the index of a configuration, which it adds if there is no equal one.
func (g *taskGroup) find(config *api.TaskConfig) int32 {
	if g.byContent == nil {
		g.byAddress, g.byContent = map[*api.TaskConfig]int32{}, map[string]int32{}
	}
	content := config.AppendCanonical(nil)
	id, ok := g.byContent[string(content)]
	if !ok {
		id = int32(len(g.configs))
		g.configs = append(g.configs, config)
		g.byContent[string(content)] = id
		g.configBytes += len(content)
	}
	return id
}

func (g *taskGroup) deduplicated() *api.DeduplicatedTasks {
	return &api.DeduplicatedTasks{PartialTasks: g.partial, TaskConfigs: g.configs}
}
