package lease

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/internal/collector"
)

type metrics struct {
	held         prometheus.Gauge
	epoch        prometheus.Gauge
	acquisitions prometheus.Counter
	losses       prometheus.Counter
	renewals     *prometheus.CounterVec
	slack        prometheus.Histogram
	ttl          prometheus.Gauge
}

// The results of a renewal.
const (
	renewalOK      = "ok"
	renewalError   = "error"
	renewalChanged = "changed"
)

// newMetrics registers the metrics, or finds those that an earlier lease of the
// same process registered.
func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		held: collector.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "scheduler_store_lease_held",
			Help: "1 while this process holds the lease, else 0.",
		})),
		epoch: collector.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "scheduler_store_lease_epoch",
			Help: "Epoch of the lease as this process last read or wrote it.",
		})),
		acquisitions: collector.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "scheduler_store_lease_acquisitions_total",
			Help: "Times that this process acquired the lease.",
		})),
		losses: collector.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "scheduler_store_lease_losses_total",
			Help: "Times that this process lost the lease without releasing it.",
		})),
		renewals: collector.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scheduler_store_lease_renewals_total",
			Help: "Tries to renew the lease by result (ok, changed, error).",
		}, []string{"result"})),
		slack: collector.Register(r, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "scheduler_store_lease_renewal_slack_ratio",
			Help:    "How much of the time to the deadline was left when a renewal was confirmed: near 0 the lease is nearly lost.",
			Buckets: []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, // LinearBuckets gives 0.30000000000000004
		})),
		ttl: collector.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "scheduler_store_lease_ttl_seconds",
			Help: "How long a leader of this process may go without a renewal, as the process was told, in seconds.",
		})),
	}
	for _, result := range []string{renewalOK, renewalChanged, renewalError} {
		m.renewals.WithLabelValues(result) // shows 0
	}
	return m
}
