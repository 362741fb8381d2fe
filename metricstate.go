package schedulerstore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/internal/build"
)

// registerState adds what can be asked of a store at any time.
func registerState(r prometheus.Registerer, s *Store) {
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help}, value))
	}
	since := func(t time.Time) float64 { // as timestamps are told, 0 for none
		if t.IsZero() {
			return 0
		}
		return float64(t.UnixMilli()) / 1000
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	registerSettings(r, s)
	registerCost(r, s)
	gauge("leader", "1 while this process leads.", func() float64 { return flag(s.Leadership().Err() == nil) })
	gauge("leading_since_timestamp_seconds", "When this process began to lead, in seconds since 1970; 0 if it does not.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return since(s.progress.led)
	})
	gauge("lease_remaining_seconds", "How long this process may still lead if its lease is not renewed, in seconds; 0 if it does not lead.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.progress.lease == nil {
			return 0
		}
		return s.progress.lease.Remaining().Seconds()
	})
	gauge("recovered", "1 once the end of the log was reached.", func() float64 { return flag(s.Status().Recovered) })
	gauge("problem", "1 while something keeps this process from going on; the status says what.", func() float64 { return flag(s.problem() != nil) })
	gauge("last_backup_timestamp_seconds", "When this process last made a backup, in seconds since 1970; 0 if never.", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return since(s.progress.backups.made)
	})
	gauge("last_rehearsal_timestamp_seconds", "When the last rehearsed restore that succeeded in this process began, in seconds since 1970; 0 if none has.", func() float64 {
		if last := s.Status().LastRehearsed; last != nil {
			return since(*last)
		}
		return 0
	})
	gauge("last_snapshot_timestamp_seconds", "When the last snapshot was made, in seconds since 1970, on the leader; 0 on others.", func() float64 {
		if last := s.Status().LastSnapshot; last != nil {
			return since(last.Made)
		}
		return 0
	})
	gauge("replay_estimate_seconds", "Estimate of how long a recovery would read the log behind the newest snapshot, in seconds, on the leader; 0 on others.",
		func() float64 { return s.Status().ReplaySeconds })
	gauge("unsnapshotted_transactions", "Transactions since the last snapshot, on the leader; 0 on others (Aurora: scheduler_log_un_snapshotted_transactions).", func() float64 {
		status := s.Status()
		if status.Role != Leader {
			return 0
		}
		if status.LastSnapshot == nil {
			return float64(status.Transaction)
		}
		return float64(status.Transaction) - float64(status.LastSnapshot.Transaction)
	})
	gauge("unbacked_transactions", "Transactions since the last automatic backup, on the leader; 0 on others.", func() float64 { return float64(s.unbacked()) })
	gauge("unposted_transactions", "Transactions whose events the event sink has yet to be told.", func() float64 { return float64(s.unposted()) })
}

// registerSettings adds what this process was told: alerts compare with it. What is never
// done has an interval of 0.
func registerSettings(r prometheus.Registerer, s *Store) {
	snapshots := s.options.Snapshots.WithDefaults()
	for _, setting := range []struct {
		name, help string
		value      time.Duration
	}{
		{"snapshot_interval", "Time between two snapshots while there are transactions", snapshots.Every},
		{"replay_target", "Time that reading the log may take a recovery", snapshots.Replay},
		{"backup_interval", "Time between two automatic backups while there are transactions", s.options.Backups.Interval()},
		{"garbage_interval", "Time between two collections of garbage", s.garbageEvery()},
		{"rehearsal_interval", "Time between two rehearsed restores", s.options.Rehearse},
	} {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + setting.name + "_seconds",
			Help: setting.help + ", as this process was told, in seconds; 0 is never."})
		g.Set(max(0, setting.value.Seconds()))
		r.MustRegister(g)
	}
	info := build.Get()
	built := prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + "build_info", Help: "1; its labels say what this program was built from.",
		ConstLabels: prometheus.Labels{"version": info.Version, "commit": info.Commit, "goversion": info.Go}})
	built.Set(1)
	r.MustRegister(built)
}

// registerCost adds what requests cost so far, by cause. A rate of it is what a month
// costs at that rate: what is stored in the bucket is not in it.
func registerCost(r prometheus.Registerer, s *Store) {
	for _, cause := range cost.RequestCauses() {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: metricsPrefix + "cost_dollars_total",
			Help:        "What this process's requests to its buckets cost by list prices, in US dollars, by cause; 0 where nobody bills by request.",
			ConstLabels: prometheus.Labels{"cause": string(cause)}}, func() float64 { return s.cost().Of(cause) }))
	}
}
