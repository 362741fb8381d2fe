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
	if s.Every <= 0 {
		s.Every = time.Hour
	}
	if s.Entries <= 0 {
		s.Entries = 10_000
	}
	return transactions > 0 && (age >= s.Every || entries >= s.Entries)
}
