package storage

import (
	"iter"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Kind is one of the kinds of rows that a state has, by the name of its store.
type Kind string

// The kinds of rows, and what a row of each is.
const (
	KindTasks       Kind = "tasks"        // *api.ScheduledTask, by its id
	KindCronJobs    Kind = "cron-jobs"    // *api.JobConfiguration, by role/environment/name
	KindQuotas      Kind = "quotas"       // *api.ResourceAggregate, by role
	KindHosts       Kind = "hosts"        // *api.HostAttributes, by host
	KindJobUpdates  Kind = "job-updates"  // *api.JobUpdateDetails, by role/environment/name/id
	KindMaintenance Kind = "maintenance"  // *api.HostMaintenanceRequest, by host
	KindFrameworkID Kind = "framework-id" // string; there is one at most, its key is empty
)

// Difference is a row that is not the same in two states.
type Difference struct {
	Kind Kind
	Key  string
	// Before and After are the row in the one state and in the other; nil where it is
	// missing. They are the stores' own.
	Before, After any
}

// What is "added", "changed" or "removed".
func (d *Difference) What() string {
	switch {
	case d.Before == nil:
		return "added"
	case d.After == nil:
		return "removed"
	}
	return "changed"
}

// Diff yields every row that differs between two states, in the order of the kinds
// above, and of a kind in the order of their keys. Rows and stores that both states
// share are known to be equal without a look at what is in them.
func Diff(a, b View) iter.Seq[Difference] {
	return func(yield func(Difference) bool) {
		shared := sharedStores(a, b)
		_ = (shared[KindTasks] || taskRows.diff(a.Tasks().All(), b.Tasks().All(), yield)) &&
			(shared[KindCronJobs] || cronJobRows.diff(a.CronJobs().All(), b.CronJobs().All(), yield)) &&
			(shared[KindQuotas] || quotaRows.diff(namedRows(a.Quotas().All()), namedRows(b.Quotas().All()), unnamed(yield))) &&
			(shared[KindHosts] || hostRows.diff(a.Hosts().All(), b.Hosts().All(), yield)) &&
			(shared[KindJobUpdates] || jobUpdateRows.diff(a.JobUpdates().All(), b.JobUpdates().All(), yield)) &&
			(shared[KindMaintenance] || maintenanceRows.diff(a.Maintenance().All(), b.Maintenance().All(), yield)) &&
			diffFrameworkID(a, b, yield)
	}
}

// rows says how the rows of one kind are told apart.
type rows[R, K any] struct {
	kind    Kind
	key     func(*R) K
	compare func(K, K) int // the order of the store
	equal   func(a, b *R) bool
	text    func(K) string
}

var (
	taskRows = rows[api.ScheduledTask, string]{KindTasks, func(t *api.ScheduledTask) string { return t.AssignedTask.TaskID.Value },
		strings.Compare, (*api.ScheduledTask).Equal, strings.Clone}
	cronJobRows = rows[api.JobConfiguration, *api.JobKey]{KindCronJobs, func(j *api.JobConfiguration) *api.JobKey { return j.Key },
		compareJobKeys, (*api.JobConfiguration).Equal, schema.JobKeyString}
	quotaRows = rows[named[api.ResourceAggregate], string]{KindQuotas, func(q *named[api.ResourceAggregate]) string { return q.name },
		strings.Compare, func(a, b *named[api.ResourceAggregate]) bool { return a.value == b.value || a.value.Equal(b.value) }, strings.Clone}
	hostRows = rows[api.HostAttributes, string]{KindHosts, func(h *api.HostAttributes) string { return h.Host.Value },
		strings.Compare, (*api.HostAttributes).Equal, strings.Clone}
	jobUpdateRows = rows[api.JobUpdateDetails, *api.JobUpdateKey]{KindJobUpdates, func(d *api.JobUpdateDetails) *api.JobUpdateKey { return d.Update.Summary.Key },
		compareUpdateKeys, (*api.JobUpdateDetails).Equal, updateKeyString}
	maintenanceRows = rows[api.HostMaintenanceRequest, string]{KindMaintenance, func(r *api.HostMaintenanceRequest) string { return r.Host.Value },
		strings.Compare, (*api.HostMaintenanceRequest).Equal, strings.Clone}
)

// sharedStores are the stores that two states have in common.
func sharedStores(a, b View) map[Kind]bool {
	x, ok := a.(*State)
	y, ok2 := b.(*State)
	if !ok || !ok2 {
		return nil
	}
	return map[Kind]bool{
		KindTasks:       x.stores.tasks.byID.items == y.stores.tasks.byID.items,
		KindCronJobs:    x.stores.cronJobs.items == y.stores.cronJobs.items,
		KindQuotas:      x.stores.quotas.items == y.stores.quotas.items,
		KindHosts:       x.stores.hosts.items == y.stores.hosts.items,
		KindJobUpdates:  x.stores.jobUpdates.items == y.stores.jobUpdates.items,
		KindMaintenance: x.stores.maintenance.items == y.stores.maintenance.items,
	}
}

// diff goes along two stores. It says whether to go on.
func (k rows[R, K]) diff(a, b iter.Seq[*R], yield func(Difference) bool) bool {
	next, stop := iter.Pull(b)
	defer stop()
	y, more := next()
	added := func() bool {
		d := Difference{Kind: k.kind, Key: k.text(k.key(y)), After: y}
		y, more = next()
		return yield(d)
	}
	for x := range a {
		for more && k.compare(k.key(y), k.key(x)) < 0 {
			if !added() {
				return false
			}
		}
		if !more || k.compare(k.key(x), k.key(y)) < 0 {
			if !yield(Difference{Kind: k.kind, Key: k.text(k.key(x)), Before: x}) {
				return false
			}
			continue
		}
		if x != y && !k.equal(x, y) && !yield(Difference{k.kind, k.text(k.key(x)), x, y}) {
			return false
		}
		y, more = next()
	}
	for more {
		if !added() {
			return false
		}
	}
	return true
}

func diffFrameworkID(a, b View, yield func(Difference) bool) bool {
	d := Difference{Kind: KindFrameworkID}
	if id, ok := a.FrameworkID(); ok {
		d.Before = id
	}
	if id, ok := b.FrameworkID(); ok {
		d.After = id
	}
	return d.Before == d.After || yield(d)
}

// namedRows are quotas with their roles.
func namedRows(quotas iter.Seq2[string, *api.ResourceAggregate]) iter.Seq[*named[api.ResourceAggregate]] {
	return func(yield func(*named[api.ResourceAggregate]) bool) {
		for role, q := range quotas {
			if !yield(&named[api.ResourceAggregate]{role, q}) {
				return
			}
		}
	}
}

// unnamed yields quotas without their roles, which are the keys.
func unnamed(yield func(Difference) bool) func(Difference) bool {
	return func(d Difference) bool {
		if q, ok := d.Before.(*named[api.ResourceAggregate]); ok {
			d.Before = q.value
		}
		if q, ok := d.After.(*named[api.ResourceAggregate]); ok {
			d.After = q.value
		}
		return yield(d)
	}
}
