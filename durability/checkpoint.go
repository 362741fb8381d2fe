package durability

import (
	"iter"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Checkpoint is a durable state together with the point of the log that it belongs
// to: what a snapshot is made of. It never changes.
type Checkpoint struct {
	At      persistence.Point
	version *version
}

// Checkpoint returns the newest one, nil before anything was recovered.
func (s *Storage) Checkpoint() *Checkpoint { return s.checkpoint.Load() }

// Counts says how many of each a checkpoint has.
func (c *Checkpoint) Counts() map[string]int {
	v := c.version.stores
	counts := map[string]int{"hosts": v.Hosts().Len(), "tasks": v.Tasks().Len(), "cronJobs": v.CronJobs().Len(),
		"quotas": v.Quotas().Len(), "jobUpdates": v.JobUpdates().Len(), "maintenance": v.Maintenance().Len(),
		"idempotencyKeys": c.version.keys.byNumber.Len(), "frameworkId": 0}
	if _, ok := v.FrameworkID(); ok {
		counts["frameworkId"] = 1
	}
	return counts
}

// Records yields the records that rebuild the state: those of RecordsOf, then the
// idempotency keys. Each is valid until the next one is asked for.
func (c *Checkpoint) Records() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &recordWriter{yield: yield, lend: true}
		w.state(c.version.stores)
		w.keys(c.version.keys, 0)
	}
}

// RecordsOf yields the records that rebuild a state, without idempotency keys, in the
// order of Aurora's snapshots: hosts, tasks, cron jobs, framework id, quotas, job
// updates, maintenance requests. They are transactions as the log has them, so that
// one replay serves both; but tasks are in deduplicatedTasks.
func RecordsOf(view storage.View) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		w := &recordWriter{yield: yield}
		w.state(view)
	}
}
