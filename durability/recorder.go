package durability

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// recorder is the stores as a transaction sees them (Aurora: WriteRecorder, earlier
// WriteAheadStorage). Each change is checked, brought into canonical form, applied,
// and only then recorded as an op: what did not take is not recorded, so every op
// that reaches the log can be replayed. Values are copied, so that a caller may do
// what it likes with its own afterwards.
//
// Writing is stricter than replaying: what a replay would drop or change is refused.
type recorder struct {
	tx    *storage.Tx
	ops   opList
	tiers schema.Tiers
	// owned tells that values handed over belong to the recorder already.
	owned bool

	mu    sync.Mutex
	ended bool
}

func (r *recorder) backfill() Backfill { return Backfill{Tiers: r.tiers} }

// end makes the transaction's context useless.
func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

func (r *recorder) hasEnded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// join runs a nested write inside the open transaction. If it fails, or panics, only
// its own part is undone. Its outcome is the outer one's, which the outer write
// waits for.
func (r *recorder) join(o WriteOptions, work func(*recorder) error) (*Pending, error) {
	if r.hasEnded() {
		return nil, fmt.Errorf("%w: the context is that of a transaction that has ended", persistence.ErrNotCommitted)
	}
	if o.Key != "" || o.After != nil {
		return nil, fmt.Errorf("%w: a nested write can't have conditions of its own", persistence.ErrNotCommitted)
	}
	savepoint, ops, done := r.tx.Savepoint(), r.ops.begin(), false
	defer func() {
		if !done {
			r.tx.Rollback(savepoint)
			r.ops.cut(ops)
		}
	}()
	if err := work(r); err != nil {
		return nil, err
	}
	done = true
	return settled(persistence.Commit{}), nil
}

var _ storage.Mutable = (*recorder)(nil)

func (r *recorder) FrameworkID() (string, bool) { return r.tx.FrameworkID() }

func (r *recorder) SaveFrameworkID(id string) error {
	if err := r.tx.SaveFrameworkID(id); err != nil {
		return err
	}
	r.ops.add(&api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(id)}})
	return nil
}

func (r *recorder) Tasks() storage.MutableTasks       { return recordTasks{r.tx.Tasks(), r} }
func (r *recorder) CronJobs() storage.MutableCronJobs { return recordCronJobs{r.tx.CronJobs(), r} }
func (r *recorder) Quotas() storage.MutableQuotas     { return recordQuotas{r.tx.Quotas(), r} }
func (r *recorder) Hosts() storage.MutableHosts       { return recordHosts{r.tx.Hosts(), r} }
func (r *recorder) JobUpdates() storage.MutableJobUpdates {
	return recordJobUpdates{r.tx.JobUpdates(), r}
}
func (r *recorder) Maintenance() storage.MutableMaintenance {
	return recordMaintenance{r.tx.Maintenance(), r}
}

// value is a pointer to a type of package api.
type value[T any] interface {
	*T
	Clone() *T
	Canonicalize()
	Validate() error
}

// take makes a caller's value the recorder's own, whole and canonical.
func take[T any, P value[T]](r *recorder, what string, v P, backfill func(P) error) (P, error) {
	if v == nil {
		return nil, fmt.Errorf("%w: no %s", storage.ErrNullArgument, what)
	}
	if err := v.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", storage.ErrInvalidArgument, what, err)
	}
	if !r.owned {
		v = P(v.Clone())
	}
	if backfill != nil {
		if err := backfill(v); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", storage.ErrInvalidArgument, what, err)
		}
	}
	v.Canonicalize()
	return v, nil
}

type recordTasks struct {
	storage.MutableTasks
	r *recorder
}

func (s recordTasks) Save(tasks ...*api.ScheduledTask) error {
	own := make([]*api.ScheduledTask, 0, len(tasks))
	for _, task := range tasks {
		if err := checkTask(task); err != nil {
			return err
		}
		task, err := take(s.r, "task "+task.AssignedTask.TaskID.Value, task, s.r.backfill().Task)
		if err != nil {
			return err
		}
		own = append(own, task)
	}
	if err := s.MutableTasks.Save(own...); err != nil {
		return err
	}
	shareConfigs(s.MutableTasks, own)
	s.r.ops.add(&api.Op{SaveTasks: &api.SaveTasks{Tasks: distinct(own)}})
	return nil
}

// shareConfigs makes tasks that were just saved use the configurations that the store
// keeps: whoever is told of them, and keeps them, then keeps no other ones.
func shareConfigs(stored storage.Tasks, tasks []*api.ScheduledTask) {
	for _, task := range tasks {
		if row, ok := stored.Fetch(task.AssignedTask.TaskID.Value); ok {
			task.AssignedTask.Task = row.AssignedTask.Task
		}
	}
}

