package durability

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

type metrics struct {
	transactions, failed, replayed    prometheus.Counter
	ops, transitions, instanceActions *prometheus.CounterVec
	lockWait, work                    prometheus.Histogram
}

const metricsPrefix = "scheduler_store_storage_"

func newMetrics(r prometheus.Registerer, s *Storage) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help})
	}
	counters := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help}, []string{label})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricsPrefix + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10)})
	}
	m := &metrics{
		transactions: counter("transactions_total", "Transactions handed to the log."),
		ops: counters("ops_total", "op", "Ops of the transactions handed to the log, by kind (Aurora: the events of mem_storage_save_tasks, mem_storage_delete_tasks, "+
			"mem_storage_mutate_task, mem_storage_cron_save_accepted_job, mem_storage_cron_remove_job, job_update_store_save_update, job_update_store_save_event, "+
			"job_update_store_save_instance_event, job_update_store_delete_updates)."),
		failed:   counter("transactions_failed_total", "Transactions handed to the log that were not acknowledged."),
		replayed: counter("records_replayed_total", "Records replayed from the log and from snapshots (Aurora: the events of snapshot_restore_*)."),
		transitions: counters("job_update_events_total", "status",
			"Durable events of job updates that this process wrote, by status (Aurora: update_transition_*)."),
		instanceActions: counters("job_instance_update_events_total", "action",
			"Durable events of instances in job updates that this process wrote, by action (Aurora: update_instance_transition_*)."),
		lockWait: seconds("write_lock_wait_seconds", "Waiting for the write lock and for room in the log's queue, in seconds (Aurora: storage_write_lock_wait)."),
		work:     seconds("work_seconds", "Time that the work of a transaction took under the write lock, in seconds (Aurora: mem_storage_write_operation)."),
	}
	if r != nil {
		r.MustRegister(m.transactions, m.ops, m.failed, m.replayed, m.transitions, m.instanceActions, m.lockWait, m.work)
		registerSizes(r, s)
		registerQueries(r, s.queries)
	}
	return m
}

// registerSizes adds what the newest durable state holds.
func registerSizes(r prometheus.Registerer, s *Storage) {
	gauge := func(name, label, help string, sizes map[string]func(storage.Counts) int) {
		for value, size := range sizes {
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help, ConstLabels: prometheus.Labels{label: value}},
				func() float64 { return float64(size(s.durable.Load().stores.Counts())) }))
		}
	}
	gauge("rows", "store", "Rows of each store in the durable state (Aurora: mem_storage_cron_size, mem_storage_attribute_size, mem_storage_quota_size, mem_storage_update_size, mem_storage_maintenance_size).",
		map[string]func(storage.Counts) int{
			"tasks":       func(c storage.Counts) int { return c.Tasks },
			"cron_jobs":   func(c storage.Counts) int { return c.CronJobs },
			"quotas":      func(c storage.Counts) int { return c.Quotas },
			"hosts":       func(c storage.Counts) int { return c.Hosts },
			"job_updates": func(c storage.Counts) int { return c.JobUpdates },
			"maintenance": func(c storage.Counts) int { return c.Maintenance },
		})
	gauge("task_index_entries", "index", "Entries of the task store's indices (Aurora: task_store_index_job_items, task_store_index_host_items).",
		map[string]func(storage.Counts) int{
			"job":    func(c storage.Counts) int { return c.TaskJobs },
			"host":   func(c storage.Counts) int { return c.TaskHosts },
			"status": func(c storage.Counts) int { return c.TaskStatuses },
		})
}

func registerQueries(r prometheus.Registerer, q *storage.QueryCounters) {
	for by, count := range map[string]interface{ Load() int64 }{"id": &q.ByID, "job": &q.ByJob, "host": &q.ByHost, "status": &q.ByStatus, "all": &q.All} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: metricsPrefix + "task_queries_total",
			Help:        "Task queries, by the way they found their candidates (Aurora: task_queries_by_id, task_queries_by_job, task_queries_by_host, task_queries_all).",
			ConstLabels: prometheus.Labels{"by": by}}, func() float64 { return float64(count.Load()) }))
	}
}

// handedOver counts a transaction that the log has taken.
func (m *metrics) handedOver(ops []*api.Op) {
	m.transactions.Inc()
	for _, op := range ops {
		m.ops.WithLabelValues(opKind(op)).Inc()
	}
}

// durable counts what a transaction that was acknowledged did to job updates. Replays
// are not counted: then all processes of a store together count each once.
func (m *metrics) durable(ops []*api.Op) {
	for _, op := range ops {
		switch {
		case op.SaveJobUpdateEvent != nil:
			m.transitions.WithLabelValues(op.SaveJobUpdateEvent.Event.Status.Value.String()).Inc()
		case op.SaveJobInstanceUpdateEvent != nil:
			m.instanceActions.WithLabelValues(op.SaveJobInstanceUpdateEvent.Event.Action.Value.String()).Inc()
		}
	}
}

// opKind is the name of an op that can be written.
func opKind(op *api.Op) string {
	switch {
	case op.SaveTasks != nil:
		return "saveTasks"
	case op.RemoveTasks != nil:
		return "removeTasks"
	case op.SaveFrameworkID != nil:
		return "saveFrameworkId"
	case op.SaveCronJob != nil:
		return "saveCronJob"
	case op.RemoveJob != nil:
		return "removeJob"
	case op.SaveQuota != nil:
		return "saveQuota"
	case op.RemoveQuota != nil:
		return "removeQuota"
	case op.SaveHostAttributes != nil:
		return "saveHostAttributes"
	case op.SaveJobUpdate != nil:
		return "saveJobUpdate"
	case op.SaveJobUpdateEvent != nil:
		return "saveJobUpdateEvent"
	case op.SaveJobInstanceUpdateEvent != nil:
		return "saveJobInstanceUpdateEvent"
	case op.RemoveJobUpdate != nil:
		return "removeJobUpdate"
	case op.SaveHostMaintenanceRequest != nil:
		return "saveHostMaintenanceRequest"
	case op.RemoveHostMaintenanceRequest != nil:
		return "removeHostMaintenanceRequest"
	}
	return "other"
}
