package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/simulation/check"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// incident is what happens to a process, or to all.
type incident string

const (
	freeze     incident = "freeze"       // nothing goes out or comes in; later all does
	blackHole  incident = "black hole"   // nothing gets through
	muted      incident = "muted"        // requests are lost
	deafened   incident = "deafened"     // answers are lost
	crash      incident = "crash"        // killed, and started again
	shutdown   incident = "shutdown"     // closed in good order, and started again
	expired    incident = "expired"      // its credentials
	slowed     incident = "slowed"       // its network
	burst      incident = "errors"       // of the store, for all
	jump       incident = "clock jump"   // of its wall clock, as its lease reads it
	leaseLost  incident = "lease lost"   // lease.json, by an accident
	leaseBreak incident = "lease broken" // by an operator
	entryLost  incident = "entry lost"   // by an accident, once: it may not be possible to go on
)

// incidents are all of them, in a fixed order.
var incidents = []incident{freeze, blackHole, muted, deafened, crash, shutdown, expired, slowed, burst, jump, leaseLost, leaseBreak, entryLost}

// lasts tells whether it has an end, and does not happen at one instant only.
func (i incident) lasts() bool {
	return !slices.Contains([]incident{crash, shutdown, leaseLost, leaseBreak, entryLost}, i)
}

// planIncidents plans the first of each kind; each plans the next.
func (r *run) planIncidents() {
	for _, i := range incidents {
		if every := r.profile.incidents[i]; every > 0 {
			r.planIncident(i, every)
		}
	}
}

func (r *run) planIncident(i incident, every time.Duration) {
	r.after(r.between(every/2, every*3/2), func() {
		if r.healed {
			return
		}
		r.happen(i)
		r.planIncident(i, every)
	})
}

// happen lets an incident happen: mostly to the leader.
func (r *run) happen(i incident) {
	if i == entryLost { // which happens to no process
		r.loseEntry()
		return
	}
	p := r.victim()
	if p == nil {
		return
	}
	lasts := r.logBetween(r.profile.incidentFrom, r.profile.incidentTo)
	r.timeline.add(p.name, "%s, for %v", i, lasts)
	r.incidents[i]++
	if lasts > r.profile.ttl {
		r.outlasting[i]++
	}
	life := p.life
	ends := func(end func()) {
		r.after(lasts, func() {
			if p.life == life && !r.healed {
				r.timeline.add(p.name, "%s ends", i)
				end()
			}
		})
	}
	switch i {
	case freeze:
		p.frozen = true
		ends(p.thaw)
	case blackHole:
		p.mute, p.deaf = true, true
		ends(func() { p.mute, p.deaf = false, false })
	case muted:
		p.mute = true
		ends(func() { p.mute = false })
	case deafened:
		p.deaf = true
		ends(func() { p.deaf = false })
	case crash:
		r.kill(p.link)
	case shutdown:
		p.shutDown()
	case expired:
		p.denied = true
		ends(func() { p.denied = false })
	case slowed:
		p.slow = 5 + 50*r.rand.Float64()
		ends(func() { p.slow = 0 })
	case burst:
		r.bursting = true
		ends(func() { r.bursting = false })
	case jump:
		by := pick(r, time.Hour, -time.Hour)
		p.clock.Jump(by)
		ends(func() { p.clock.Jump(-by) })
	case leaseLost:
		r.leaseCut()
		r.network.accident(lease.Key)
	case leaseBreak:
		r.breakLease()
	}
}

// loseEntry takes away an entry that a recovery needs and whose loss a later one shows,
// if there is any.
func (r *run) loseEntry() {
	if r.history.Damaged {
		return
	}
	ctx, b := context.Background(), bucket.New(r.network.store, "mem://accident", "", bucket.Options{})
	log, err := blob.Open(ctx, b, blob.Options{ReadOnly: true})
	if err != nil {
		return // there is no cell yet
	}
	names, _ := snapshot.List(ctx, b, nil)
	covered := persistence.Position(0) // by the newest snapshot
	if len(names) > 0 {
		covered = names[len(names)-1].Position + 1
	}
	keys, _ := log.Keys(ctx)
	var entries []blob.Header
	for h, err := range log.Headers(ctx, keys) {
		if err == nil {
			entries = append(entries, h)
		}
	}
	var needed []blob.Header
	for _, h := range entries {
		if h.Kind != blob.KindSeal && h.Position >= covered && slices.ContainsFunc(entries, func(later blob.Header) bool {
			return later.Epoch == h.Epoch && later.Position > h.Position && later.Committed > h.Position
		}) {
			if key := blob.Key(h.Epoch, h.Position); !r.profile.underSeals || r.network.awaitsSeal(key) {
				needed = append(needed, h)
			}
		}
	}
	if len(needed) == 0 {
		return
	}
	lost := needed[r.rand.IntN(len(needed))]
	r.history.Damaged = true
	r.incidents[entryLost]++
	r.timeline.add("accident", "%s is lost", blob.Key(lost.Epoch, lost.Position))
	r.network.accident(blob.Key(lost.Epoch, lost.Position))
}

// victim is a process that runs, the leader mostly.
func (r *run) victim() *process {
	var running []*process
	for _, p := range r.processes {
		if p.running && !p.frozen {
			running = append(running, p)
		}
	}
	if len(running) == 0 {
		return nil
	}
	if r.chance(0.6) {
		for _, p := range running {
			if p.leads() {
				return p
			}
		}
	}
	return running[r.rand.IntN(len(running))]
}

// breakLease does what an operator does with lease break, at once.
func (r *run) breakLease() {
	b := bucket.New(r.network.store, "mem://operator", "", bucket.Options{})
	r.leaseCut()
	state, err := lease.Break(context.Background(), b)
	if err != nil {
		r.timeline.add("operator", "lease break: %v", err)
		return
	}
	r.timeline.add("operator", "lease break: %v", state)
	r.network.landed("", lease.Key, r.network.store.Data(lease.Key), true)
}

// leaseCut notes that who holds the lease now may answer reads with an old state.
func (r *run) leaseCut() {
	b := bucket.New(r.network.store, "mem://operator", "", bucket.Options{})
	if state, err := lease.Read(context.Background(), b); err == nil && !state.Released {
		r.history.Breaks = append(r.history.Breaks, check.Break{From: r.now(), To: r.now() + r.profile.ttl, Epoch: state.Epoch})
	}
}