// distinct keeps one of each id. The store has made sure that tasks with one id are
// equal; the op is a set, and one that is not could not be replayed once a later
// save is merged into it.
func distinct(tasks []*api.ScheduledTask) []*api.ScheduledTask {
	seen := make(map[string]bool, len(tasks))
	return slices.DeleteFunc(tasks, func(task *api.ScheduledTask) bool {
		id := task.AssignedTask.TaskID.Value
		repeated := seen[id]
		seen[id] = true
		return repeated
	})
}

// checkTask refuses tasks that could not be found again or told apart.
func checkTask(task *api.ScheduledTask) error {
	switch {
	case task == nil:
		return fmt.Errorf("%w: no task", storage.ErrNullArgument)
	case task.AssignedTask == nil || task.AssignedTask.TaskID.Value == "":
		return fmt.Errorf("%w: task without assignedTask.taskId", storage.ErrNullArgument)
	}
	id, config := task.AssignedTask.TaskID.Value, task.AssignedTask.Task
	switch {
	case !task.Status.Set:
		return fmt.Errorf("%w: task %s without status", storage.ErrNullArgument, id)
	case config == nil:
		return fmt.Errorf("%w: task %s without assignedTask.task", storage.ErrNullArgument, id)
	case !schema.ValidJobKey(config.Job):
		return fmt.Errorf("%w: task %s has job %q, which is no valid job key", storage.ErrInvalidArgument, id, schema.JobKeyString(config.Job))
	}
	return nil
}

func (s recordTasks) Delete(ids ...string) error {
	if err := s.MutableTasks.Delete(ids...); err != nil {
		return err
	}
	op := &api.RemoveTasks{TaskIDs: append([]string{}, ids...)}
	op.Canonicalize()
	s.r.ops.add(&api.Op{RemoveTasks: op})
	return nil
}

func (s recordTasks) Mutate(id string, change func(*api.ScheduledTask) error) (*api.ScheduledTask, error) {
	task, err := s.MutableTasks.Mutate(id, func(task *api.ScheduledTask) error {
		tier, theirs := tierOf(task), *task
		if err := change(&theirs); err != nil {
			return err
		}
		*task = *theirs.Clone() // what the caller was given, and put in, stays the caller's
		if task.AssignedTask == nil || task.AssignedTask.TaskID.Value != id {
			return nil // the store says what is wrong
		}
		if err := checkTask(task); err != nil {
			return err
		}
		if err := task.Validate(); err != nil {
			return fmt.Errorf("%w: task %s: %w", storage.ErrInvalidArgument, id, err)
		}
		// A tier that the cluster has no more may stay, so that the task can end.
		backfill := Backfill{Tiers: s.r.tiers, Replay: tierOf(task) == tier}
		if err := backfill.Task(task); err != nil {
			return fmt.Errorf("%w: task %s: %w", storage.ErrInvalidArgument, id, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.r.ops.add(&api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}})
	return task, nil
}

func tierOf(task *api.ScheduledTask) api.Optional[string] {
	if task.AssignedTask == nil || task.AssignedTask.Task == nil {
		return api.Optional[string]{}
	}
	return task.AssignedTask.Task.Tier
}

type recordCronJobs struct {
	storage.MutableCronJobs
	r *recorder
}

func (s recordCronJobs) Save(job *api.JobConfiguration) error {
	job, err := take(s.r, "cron job", job, s.r.backfill().CronJob)
	if err != nil {
		return err
	}
	if err := s.MutableCronJobs.Save(job); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: job}})
	return nil
}

func (s recordCronJobs) Remove(key *api.JobKey) error {
	key, err := take(s.r, "job key", key, nil)
	if err != nil {
		return err
	}
	if err := s.MutableCronJobs.Remove(key); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{RemoveJob: &api.RemoveJob{JobKey: key}})
	return nil
}

type recordQuotas struct {
	storage.MutableQuotas
	r *recorder
}

func (s recordQuotas) Save(role string, quota *api.ResourceAggregate) error {
	if role == "" {
		return fmt.Errorf("%w: quota without a role", storage.ErrNullArgument)
	}
	quota, err := take(s.r, "quota of role "+role, quota, func(q *api.ResourceAggregate) error {
		if err := schema.CheckQuota(q.Resources); err != nil { // strict: nothing is filled in
			return err
		}
		for _, r := range q.Resources {
			if cpus := r.NumCpus.Value; math.IsNaN(cpus) || math.IsInf(cpus, 0) || cpus < 0 || r.RamMb.Value < 0 || r.DiskMb.Value < 0 {
				return errors.New("a quota's amounts must be numbers of at least 0")
			}
		}
		return s.r.backfill().Quota(q)
	})
	if err != nil {
		return err
	}
	if err := s.MutableQuotas.Save(role, quota); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{SaveQuota: &api.SaveQuota{Role: api.Some(role), Quota: quota}})
	return nil
}

