package storage

import (
	"slices"
	"sync/atomic"
)

// timeline is a list of events in the order of their timestamps. It never changes;
// insert makes the next one. An event that comes last, as nearly all do, costs no copy
// of those before it: timelines that continue each other share one array, in which
// each sees no further than its own end.
//
// Two transactions may continue one timeline at the same time, so the place behind its
// end must be claimed. Whoever claims it first writes to it, once; any other takes a
// copy of its own.
type timeline[E any] struct {
	events []*E // with room behind it
	// claimed counts the places of the array that are taken: shared by all timelines in
	// that array. It is nil if there is no array yet.
	claimed *atomic.Int64
}

// all returns the events for others to read, never nil. Appending to them copies them.
func (t timeline[E]) all() []*E {
	if len(t.events) == 0 {
		return []*E{}
	}
	return slices.Clip(t.events)
}

// insert returns a timeline with the event after all that are not later. That is where
// a stable sort would bring it from the end.
func (t timeline[E]) insert(event *E, timestamp func(*E) int64) timeline[E] {
	n := len(t.events)
	at := n
	for at > 0 && timestamp(t.events[at-1]) > timestamp(event) {
		at--
	}
	if at == n && n < cap(t.events) && t.claimed.CompareAndSwap(int64(n), int64(n+1)) {
		return timeline[E]{append(t.events, event), t.claimed}
	}
	grown := make([]*E, 0, n+n/4+4)
	grown = append(grown, t.events[:at]...)
	grown = append(grown, event)
	grown = append(grown, t.events[at:]...)
	claimed := new(atomic.Int64)
	claimed.Store(int64(n + 1))
	return timeline[E]{grown, claimed}
}
