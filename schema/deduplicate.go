package schema

import (
	"fmt"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Most tasks of a job have equal configurations, which are by far the largest part of
// them. So whole states hold each configuration once, and tasks refer to it by index
// (Aurora: SnapshotDeduplicator).

// Deduplicate returns a copy of a snapshot in which equal task configurations are held
// once. Tasks come out in groups, in the order in which their configurations appear
// first. No tasks, unset or empty, leave both lists unset. Configurations are equal
// when their canonical forms are: the first of them is kept. A missing snapshot,
// task, assigned task or configuration is ErrNil.
func Deduplicate(s *api.Snapshot) (*api.DeduplicatedSnapshot, error) {
	if s == nil {
		return nil, fmt.Errorf("deduplicate snapshot: %w", ErrNil)
	}
	rest := *s
	rest.Tasks = nil
	d := &api.DeduplicatedSnapshot{PartialSnapshot: rest.Clone()}
	var groups [][]*api.ScheduledTask
	at := map[string]int{}
	for i, task := range s.Tasks {
		if task == nil || task.AssignedTask == nil || task.AssignedTask.Task == nil {
			return nil, fmt.Errorf("deduplicate snapshot: task %d has no configuration: %w", i, ErrNil)
		}
		key := string(task.AssignedTask.Task.AppendCanonical(nil))
		group, ok := at[key]
		if !ok {
			group = len(groups)
			at[key] = group
			groups = append(groups, nil)
			d.TaskConfigs = append(d.TaskConfigs, task.AssignedTask.Task.Clone())
		}
		groups[group] = append(groups[group], task)
	}
	for i, group := range groups {
		for _, task := range group {
			partial, _ := WithoutConfig(task)
			d.PartialTasks = append(d.PartialTasks, &api.DeduplicatedScheduledTask{PartialScheduledTask: partial.Clone(), TaskConfigID: int32(i)})
		}
	}
	return d, nil
}

// Reduplicate undoes Deduplicate, on a copy. Tasks that had one configuration share it
// in the result. Without taskConfigs the tasks stay unset, and without tasks too. An
// index that is not one of a configuration is a *CodingError. A missing snapshot,
// partial snapshot, partial task or assigned task is ErrNil.
func Reduplicate(d *api.DeduplicatedSnapshot) (*api.Snapshot, error) {
	if d == nil || d.PartialSnapshot == nil {
		return nil, fmt.Errorf("reduplicate snapshot: %w", ErrNil)
	}
	own := d.Clone()
	s := own.PartialSnapshot
	if own.TaskConfigs == nil {
		return s, nil
	}
	tasks, err := JoinTasks(own.PartialTasks, own.TaskConfigs)
	if err != nil {
		return nil, fmt.Errorf("reduplicate snapshot: %w", err)
	}
	s.Tasks = append(s.Tasks, tasks...)
	return s, nil
}

// JoinTasks puts the configurations back into partial tasks, in place, and returns
// these. Tasks with one index share the configuration. Errors are those of
// Reduplicate.
func JoinTasks(partial []*api.DeduplicatedScheduledTask, configs []*api.TaskConfig) ([]*api.ScheduledTask, error) {
	tasks := make([]*api.ScheduledTask, 0, len(partial))
	for i, p := range partial {
		if p == nil {
			return nil, fmt.Errorf("partial task %d: %w", i, ErrNil)
		}
		if id := p.TaskConfigID; id < 0 || int(id) >= len(configs) {
			return nil, &CodingError{fmt.Errorf("DeduplicatedScheduledTask referenced invalid task index %d", id)}
		}
		config := configs[p.TaskConfigID]
		if config == nil || p.PartialScheduledTask == nil || p.PartialScheduledTask.AssignedTask == nil {
			return nil, fmt.Errorf("partial task %d has no assigned task or no configuration: %w", i, ErrNil)
		}
		p.PartialScheduledTask.AssignedTask.Task = config
		tasks = append(tasks, p.PartialScheduledTask)
	}
	return tasks, nil
}

// WithoutConfig returns a copy of a task without its configuration, sharing all else,
// and the configuration. The task must have an assigned task.
func WithoutConfig(task *api.ScheduledTask) (*api.ScheduledTask, *api.TaskConfig) {
	partial, assigned := *task, *task.AssignedTask
	assigned.Task = nil
	partial.AssignedTask = &assigned
	return &partial, task.AssignedTask.Task
}

// ExpandLogEntry returns what an entry of Aurora's log, put together from its frames,
// stands for: a deflated entry inflated, a deduplicated snapshot as a plain one, and
// all others as they are. Deflation is looked at once, and first: an entry that is
// deflated twice comes back deflated, a frame within stays a frame. limit is that of
// Inflate. Errors are those of Inflate and Reduplicate.
func ExpandLogEntry(e *api.LogEntry, limit int64) (*api.LogEntry, error) {
	if e == nil {
		return nil, fmt.Errorf("expand log entry: %w", ErrNil)
	}
	if e.DeflatedEntry != nil {
		inflated, err := Inflate[api.LogEntry](e.DeflatedEntry, limit)
		if err != nil {
			return nil, err
		}
		e = inflated
	}
	if e.DeduplicatedSnapshot == nil {
		return e, nil
	}
	s, err := Reduplicate(e.DeduplicatedSnapshot)
	if err != nil {
		return nil, err
	}
	return &api.LogEntry{Snapshot: s}, nil
}
