package storage

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Query finds candidates by the most selective condition that has an index and passes
// each through the whole filter. So the way taken decides the cost, never the result.
// Ids come before jobs, these before hosts, these before role and statuses, of which
// those win that fewer tasks have.
func (s taskReader) Query(q *api.TaskQuery) (iter.Seq[*api.ScheduledTask], error) {
	if q == nil {
		return nil, errorf(ErrNullArgument, "no task query")
	}
	start := time.Now()
	candidates, err := s.candidates(q)
	if err != nil {
		return nil, err
	}
	matches := newTaskFilter(q)
	found := func(yield func(*api.ScheduledTask) bool) {
		for r := range candidates {
			if matches(r) && !yield(&r.task) {
				return
			}
		}
	}
	if s.onQuery == nil {
		return found, nil
	}
	q = q.Clone()
	begun := time.Since(start)
	return timed(found, func(took time.Duration, tasks int) { s.onQuery(q, begun+took, tasks) }), nil
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
		return s.tasks.built().byJob.rowsOf(distinctKeys(keys, compareJobKeys)).byID(), nil
	}
	if len(q.SlaveHosts) > 0 {
		s.queries.ByHost.Add(1)
		return s.tasks.built().byHost.rowsOf(distinctKeys(q.SlaveHosts, cmp.Compare)).byID(), nil
	}
	byRole, byStatus := !isBlank(q.Role), len(q.Statuses) > 0
	var role, statuses ranges
	if byRole {
		role = s.ofRole(q)
	}
	if byStatus {
		statuses = s.tasks.built().byStatus.rowsOf(distinctKeys(q.Statuses, cmp.Compare))
	}
	switch {
	case byRole && !(byStatus && statuses.len() < role.len()):
		s.queries.ByRole.Add(1)
		return role.byID(), nil
	case byStatus:
		s.queries.ByStatus.Add(1)
		return statuses.byID(), nil
	}
	s.queries.All.Add(1)
	return s.tasks.built().byID.all(), nil
}

// distinctKeys returns each key once.
func distinctKeys[K any](keys []K, compare func(a, b K) int) iter.Seq[K] {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, compare)
	return slices.Values(slices.CompactFunc(keys, func(a, b K) bool { return compare(a, b) == 0 }))
}

// ofRole returns the tasks of a role, or of an environment of it. Its jobs lie together,
// but their tasks are not in the order of ids: so they are read as those of many jobs.
func (s taskReader) ofRole(q *api.TaskQuery) ranges {
	var found ranges
	for job := range s.tasks.built().jobsOf(q.Role, q.Environment) {
		if !q.JobName.Set || compareStrings(&job.key.Name, &q.JobName) == 0 {
			found = append(found, job.rows)
		}
	}
	return found
}

// isBlank tells whether a role restricts nothing.
func isBlank(role api.Optional[string]) bool { return strings.TrimSpace(role.Get()) == "" }

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
	rows := s.tasks.built().byID.frozen()
	return func(yield func(*row) bool) {
		for _, id := range ids {
			if r, ok := rows.Get(idProbe(id)); ok && !yield(r) {
				return
			}
		}
	}
}

// newTaskFilter returns what decides whether a task matches a query: all its
// conditions hold. Unset ones, empty sets and a blank role always do.
func newTaskFilter(q *api.TaskQuery) func(*row) bool {
	role, environment, name := q.Role, q.Environment, q.JobName
	if isBlank(role) {
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