func (s recordQuotas) Remove(role string) error {
	if err := s.MutableQuotas.Remove(role); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{RemoveQuota: &api.RemoveQuota{Role: api.Some(role)}})
	return nil
}

type recordHosts struct {
	storage.MutableHosts
	r *recorder
}

// Save records a host's attributes if they changed. A record without an agent's id
// is refused: a replay would drop it.
func (s recordHosts) Save(attributes *api.HostAttributes) (bool, error) {
	attributes, err := take(s.r, "host attributes", attributes, nil)
	if err != nil {
		return false, err
	}
	if attributes.SlaveID.Value == "" {
		return false, fmt.Errorf("%w: attributes of host %q without slaveId", storage.ErrNullArgument, attributes.Host.Value)
	}
	changed, err := s.MutableHosts.Save(attributes)
	if err != nil || !changed {
		return changed, err
	}
	s.r.ops.add(&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: attributes}})
	return true, nil
}

type recordMaintenance struct {
	storage.MutableMaintenance
	r *recorder
}

func (s recordMaintenance) Save(request *api.HostMaintenanceRequest) error {
	request, err := take(s.r, "maintenance request", request, nil)
	if err != nil {
		return err
	}
	if err := s.MutableMaintenance.Save(request); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: request}})
	return nil
}

func (s recordMaintenance) Remove(host string) error {
	if err := s.MutableMaintenance.Remove(host); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{RemoveHostMaintenanceRequest: &api.RemoveHostMaintenanceRequest{Host: api.Some(host)}})
	return nil
}

type recordJobUpdates struct {
	storage.MutableJobUpdates
	r *recorder
}

func (s recordJobUpdates) Save(update *api.JobUpdate) error {
	update, err := take(s.r, "job update", update, s.r.backfill().JobUpdate)
	if err != nil {
		return err
	}
	if summary := update.Summary; summary != nil && summary.Key != nil && (!schema.ValidJobKey(summary.Key.Job) || summary.Key.ID.Value == "") {
		return fmt.Errorf("%w: job update %q of job %q: both must be valid", storage.ErrInvalidArgument, summary.Key.ID.Value, schema.JobKeyString(summary.Key.Job))
	}
	if err := s.MutableJobUpdates.Save(update); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: update}})
	return nil
}

func (s recordJobUpdates) SaveEvent(key *api.JobUpdateKey, event *api.JobUpdateEvent) error {
	key, err := take(s.r, "update key", key, nil)
	if err != nil {
		return err
	}
	if event, err = take(s.r, "update event", event, nil); err != nil {
		return err
	}
	if !event.Status.Set { // the update's own status would go with it
		return fmt.Errorf("%w: update event without a status", storage.ErrNullArgument)
	}
	if err := s.MutableJobUpdates.SaveEvent(key, event); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Event: event, Key: key}})
	return nil
}

func (s recordJobUpdates) SaveInstanceEvent(key *api.JobUpdateKey, event *api.JobInstanceUpdateEvent) error {
	key, err := take(s.r, "update key", key, nil)
	if err != nil {
		return err
	}
	if event, err = take(s.r, "instance update event", event, nil); err != nil {
		return err
	}
	if !event.Action.Set {
		return fmt.Errorf("%w: instance update event without an action", storage.ErrNullArgument)
	}
	if err := s.MutableJobUpdates.SaveInstanceEvent(key, event); err != nil {
		return err
	}
	s.r.ops.add(&api.Op{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Event: event, Key: key}})
	return nil
}

// Remove records the removal, which Aurora does not: there, pruned updates come back
// with the next recovery.
func (s recordJobUpdates) Remove(keys ...*api.JobUpdateKey) error {
	own := make([]*api.JobUpdateKey, len(keys))
	for i, key := range keys {
		var err error
		if own[i], err = take(s.r, "update key", key, nil); err != nil {
			return err
		}
	}
	if err := s.MutableJobUpdates.Remove(own...); err != nil {
		return err
	}
	op := &api.RemoveJobUpdates{Keys: own}
	op.Canonicalize()
	s.r.ops.add(&api.Op{RemoveJobUpdate: op})
	return nil
}
