package encryption

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	unwraps, failures prometheus.Counter
	newest            prometheus.Gauge
}

func newMetrics() *metrics {
	const ns = "scheduler_store_key_"
	return &metrics{
		unwraps:  prometheus.NewCounter(prometheus.CounterOpts{Name: ns + "unwraps_total", Help: "Data keys that were unwrapped."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: ns + "failures_total", Help: "Times a data key could not be had, because of its object, the bucket or the keeper."}),
		newest:   prometheus.NewGauge(prometheus.GaugeOpts{Name: ns + "number", Help: "Number of the data key that seals; 0 if nothing is encrypted."}),
	}
}

// Register registers the ring's metrics.
func (r *Ring) Register(to prometheus.Registerer) {
	if to != nil {
		to.MustRegister(r.metrics.unwraps, r.metrics.failures, r.metrics.newest)
	}
}
