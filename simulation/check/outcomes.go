package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// tried is one transaction as clients know it: one op, or several tries with one
// idempotency key, which take effect once, together.
type tried struct {
	ops     []*Op // in the order of their calls
	outcome Outcome
	// committed is the try that was told first that it is durable; nil if none was.
	committed *Op
}

// invoked is when the first try was called: it can't have had an effect before.
func (t *tried) invoked() time.Duration { return t.ops[0].Invoked }

func (t *tried) wrote() map[string]string { return t.ops[0].Wrote }

func (t *tried) String() string {
	text := t.ops[0].String()
	for _, op := range t.ops[1:] {
		text += fmt.Sprintf("; again by %s, %v to %v, %s", op.Process, op.Invoked, op.Returned, op.outcome())
	}
	return text
}

// shown is when it shows that something is wrong with it: when the last answer came.
func (t *tried) shown() time.Duration {
	var last time.Duration
	for _, op := range t.ops {
		last = max(last, op.Invoked, op.Returned)
	}
	return last
}

// gather groups the writes and restores among the ops into transactions, by their first
// call.
func gather(ops []Op) []*tried {
	var all []*tried
	byKey := map[string]*tried{}
	for _, op := range byInvoked(ops) {
		if op.Kind == Read {
			continue
		}
		t := byKey[op.Key]
		if t == nil {
			t = &tried{outcome: NotCommitted}
			all = append(all, t)
			if op.Key != "" {
				byKey[op.Key] = t
			}
		}
		t.ops = append(t.ops, op)
		switch op.outcome() {
		case Committed:
			t.outcome = Committed
			if t.committed == nil || op.Returned < t.committed.Returned {
				t.committed = op
			}
		case Unknown:
			if t.outcome != Committed {
				t.outcome = Unknown
			}
		}
	}
	return all
}

func byInvoked(ops []Op) []*Op {
	sorted := make([]*Op, len(ops))
	for i := range ops {
		sorted[i] = &ops[i]
	}
	slices.SortStableFunc(sorted, func(a, b *Op) int { return cmp.Compare(a.Invoked, b.Invoked) })
	return sorted
}

func sortByNumber(transactions []*Transaction) {
	slices.SortFunc(transactions, func(a, b *Transaction) int { return cmp.Compare(a.Transaction, b.Transaction) })
}

// checkOutcomes holds what clients were told against the history.
func checkOutcomes(s *sequence, all []*tried, damaged bool, v *violations) {
	owner := map[persistence.TransactionNumber]*tried{}
	for _, t := range all {
		found := s.having(t.wrote())
		checkPlaces(t, found, v)
		switch t.outcome {
		case Committed:
			checkCommitted(s, t, found, v)
		case NotCommitted:
			// After an accident nobody can know that for sure.
			if len(found) > 0 && !damaged {
				v.add("resurrected", t.shown(), "%v, but it is in the history as transaction %d", t, found[0].Transaction)
			}
		}
		for _, op := range t.ops {
			if op.outcome() != Committed {
				continue
			}
			if other := owner[op.Commit.Transaction]; other != nil && other != t {
				v.add("two for one", op.Returned, "%v, which was told to another: %v", op, other)
			}
			owner[op.Commit.Transaction] = t
		}
	}
	checkForeign(s, all, v)
}

// checkPlaces makes sure that a transaction is in the history once, and whole.
func checkPlaces(t *tried, found []*Transaction, v *violations) {
	if len(found) > 1 {
		v.add("doubled", t.shown(), "%v: it is in the history as transaction %d and again as %d", t, found[0].Transaction, found[1].Transaction)
	}
	for _, f := range found {
		if !maps.Equal(f.Wrote, t.wrote()) {
			v.add("torn", t.shown(), "%v: transaction %d has %s", t, f.Transaction, registersText(f.Wrote))
		}
		if key := t.ops[0].Key; f.Key != "" && f.Key != key {
			v.add("wrong key", t.shown(), "%v: transaction %d has the key %q, want %q", t, f.Transaction, f.Key, key)
		}
	}
}

// checkCommitted makes sure that each try that was told where it is durable is there.
func checkCommitted(s *sequence, t *tried, found []*Transaction, v *violations) {
	for _, op := range t.ops {
		if op.outcome() != Committed || op.Commit.Transaction <= s.base && op.Commit.Transaction > 0 {
			continue
		}
		there := s.find(op.Commit.Transaction)
		switch {
		case len(found) == 0 && len(t.wrote()) > 0:
			v.add("lost", op.Returned, "%v: it is not in the history, which ends with transaction %d", op, s.last())
		case there == nil:
			v.add("lost", op.Returned, "%v: the history ends with transaction %d", op, s.last())
		case there.Commit != op.Commit || !maps.Equal(there.Wrote, op.Wrote):
			v.add("moved", op.Returned, "%v: in the history that is transaction %d, epoch %d position %d, with %s", op,
				there.Transaction, there.Epoch, there.Position, registersText(there.Wrote))
		}
	}
}

// checkForeign makes sure that nothing is in the history that nobody wrote.
func checkForeign(s *sequence, all []*tried, v *violations) {
	written := map[string]bool{}
	for _, t := range all {
		maps.Copy(written, values(t.wrote()))
	}
	for i := range s.transactions {
		for register, value := range s.transactions[i].Wrote {
			if !written[value] {
				v.add("foreign", 0, "transaction %d has %s=%s, which no client wrote", s.transactions[i].Transaction, register, value)
			}
		}
	}
}

// checkOrder makes sure that the history has transactions in the order in which they
// happened, as far as clients can tell: one that was called after another was answered
// comes after it.
func checkOrder(s *sequence, all []*tried, v *violations) {
	byNumber := map[persistence.TransactionNumber]*tried{}
	for _, t := range all {
		for _, found := range s.having(t.wrote()) {
			byNumber[found.Transaction] = t
		}
	}
	var earliest *tried // answered, of those that come later in the history
	for number := s.last(); number > s.base; number-- {
		t := byNumber[number]
		if t == nil {
			continue
		}
		if earliest != nil && earliest.committed.Returned < t.invoked() {
			v.add("reordered", t.shown(), "transaction %d was called after a later one was answered: %v; before it in time: %v", number, t, earliest)
		}
		if t.committed != nil && (earliest == nil || t.committed.Returned < earliest.committed.Returned) {
			earliest = t
		}
	}
}
