package storage

import (
	"sync/atomic"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Options of NewState. The zero value is good.
type Options struct {
	// Queries counts the task queries on the state and all its successors; may be nil.
	Queries *QueryCounters
	// OnQuery is told of each reading of a task query's result, on the state and all its
	// successors, when the reading has ended; may be nil. The query is a copy, took is
	// what the store needed to find the tasks, without what the reader did with them, and
	// tasks are how many it read. It is called by readers, so by many goroutines at once.
	OnQuery func(q *api.TaskQuery, took time.Duration, tasks int)
}

// SlowQuery is how long a task query may take before people should hear of it: Aurora
// logs those that take longer at level info, the others at level debug.
const SlowQuery = 25 * time.Millisecond

// QueryCounters counts task queries by the way they found their candidates. Aurora's
// task_queries_by_id, task_queries_by_job and task_queries_by_host are the first three;
// its task_queries_all is the sum of the others, as it has no index for these.
type QueryCounters struct {
	ByID, ByJob, ByHost, ByRole, ByStatus, All atomic.Int64
}

// State is one version of all stores. It never changes and is safe for any number of
// goroutines.
type State struct{ stores stores }

var _ View = (*State)(nil)

// NewState returns a state that holds nothing.
func NewState(opts Options) *State {
	if opts.Queries == nil {
		opts.Queries = &QueryCounters{}
	}
	return &State{stores{
		queries:     opts.Queries,
		onQuery:     opts.OnQuery,
		tasks:       newTaskTrees(),
		cronJobs:    newTree(lessCronJob),
		quotas:      newTree(lessNamed[api.ResourceAggregate]),
		hosts:       newTree(lessNamed[api.HostAttributes]),
		maintenance: newTree(lessNamed[api.HostMaintenanceRequest]),
		jobUpdates:  newTree(lessJobUpdate),
	}}
}

// Begin returns a transaction on top of this state. Any number may be open, and each
// makes a state of its own.
func (s *State) Begin() *Tx { return &Tx{s.stores} }

// Counts returns how much the state holds.
func (s *State) Counts() Counts { return s.stores.counts() }

func (s *State) FrameworkID() (string, bool) { return s.stores.framework() }
func (s *State) Tasks() Tasks                { return taskReader{&s.stores} }
func (s *State) CronJobs() CronJobs          { return cronJobReader{&s.stores} }
func (s *State) Quotas() Quotas              { return quotaReader{&s.stores} }
func (s *State) Hosts() Hosts                { return hostReader{&s.stores} }
func (s *State) JobUpdates() JobUpdates      { return jobUpdateReader{&s.stores} }
func (s *State) Maintenance() Maintenance    { return maintenanceReader{&s.stores} }

// Counts says how much a version holds.
type Counts struct {
	Tasks, CronJobs, Quotas, Hosts, JobUpdates, Maintenance int

	// TaskJobs, TaskHosts and TaskStatuses are the entries of the task indices: the
	// tasks that have a job, a host, a status.
	TaskJobs, TaskHosts, TaskStatuses int
	// TaskConfigs is the number of different configurations that tasks have.
	TaskConfigs int
}

// stores is the root of a version: all trees. Copied only when frozen.
type stores struct {
	queries     *QueryCounters
	onQuery     func(*api.TaskQuery, time.Duration, int)
	frameworkID api.Optional[string]
	tasks       taskTrees
	cronJobs    tree[*api.JobConfiguration]
	quotas      tree[named[api.ResourceAggregate]]
	hosts       tree[named[api.HostAttributes]]
	maintenance tree[named[api.HostMaintenanceRequest]]
	jobUpdates  tree[*updateRow]
}

// freeze makes the trees safe to share. The stores given are the only ones that the
// transaction owns, so it is for its goroutine.
func (s *stores) freeze() {
	s.tasks.freeze()
	s.cronJobs.frozen()
	s.quotas.frozen()
	s.hosts.frozen()
	s.maintenance.frozen()
	s.jobUpdates.frozen()
}

func (s *stores) framework() (string, bool) { return s.frameworkID.Get(), s.frameworkID.Set }

func (s *stores) counts() Counts {
	tasks := s.tasks.built()
	return Counts{
		Tasks:        tasks.byID.len(),
		CronJobs:     s.cronJobs.len(),
		Quotas:       s.quotas.len(),
		Hosts:        s.hosts.len(),
		JobUpdates:   s.jobUpdates.len(),
		Maintenance:  s.maintenance.len(),
		TaskJobs:     tasks.byJob.entries,
		TaskHosts:    tasks.byHost.entries,
		TaskStatuses: tasks.byStatus.entries,
		TaskConfigs:  tasks.configs.len(),
	}
}

// named is a value kept under a name: a role or a host.
type named[T any] struct {
	name  string
	value *T
}

func lessNamed[T any](a, b named[T]) bool { return a.name < b.name }
