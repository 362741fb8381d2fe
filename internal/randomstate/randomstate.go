// Package randomstate makes up states of all stores, for tests that take a state
// somewhere and back. What it makes is what a scheduler may write: every field is
// there, empty or missing, now and then, and names repeat, so that rows are replaced
// and configurations shared.
package randomstate

import (
	"fmt"
	"math/rand/v2"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Source makes ops. The same seeds make the same ops.
type Source struct {
	*rand.Rand
	updates []*api.JobUpdateKey // that were saved and not removed
}

// New returns a source of a seed.
func New(seed uint64) *Source { return &Source{Rand: rand.New(rand.NewPCG(seed, 0))} }

// Transactions returns the ops of n transactions, each of which a store accepts after
// those before it.
func (s *Source) Transactions(n int) [][]*api.Op {
	all := make([][]*api.Op, n)
	for i := range all {
		all[i] = make([]*api.Op, 1+s.IntN(3))
		for j := range all[i] {
			all[i][j] = s.Op()
		}
	}
	return all
}

// Op returns an op that a store accepts after those before it.
func (s *Source) Op() *api.Op {
	switch n := s.IntN(20); {
	case n < 7:
		return &api.Op{SaveTasks: &api.SaveTasks{Tasks: s.tasks()}}
	case n < 8:
		ids := []string{}
		for range s.IntN(4) {
			ids = append(ids, s.taskID())
		}
		return &api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: ids}}
	case n < 10:
		return &api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: s.host()}}
	case n < 12:
		return s.cronJob()
	case n < 14:
		return s.quota()
	case n < 15:
		return s.maintenance()
	case n < 16:
		return &api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(fmt.Sprint("framework-", s.IntN(3)))}}
	}
	return s.jobUpdate()
}

func (s *Source) taskID() string { return fmt.Sprintf("task-%d", s.IntN(30)) }

func (s *Source) jobKey() *api.JobKey {
	return schema.NewJobKey(pick(s, "www", "mesos", "ads.x", "r-1"), pick(s, "prod", "devel", "test_2"), pick(s, "hello", "batch", "a", "b.c-d"))
}

func (s *Source) hostName() string { return fmt.Sprintf("host-%d.example.org", s.IntN(8)) }

func (s *Source) tasks() []*api.ScheduledTask {
	tasks := []*api.ScheduledTask{}
	seen := map[string]bool{}
	for range s.IntN(5) {
		task := &api.ScheduledTask{}
		s.fill(task)
		id := s.taskID()
		if seen[id] {
			continue
		}
		seen[id] = true
		if task.AssignedTask == nil {
			task.AssignedTask = &api.AssignedTask{}
		}
		task.AssignedTask.TaskID = api.Some(id)
		task.AssignedTask.Task = s.config()
		if task.AssignedTask.SlaveHost.Set {
			task.AssignedTask.SlaveHost = api.Some(s.hostName())
		}
		if !task.Status.Set {
			task.Status = api.Some(api.ScheduleStatusPENDING)
		}
		tasks = append(tasks, task)
	}
	return tasks
}

// config returns one of few configurations of a job, so that tasks share them.
func (s *Source) config() *api.TaskConfig {
	few := &Source{Rand: rand.New(rand.NewPCG(s.Uint64N(12), 1))}
	config := &api.TaskConfig{}
	few.fill(config)
	config.Job = few.jobKey()
	few.tier(config)
	return config
}

func (s *Source) tier(config *api.TaskConfig) {
	config.Tier = api.Optional[string]{}
	if s.IntN(2) == 0 {
		config.Tier = api.Some(pick(s, "preferred", "preemptible", "revocable"))
	}
}

func (s *Source) host() *api.HostAttributes {
	host := &api.HostAttributes{}
	s.fill(host)
	host.Host, host.SlaveID = api.Some(s.hostName()), api.Some(fmt.Sprint("agent-", s.IntN(20)))
	if !host.Mode.Set {
		host.Mode = api.Some(api.MaintenanceModeNONE)
	}
	for _, a := range host.Attributes {
		if len(a.Values) == 0 {
			a.Values = []string{"some"}
		}
	}
	return host
}

