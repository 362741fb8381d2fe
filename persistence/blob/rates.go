package blob

import (
	"math"
	"time"
)

// What a log costs in requests follows from how often it is written and read; see
// package cost. What is said here is held to by tests that count.

// Spacing is the time between two entries of a busy log whose uploads take latency.
func Spacing(latency time.Duration) time.Duration { return latency / paceParallel }

// FullEntry is the size of the records at which an entry is sent without waiting, in
// bytes.
func (o Options) FullEntry() int { return o.withDefaults().EntryBytes }

// PollEvery is the time between two requests of an idle follower for the next entry.
func (o FollowOptions) PollEvery() time.Duration { return o.withDefaults().MaxPoll }

// CheckEvery is the time between two proofs of an idle follower that the end is the end:
// CheckEnd, up to a whole number of polls. Each is a LIST of the log, a GET of the lease
// and a LIST of the snapshots.
func (o FollowOptions) CheckEvery() time.Duration {
	o = o.withDefaults()
	polls := (o.CheckEnd + o.MaxPoll - 1) / o.MaxPoll
	return polls * o.MaxPoll
}

// MissesPerSecond is how often a follower asks for an entry that is not there yet, of a
// log that gets so many entries a second at random times. How many misses there are from
// some entries to the next ones, and how long that takes, depends on when these come.
func (o FollowOptions) MissesPerSecond(entriesPerSecond float64) float64 {
	o = o.withDefaults()
	if entriesPerSecond <= 0 {
		return 1 / o.MaxPoll.Seconds()
	}
	// Behind the last of some entries it asks for the next two, and for the first of
	// those once more, to see whether it stands at the end.
	misses, seconds, waited := 3.0, 0.0, 0.0
	for none := 1.0; none > 1e-9; { // the chance that no entry has come yet
		wait := min(o.MinPoll.Seconds()+waited, o.MaxPoll.Seconds()) // each is twice the one before
		seconds += none * wait
		waited += wait
		none = math.Exp(-entriesPerSecond * waited)
		misses += none
	}
	return misses / seconds
}
