package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// find is the index of the first landing that matches.
func find(t *testing.T, h *History, match func(l *Landing) bool) int {
	t.Helper()
	for i := range h.Landings {
		if match(&h.Landings[i]) {
			return i
		}
	}
	t.Fatal("the run has no such landing")
	return 0
}

func manifestOf(n int) func(l *Landing) bool {
	return func(l *Landing) bool {
		_, ok := manifestName(l.Key)
		if ok && l.Body != nil {
			n--
		}
		return ok && l.Body != nil && n < 0
	}
}

func deletionUnder(prefix string) func(l *Landing) bool {
	return func(l *Landing) bool { return l.Body == nil && strings.HasPrefix(l.Key, prefix) }
}

// insert puts a landing before another, at the same instant.
func (h *History) insert(i int, l Landing) {
	l.At = h.Landings[i].At
	h.Landings = slices.Insert(h.Landings, i, l)
}

func (h *History) remove(i int) { h.Landings = slices.Delete(h.Landings, i, i+1) }

// op is the index of the n-th op that matches.
func opOf(t *testing.T, h *History, kind Kind, outcome Outcome, n int) *Op {
	t.Helper()
	for i := range h.Ops {
		if h.Ops[i].Kind == kind && h.Ops[i].Outcome == outcome {
			if n == 0 {
				return &h.Ops[i]
			}
			n--
		}
	}
	t.Fatalf("the run has no such %v that is %v", kind, outcome)
	return nil
}

func stateOf(t *testing.T, h *History, kind StateKind, n int) *State {
	t.Helper()
	for i := range h.States {
		if h.States[i].Kind == kind {
			if n == 0 {
				return &h.States[i]
			}
			n--
		}
	}
	t.Fatalf("the run has no such state %v", kind)
	return nil
}

