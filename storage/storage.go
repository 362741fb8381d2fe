package storage

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// View reads all stores. Every State is one, and stays the same for ever. What a View
// returns is shared: it must not be changed.
//
// Sequences may be ranged over any number of times, also while the stores they come
// from are written: they show the stores as they were when the method was called.
type View interface {
	// FrameworkID returns the framework id, and false if none was ever saved.
	FrameworkID() (string, bool)
	Tasks() Tasks
	CronJobs() CronJobs
	Quotas() Quotas
	Hosts() Hosts
	JobUpdates() JobUpdates
	Maintenance() Maintenance
}

// Mutable reads and writes all stores. It sees its own changes. It is for one
// goroutine at a time. Values saved are handed over: canonical, and not to be changed
// afterwards.
type Mutable interface {
	FrameworkID() (string, bool)
	// SaveFrameworkID replaces the framework id.
	SaveFrameworkID(id string) error
	Tasks() MutableTasks
	CronJobs() MutableCronJobs
	Quotas() MutableQuotas
	Hosts() MutableHosts
	JobUpdates() MutableJobUpdates
	Maintenance() MutableMaintenance
}

// Tasks reads the task store, which is keyed by task id.
type Tasks interface {
	Len() int
	// Fetch returns the task with that id, and false if there is none.
	Fetch(id string) (*api.ScheduledTask, bool)
	// All returns every task, in the order of their ids.
	All() iter.Seq[*api.ScheduledTask]
	// Query returns the tasks that match, each once, in the order of their ids. Offset
	// and limit of the query are left to the caller: see Page. A nil query is an
	// ErrNullArgument; a job key that could not belong to a job is an
	// ErrInvalidArgument if the query is one by job.
	Query(q *api.TaskQuery) (iter.Seq[*api.ScheduledTask], error)
	// JobKeys returns the jobs that have a task, each once, in order.
	JobKeys() []*api.JobKey
}

// MutableTasks reads and writes the task store.
type MutableTasks interface {
	Tasks
	// Save inserts or replaces tasks by id. Every task must have an id (else
	// ErrNullArgument), and different tasks different ids (else ErrIllegalState);
	// otherwise nothing is saved. The row stored may be a copy that shares its
	// configuration with other tasks.
	Save(tasks ...*api.ScheduledTask) error
	// Delete deletes the tasks with these ids. Unknown ids are ignored.
	Delete(ids ...string) error
	// Mutate calls change with a private copy of a task and stores what became of it,
	// in canonical form. It returns the task as stored. If nothing changed, that is
	// the row that was there. An unknown id is ErrNotFound, and change is not called;
	// a changed id is ErrIllegalState; an error of change is returned as it is. Nothing
	// is stored then.
	Mutate(id string, change func(task *api.ScheduledTask) error) (*api.ScheduledTask, error)
}

// CronJobs reads the cron job store, which is keyed by job key.
type CronJobs interface {
	Len() int
	Fetch(key *api.JobKey) (*api.JobConfiguration, bool)
	// All returns every job, in the order of their keys.
	All() iter.Seq[*api.JobConfiguration]
}

// MutableCronJobs reads and writes the cron job store.
type MutableCronJobs interface {
	CronJobs
	// Save inserts or replaces a job under its key, whose three parts must be valid
	// identifiers, else ErrInvalidArgument.
	Save(job *api.JobConfiguration) error
	// Remove removes a job. An unknown key is ignored.
	Remove(key *api.JobKey) error
}

// Quotas reads the quota store, which is keyed by role.
type Quotas interface {
	Len() int
	Fetch(role string) (*api.ResourceAggregate, bool)
	// All returns every role and its quota, in the order of the roles.
	All() iter.Seq2[string, *api.ResourceAggregate]
}

// MutableQuotas reads and writes the quota store.
type MutableQuotas interface {
	Quotas
	// Save inserts or replaces the quota of a role. It is not looked into.
	Save(role string, quota *api.ResourceAggregate) error
	// Remove removes the quota of a role. An unknown role is ignored.
	Remove(role string) error
}

// Hosts reads the attribute store, which is keyed by host name. Two agents on one
// host share one record.
type Hosts interface {
	Len() int
	Fetch(host string) (*api.HostAttributes, bool)
	// All returns every record, in the order of the host names.
	All() iter.Seq[*api.HostAttributes]
}

// MutableHosts reads and writes the attribute store.
type MutableHosts interface {
	Hosts
	// Save inserts or replaces the whole record of a host: attributes, mode and agent.
	// It reports whether there was none or a different one. An attribute without
	// values or a missing mode is ErrInvalidArgument.
	Save(attributes *api.HostAttributes) (changed bool, err error)
}

// Maintenance reads the store of maintenance requests, which is keyed by host name.
type Maintenance interface {
	Len() int
	Fetch(host string) (*api.HostMaintenanceRequest, bool)
	// All returns every request, in the order of the host names.
	All() iter.Seq[*api.HostMaintenanceRequest]
}

// MutableMaintenance reads and writes the store of maintenance requests.
type MutableMaintenance interface {
	Maintenance
	// Save inserts or replaces the request for its host.
	Save(request *api.HostMaintenanceRequest) error
	// Remove removes the request for a host. An unknown host is ignored.
	Remove(host string) error
}

// JobUpdates reads the job update store, which is keyed by update key. The state in
// the summary of what it returns is always the one that follows from the events.
type JobUpdates interface {
	Len() int
	Fetch(key *api.JobUpdateKey) (*api.JobUpdateDetails, bool)
	// All returns every update with its events, in the order of their keys.
	All() iter.Seq[*api.JobUpdateDetails]
	// Query returns the updates that match, the one modified last first, ties in the
	// order of their keys. It skips the query's offset and returns at most its limit if
	// that is above 0. A nil query is ErrNullArgument, a negative offset
	// ErrInvalidArgument.
	Query(q *api.JobUpdateQuery) ([]*api.JobUpdateDetails, error)
}

// MutableJobUpdates reads and writes the job update store.
type MutableJobUpdates interface {
	JobUpdates
	// Save inserts an update without events, or replaces one, its events included.
	// Instructions that say nothing or lack a part are ErrInvalidArgument. The state in
	// the summary given is ignored.
	Save(update *api.JobUpdate) error
	// SaveEvent adds an event to an update. Events are kept in the order of their
	// timestamps, equal ones in the order of saving. An unknown key is ErrNotFound.
	SaveEvent(key *api.JobUpdateKey, event *api.JobUpdateEvent) error
	// SaveInstanceEvent does for an event of an instance what SaveEvent does.
	SaveInstanceEvent(key *api.JobUpdateKey, event *api.JobInstanceUpdateEvent) error
	// Remove removes updates and their events. Unknown keys are ignored.
	Remove(keys ...*api.JobUpdateKey) error
}

// ReadOnly returns a View of what a Mutable holds, its own changes included. Unlike a
// State it changes with every write, and it is for the goroutine that writes.
func ReadOnly(m Mutable) View { return readOnly{m} }

type readOnly struct{ m Mutable }

func (v readOnly) FrameworkID() (string, bool) { return v.m.FrameworkID() }
func (v readOnly) Tasks() Tasks                { return v.m.Tasks() }
func (v readOnly) CronJobs() CronJobs          { return v.m.CronJobs() }
func (v readOnly) Quotas() Quotas              { return v.m.Quotas() }
func (v readOnly) Hosts() Hosts                { return v.m.Hosts() }
func (v readOnly) JobUpdates() JobUpdates      { return v.m.JobUpdates() }
func (v readOnly) Maintenance() Maintenance    { return v.m.Maintenance() }
