package storage

import (
	"slices"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Selection builds a task query:
//
//	q, err := storage.Selection{}.ByRole("www").Active().Query()
//
// The zero Selection selects all tasks. Each method returns a new one with its part
// replaced, not added to, and leaves the old one as it was. What a method was given
// wrongly is the error of Query.
type Selection struct {
	query api.TaskQuery
	err   error
}

// SelectionOf starts from a raw query, which is copied.
func SelectionOf(q *api.TaskQuery) Selection {
	if q == nil {
		return Selection{err: errorf(ErrNullArgument, "no task query")}
	}
	return Selection{query: *q.Clone()}
}

// Query returns the query, a copy, or the first error met while it was built.
func (s Selection) Query() (*api.TaskQuery, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.query.Clone(), nil
}

// ByID selects the tasks with these ids.
func (s Selection) ByID(ids ...string) Selection {
	s.query.TaskIDs = slices.Clone(ids)
	return s
}

// ByRole selects the tasks of a role.
func (s Selection) ByRole(role string) Selection {
	s.query.Role = api.Some(role)
	return s
}

// ByEnv selects the tasks of an environment of a role.
func (s Selection) ByEnv(role, environment string) Selection {
	s.query.Environment = api.Some(environment)
	return s.ByRole(role)
}

// ByJob selects the tasks of a job.
func (s Selection) ByJob(key *api.JobKey) Selection {
	return s.validJob(key).ByJobKeys(key)
}

// ByJobKeys selects the tasks of any of these jobs. Whether the keys are valid shows
// when the query runs.
func (s Selection) ByJobKeys(keys ...*api.JobKey) Selection {
	s.query.JobKeys = make([]*api.JobKey, len(keys))
	for i, key := range keys {
		s.query.JobKeys[i] = key.Clone()
	}
	return s
}

// ByInstances selects instances of a job, all of them if no id is given.
func (s Selection) ByInstances(key *api.JobKey, ids ...int32) Selection {
	s = s.validJob(key)
	if key != nil {
		s = s.ByEnv(key.Role.Get(), key.Environment.Get())
		s.query.JobName = key.Name
	}
	s.query.InstanceIDs = slices.Clone(ids)
	return s
}

// BySlave selects the tasks on these hosts.
func (s Selection) BySlave(hosts ...string) Selection {
	s.query.SlaveHosts = slices.Clone(hosts)
	return s
}

// ByStatus selects the tasks in one of these states; there must be one.
func (s Selection) ByStatus(statuses ...api.ScheduleStatus) Selection {
	if len(statuses) == 0 {
		return s.fail(errorf(ErrInvalidArgument, "selection by status without a status"))
	}
	s.query.Statuses = slices.Clone(statuses)
	return s
}

// Active selects the tasks that are to run or run.
func (s Selection) Active() Selection { return s.ByStatus(schema.ActiveStates()...) }

// Terminal selects the tasks that have ended.
func (s Selection) Terminal() Selection { return s.ByStatus(schema.TerminalStates()...) }

func (s Selection) validJob(key *api.JobKey) Selection {
	switch {
	case key == nil:
		return s.fail(errorf(ErrNullArgument, "selection by job without a job key"))
	case !schema.ValidJobKey(key):
		return s.fail(errorf(ErrInvalidArgument, "selection by job: key %q is not valid: %s", schema.JobKeyString(key), identifierRule))
	}
	return s
}

func (s Selection) fail(err error) Selection {
	if s.err == nil {
		s.err = err
	}
	return s
}