// broken are changes of aRun, each of which breaks one rule.
var broken = map[string]struct {
	rule  string
	spoil func(t *testing.T, h *History)
}{
	// 1: what is acknowledged is there, once, in its place.
	"the entry of an acknowledged write has not landed": {"lost", func(t *testing.T, h *History) {
		h.remove(landingOf(t, h, blob.Key(opOf(t, h, Write, Committed, 4).Commit.Epoch, opOf(t, h, Write, Committed, 4).Commit.Position)))
	}},
	"two acknowledgements are swapped": {"moved", func(t *testing.T, h *History) {
		a, b := opOf(t, h, Write, Committed, 0), opOf(t, h, Write, Committed, 1)
		a.Commit, b.Commit = b.Commit, a.Commit
	}},
	"another position is told": {"moved", func(t *testing.T, h *History) { opOf(t, h, Write, Committed, 1).Commit.Position-- }},
	"a restore is told to have another number": {"lost", func(t *testing.T, h *History) {
		opOf(t, h, Restore, Committed, 0).Commit.Transaction = 100
	}},
	"acknowledged before it landed": {"too early", func(t *testing.T, h *History) {
		opOf(t, h, Write, Committed, 1).Returned -= 15 * time.Millisecond
	}},
	"one entry landed before that before it, and was acknowledged at once": {"too early", func(t *testing.T, h *History) {
		first, second := opOf(t, h, Write, Committed, 0), opOf(t, h, Write, Committed, 1)
		i := landingOf(t, h, blob.Key(first.Commit.Epoch, first.Commit.Position))
		l := h.Landings[i]
		h.remove(i)
		l.At = second.Returned + time.Millisecond
		j := slices.IndexFunc(h.Landings, func(o Landing) bool { return o.At > l.At })
		h.Landings = slices.Insert(h.Landings, j, l)
	}},
	"acknowledged at the seal": {"beyond the seal", func(t *testing.T, h *History) {
		op := opOf(t, h, Write, Committed, 2)
		op.Commit.Position++
	}},
	// 2: all that is shown is a prefix.
	"a follower has a register that is not so": {"wrong state", func(t *testing.T, h *History) {
		stateOf(t, h, Followed, 0).Registers["a"] = "1"
	}},
	"a follower lacks a register": {"wrong state", func(t *testing.T, h *History) { delete(stateOf(t, h, Followed, 1).Registers, "e") }},
	"a recovery is on another branch": {"no prefix", func(t *testing.T, h *History) {
		stateOf(t, h, Recovered, 1).Point.Hash[7] ^= 1
	}},
	"a follower is ahead of the history": {"no prefix", func(t *testing.T, h *History) { stateOf(t, h, Followed, 1).Point.Next += 100 }},
	"shown before it was durable": {"not durable", func(t *testing.T, h *History) {
		stateOf(t, h, Recovered, 2).At, stateOf(t, h, Recovered, 2).Began = time.Second, 0
	}},
	"a recovery ends early": {"lost", func(t *testing.T, h *History) {
		early, late := stateOf(t, h, Opened, 0), stateOf(t, h, Opened, 1)
		late.Point, late.Registers = early.Point, early.Registers
	}},
	"a leader has not read all": {"lost", func(t *testing.T, h *History) {
		early, late := stateOf(t, h, Recovered, 1), stateOf(t, h, Recovered, 2)
		late.Point, late.Registers = early.Point, early.Registers
	}},
	"a leader without its seal": {"no seal", func(t *testing.T, h *History) { stateOf(t, h, Recovered, 2).Epoch++ }},
	"a follower goes back": {"went back", func(t *testing.T, h *History) {
		early, late := stateOf(t, h, Followed, 0), stateOf(t, h, Followed, 1)
		early.At, late.At = late.At, early.At
	}},
	// 4: nothing comes back, nothing is added by anybody else.
	"what was refused is in the history": {"resurrected", func(t *testing.T, h *History) {
		opOf(t, h, Write, NotCommitted, 0).Wrote = opOf(t, h, Write, Committed, 5).Wrote
		opOf(t, h, Write, Committed, 5).Wrote = map[string]string{"f": "other"}
	}},
	"a write by a process where it was refused": {"resurrected", func(t *testing.T, h *History) {
		opOf(t, h, Write, Committed, 0).Process = "two"
	}},
	"nobody wrote it": {"foreign", func(t *testing.T, h *History) {
		opOf(t, h, Write, Committed, 5).Wrote = map[string]string{"f": "other"}
	}},
	"an entry is there twice": {"history", func(t *testing.T, h *History) {
		op := opOf(t, h, Write, Committed, 0)
		next := landingOf(t, h, blob.Key(op.Commit.Epoch, op.Commit.Position+1))
		h.Landings[next].Body = h.Landings[landingOf(t, h, blob.Key(op.Commit.Epoch, op.Commit.Position))].Body
	}},
	// 5: nobody refuses.
	"damage is reported": {"refused", func(t *testing.T, h *History) {
		h.Refusals = []Refusal{{Process: "two", Text: "log is damaged"}}
	}},
	// Reads, and who leads.
	"a stale read": {"stale", func(t *testing.T, h *History) {
		r := opOf(t, h, Read, Committed, 2)
		*r = staleAs(r, opOf(t, h, Read, Committed, 0))
	}},
	"clients alone see that it is stale": {"not linearizable", func(t *testing.T, h *History) {
		r := opOf(t, h, Read, Committed, 2)
		*r = staleAs(r, opOf(t, h, Read, Committed, 0))
	}},
	"a read of no state":                {"impossible", func(t *testing.T, h *History) { opOf(t, h, Read, Committed, 1).Saw["a"] = "1" }},
	"clients alone see that it is none": {"not linearizable", func(t *testing.T, h *History) { opOf(t, h, Read, Committed, 1).Saw["a"] = "1" }},
	"a read where nobody leads":         {"no leader", func(t *testing.T, h *History) { opOf(t, h, Read, Committed, 1).Process = "follower" }},
	"two lead in one epoch":             {"two leaders", func(t *testing.T, h *History) { h.Reigns[1].Epoch = h.Reigns[0].Epoch }},
	"a deposed leader answers": {"two leaders", func(t *testing.T, h *History) {
		r := opOf(t, h, Read, Committed, 3)
		r.Process, h.Reigns[0].To = "one", -1
	}},
	// Keys: a retry has no effect of its own.
	"a retry is told another place": {"moved", func(t *testing.T, h *History) {
		opOf(t, h, Write, Committed, 4).Commit = opOf(t, h, Write, Committed, 2).Commit
	}},
	"a transaction has another key": {"wrong key", func(t *testing.T, h *History) {
		opOf(t, h, Write, Committed, 3).Key, opOf(t, h, Write, Committed, 4).Key = "other", "other"
	}},
	// Snapshots, and what goes.
	"a manifest lands before its parts": {"snapshot", func(t *testing.T, h *History) {
		manifest := find(t, h, manifestOf(0))
		part := find(t, h, func(l *Landing) bool { return strings.HasPrefix(l.Key, "snapshot/") })
		h.Landings[manifest].Key, h.Landings[part].Key = h.Landings[part].Key, h.Landings[manifest].Key
		h.Landings[manifest].Body, h.Landings[part].Body = h.Landings[part].Body, h.Landings[manifest].Body
	}},
	"a snapshot of what has not landed": {"snapshot", func(t *testing.T, h *History) {
		op := opOf(t, h, Write, Committed, 1) // the last before the first snapshot
		i := landingOf(t, h, blob.Key(op.Commit.Epoch, op.Commit.Position))
		l := h.Landings[i]
		h.remove(i)
		h.insert(find(t, h, manifestOf(0))+1, l)
	}},
	"a part is another": {"snapshot", func(t *testing.T, h *History) {
		part := find(t, h, func(l *Landing) bool { return strings.HasPrefix(l.Key, "snapshot/") })
		h.Landings[part].Body = slices.Clone(h.Landings[part].Body)
		h.Landings[part].Body[3] ^= 1
	}},
	"a seal of the history goes": {"collected", func(t *testing.T, h *History) {
		h.insert(find(t, h, deletionUnder(logPrefix)), Landing{Key: blob.Key(0, 0), Process: "one"})
	}},
	"an entry goes that no snapshot covers": {"collected", func(t *testing.T, h *History) {
		op := opOf(t, h, Write, Committed, 2)
		h.insert(find(t, h, deletionUnder(logPrefix)), Landing{Key: blob.Key(op.Commit.Epoch, op.Commit.Position), Process: "one"})
	}},
	"an entry goes before the manifest of an old snapshot": {"collected", func(t *testing.T, h *History) {
		h.remove(find(t, h, deletionUnder("snapshot/")))
	}},
	"the newest manifest goes": {"collected", func(t *testing.T, h *History) {
		h.insert(find(t, h, deletionUnder(logPrefix)), Landing{Key: h.Landings[find(t, h, manifestOf(0))].Key, Process: "one"})
	}},
	"a part of the newest snapshot goes": {"collected", func(t *testing.T, h *History) {
		part := find(t, h, func(l *Landing) bool { return strings.HasPrefix(l.Key, "snapshot/") })
		h.insert(find(t, h, deletionUnder(logPrefix)), Landing{Key: h.Landings[part].Key, Process: "one"})
	}},
	"the cell goes": {"collected", func(t *testing.T, h *History) {
		h.insert(find(t, h, deletionUnder(logPrefix)), Landing{Key: cellKey, Process: "one"})
	}},
	"an entry is written over": {"replaced", func(t *testing.T, h *History) {
		op := opOf(t, h, Write, Committed, 2)
		l := h.Landings[landingOf(t, h, blob.Key(op.Commit.Epoch, op.Commit.Position))]
		l.Replaced = true
		h.insert(find(t, h, deletionUnder(logPrefix)), l)
	}},
	"the landings are not in order": {"check", func(t *testing.T, h *History) {
		h.Landings[10].At = 0
	}},
}

