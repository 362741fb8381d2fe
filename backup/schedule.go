package backup

import "time"

// Schedule says when automatic backups are made and how many are kept. The zero value
// is good.
type Schedule struct {
	// Every is the time between two; default 1 h, negative for never (Aurora:
	// -backup_interval).
	Every time.Duration
	// Keep is how many are kept; default 48 (Aurora: -max_saved_backups).
	Keep int
}

// Kept is Keep, or its default.
func (s Schedule) Kept() int {
	if s.Keep <= 0 {
		return 48
	}
	return s.Keep
}

// Due tells whether a backup is due, by the time since the last one was begun, whatever
// came of it, or since this process began to lead. That one of the state of now was made
// already is the caller's to know.
func (s Schedule) Due(since time.Duration) bool {
	every := s.Interval()
	return every > 0 && since >= every
}

// Interval is Every, or its default; 0 for never.
func (s Schedule) Interval() time.Duration {
	if s.Every == 0 {
		return time.Hour
	}
	return max(0, s.Every)
}
