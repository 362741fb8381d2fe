package check

import (
	"cmp"
	"maps"
	"slices"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// checkStates makes sure that all that processes showed is a prefix of the history:
// one order for all.
func checkStates(g *ghost, h *History, v *violations) {
	states := make([]*State, len(h.States))
	for i := range h.States {
		states[i] = &h.States[i]
	}
	slices.SortStableFunc(states, func(a, b *State) int { return cmp.Compare(a.At, b.At) })
	for _, s := range states {
		if checkPrefix(g, s, v) {
			checkComplete(g, s, v)
		}
	}
	checkForward(states, v)
}

// checkPrefix makes sure that a state is that of a point of the history, which was durable.
func checkPrefix(g *ghost, s *State, v *violations) bool {
	if astray(g, s) {
		return true
	}
	if int(s.Point.Next) >= len(g.places) {
		v.add("no prefix", s.At, "%v: the history ends at %v", s, g.end().Point)
		return false
	}
	p := &g.places[s.Point.Next]
	switch {
	case p.Point != s.Point:
		v.add("no prefix", s.At, "%v with hash %s: the history there is %v with hash %s", s, s.Point.Hash, p.Point, p.Hash)
		return false
	case p.at > s.At:
		v.add("not durable", s.At, "%v: that was not durable before %v", s, p.at)
	}
	want, _ := g.state(s.Point.Transaction)
	if !maps.Equal(s.Registers, want) {
		v.add("wrong state", s.At, "%v: it has %s, want %s", s, registersText(s.Registers), registersText(want))
	}
	return true
}

// astray tells whether a follower shows a state of the history, though it has gone past it
// through a seal that is no part of the history: one that came so late that it landed on a
// key that had been collected. Nothing is ever written behind that, and when the follower
// looks at the snapshots it begins again. Its point is of no history, but who reads its
// state can't tell. Whoever makes sure of the end must not be there.
func astray(g *ghost, s *State) bool {
	if s.Kind != Followed || slices.ContainsFunc(g.places, func(p place) bool { return p.Epoch == s.Point.Epoch }) {
		return false
	}
	want, ok := g.state(s.Point.Transaction)
	return ok && maps.Equal(s.Registers, want) && (s.Point.Transaction == 0 || g.durableAt(s.Point.Transaction) <= s.At)
}

// checkComplete makes sure that a recovery has all that was durable when it began. One
// that leads stands behind its own seal, so it has all that was ever acknowledged in a
// smaller epoch, also while it recovered.
func checkComplete(g *ghost, s *State, v *violations) {
	if s.Kind != Recovered && s.Kind != Opened {
		return
	}
	if durable := g.before(s.Began); s.Point.Next < durable.Next {
		v.add("lost", s.At, "%v: when it began, at %v, the history had come to %v", s, s.Began, durable.Point)
	}
	if s.Kind == Recovered && s.Point.Epoch < s.Epoch {
		v.add("no seal", s.At, "%v: it leads epoch %d without the seal that names it", s, s.Epoch)
	}
}

// checkForward makes sure that what a process shows never goes back. A restore does
// not either: it is one more transaction, whatever it brings back. (The point may: a
// reader that begins again from a snapshot may stand before a seal that it had passed,
// with the same state.)
func checkForward(states []*State, v *violations) {
	shown := map[string][]*State{}
	for _, s := range states {
		if s.Kind == Snapshot {
			continue // which may be made of an older state
		}
		shown[s.Process] = append(shown[s.Process], s)
	}
	for _, process := range slices.Sorted(maps.Keys(shown)) {
		var last, before persistence.TransactionNumber // of this instant and those before, of those before it
		for i, s := range shown[process] {
			if i > 0 && s.At > shown[process][i-1].At {
				before = last
			}
			if s.Point.Transaction < before {
				v.add("went back", s.At, "%v, after transaction %d", s, before)
			}
			last = max(last, s.Point.Transaction)
		}
	}
}

// checkRefusals makes sure that nobody reports damage while nothing is damaged.
func checkRefusals(h *History, v *violations) {
	if h.Damaged {
		return
	}
	for _, r := range h.Refusals {
		v.add("refused", r.At, "%s: %s", r.Process, r.Text)
	}
}