// staleAs is a read that saw what an earlier one saw.
func staleAs(r, earlier *Op) Op {
	stale := *r
	stale.Saw, stale.Commit = earlier.Saw, earlier.Commit
	return stale
}

func TestEachRuleIsNoticed(t *testing.T) {
	right := aRun(t)
	for name, test := range broken {
		t.Run(name, func(t *testing.T) {
			h := copied(right)
			test.spoil(t, h)
			wantRule(t, h, test.rule)
		})
	}
	wantRight(t, right) // none of them has changed it
}

// Nothing is a violation for those to whom an accident happened.
func TestAccidentsExcuseRefusals(t *testing.T) {
	h := copied(aRun(t))
	h.Refusals = []Refusal{{Process: "two", Text: "log is damaged"}}
	h.Landings = append(h.Landings, Landing{At: h.last(), Key: blob.Key(0, 0)})
	h.Damaged = true
	wantRight(t, h)
	h.Damaged = false
	wantRule(t, h, "refused")
	wantRule(t, h, "collected")
}

// A broken lease excuses what its holder answers for a while, and nothing else.
func TestBreaksExcuseStaleReads(t *testing.T) {
	h := copied(aRun(t))
	r := opOf(t, h, Read, Committed, 3)
	*r = staleAs(r, opOf(t, h, Read, Committed, 0))
	r.Process, h.Reigns[0].To = "one", -1
	wantRule(t, h, "stale")
	wantRule(t, h, "two leaders")
	h.Breaks = []Break{{r.Invoked - time.Second, r.Invoked + time.Second, h.Reigns[0].Epoch}}
	wantRight(t, h)
	for _, another := range []persistence.Epoch{h.Reigns[0].Epoch - 1, h.Reigns[0].Epoch + 1} {
		h.Breaks = []Break{{r.Invoked - time.Second, r.Invoked + time.Second, another}}
		wantRule(t, h, "stale")
	}
	h.Breaks = []Break{{r.Invoked - 2*time.Second, r.Invoked - time.Second, h.Reigns[0].Epoch}}
	wantRule(t, h, "stale")
	wantRule(t, h, "not linearizable")
}

// A follower that went through a seal which is no part of the history, to an epoch that
// never was, shows a state of the history; a recovery must not end there.
func TestFollowersMayGoAstray(t *testing.T) {
	h := copied(aRun(t))
	s := stateOf(t, h, Followed, 1)
	s.Point.Next, s.Point.Epoch, s.Point.Hash = s.Point.Next+1, 77, persistence.Hash{}
	wantRight(t, h)
	s.Registers = map[string]string{"r": "another"}
	wantRule(t, h, "no prefix")
	h = copied(aRun(t))
	s = stateOf(t, h, Opened, 0)
	s.Point.Next, s.Point.Epoch = s.Point.Next+1, 77
	wantRule(t, h, "no prefix")
}
