package snapshot

import (
	"testing"
	"time"
)

func TestWhenASnapshotIsDue(t *testing.T) {
	own := Schedule{Every: time.Minute, Entries: 5}
	for _, c := range []struct {
		name                  string
		schedule              Schedule
		age                   time.Duration
		transactions, entries int
		want                  bool
	}{
		{"nothing has happened", Schedule{}, 0, 0, 0, false},
		{"nothing was written for a year", Schedule{}, 365 * 24 * time.Hour, 0, 0, false},
		{"only seals, ever so many", Schedule{}, 24 * time.Hour, 0, 1_000_000, false},
		{"by default not before an hour", Schedule{}, time.Hour - 1, 9_999, 9_999, false},
		{"by default after an hour", Schedule{}, time.Hour, 1, 1, true},
		{"by default at 10,000 entries", Schedule{}, 0, 1, 10_000, true},
		{"many transactions in few entries can wait", Schedule{}, 0, 1_000_000, 9_999, false},
		{"not before the time set", own, time.Minute - 1, 1, 4, false},
		{"at the time set", own, time.Minute, 1, 1, true},
		{"at the entries set", own, 0, 1, 5, true},
		{"less than nothing is the default", Schedule{Every: -1, Entries: -1}, time.Minute, 5, 5, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.schedule.Due(c.age, c.transactions, c.entries); got != c.want {
				t.Errorf("after %v, %d transactions in %d entries: %t", c.age, c.transactions, c.entries, got)
			}
		})
	}
}

func TestTimeBetweenSnapshots(t *testing.T) {
	for _, c := range []struct {
		schedule Schedule
		entries  float64 // a second
		want     time.Duration
	}{
		{Schedule{}, 0, 0},
		{Schedule{}, 1, time.Hour},
		{Schedule{}, 100, 100 * time.Second},
		{Schedule{Every: time.Minute, Entries: 10}, 0.1, time.Minute},
		{Schedule{Every: time.Minute, Entries: 10}, 1, 10 * time.Second},
		{Schedule{Every: time.Minute}, 0.01, 100 * time.Second},
	} {
		if got := c.schedule.Interval(c.entries); got != c.want {
			t.Errorf("%+v at %v entries a second: %v, want %v", c.schedule, c.entries, got, c.want)
		}
	}
}