func (s *Source) cronJob() *api.Op {
	if s.IntN(5) == 0 {
		return &api.Op{RemoveJob: &api.RemoveJob{JobKey: s.jobKey()}}
	}
	job := &api.JobConfiguration{}
	s.fill(job)
	job.Key, job.TaskConfig = s.jobKey(), s.config()
	return &api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: job}}
}

func (s *Source) quota() *api.Op {
	role := api.Some(pick(s, "www", "mesos", "ads.x"))
	if s.IntN(5) == 0 {
		return &api.Op{RemoveQuota: &api.RemoveQuota{Role: role}}
	}
	return &api.Op{SaveQuota: &api.SaveQuota{Role: role, Quota: &api.ResourceAggregate{Resources: []*api.Resource{
		{NumCpus: api.Some(float64(s.IntN(100)) / 4)}, {RamMb: api.Some(s.Int64N(1 << 20))}, {DiskMb: api.Some(s.Int64N(1 << 40))}}}}}
}

func (s *Source) maintenance() *api.Op {
	if s.IntN(4) == 0 {
		return &api.Op{RemoveHostMaintenanceRequest: &api.RemoveHostMaintenanceRequest{Host: api.Some(s.hostName())}}
	}
	request := &api.HostMaintenanceRequest{}
	s.fill(request)
	request.Host = api.Some(s.hostName())
	return &api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: request}}
}

func (s *Source) jobUpdate() *api.Op {
	n := s.IntN(10)
	switch {
	case len(s.updates) == 0 || n < 3:
		return s.saveUpdate()
	case n < 4:
		i := s.IntN(len(s.updates))
		key := s.updates[i]
		s.updates = append(s.updates[:i:i], s.updates[i+1:]...)
		return &api.Op{RemoveJobUpdate: &api.RemoveJobUpdates{Keys: []*api.JobUpdateKey{key}}}
	case n < 7:
		event := &api.JobUpdateEvent{}
		s.fill(event)
		event.TimestampMs = s.Int64N(5) // late, early, and equal ones
		if !event.Status.Set {
			event.Status = api.Some(api.JobUpdateStatusROLLING_FORWARD)
		}
		return &api.Op{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Key: s.anUpdate(), Event: event}}
	}
	event := &api.JobInstanceUpdateEvent{}
	s.fill(event)
	event.TimestampMs = s.Int64N(5)
	if !event.Action.Set {
		event.Action = api.Some(api.JobUpdateActionINSTANCE_UPDATING)
	}
	return &api.Op{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Key: s.anUpdate(), Event: event}}
}

func (s *Source) anUpdate() *api.JobUpdateKey { return s.updates[s.IntN(len(s.updates))].Clone() }

func (s *Source) saveUpdate() *api.Op {
	update := &api.JobUpdate{}
	s.fill(update)
	key := &api.JobUpdateKey{Job: s.jobKey(), ID: api.Some(fmt.Sprint("update-", s.IntN(4)))}
	if update.Summary == nil {
		update.Summary = &api.JobUpdateSummary{}
	}
	update.Summary.Key = key
	in := &api.JobUpdateInstructions{}
	if update.Instructions != nil {
		in.Settings = update.Instructions.Settings
	}
	if s.IntN(4) > 0 {
		in.DesiredState = s.instances()
	}
	for range s.IntN(3) {
		in.InitialState = append(in.InitialState, s.instances())
	}
	if in.DesiredState == nil && len(in.InitialState) == 0 {
		in.DesiredState = s.instances()
	}
	update.Instructions = in
	for _, known := range s.updates {
		if known.Equal(key) {
			return &api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: update}}
		}
	}
	s.updates = append(s.updates, key)
	return &api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: update}}
}

func (s *Source) instances() *api.InstanceTaskConfig {
	first := s.Int32N(10)
	return &api.InstanceTaskConfig{Task: s.config(), Instances: []*api.Range{{First: first, Last: first + s.Int32N(5)}}}
}

func pick[T any](s *Source, from ...T) T { return from[s.IntN(len(from))] }
