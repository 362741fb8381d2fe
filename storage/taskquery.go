package storage

import (
	"iter"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Query finds candidates by the most selective condition that has an index (ids, jobs,
// hosts, statuses, in this order) and passes each through the whole filter. So the way
// taken decides the cost, never the result.
func (s taskReader) Query(q *api.TaskQuery) (iter.Seq[*api.ScheduledTask], error) {
	if q == nil {
		return nil, errorf(ErrNullArgument, "no task query")
	}
	candidates, err := s.candidates(q)
	if err != nil {
		return nil, err
	}
	matches := newTaskFilter(q)
	return func(yield func(*api.ScheduledTask) bool) {
		for r := range candidates {
			if matches(r) && !yield(&r.task) {
				return
			}
		}
	}, nil
}

// candidates returns all rows that can match, and perhaps others, in the order of
// their ids.
func (s taskReader) candidates(q *api.TaskQuery) (iter.Seq[*row], error) {
	if len(q.TaskIDs) > 0 {
		s.queries.ByID.Add(1)
		return s.lookUp(q.TaskIDs), nil
	}
	if keys := queriedJobs(q); len(keys) > 0 {
		for _, key := range keys {
			if !schema.ValidJobKey(key) {
				return nil, errorf(ErrInvalidArgument, "task query: job key %q is not valid: %s", schema.JobKeyString(key), identifierRule)
			}
		}
		s.queries.ByJob.Add(1)
		return mergeRanges(&s.tasks.byJob, compareJobs, probes(keys, jobProbe)), nil
	}
	if len(q.SlaveHosts) > 0 {
		s.queries.ByHost.Add(1)
		return mergeRanges(&s.tasks.byHost, compareHosts, probes(q.SlaveHosts, hostProbe)), nil
	}
	if len(q.Statuses) > 0 {
		s.queries.ByStatus.Add(1)
		return mergeRanges(&s.tasks.byStatus, compareStatuses, probes(q.Statuses, statusProbe)), nil
	}
	s.queries.All.Add(1)
	return s.tasks.byID.all(), nil
}

// queriedJobs returns the jobs that a query names, none if it is not one by job. A
// query by job that has a job name too must be complete and valid, also if the name
// came with nothing else.
func queriedJobs(q *api.TaskQuery) []*api.JobKey {
	named := q.Role.Set && q.Environment.Set && q.JobName.Set
	if !named && len(q.JobKeys) == 0 {
		return nil
	}
	keys := slices.Clone(q.JobKeys)
	if q.JobName.Set {
		keys = append(keys, &api.JobKey{Role: q.Role, Environment: q.Environment, Name: q.JobName})
	}
	return keys
}

func (s taskReader) lookUp(ids []string) iter.Seq[*row] {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	rows := s.tasks.byID.frozen()
	return func(yield func(*row) bool) {
		for _, id := range ids {
			if r, ok := rows.Get(idProbe(id)); ok && !yield(r) {
				return
			}
		}
	}
}

func probes[K any](keys []K, probe func(K) *row) []*row {
	rows := make([]*row, len(keys))
	for i, key := range keys {
		rows[i] = probe(key)
	}
	return rows
}

// newTaskFilter returns what decides whether a task matches a query: all its
// conditions hold. Unset ones, empty sets and a blank role always do.
func newTaskFilter(q *api.TaskQuery) func(*row) bool {
	role, environment, name := q.Role, q.Environment, q.JobName
	if strings.TrimSpace(role.Get()) == "" {
		role = api.Optional[string]{}
	}
	statuses := slices.Clone(q.Statuses)
	ids, hosts, instances := newSet(q.TaskIDs), newSet(q.SlaveHosts), newSet(q.InstanceIDs)
	jobs := make(set[api.JobKey], len(q.JobKeys))
	for _, key := range q.JobKeys {
		jobs[plainJobKey(key)] = struct{}{}
	}
	byJob := role.Set || environment.Set || name.Set || len(jobs) > 0

	return func(r *row) bool {
		if byJob {
			job := r.job()
			if job == nil {
				return false
			}
			if role.Set && compareStrings(&job.Role, &role) != 0 ||
				environment.Set && compareStrings(&job.Environment, &environment) != 0 ||
				name.Set && compareStrings(&job.Name, &name) != 0 ||
				len(jobs) > 0 && !jobs.admits(plainJobKey(job)) {
				return false
			}
		}
		if len(statuses) > 0 && !(r.task.Status.Set && slices.Contains(statuses, r.task.Status.Value)) {
			return false
		}
		if len(hosts) > 0 && !(r.assigned.SlaveHost.Set && hosts.admits(r.assigned.SlaveHost.Value)) {
			return false
		}
		return ids.admits(r.id()) && instances.admits(r.assigned.InstanceID)
	}
}

// plainJobKey returns a key that == compares as Equal does.
func plainJobKey(key *api.JobKey) api.JobKey {
	if key == nil {
		return api.JobKey{}
	}
	return api.JobKey{Role: plain(key.Role), Environment: plain(key.Environment), Name: plain(key.Name)}
}

func plain(s api.Optional[string]) api.Optional[string] {
	if !s.Set {
		return api.Optional[string]{}
	}
	return s
}

// set is a condition on a value; an empty one admits every value.
type set[T comparable] map[T]struct{}

func newSet[T comparable](members []T) set[T] {
	s := make(set[T], len(members))
	for _, m := range members {
		s[m] = struct{}{}
	}
	return s
}

func (s set[T]) admits(v T) bool {
	if len(s) == 0 {
		return true
	}
	_, ok := s[v]
	return ok
}
