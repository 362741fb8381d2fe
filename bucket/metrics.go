package bucket

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/internal/collector"
)

// Options of a Bucket.
type Options struct {
	// Registerer takes the bucket's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Provider is whose list prices the requests are billed by, as package cost names
	// them; empty where they cost nothing: memory, a directory, a server of one's own.
	Provider string
}

type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	usage    usage // of this bucket alone; the others may be shared

	hedges, hedgesWon *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: collector.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scheduler_store_bucket_requests_total",
			Help: "Requests to the bucket by operation (get, create, replace, list, delete), object (cell, lease, log, snapshot, restore, backup, key, other) and result (ok, not_found, exists, changed, denied, cancelled, error). Retries of one request count once here (Aurora: scheduler_log_native_*_failures).",
		}, []string{"operation", "object", "result"})),
		bytes: collector.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scheduler_store_bucket_bytes_total",
			Help: "Bytes of object bodies read (get) and written (create, replace) (Aurora: scheduler_log_bytes_read).",
		}, []string{"operation"})),
		seconds: collector.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "scheduler_store_bucket_request_seconds",
			Help:    "Duration of requests to the bucket in seconds, retries included, by operation (Aurora: scheduler_log_native_read, scheduler_log_native_append, scheduler_log_native_truncate_before).",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"operation"})),
		hedges: collector.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scheduler_store_bucket_hedges_total",
			Help: "Requests to the bucket that were slow and sent once more, by operation (get, create). The second is counted as a request too.",
		}, []string{"operation"})),
		hedgesWon: collector.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scheduler_store_bucket_hedges_won_total",
			Help: "Requests to the bucket that were sent once more and answered by that, by operation (get, create).",
		}, []string{"operation"})),
		usage: newUsage(),
	}
	for _, op := range []Operation{OpGet, OpCreate} { // the two that are hedged
		m.hedges.WithLabelValues(string(op)) // shows 0
		m.hedgesWon.WithLabelValues(string(op))
	}
	return m
}

// begin starts the clock of one request; the function it returns stops it. The request
// is to be made with the context that it returns.
func (m *metrics) begin(ctx context.Context, op Operation, key string) (context.Context, func(size int, err error)) {
	start, object := time.Now(), objectOf(key)
	ctx, used := m.usage.begin(ctx, op, object)
	return ctx, func(size int, err error) {
		result := result(err)
		used(size, result)
		m.requests.WithLabelValues(string(op), string(object), result).Inc()
		m.bytes.WithLabelValues(string(op)).Add(float64(size))
		m.seconds.WithLabelValues(string(op)).Observe(time.Since(start).Seconds())
	}
}

const (
	resultOK       = "ok"
	resultNotFound = "not_found"
	resultExists   = "exists"
	resultChanged  = "changed"
	resultDenied   = "denied"
)

// refusals are the results for which a store has answered with a 4xx.
var refusals = []string{resultNotFound, resultExists, resultChanged, resultDenied}

func result(err error) string {
	switch {
	case err == nil:
		return resultOK
	case errors.Is(err, ErrNotExist):
		return resultNotFound
	case errors.Is(err, ErrExists):
		return resultExists
	case errors.Is(err, ErrChanged):
		return resultChanged
	case errors.Is(err, ErrDenied):
		return resultDenied
	case errors.Is(err, context.Canceled): // nobody wants the answer any more
		return "cancelled"
	}
	return "error"
}
