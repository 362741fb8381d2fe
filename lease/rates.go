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

// WatchEvery is the mean time between two looks by one who waits for a lease that
// another holds: in each period of the holder's, one for each poll, of which chance
// makes a tenth more, and one more in four where the look at the due instant came too
// early.
func (o Options) WatchEvery() time.Duration {
	o, _ = o.withDefaults()
	period := renewEvery(o.TTL)
	looks := 1.1*float64((period+o.Poll/2)/o.Poll) + 0.25
	return time.Duration(float64(period) / looks)
}
