package snapshot

import "time"

// Schedule says when the next snapshot is due. The zero value is good.
type Schedule struct {
	// Every is the time between two snapshots while there are writes; default 1 h
	// (Aurora: -dlog_snapshot_interval).
	Every time.Duration
	// Replay is the time that reading the log since the last snapshot may take a
	// recovery. The next is due at half of it, by estimate, whatever the time: making
	// it takes time too, and an estimate is one. Default 10 s.
	Replay time.Duration
}

// Due tells whether a snapshot is due, by the age of the last one and by how long a
// recovery would read the log since. Without new transactions none is.
func (s Schedule) Due(age time.Duration, transactions int, replay time.Duration) bool {
	s = s.WithDefaults()
	return transactions > 0 && (age >= s.Every || replay >= s.Replay/2)
}

// Interval is the time between two snapshots of a log that gets so many entries and
// bytes a second; 0 means never, as it gets none.
func (s Schedule) Interval(entriesPerSecond, bytesPerSecond float64) time.Duration {
	s = s.WithDefaults()
	if entriesPerSecond <= 0 {
		return 0
	}
	byReplay := (s.Replay / 2).Seconds() / replayOf(entriesPerSecond, bytesPerSecond).Seconds()
	next := 1 / entriesPerSecond // none is due without a transaction
	return time.Duration(max(min(s.Every.Seconds(), byReplay), next) * float64(time.Second))
}

// WithDefaults is the same with its defaults in it.
func (s Schedule) WithDefaults() Schedule {
	if s.Every <= 0 {
		s.Every = time.Hour
	}
	if s.Replay <= 0 {
		s.Replay = 10 * time.Second
	}
	return s
}

// What a recovery takes of a log, before any was measured: 64 GETs at once that take
// 30 ms each, as in S3, and what decoding and applying take besides.
const (
	replayPerEntry = 500 * time.Microsecond
	replayPerByte  = 20 * time.Nanosecond
)

func replayOf(entries, bytes float64) time.Duration {
	return time.Duration(entries*float64(replayPerEntry) + bytes*float64(replayPerByte))
}

// ReplayModel estimates how long reading a log takes a recovery: so long for an entry,
// and so long for a byte. One recovery does not tell the two apart; so what was measured
// only says how much faster or slower everything is. The zero value has measured nothing.
type ReplayModel struct {
	measured, estimated time.Duration // of all recoveries, as they were and as they should have been
}

// How much a recovery counts: not at all against a second of those as they should be, if
// it is short; and if its store did not answer for a while, that says nothing.
const (
	replayDoubt  = time.Second
	replaySlower = 10
)

// Measured takes a recovery.
func (r *ReplayModel) Measured(entries int, bytes int64, took time.Duration) {
	estimate := replayOf(float64(entries), float64(bytes))
	r.measured += min(took, replaySlower*estimate)
	r.estimated += estimate
}

// Of is the estimate for so much of a log.
func (r *ReplayModel) Of(entries int, bytes int64) time.Duration {
	scale := float64(replayDoubt+r.measured) / float64(replayDoubt+r.estimated)
	return time.Duration(scale * float64(replayOf(float64(entries), float64(bytes))))
}
