package snapshot

import (
	"testing"
	"time"
)

func TestWhenASnapshotIsDue(t *testing.T) {
	own := Schedule{Every: time.Minute, Replay: 4 * time.Second}
	for _, c := range []struct {
		name         string
		schedule     Schedule
		age          time.Duration
		transactions int
		replay       time.Duration
		want         bool
	}{
		{"nothing has happened", Schedule{}, 0, 0, 0, false},
		{"nothing was written for a year", Schedule{}, 365 * 24 * time.Hour, 0, 0, false},
		{"only seals, ever so many", Schedule{}, 24 * time.Hour, 0, time.Hour, false},
		{"by default not before an hour", Schedule{}, time.Hour - 1, 9_999, 5*time.Second - 1, false},
		{"by default after an hour", Schedule{}, time.Hour, 1, 1, true},
		{"by default at half of 10 s", Schedule{}, 0, 1, 5 * time.Second, true},
		{"many transactions that are read soon can wait", Schedule{}, 0, 1_000_000, 4 * time.Second, false},
		{"not before the time set", own, time.Minute - 1, 1, 0, false},
		{"at the time set", own, time.Minute, 1, 0, true},
		{"at half of the replay set", own, 0, 1, 2 * time.Second, true},
		{"before half of the replay set", own, 0, 1, 2*time.Second - 1, false},
		{"less than nothing is the default", Schedule{Every: -1, Replay: -1}, time.Minute, 5, time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.schedule.Due(c.age, c.transactions, c.replay); got != c.want {
				t.Errorf("after %v, %d transactions that are read in %v: %t", c.age, c.transactions, c.replay, got)
			}
		})
	}
}

func TestTimeBetweenSnapshots(t *testing.T) {
	for _, c := range []struct {
		schedule       Schedule
		entries, bytes float64 // a second
		want           time.Duration
	}{
		{Schedule{}, 0, 0, 0},
		{Schedule{}, 1e-9, 0, 1e9 * time.Second},
		{Schedule{}, 1, 1000, time.Hour},
		{Schedule{}, 100, 0, 100 * time.Second},
		{Schedule{}, 100, 2_500_000, 50 * time.Second},
		{Schedule{Every: time.Minute, Replay: 10 * time.Millisecond}, 0.1, 0, time.Minute},
		{Schedule{Every: time.Minute, Replay: 10 * time.Millisecond}, 1, 0, 10 * time.Second},
		{Schedule{Every: time.Minute}, 0.01, 0, 100 * time.Second},
	} {
		if got := c.schedule.Interval(c.entries, c.bytes).Round(time.Millisecond); got != c.want {
			t.Errorf("%+v at %v entries and %v bytes a second: %v, want %v", c.schedule, c.entries, c.bytes, got, c.want)
		}
	}
}

func TestReplayIsEstimatedByWhatRecoveriesTook(t *testing.T) {
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want*95/100 || got > want*105/100 {
			t.Errorf("%s: %v, want about %v", what, got, want)
		}
	}
	var m ReplayModel
	near("nothing measured", m.Of(10_000, 0), 5*time.Second)
	near("bytes count", m.Of(10_000, 100_000_000), 7*time.Second)
	if m.Of(0, 0) != 0 {
		t.Error("nothing to read takes time")
	}
	m.Measured(3, 300, 40*time.Millisecond) // short ones say little
	near("after a short recovery", m.Of(10_000, 0), 5*time.Second)
	m.Measured(200_000, 0, 20*time.Second) // five times as fast
	near("on a fast store", m.Of(10_000, 0), time.Second)

	var slow ReplayModel
	slow.Measured(200_000, 0, 500*time.Second)
	near("on a slow store", slow.Of(10_000, 0), 25*time.Second)
	var stalled ReplayModel
	stalled.Measured(2_000, 0, 24*time.Hour) // it says nothing of what entries take
	if got := stalled.Of(10_000, 0); got > 28*time.Second {
		t.Errorf("after an outage: %v", got)
	}
}
