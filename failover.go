package schedulerstore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/lease"
)

// failOver is how a leadership came about, in instants of this process's clock:
//
//	last sign of the leader before ─ claim sent ─ lease won ─ log read ─ sealed ─ writes taken
//	                          detect         claim      replay      seal      ready
type failOver struct {
	claim         lease.Claim
	read          time.Time // the end of the log was reached
	sealed, ready time.Time
}

// stage is one part of a fail-over.
type stage struct {
	name string
	took time.Duration
}

func (f failOver) stages() []stage {
	read := f.read
	if read.Before(f.claim.Won) { // the log was read meanwhile
		read = f.claim.Won
	}
	return []stage{
		{"detect", f.claim.Sent.Sub(f.claim.LastSign)},
		{"claim", f.claim.Won.Sub(f.claim.Sent)},
		{"replay", read.Sub(f.claim.Won)},
		{"seal", f.sealed.Sub(read)},
		{"ready", f.ready.Sub(f.sealed)},
	}
}

// tookOver says how long each stage took, once writes are taken.
func (s *Store) tookOver(f failOver, l *lease.Lease) {
	stages := map[string]time.Duration{}
	for _, stage := range f.stages() {
		s.metrics.failOver.WithLabelValues(stage.name).Observe(stage.took.Seconds())
		stages[stage.name] = stage.took
	}
	s.logger.Info("took over", "epoch", l.Epoch(), "detect", stages["detect"], "claim", stages["claim"], "replay", stages["replay"],
		"seal", stages["seal"], "ready", stages["ready"], "took", f.ready.Sub(f.claim.LastSign))
	s.traceFailOver(f, l)
}

func newFailOverMetric() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: metricsPrefix + "failover_seconds",
		Help: "Time that a stage of becoming the leader took, in seconds: detect, from the last sign of life of the leader before, as seen here, to the claim of the lease; " +
			"claim, until the lease is won; replay, until the log is read; seal, until its end is sure and sealed; ready, until writes are taken " +
			"(Aurora: scheduler_storage_start).",
		Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 14)}, []string{"stage"}) // to two and a half minutes
}
