package blob

import "github.com/prometheus/client_golang/prometheus"

// metrics of a log, reader and writer.
type metrics struct {
	entriesWritten, recordsWritten, bytesWritten prometheus.Counter
	entriesRead, recordsRead                     prometheus.Counter
	commitSeconds, entryRecords                  prometheus.Histogram
	uploads, queueBytes                          prometheus.Gauge
	position, transaction                        prometheus.Gauge
	ended                                        *prometheus.CounterVec
	restarts, damaged                            prometheus.Counter
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
		position:    gauge("position", "Position of the newest entry that is applied."),
		transaction: gauge("transaction", "Number of the newest transaction that is applied."),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: ns + "writers_ended_total",
			Help: "Writers that ended, by reason (stopped, deposed, restored, failed)."}, []string{"reason"}),
		restarts: counter("reader_restarts_total", "Times a reader began again from a newer snapshot."),
		damaged:  counter("damaged_objects_total", "Times a damaged or missing object was found (Aurora: scheduler_log_bad_frames_read)."),
	}
	if r != nil {
		r.MustRegister(m.entriesWritten, m.recordsWritten, m.bytesWritten, m.entriesRead, m.recordsRead, m.commitSeconds,
			m.entryRecords, m.uploads, m.queueBytes, m.position, m.transaction, m.ended, m.restarts, m.damaged)
	}
	return m
}
