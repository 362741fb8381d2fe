package blob

import (
	"time"

	"github.com/scheduler-store/scheduler-store/internal/packed"
)

// pace says when the next entry may be sent, so that each of a busy log carries more
// and fewer requests are paid for. The run goroutine alone uses it.
//
//	nothing on its way         at once, but see below
//	some on their way          when a third of what a PUT takes has passed since the last
//	what waits fills an entry  at once, if the window has room
//
// Those whose records were just acknowledged together are given a moment to come back
// together: else the first of them would leave alone, and the others wait for the next.
//
// With a linger, the oldest record has always waited that long, unless the entry is
// full. With a cap on the PUTs a second, nothing is sent sooner than that allows.
type pace struct {
	linger time.Duration
	gap    time.Duration // between two PUTs, by the cap
	// entryBytes is the size of the records at which an entry is full.
	entryBytes int

	last    time.Time     // when the last entry was sent
	acked   time.Time     // when the last were acknowledged
	company int           // records that were acknowledged then
	latency time.Duration // of PUTs lately
}

// paceParallel is how many entries a busy log keeps on their way. More would hardly
// make a commit faster: what is saved in waiting for the next entry is lost in
// waiting for the slowest one before it, as entries are acknowledged in order. And
// each is paid for.
const paceParallel = 3

// regroup says how long those who were acknowledged are given to come back: one part in
// so many of what a PUT takes.
const regroup = 16

// cappedEntryBytes is what an entry may grow to under a cap on the PUTs a second, as
// an entry's price does not depend on its size.
const cappedEntryBytes = 8 << 20

// newPace returns the pace of a writer; latency is the first guess of what a PUT takes.
func newPace(o Options, latency time.Duration) pace {
	p := pace{linger: o.Linger, entryBytes: o.EntryBytes, latency: latency}
	if o.MaxPutsPerSecond > 0 {
		p.gap = time.Duration(float64(time.Second) / o.MaxPutsPerSecond)
		p.entryBytes = min(max(p.entryBytes, cappedEntryBytes), packed.MaxRaw)
	}
	return p
}

// observe notes what a PUT took.
func (p *pace) observe(latency time.Duration) { p.latency += (latency - p.latency) / 8 }

// sent notes that an entry was sent.
func (p *pace) sent(now time.Time) { p.last = now }

// acknowledged notes how many records were acknowledged together.
func (p *pace) acknowledged(now time.Time, records int) { p.acked, p.company = now, records }

// wait is how long the next entry must still wait, for which so many records wait, the
// oldest since then; busy tells that others are on their way, full that no more records
// fit into it.
func (p *pace) wait(now, since time.Time, records int, busy, full bool) time.Duration {
	wait := p.gap - now.Sub(p.last)
	if !full {
		wait = max(wait, p.linger-now.Sub(since))
		if records < p.company {
			wait = max(wait, p.latency/regroup-now.Sub(p.acked))
		}
		if busy {
			wait = max(wait, p.latency/paceParallel-now.Sub(p.last))
		}
	}
	return wait
}
