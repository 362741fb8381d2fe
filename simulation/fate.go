package simulation

import (
	"math"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// fault is what goes wrong with one request.
type fault string

const (
	// lostRequest never arrives, and nobody says so.
	lostRequest fault = "request lost"
	// lostReply takes effect; the caller sees the connection reset.
	lostReply fault = "reply lost"
	// silence takes effect; the caller hears nothing.
	silence fault = "no reply"
	// twice takes effect now, and once more much later.
	twice fault = "twice"
	// refused is drawn; what comes of it is one of the three after it, none of which takes
	// effect. The request is sent again.
	refused     fault = "refused"
	conflict    fault = "409 conflict" // of a conditional write only: it says that nothing landed
	throttled   fault = "429 too many requests"
	unavailable fault = "503 slow down"
	// serverError may have taken effect or not.
	serverError fault = "server error"
	// flipped and cut change what is read.
	flipped fault = "bit flipped"
	cut     fault = "body cut"
	// emptyDelete says that it has deleted, and has not.
	emptyDelete fault = "delete ignored"
	// killedBefore and killedAfter kill the process just before the request takes effect,
	// or between that and the answer.
	killedBefore fault = "killed before"
	killedAfter  fault = "killed after"
	// denied is not drawn: the process's credentials have expired.
	denied fault = "denied"
	// unmet is no fault, but counted with them: the condition of a write did not hold.
	unmet fault = "412 condition not met"
)

// faults are those that a request can draw, in a fixed order.
var faults = []fault{lostRequest, lostReply, silence, twice, refused, serverError, flipped, cut, emptyDelete, killedBefore, killedAfter}

// counted are those that a run counts.
var counted = []fault{lostRequest, lostReply, silence, twice, conflict, throttled, unavailable, serverError, flipped, cut, emptyDelete, killedBefore, killedAfter, denied, unmet}

// fits tells whether it can happen to requests of an operation.
func (f fault) fits(op operation) bool {
	switch f {
	case twice:
		return op.changes()
	case flipped, cut:
		return op == get || op == part
	case emptyDelete:
		return op == remove
	}
	return true
}

// kind is what a request is to the protocol: what can be late.
type kind string

const (
	entryPut    kind = "entry"
	sealPut     kind = "seal"
	partPut     kind = "part"
	manifestPut kind = "manifest"
	leasePut    kind = "lease"
	entryGet    kind = "entry read"
	headerGet   kind = "header read" // of an entry, by a collector mostly
	otherGet    kind = "read"
	logList     kind = "log listing"
	otherList   kind = "listing"
	deletion    kind = "deletion"
	otherPut    kind = "write"
)

// kinds are those that a profile makes late, in a fixed order.
var kinds = []kind{entryPut, sealPut, partPut, manifestPut, leasePut, entryGet, headerGet, otherGet, logList, otherList, deletion}

// kindAt is where an entry says what it is; its hash is that of its header.
const kindAt, sealKind, headerSize = 10, 2, 152

func kindOf(q *request) kind {
	inLog := strings.HasPrefix(q.key, "log/")
	switch q.op {
	case remove:
		return deletion
	case list:
		if inLog {
			return logList
		}
		return otherList
	case get, part:
		switch {
		case inLog && q.op == part:
			return headerGet
		case inLog:
			return entryGet
		}
		return otherGet
	}
	switch {
	case inLog && len(q.data) > kindAt && q.data[kindAt] == sealKind:
		return sealPut
	case inLog:
		return entryPut
	case strings.HasSuffix(q.key, "manifest.json"):
		return manifestPut
	case strings.Contains(q.key, "/part-"):
		return partPut
	case strings.HasSuffix(q.key, "lease.json"):
		return leasePut
	}
	return otherPut
}

// fate is what becomes of a request.
type fate struct {
	out, back time.Duration // on its way, and that of its answer
	fault     fault
	once      time.Duration // until it takes effect once more
	lands     bool          // of a server error
}

// draw decides the fate of a request that leaves its process now.
func (r *run) draw(q *request) fate {
	p, process := &r.profile, q.link.process
	whole := r.latency(process)
	f := fate{out: whole/2 + time.Duration(r.rand.Int64N(int64(whole))), back: whole/2 + time.Duration(r.rand.Int64N(int64(whole)))}
	switch {
	case r.healed:
		return f
	case process.mute:
		f.fault = lostRequest
		return f
	case process.denied:
		f.fault = denied
		return f
	case r.bursting:
		f.fault = refused
		if r.chance(0.3) {
			f.fault = serverError
		}
	default:
		k := kindOf(q)
		if r.chance(p.late[k]) {
			f.out += r.between(p.lateFrom, p.lateTo)
			r.late[k]++
		}
		if p.faultsOf != "" && p.faultsOf != k {
			break
		}
		for _, fault := range faults {
			if share := p.faults[fault]; share > 0 && fault.fits(q.op) && r.chance(share) {
				f.fault = fault
				break
			}
		}
	}
	switch f.fault {
	case refused:
		f.fault = pick(r, throttled, unavailable)
		if (q.op == create || q.op == replace) && r.chance(0.3) {
			f.fault = conflict
		}
	case twice:
		f.once = r.between(p.lateFrom, p.lateTo)
	case serverError:
		f.lands = r.chance(0.5)
	}
	return f
}

// latency is what half of a round trip takes, about: mostly much the same, sometimes
// far more. No two are ever the same.
func (r *run) latency(p *process) time.Duration {
	d := float64(r.profile.latency) / 2 * math.Exp(0.3*r.rand.NormFloat64())
	if r.chance(r.profile.tail) {
		d *= 1 + 20*r.rand.Float64()
	}
	if p.slow > 0 && !r.healed {
		d *= p.slow
	}
	return max(time.Duration(d), 10*time.Microsecond)
}

// plan plans what a fate says.
func (f fate) plan(n *network, q *request) {
	r := n.run
	if f.fault != "" {
		r.count(f.fault)
		r.timeline.add(q.link.name, "%s: %s", q, f.fault)
	}
	answers := func(a answer) { r.after(f.out+f.back, func() { n.deliver(q, a) }) }
	lands := func(then func(answer)) {
		r.after(f.out, func() {
			if q.link.cutOff {
				return
			}
			then(n.reach(q))
		})
	}
	switch f.fault {
	case "":
		lands(func(a answer) { n.arrive(q, a, f.back) })
	case lostRequest:
	case silence:
		lands(func(answer) {})
	case lostReply:
		lands(func(answer) { n.arrive(q, answer{err: errReset, again: true}, f.back) })
	case twice:
		lands(func(a answer) { n.arrive(q, a, f.back) })
		r.after(f.out+f.once, func() { n.reach(q) })
	case conflict:
		answers(answer{err: errConflict, again: true, nothingLanded: true})
	case throttled:
		answers(answer{err: errTooMany, again: true})
	case unavailable:
		answers(answer{err: errSlowDown, again: true})
	case serverError:
		if f.lands {
			lands(func(answer) {})
		}
		answers(answer{err: errServer, again: true})
	case flipped, cut:
		lands(func(a answer) { n.arrive(q, f.damage(r, q, a), f.back) })
	case emptyDelete:
		answers(answer{})
	case killedBefore:
		r.after(f.out, func() { r.kill(q.link) })
	case killedAfter:
		lands(func(answer) { r.kill(q.link) })
	case denied:
		answers(answer{err: driver.ErrDenied})
	}
}

// damage is what arrives of a body.
func (f fate) damage(r *run, q *request, a answer) answer {
	if a.err != nil || len(a.data) == 0 {
		return a
	}
	q.link.deceived = r.now()
	at := r.rand.IntN(len(a.data))
	switch {
	case f.fault == flipped:
		a.data[at] ^= 1 << r.rand.IntN(8) // it is a copy
	case r.chance(0.5):
		a.data = a.data[:at]
	default: // it shows
		a = answer{err: errTruncated}
	}
	return a
}
