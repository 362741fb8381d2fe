package snapshot

import "time"

// Schedule says when the next snapshot is due. The zero value is good.
type Schedule struct {
	// Every is the time between two snapshots while there are writes; default 1 h
	// (Aurora: -dlog_snapshot_interval).
	Every time.Duration
	// Entries is the number of log entries since the last snapshot at which the
	// next is due, whatever the time: it bounds what a recovery must read; default
	// 10,000.
	Entries int
}

// Due tells whether a snapshot is due, by the age of the last one and by what the
// log holds since. Without new transactions none is.
func (s Schedule) Due(age time.Duration, transactions, entries int) bool {
	s = s.withDefaults()
	return transactions > 0 && (age >= s.Every || entries >= s.Entries)
}

// Interval is the time between two snapshots of a log that gets so many entries a
// second; 0 means never, as it gets none.
func (s Schedule) Interval(entriesPerSecond float64) time.Duration {
	s = s.withDefaults()
	if entriesPerSecond <= 0 {
		return 0
	}
	byEntries := float64(s.Entries) / entriesPerSecond
	next := 1 / entriesPerSecond // none is due without a transaction
	return time.Duration(max(min(s.Every.Seconds(), byEntries), next) * float64(time.Second))
}

func (s Schedule) withDefaults() Schedule {
	if s.Every <= 0 {
		s.Every = time.Hour
	}
	if s.Entries <= 0 {
		s.Entries = 10_000
	}
	return s
}
