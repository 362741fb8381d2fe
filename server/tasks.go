package server

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

func (s *server) getTask(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	task, ok := q.Tasks().Fetch(id)
	return q.answer(task, ok, "task", id)
}

// The filters of tasks, and what shapes the answer of every list.
var (
	taskFilters = []string{"role", "environment", "job", "id", "instance", "status", "host", "slave"}
	listing     = []string{"offset", "limit"}
)

func (s *server) getTasks(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, slices.Concat(taskFilters, listing)...)
	if err != nil {
		return err
	}
	return q.listTasks()
}

func (q *read) listTasks() error {
	total := q.Tasks().Len()
	if q.given(taskFilters...) {
		total = uncounted
	}
	tasks, err := q.tasks()
	if err != nil {
		return err
	}
	return list(q, "tasks", tasks, total)
}

// tasks are those that all filters match.
func (q *read) tasks() (iter.Seq[*api.ScheduledTask], error) {
	if !q.given(taskFilters...) {
		return q.Tasks().All(), nil
	}
	query, err := q.taskQuery()
	if err != nil {
		return nil, err
	}
	tasks, err := q.Tasks().Query(query)
	if err != nil {
		return nil, err
	}
	if slaves := q.many("slave"); len(slaves) > 0 {
		tasks = filter(tasks, func(t *api.ScheduledTask) bool {
			return isOneOf(t.AssignedTask.SlaveID, slaves) || isOneOf(t.AssignedTask.SlaveHost, slaves)
		})
	}
	return tasks, nil
}

// taskQuery has all filters but slave, which the stores do not know.
func (p *parameters) taskQuery() (*api.TaskQuery, error) {
	name, keys := p.jobs()
	q := &api.TaskQuery{Role: p.one("role"), Environment: p.one("environment"), JobName: name, JobKeys: keys,
		TaskIDs: p.many("id"), InstanceIDs: p.numbers("instance"), SlaveHosts: p.many("host"),
		Statuses: enums[api.ScheduleStatus](p, "status")}
	return q, p.err
}

// jobs reads the parameter job: one name, or any number of keys.
func (p *parameters) jobs() (name api.Optional[string], keys []*api.JobKey) {
	for _, text := range p.many("job") {
		if strings.Contains(text, "/") {
			keys = append(keys, p.jobKey("job", text))
		} else {
			name = api.Some(text)
		}
	}
	if name.Set && len(p.many("job")) > 1 {
		p.fail("job", "of several jobs each must be given as role/environment/name")
	}
	return name, keys
}

func filter[T any](items iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for item := range items {
			if keep(item) && !yield(item) {
				return
			}
		}
	}
}

func isOneOf(value api.Optional[string], values []string) bool {
	return value.Set && slices.Contains(values, value.Value)
}
