package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// refusedFrom is a third of the difference from which S3 refuses signatures.
const refusedFrom = 5 * time.Minute

// clock also runs where the store refused everything: that may be why.
func clock(ctx context.Context, p *patient) []Finding {
	d, ok := p.driver.(driver.Describer)
	if !p.answered || p.driver == nil {
		return skipped("the store does not answer")
	}
	if !ok {
		return skipped("the store's clock is this host's")
	}
	before := time.Now()
	date, err := d.ServerTime(ctx)
	after := time.Now()
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return skipped("the store's clock is this host's")
	case err != nil:
		return []Finding{{
			Verdict: Unread, Found: "the store's clock could not be read: " + err.Error(),
			Means: "whether this host's clock is right is not known", Fix: "put right what the error says, and run doctor again",
		}}
	}
	return judgeClock(difference(before, after, date), p.LeaseTTL)
}

// difference is by how much this host's clock is ahead of the store's at least, less than
// 0 if it is behind. The store told whole seconds, at some moment between before and after.
func difference(before, after, date time.Time) time.Duration {
	switch ahead, behind := before.Sub(date.Add(time.Second)), date.Sub(after); {
	case ahead > 0:
		return ahead
	case behind > 0:
		return -behind
	}
	return 0
}

func judgeClock(off, ttl time.Duration) []Finding {
	direction := "ahead of"
	if off < 0 {
		off, direction = -off, "behind"
	}
	// The lease is held by monotonic clocks alone; what its holder leaves of it for two
	// clocks that run unequally fast is the measure of what is much here.
	tolerance := ttl / 10
	found := fmt.Sprintf("this host is %v %s the store", off.Round(100*time.Millisecond), direction)
	const fix = "keep the hosts' clocks by NTP: chronyc tracking, or timedatectl"
	switch {
	case off >= refusedFrom:
		return unfit(found, "a store refuses requests that are signed 15 minutes off; times in the history, and what retention keeps, are wrong", fix)
	case off > tolerance:
		return warning(found, fmt.Sprintf("the data is safe, since no two clocks are compared for it; but restores to a time are off by as much, and a clock that is set back or forth by more than %v, the margin of the lease, ends leadership", tolerance), fix)
	}
	return ok(fmt.Sprintf("this host and the store agree to the second; the lease of %v bears %v", ttl, tolerance))
}
