package schedulerstore

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/snapshot"
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

// metrics are what the whole store has to say; its parts have their own.
type metrics struct {
	recovery, watchers            prometheus.Gauge
	snapshotSeconds, pruneSeconds prometheus.Histogram
	failOver                      *prometheus.HistogramVec
	pruned                        prometheus.Counter
	background, backups           *prometheus.CounterVec
	garbageObjects, garbageBytes  *prometheus.CounterVec
	garbageSeconds                prometheus.Histogram
	garbageCollected, garbageLeft prometheus.Gauge
	snapshotBytes                 *prometheus.CounterVec
	rehearsals                    *rehearsalMetrics
}

// collected counts what a garbage collection did.
func (m *metrics) collected(r *garbage.Report) {
	for _, a := range r.Garbage {
		m.garbageObjects.WithLabelValues(string(a.Class)).Add(float64(a.Objects))
		m.garbageBytes.WithLabelValues(string(a.Class)).Add(float64(a.Bytes))
	}
	m.garbageLeft.Set(float64(len(r.Left)))
	m.garbageSeconds.Observe(r.Took.Seconds())
}

// The kinds of snapshots.
const (
	fullSnapshot        = "full"
	incrementalSnapshot = "incremental"
)

// snapshotted counts a snapshot that was made.
func (m *metrics) snapshotted(s *snapshot.Manifest, took time.Duration) {
	kind := fullSnapshot
	if s.Incremental() {
		kind = incrementalSnapshot
	}
	m.snapshotSeconds.Observe(took.Seconds())
	m.snapshotBytes.WithLabelValues(kind).Add(float64(s.OwnBytes()))
}

// Work in the background.
const (
	snapshotWork = "snapshot"
	garbageWork  = "garbage"
	pruneWork    = "prune"
	keysWork     = "keys"
)

// failed counts a failure of work in the background.
func (m *metrics) failed(work string) { m.background.WithLabelValues(work).Inc() }

const metricsPrefix = "scheduler_store_"

func newMetrics(r prometheus.Registerer, s *Store) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help})
	}
	seconds := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricsPrefix + name, Help: help, Buckets: buckets})
	}
	long := prometheus.ExponentialBuckets(0.01, 3, 12) // to half an hour
	m := &metrics{
		recovery: gauge("recovery_seconds", "Time from opening the store until the end of the log was reached first, in seconds (Aurora: scheduler_storage_prepare, scheduler_storage_recover, snapshot_apply)."),
		watchers: gauge("watchers", "Those who watch the transactions now."),
		failOver: newFailOverMetric(), rehearsals: newRehearsalMetrics(),
		snapshotSeconds: seconds("snapshot_seconds", "Time that making a snapshot took, in seconds; its count is that of the snapshots (Aurora: scheduler_log_snapshot, "+
			"scheduler_log_snapshot_persist, snapshot_create, snapshot_save_*, log_manager_snapshot, scheduler_log_snapshots).", long),
		pruneSeconds: seconds("prune_seconds", "Time that looking for old job updates and removing them took, in seconds (Aurora: job_update_store_prune_history).", long),
		pruned:       prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + "job_updates_pruned_total", Help: "Old job updates removed (Aurora: job_updates_pruned)."}),
		background: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + "background_errors_total",
			Help: "Failures of work in the background, by work (snapshot, garbage, prune, keys) (Aurora: async_executor_uncaught_exceptions)."}, []string{"work"}),
		backups: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + "backups_total",
			Help: "Backups that this process made, by result (ok, error) (Aurora: scheduler_backup_success, scheduler_backup_failed)."}, []string{"result"}),
	}
	perClass := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help + " (snapshots, entries, restores, parts, pins)."}, []string{"class"})
	}
	m.garbageObjects = perClass("garbage_objects_total", "Objects that were removed as garbage, by class")
	m.garbageBytes = perClass("garbage_bytes_total", "Bytes of the objects that were removed as garbage, by class")
	for _, class := range garbage.Classes() {
		m.garbageObjects.WithLabelValues(string(class))
		m.garbageBytes.WithLabelValues(string(class))
	}
	m.garbageSeconds = seconds("garbage_seconds", "Time that collecting garbage took, in seconds; its count is that of the collections.", long)
	m.garbageCollected = gauge("last_garbage_collection_timestamp_seconds", "When garbage was last collected to the end, in seconds since 1970; 0 if never by this process.")
	m.garbageLeft = gauge("garbage_left_objects", "Objects that the last collection left as they can't be told to be garbage.")
	m.snapshotBytes = prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + "snapshot_bytes_total",
		Help: "Bytes of parts that this process wrote for snapshots, by kind (full, incremental)."}, []string{"kind"})
	for _, kind := range []string{fullSnapshot, incrementalSnapshot} {
		m.snapshotBytes.WithLabelValues(kind) // shows 0
	}
	for _, result := range []string{"ok", "error"} {
		m.backups.WithLabelValues(result) // shows 0
	}
	for _, work := range []string{snapshotWork, garbageWork, pruneWork, keysWork} {
		m.background.WithLabelValues(work) // shows 0, or nobody would see the first failure
	}
	if r != nil {
		r.MustRegister(m.recovery, m.watchers, m.failOver, m.snapshotSeconds, m.pruneSeconds, m.pruned, m.background, m.backups,
			m.garbageObjects, m.garbageBytes, m.garbageSeconds, m.garbageCollected, m.garbageLeft, m.snapshotBytes)
		m.rehearsals.register(r)
		registerState(r, s)
	}
	return m
}
