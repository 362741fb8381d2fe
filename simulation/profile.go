package simulation

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// profile is what a seed draws first: the cluster, and which kinds of faults there are.
type profile struct {
	length time.Duration // until the faults end
	// The store.
	etags    bool // the same bytes have the same version, as in S3
	unsorted bool // listings come in any order
	pageSize int
	hedge    bool
	latency  time.Duration // of a round trip
	tail     float64       // share of requests that take many times as long
	// retryFor and stallAfter are of the HTTP layer.
	retryFor, stallAfter time.Duration
	// The cell and its processes.
	window               int // 0: as new cells have it
	ttl                  time.Duration
	followers            int
	entryBytes, prefetch int
	snapshots            time.Duration
	collections          time.Duration
	keep                 int
	retain               time.Duration
	gains                []time.Duration // of the processes' clocks, in a second
	clients              int
	registers            int
	think                time.Duration // between two calls of a client
	patience             time.Duration
	reads                float64 // share of reads
	restores             float64 // share of restores
	keys                 float64 // share of writes with an idempotency key
	sampleEvery          time.Duration
	reopenEvery          time.Duration // how long a follower lives; 0 is for good
	// The faults.
	faults                   map[fault]float64 // share of requests
	faultsOf                 kind              // the only requests that they happen to; "" is all
	late                     map[kind]float64
	lateFrom, lateTo         time.Duration
	incidents                map[incident]time.Duration // time between two
	incidentFrom, incidentTo time.Duration              // how long one lasts
	underSeals               bool                       // entries are lost where a seal is on its way to
}

// draw draws a profile.
func (r *run) drawProfile() profile {
	p := profile{
		length: r.between(40*time.Second, 120*time.Second),
		etags:  r.chance(0.5), unsorted: r.chance(0.2), hedge: r.chance(0.5),
		pageSize: pick(r, 1, 3, 10, 1000, 1000), latency: r.logBetween(2*time.Millisecond, 60*time.Millisecond),
		tail: pick(r, 0, 0.01, 0.1), retryFor: pick(r, 0, 5*time.Second, 30*time.Second), stallAfter: r.between(2*time.Second, 10*time.Second),
		window: pick(r, 0, 1, 2, 3, 4), ttl: pick(r, 3*time.Second, 3*time.Second, 5*time.Second, 10*time.Second),
		followers: pick(r, 0, 1, 1, maxFollowers), entryBytes: pick(r, 1, 100, 200, 1<<20), prefetch: pick(r, 2, 64),
		snapshots: r.logBetween(500*time.Millisecond, 20*time.Second), collections: r.logBetween(500*time.Millisecond, 10*time.Second),
		keep: pick(r, 1, 1, 1, 2, 3), retain: pick(r, -1, -1, 10*time.Second),
		clients: 1 + r.rand.IntN(6), registers: 2 + r.rand.IntN(5), think: r.logBetween(50*time.Millisecond, 3*time.Second),
		patience: r.between(3*time.Second, 20*time.Second), reads: pick(r, 0.1, 0.3), restores: pick(r, 0, 0, 0.02, 0.1),
		keys: pick(r, 0, 0.5, 1), sampleEvery: r.between(500*time.Millisecond, 3*time.Second),
		reopenEvery: pick(r, 0, 3*time.Second, 10*time.Second),
		faults:      map[fault]float64{}, late: map[kind]float64{}, incidents: map[incident]time.Duration{},
	}
	if p.hedge { // one request at a time, as which of two is hedged is left to chance
		p.prefetch, p.entryBytes = 1, 1<<20
	}
	for range candidates + maxFollowers {
		p.gains = append(p.gains, time.Duration(float64(maxGain)*pick(r, 0, -1, 1, r.rand.Float64())))
	}
	for _, f := range faults {
		if r.chance(0.3) {
			p.faults[f] = 0.001 * math.Pow(100, r.rand.Float64()) // to a tenth
		}
	}
	for _, f := range []fault{killedBefore, killedAfter, flipped, cut} { // each of which costs much
		p.faults[f] = min(p.faults[f], 0.01)
	}
	p.faults[emptyDelete] *= 5 // there are few deletions
	for _, k := range kinds {
		if r.chance(0.25) {
			p.late[k] = 0.01 * math.Pow(50, r.rand.Float64()) // to half of all
		}
	}
	p.lateFrom = r.logBetween(100*time.Millisecond, 5*time.Second)
	p.lateTo = p.lateFrom + r.logBetween(time.Second, 60*time.Second)
	for _, i := range incidents {
		if i != entryLost && r.chance(0.3) { // that is of one theme only
			p.incidents[i] = r.logBetween(5*time.Second, 60*time.Second)
			if i == leaseBreak || i == leaseLost { // often enough, so that several lead at once
				p.incidents[i] = r.logBetween(time.Second, 30*time.Second)
			}
		}
	}
	p.incidentFrom, p.incidentTo = 100*time.Millisecond, p.ttl+r.logBetween(time.Second, 20*time.Second)
	r.bend(&p)
	return p
}

// maxFollowers is how many there are at most.
const maxFollowers = 2

// maxGain is how much faster or slower a clock runs at most, in a second. The lease's
// margin is for a tenth between two.
const maxGain = 50 * time.Millisecond

func (p *profile) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, round trips %v, TTL %v, window %d, snapshots each %v, collections each %v, %d followers, %d clients each %v",
		p.length, p.latency, p.ttl, p.window, p.snapshots, p.collections, p.followers, p.clients, p.think)
	for _, f := range faults {
		if p.faults[f] > 0 {
			fmt.Fprintf(&b, "; %s %.2f%%", f, 100*p.faults[f])
		}
	}
	for _, k := range kinds {
		if p.late[k] > 0 {
			fmt.Fprintf(&b, "; %s late %.0f%%", k, 100*p.late[k])
		}
	}
	fmt.Fprintf(&b, "; late by %v to %v", p.lateFrom, p.lateTo)
	for _, i := range incidents {
		if p.incidents[i] > 0 {
			fmt.Fprintf(&b, "; %s each %v", i, p.incidents[i])
		}
	}
	return b.String()
}

// pick draws one of some values.
func pick[T any](r *run, values ...T) T { return values[r.rand.IntN(len(values))] }

// chance is true in a share of all draws.
func (r *run) chance(share float64) bool { return share > 0 && r.rand.Float64() < share }

// between draws a time.
func (r *run) between(from, to time.Duration) time.Duration {
	return from + time.Duration(r.rand.Int64N(int64(to-from)+1))
}

// logBetween draws a time, short ones as often as long ones.
func (r *run) logBetween(from, to time.Duration) time.Duration {
	return time.Duration(float64(from) * math.Pow(float64(to)/float64(from), r.rand.Float64()))
}
