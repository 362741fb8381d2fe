package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

type taskReader struct{ *stores }

func (s taskReader) Len() int { return s.tasks.built().byID.len() }

func (s taskReader) Fetch(id string) (*api.ScheduledTask, bool) {
	r, ok := s.tasks.built().byID.get(idProbe(id))
	if !ok {
		return nil, false
	}
	return &r.task, true
}

func (s taskReader) All() iter.Seq[*api.ScheduledTask] {
	rows := s.tasks.built().byID.all()
	return func(yield func(*api.ScheduledTask) bool) {
		for r := range rows {
			if !yield(&r.task) {
				return
			}
		}
	}
}

func (s taskReader) JobKeys() []*api.JobKey {
	keys := []*api.JobKey{}
	s.tasks.built().byJob.groups.items.Scan(func(g *group[*api.JobKey]) bool {
		keys = append(keys, g.key)
		return true
	})
	return keys
}

type taskWriter struct{ taskReader }

func (s taskWriter) Save(tasks ...*api.ScheduledTask) error {
	rows := make([]*row, 0, len(tasks))
	// seen are the tasks so far, once one does not come behind all before it. Before
	// that no two are the same.
	var seen map[string]*api.ScheduledTask
	for i, task := range tasks {
		if task == nil || task.AssignedTask == nil || !task.AssignedTask.TaskID.Set {
			return errorf(ErrNullArgument, "task %d of the %d to be saved has no id", i+1, len(tasks))
		}
		id := task.AssignedTask.TaskID.Value
		if seen == nil && i > 0 && id <= tasks[i-1].AssignedTask.TaskID.Value {
			seen = make(map[string]*api.ScheduledTask, len(tasks))
			for _, other := range tasks[:i] {
				seen[other.AssignedTask.TaskID.Value] = other
			}
		}
		if seen != nil {
			if other, ok := seen[id]; ok {
				if other.Equal(task) {
					continue // the tasks are a set: this is one member given twice
				}
				return errorf(ErrIllegalState, "Proposed new tasks would create task ID collision. Two of them have the id %q", id)
			}
			seen[id] = task
		}
		rows = append(rows, newRow(task))
	}
	s.tasks.save(rows)
	return nil
}

func (s taskWriter) Delete(ids ...string) error {
	s.tasks.built().remove(ids...)
	return nil
}

func (s taskWriter) Mutate(id string, change func(*api.ScheduledTask) error) (*api.ScheduledTask, error) {
	stored, ok := s.Fetch(id)
	if !ok {
		return nil, errorf(ErrNotFound, "task %q: there is no such task", id)
	}
	task := stored.Clone()
	if err := change(task); err != nil {
		return nil, err
	}
	task.Canonicalize()
	if task.AssignedTask == nil || task.AssignedTask.TaskID != api.Some(id) {
		return nil, errorf(ErrIllegalState, "task %q: A task's ID may not be mutated.", id)
	}
	if task.Equal(stored) {
		return stored, nil
	}
	r := newRow(task)
	s.tasks.put(r) // built when the task was fetched
	return &r.task, nil
}
