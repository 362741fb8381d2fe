package schedulerstore

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// registration keeps what a store and its parts have registered, so that a closed
// store takes its metrics with it and can be opened again.
type registration struct {
	prometheus.Registerer
	mu  sync.Mutex
	all []prometheus.Collector
}

// register wraps a Registerer; nil stays nil.
func register(r prometheus.Registerer) prometheus.Registerer {
	if _, ok := r.(*registration); ok || r == nil {
		return r
	}
	return &registration{Registerer: r}
}

// unregister takes back all that was registered.
func unregister(r prometheus.Registerer) {
	own, ok := r.(*registration)
	if !ok {
		return
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	for _, c := range own.all {
		own.Unregister(c)
	}
	own.all = nil
}

func (r *registration) Register(c prometheus.Collector) error {
	err := r.Registerer.Register(c)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, c)
	}
	return err
}

func (r *registration) MustRegister(collectors ...prometheus.Collector) {
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			panic(err) // as the Registerer itself would
		}
	}
}

// registerMetrics adds what the whole store has to say to the metrics of its parts.
func registerMetrics(r prometheus.Registerer, s *Store) {
	if r == nil {
		return
	}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scheduler_store_" + name, Help: help}, value))
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("leader", "1 while this process leads.", func() float64 { return flag(s.Leadership().Err() == nil) })
	gauge("recovered", "1 once the end of the log was reached.", func() float64 { return flag(s.Status().Recovered) })
	gauge("problem", "1 while something keeps this process from going on; the status says what.", func() float64 { return flag(s.problem() != nil) })
	gauge("last_snapshot_timestamp_seconds", "When the last snapshot was made that this process knows of, in seconds since 1970.", func() float64 {
		if last := s.Status().LastSnapshot; last != nil {
			return float64(last.Made.UnixMilli()) / 1000
		}
		return 0
	})
}
