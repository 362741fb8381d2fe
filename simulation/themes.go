package simulation

import "time"

// A theme bends a profile towards what a rule of the protocol is there for, and what
// independent draws come to in one of thousands of seeds only. Which theme is needed
// for what shows in the shortest counterexamples of the protocol's model
// (model/traces.txt); that each is enough is shown by TestTeeth.
type theme func(*run, *profile)

var themes = []theme{sleepers, slowReaders, falseBranches, lostAnswers, lateManifests, clocks, accidents}

// themed is the share of seeds that have a theme.
const themed = 0.6

func (r *run) bend(p *profile) {
	if r.chance(themed) {
		pick(r, themes...)(r, p)
	}
}

// sleepers: the lease is broken again and again, so that who held it goes on for long
// beside its successors, with seals and entries on their way; meanwhile little is
// written, and all of it soon snapshotted and collected.
func sleepers(r *run, p *profile) {
	p.calm(r)
	p.ttl = pick(r, 20*time.Second, 40*time.Second)
	p.late = map[kind]float64{sealPut: 0.5, entryPut: 0.15, entryGet: 0.05, logList: 0.05, manifestPut: pick(r, 0, 0.1)}
	p.incidents = map[incident]time.Duration{leaseBreak: r.between(3*time.Second, 8*time.Second)}
}

// slowReaders: what they ask for is collected before they get an answer.
func slowReaders(r *run, p *profile) {
	p.calm(r)
	p.late = map[kind]float64{entryGet: 0.5}
	p.lateFrom, p.lateTo, p.clients, p.think = time.Second, 8*time.Second, 1, r.between(2*time.Second, 6*time.Second)
	p.followers, p.reopenEvery = maxFollowers, 10*time.Second
}

// falseBranches: leaders are many at once, and what they read is late, so that seals fall
// on keys that were collected, and others read them who saw nothing of that.
func falseBranches(r *run, p *profile) {
	p.calm(r)
	p.ttl = 2 * time.Minute
	p.late = map[kind]float64{sealPut: 0.6, entryPut: 0.4, entryGet: 0.3}
	p.lateFrom, p.lateTo = time.Second, 10*time.Second
	p.incidents = map[incident]time.Duration{leaseBreak: r.between(2*time.Second, 4*time.Second)}
}

// lostAnswers: a leader does not learn that its entries have landed, and sends them again
// long after, when what they were is history and collected.
func lostAnswers(r *run, p *profile) {
	falseBranches(r, p)
	p.late = map[kind]float64{sealPut: 0.5, entryPut: 0.4}
	p.faults[lostReply], p.faultsOf, p.retryFor, p.patience = 0.5, entryPut, time.Minute, time.Minute
	p.lateFrom, p.lateTo = 2*time.Second, 12*time.Second
}

// calm leaves out all faults, and has little written and that collected at once.
func (p *profile) calm(r *run) {
	p.length, p.latency, p.tail = 2*time.Minute, r.logBetween(time.Millisecond, 20*time.Millisecond), 0
	p.retryFor, p.stallAfter = 0, time.Minute
	p.snapshots, p.collections, p.keep, p.retain = 500*time.Millisecond, 700*time.Millisecond, 1, -1
	p.clients, p.think, p.entryBytes, p.prefetch = 1+r.rand.IntN(2), r.logBetween(300*time.Millisecond, 5*time.Second), 1, 2
	p.hedge, p.restores, p.patience = false, 0, 20*time.Second
	p.window = pick(r, 1, 2, 3)
	p.faults, p.incidents = map[fault]float64{}, map[incident]time.Duration{}
	p.lateFrom = r.logBetween(300*time.Millisecond, 3*time.Second)
	p.lateTo = p.lateFrom + r.logBetween(2*time.Second, 15*time.Second)
}

// lateManifests: snapshots of leaders that are none any more come to be, long after their
// parts, while their successors collect.
func lateManifests(r *run, p *profile) {
	p.calm(r)
	p.late = map[kind]float64{manifestPut: 0.6}
	p.incidents = map[incident]time.Duration{leaseBreak: r.between(2*time.Second, 6*time.Second)}
}

// clocks: leaders are cut off for longer than their lease, their wall clocks are set, and
// clients read from whoever says that it leads.
func clocks(r *run, p *profile) {
	p.ttl, p.reads, p.clients, p.think = 3*time.Second, 0.6, 4, r.logBetween(50*time.Millisecond, 500*time.Millisecond)
	p.incidents = map[incident]time.Duration{blackHole: 10 * time.Second, jump: r.between(2*time.Second, 5*time.Second)}
	p.incidentFrom, p.incidentTo = 8*time.Second, 20*time.Second
}

// accidents: an object of the log is lost, and in half of the seeds a seal that is late
// takes its place.
func accidents(r *run, p *profile) {
	p.incidents = map[incident]time.Duration{entryLost: r.between(10*time.Second, 30*time.Second), crash: r.between(3*time.Second, 10*time.Second)}
	p.late = map[kind]float64{}
	if r.chance(0.5) {
		p.underSeals, p.late[sealPut] = true, 0.5
		p.incidents = map[incident]time.Duration{entryLost: 300 * time.Millisecond, leaseBreak: r.between(2*time.Second, 6*time.Second)}
	}
}
