package blob

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a log, reader and writer.
type metrics struct {
	entriesWritten, recordsWritten, bytesWritten prometheus.Counter
	entriesRead, recordsRead                     prometheus.Counter
	commitSeconds, entryRecords                  prometheus.Histogram
	uploads, queueBytes                          prometheus.Gauge
	position, transaction                        prometheus.Gauge
	ended                                        *prometheus.CounterVec
	restarts, damaged                            prometheus.Counter
	secondsLeft, lagPositions                    prometheus.Gauge
	behind                                       behind
}

// behind is since when the reader has known of an entry that is not applied. It may
// be used by many goroutines.
type behind struct{ since atomic.Pointer[time.Time] }

// Store notes it; the zero time means that there is none.
func (b *behind) Store(since time.Time) {
	if since.IsZero() {
		b.since.Store(nil)
		return
	}
	b.since.Store(&since)
}

func (b *behind) seconds() float64 {
	if since := b.since.Load(); since != nil {
		return time.Since(*since).Seconds()
	}
	return 0
}

func newMetrics(r prometheus.Registerer) *metrics {
	const ns = "scheduler_store_log_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: ns + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: ns + name, Help: help})
	}
	m := &metrics{
		entriesWritten: counter("entries_written_total", "Entries acknowledged, seals not counted (Aurora: scheduler_log_entries_written)."),
		recordsWritten: counter("records_written_total", "Transactions acknowledged."),
		bytesWritten:   counter("bytes_written_total", "Bytes of acknowledged entries (Aurora: scheduler_log_bytes_written)."),
		entriesRead:    counter("entries_read_total", "Entries replayed, seals included (Aurora: scheduler_log_entries_read)."),
		recordsRead:    counter("records_read_total", "Transactions replayed from entries."),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: ns + "commit_seconds",
			Help: "Time from a transaction's hand-over to the log to its acknowledgement, in seconds (Aurora: log_manager_append).", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
		entryRecords: prometheus.NewHistogram(prometheus.HistogramOpts{Name: ns + "entry_records",
			Help: "Transactions in an entry.", Buckets: prometheus.ExponentialBuckets(1, 4, 8)}),
		uploads:     gauge("uploads", "Entries on their way to the bucket."),
		queueBytes:  gauge("queue_bytes", "Bytes of transactions that wait to be sent."),
		position:    gauge("position", "Position of the newest entry that is applied; -1 before the first."),
		transaction: gauge("transaction", "Number of the newest transaction that is applied."),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: ns + "writers_ended_total",
			Help: "Writers that ended, by reason (stopped, deposed, restored, failed)."}, []string{"reason"}),
		restarts:     counter("reader_restarts_total", "Times a reader began again from a newer snapshot."),
		secondsLeft:  gauge("recovery_seconds_left", "Estimated time until a recovery reaches the end of the log as far as that is known, in seconds; 0 when it has, or when nothing is known."),
		lagPositions: gauge("lag_positions", "Entries that the reader knows to exist and has not applied."),
		damaged:      counter("damaged_objects_total", "Times a damaged or missing object was found (Aurora: scheduler_log_bad_frames_read)."),
	}
	for _, reason := range endReasons {
		m.ended.WithLabelValues(reason) // shows 0
	}
	if r != nil {
		r.MustRegister(m.entriesWritten, m.recordsWritten, m.bytesWritten, m.entriesRead, m.recordsRead, m.commitSeconds,
			m.entryRecords, m.uploads, m.queueBytes, m.position, m.transaction, m.ended, m.restarts, m.damaged, m.secondsLeft, m.lagPositions,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: ns + "lag_seconds",
				Help: "How long the oldest entry that the reader knows to exist has not been applied, in seconds; 0 if it knows of none."}, m.behind.seconds))
	}
	return m
}
