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

// MissesPerSecond is about how often a follower asks for an entry that is not there yet,
// of a log that gets so many entries a second: three times for each, or, if they are
// further apart than it waits at most, after waits that double up to that.
func (o FollowOptions) MissesPerSecond(entriesPerSecond float64) float64 {
	longest := o.withDefaults().MaxPoll.Seconds()
	if entriesPerSecond <= 0 {
		return 1 / longest
	}
	gap := 1 / entriesPerSecond
	if gap <= longest {
		return 3 * entriesPerSecond
	}
	doubling := min(gap, 2*longest)
	misses := 2 + math.Log2(doubling/longest*firstWaits) + (gap-doubling)/longest
	return misses * entriesPerSecond
}
