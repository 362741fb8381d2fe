package durability

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/storage"
)

type metrics struct {
	transactions, ops, failed, replayed prometheus.Counter
	lockWait                            prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, s *Storage) *metrics {
	const ns = "scheduler_store_storage_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: ns + name, Help: help})
	}
	m := &metrics{
		transactions: counter("transactions_total", "Transactions handed to the log."),
		ops:          counter("ops_total", "Ops of the transactions handed to the log."),
		failed:       counter("transactions_failed_total", "Transactions handed to the log that were not acknowledged."),
		replayed:     counter("records_replayed_total", "Records replayed from the log and from snapshots."),
		lockWait: prometheus.NewHistogram(prometheus.HistogramOpts{Name: ns + "write_lock_wait_seconds",
			Help: "Waiting for the write lock and for room in the log's queue, in seconds (Aurora: storage_write_lock_wait).", Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10)}),
	}
	if r == nil {
		return m
	}
	r.MustRegister(m.transactions, m.ops, m.failed, m.replayed, m.lockWait)
	size := func(kind string, f func(storage.View) int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ns + "rows",
			Help: "Rows of each store in the durable state (Aurora: mem_storage_*_size).", ConstLabels: prometheus.Labels{"store": kind}},
			func() float64 { return float64(f(s.View())) }))
	}
	size("tasks", func(v storage.View) int { return v.Tasks().Len() })
	size("cron_jobs", func(v storage.View) int { return v.CronJobs().Len() })
	size("quotas", func(v storage.View) int { return v.Quotas().Len() })
	size("hosts", func(v storage.View) int { return v.Hosts().Len() })
	size("job_updates", func(v storage.View) int { return v.JobUpdates().Len() })
	size("maintenance", func(v storage.View) int { return v.Maintenance().Len() })
	return m
}
