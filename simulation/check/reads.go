package check

import (
	"maps"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// checkReads makes sure that each linearizable read saw the state at one point of the
// history, neither before what had been answered when the read was called, nor after
// what had not been called, or had not landed, when it was answered; and that the
// works of transactions saw the state just before them. It returns the number of
// reads that were answered.
//
// landed tells what was durable at a time; nil if nobody saw that. excused tells that
// a read may be stale.
func checkReads(s *sequence, all []*tried, ops []Op, landed func(time.Duration) persistence.TransactionNumber, excused func(*Op) bool, v *violations) int {
	for _, t := range all {
		checkWork(s, t, v)
	}
	order := newCalls(s, all)
	for _, op := range byInvoked(ops) {
		if op.Kind != Read || op.outcome() != Committed {
			continue
		}
		low, high := order.answeredBefore(op.Invoked), order.calledAfter(op.Returned)
		if landed != nil {
			high = min(high, landed(op.Returned))
		}
		if excused != nil && excused(op) {
			judgeRead(s, op, 0, high, v)
			continue
		}
		order.read(op, judgeRead(s, op, low, high, v))
	}
	n := 0
	for i := range ops {
		if ops[i].Kind == Read && ops[i].outcome() == Committed {
			n++
		}
	}
	return n
}

// judgeRead finds the earliest state from low on that a read saw.
func judgeRead(s *sequence, op *Op, low, high persistence.TransactionNumber, v *violations) persistence.TransactionNumber {
	saw := func(n persistence.TransactionNumber) bool {
		state, known := s.state(n)
		return known && maps.Equal(state, op.Saw) && (op.Commit.Transaction == 0 || op.Commit.Transaction == n)
	}
	if low < s.base || s.base > 0 { // the states are not known whole
		return low
	}
	for n := low; n <= high; n++ {
		if saw(n) {
			return n
		}
	}
	for n := range low {
		if saw(n) {
			v.add("stale", op.Returned, "%v saw the state of transaction %d, %s; transaction %d was answered before", op, n, registersText(op.Saw), low)
			return low
		}
	}
	for n := high + 1; n <= s.last(); n++ {
		if saw(n) {
			v.add("future", op.Returned, "%v saw the state of transaction %d, %s; no more than %d had come yet", op, n, registersText(op.Saw), high)
			return low
		}
	}
	v.add("impossible", op.Returned, "%v saw %s, which no state of the history has (transaction told: %d)", op, registersText(op.Saw), op.Commit.Transaction)
	return low
}

// checkWork makes sure that what a transaction's work read is what was there just
// before the transaction.
func checkWork(s *sequence, t *tried, v *violations) {
	for _, found := range s.having(t.wrote()) {
		before, known := s.state(found.Transaction - 1)
		if !known || s.base > 0 {
			continue
		}
		if !anySaw(t, before) {
			v.add("impossible", t.shown(), "%v: its work saw %s, transaction %d comes after %s", t, registersText(t.ops[0].Saw), found.Transaction, registersText(before))
		}
	}
}

// anySaw tells whether one of the tries can have run on a state: the others had no
// effect.
func anySaw(t *tried, state map[string]string) bool {
	for _, op := range t.ops {
		same := true
		for register, value := range op.Saw {
			same = same && state[register] == value
		}
		if same {
			return true
		}
	}
	return false
}
