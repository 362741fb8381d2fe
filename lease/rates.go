package lease

import "time"

// What a lease costs in requests follows from how often it is written and read; see
// package cost.

// RenewEvery is the time between two renewals by the holder, each one compare-and-swap.
func (o Options) RenewEvery() time.Duration {
	o, _ = o.withDefaults() // what can't be used has no cost
	return renewEvery(o.TTL)
}

func renewEvery(ttl time.Duration) time.Duration { return ttl / 3 }

// WatchEvery is the mean time between two reads by one who waits for a lease that
// another holds.
func (o Options) WatchEvery() time.Duration {
	o, _ = o.withDefaults()
	return o.Poll - pauseSpread(o.Poll)/2
}

// pauseSpread is how much a pause between two reads may be shorter than a poll: at
// random, so that contenders do not go in step.
func pauseSpread(poll time.Duration) time.Duration { return poll / 5 }
