package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// Report is what became of the clients' transactions.
type Report struct {
	// Transactions are the writes and restores that were tried, tries with one
	// idempotency key counted as one. Each is one of these: Acknowledged was told to
	// be durable, Refused that it is not committed; nobody heard of the others, and
	// they are Landed if the history has them, Vanished if it has not.
	Transactions, Acknowledged, Refused, Landed, Vanished int
	// Covered counts those among Acknowledged, and Undecided those of no known outcome,
	// of which nothing can be told as the log does not reach back that far.
	Covered, Undecided int
	// Reads are the linearizable reads that were answered.
	Reads int
	// Violations are what is wrong; nil if nothing is.
	Violations []Violation
}

// Count is the number of violations of a rule.
func (r *Report) Count(rule string) int {
	n := 0
	for _, v := range r.Violations {
		if v.Rule == rule {
			n++
		}
	}
	return n
}

func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d transactions: %d acknowledged, %d not committed, %d of unknown outcome (%d landed, %d did not, %d can't be told); %d reads",
		r.Transactions, r.Acknowledged, r.Refused, r.Landed+r.Vanished+r.Undecided, r.Landed, r.Vanished, r.Undecided, r.Reads)
	for _, rule := range []string{"lost", "moved", "doubled", "torn", "reordered", "resurrected"} {
		fmt.Fprintf(&b, "; %d %s", r.Count(rule), rule)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "\n%v", v)
	}
	return b.String()
}

// Clients checks what clients of real processes saw: of the Ops it needs no Process,
// and all times may be of a real monotonic clock that all clients share. log are the
// transactions that the store's log has at the end, in order and without a gap; it need
// not reach back to the first, then what came before is not judged. final are the
// registers of the final state. What is wrong goes by these rules:
//
//	lost        acknowledged, and not in the history
//	moved       acknowledged at another place than where it is
//	doubled     in the history more than once
//	torn        there in part, or mixed with another
//	two for one two clients were told the same transaction
//	wrong key   it has another idempotency key than it was sent with
//	resurrected told "not committed", and in the history
//	foreign     in the history, and no client wrote it
//	reordered   in another order than the one in which they were called and answered
//	stale, future, impossible: a linearizable read, or what a transaction's work read
//	gap         log is not without gaps
//	final       the final state is not what the log's transactions make
func Clients(ops []Op, log []Transaction, final map[string]string) *Report {
	var v violations
	s := sequenceOf(log, &v)
	all := gather(ops)
	r := &Report{Transactions: len(all)}
	for _, t := range all {
		r.count(s, t)
	}
	checkOutcomes(s, all, false, &v)
	checkOrder(s, all, &v)
	r.Reads = checkReads(s, all, ops, nil, nil, &v)
	if state := s.states[len(s.states)-1]; s.base == 0 && !maps.Equal(state, final) {
		v.add("final", 0, "the final state has %s; the log's %d transactions make %s", registersText(final), s.last(), registersText(state))
	}
	r.Violations = v.sorted()
	return r
}

func sequenceOf(log []Transaction, v *violations) *sequence {
	log = slices.Clone(log)
	slices.SortStableFunc(log, func(a, b Transaction) int { return cmp.Compare(a.Transaction, b.Transaction) })
	var base persistence.TransactionNumber
	if len(log) > 0 && log[0].Transaction > 0 {
		base = log[0].Transaction - 1
	}
	s := newSequence(base, map[string]string{})
	for i := range log {
		if log[i].Transaction != s.last()+1 {
			v.add("gap", 0, "after transaction %d the log has %d", s.last(), log[i].Transaction)
			break
		}
		s.add(log[i], log[i].after(s.states[i]))
	}
	return s
}

// count notes what became of a transaction.
func (r *Report) count(s *sequence, t *tried) {
	found := len(s.having(t.wrote())) > 0
	switch {
	case t.outcome == Committed:
		r.Acknowledged++
		if t.committed.Commit.Transaction <= s.base {
			r.Covered++
		}
	case t.outcome == NotCommitted:
		r.Refused++
	case found:
		r.Landed++
	case s.base > 0:
		r.Undecided++
	default:
		r.Vanished++
	}
}
