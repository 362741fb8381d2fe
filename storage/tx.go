package storage

import "github.com/scheduler-store/scheduler-store/schema/api"

// Tx is a version in the making. It is for one goroutine at a time. To undo it, drop
// it. It has what Mutable has, and the delete-all operations that only a restore
// needs.
type Tx struct{ stores stores }

var _ Mutable = (*Tx)(nil)

// Commit returns the version made so far. The transaction may go on; what it changes
// after that does not reach the state returned.
func (tx *Tx) Commit() *State {
	tx.stores.freeze()
	return &State{tx.stores}
}

// Savepoint is what a transaction had done at some moment.
type Savepoint struct{ stores stores }

// Savepoint marks this moment, for Rollback to return to. It costs no more than that
// the next writes copy what they touch once again.
func (tx *Tx) Savepoint() Savepoint {
	tx.stores.freeze()
	return Savepoint{tx.stores}
}

// Rollback undoes all that was done since a savepoint of this transaction. Any of them
// will do, any number of times, in any order.
func (tx *Tx) Rollback(to Savepoint) { tx.stores = to.stores }

// Counts returns how much the transaction holds.
func (tx *Tx) Counts() Counts { return tx.stores.counts() }

func (tx *Tx) FrameworkID() (string, bool) { return tx.stores.framework() }

// SaveFrameworkID replaces the framework id. It never fails.
func (tx *Tx) SaveFrameworkID(id string) error {
	tx.stores.frameworkID = api.Some(id)
	return nil
}

func (tx *Tx) Tasks() MutableTasks           { return taskWriter{taskReader{&tx.stores}} }
func (tx *Tx) CronJobs() MutableCronJobs     { return cronJobWriter{cronJobReader{&tx.stores}} }
func (tx *Tx) Quotas() MutableQuotas         { return quotaWriter{quotaReader{&tx.stores}} }
func (tx *Tx) Hosts() MutableHosts           { return hostWriter{hostReader{&tx.stores}} }
func (tx *Tx) JobUpdates() MutableJobUpdates { return jobUpdateWriter{jobUpdateReader{&tx.stores}} }
func (tx *Tx) Maintenance() MutableMaintenance {
	return maintenanceWriter{maintenanceReader{&tx.stores}}
}

// DeleteAll empties all stores and forgets the framework id.
func (tx *Tx) DeleteAll() {
	tx.stores.frameworkID = api.Optional[string]{}
	tx.DeleteAllTasks()
	tx.DeleteAllCronJobs()
	tx.DeleteAllQuotas()
	tx.DeleteAllHosts()
	tx.DeleteAllJobUpdates()
	tx.DeleteAllMaintenance()
}

// DeleteAllTasks empties the task store, its indices and the pool of configurations.
func (tx *Tx) DeleteAllTasks() { tx.stores.tasks.clear() }

// DeleteAllCronJobs empties the cron job store.
func (tx *Tx) DeleteAllCronJobs() { tx.stores.cronJobs.clear() }

// DeleteAllQuotas empties the quota store.
func (tx *Tx) DeleteAllQuotas() { tx.stores.quotas.clear() }

// DeleteAllHosts empties the attribute store.
func (tx *Tx) DeleteAllHosts() { tx.stores.hosts.clear() }

// DeleteAllJobUpdates empties the job update store.
func (tx *Tx) DeleteAllJobUpdates() { tx.stores.jobUpdates.clear() }

// DeleteAllMaintenance empties the store of maintenance requests.
func (tx *Tx) DeleteAllMaintenance() { tx.stores.maintenance.clear() }
