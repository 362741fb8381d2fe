package doctor

import (
	"context"
	"slices"
)

// Probe is one check.
type Probe struct {
	Name  string
	Does  string // what is done
	roles []Role // whose credentials it is for; nil is all
	needs need
	run   func(context.Context, *patient) []Finding
}

// need is what a probe stands on.
type need int

const (
	nothing need = iota
	toReach      // that the store answers
	toWrite      // that objects can be written and deleted
	toTrust      // that conditional writes are what they should be
)

// Probes are all checks in their order.
func Probes() []Probe { return probes() }

func probes() []Probe {
	writers := []Role{Writer, Operator}
	return []Probe{
		{"reach", "opens the store, and lists the cell", nil, nothing, reach},
		{"clock", "compares the clock of this host with that of the store", nil, nothing, clock},
		{"room", "looks at the directory's file system", nil, toReach, room},
		{"read", "reads and lists below the cell", nil, toReach, read},
		{"write", "makes, reads, replaces and deletes an object below the cell", writers, toReach, write},
		{"refusal", "makes and deletes an object below the cell, which must be refused", []Role{Follower}, toReach, refusal},
		{"conditions", "makes what is there, and replaces what is not as it was", writers, toWrite, conditions},
		{"create race", "lets many writers make the same objects at once", writers, toTrust, createRace},
		{"replace race", "lets many writers replace the same versions at once", writers, toTrust, replaceRace},
		{"consistency", "reads and lists through one client what another has just written, replaced, deleted", writers, toWrite, consistency},
		{"outside", "tries whether objects beside the cell could be read and written", []Role{Writer, Follower}, toReach, outside},
		{"versioning", "asks what becomes of what was overwritten", nil, toReach, versioning},
		{"life cycle", "asks for rules that delete objects", nil, toReach, lifeCycle},
		{"retention", "asks for what keeps objects from deletion", nil, toReach, retention},
		{"public access", "tries without credentials, and asks what lets everybody in", nil, toReach, public},
		{"latency", "measures each kind of request", nil, toReach, latency},
		// Last: with so many objects an emulator's lists are slow.
		{"listing", "lists more than one page", writers, toWrite, listing},
	}
}

// skip tells why the probe can't be tried, or is not for the role; empty if it can.
func (pr Probe) skip(p *patient) string {
	switch {
	case pr.roles != nil && !slices.Contains(pr.roles, p.Role):
		return "not for the role " + string(p.Role)
	case pr.needs >= toReach && !p.reached:
		return "the store can't be reached"
	case pr.needs >= toWrite && !p.writes:
		return "nothing can be written and removed again"
	case pr.needs >= toTrust && !p.conditions:
		return "conditional writes are not what they should be even one at a time"
	}
	return ""
}

func ok(found string) []Finding { return []Finding{{Verdict: OK, Found: found}} }

func skipped(found string) []Finding { return []Finding{{Verdict: Skipped, Found: found}} }

func unfit(found, means, fix string) []Finding { return []Finding{{"", Unfit, found, means, fix}} }

func warning(found, means, fix string) []Finding { return []Finding{{"", Warning, found, means, fix}} }

// undecided is the finding of a probe whose requests failed. What is not proved is not
// fit.
func undecided(err error, what string) []Finding {
	return unfit(err.Error(), what+" is not proved, because a request failed that should not", "put right what the error says, and run doctor again")
}
