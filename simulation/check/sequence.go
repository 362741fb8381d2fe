package check

import (
	"maps"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// Transaction is one transaction of the history, as it was found in the log.
type Transaction struct {
	persistence.Commit
	// Key is its idempotency key; empty if it has none, or if that is not known.
	Key string
	// Wrote are the registers that it set; of a restore, all that are set after it.
	Wrote   map[string]string
	Restore bool
}

// sequence is a history: transactions one after another, and the state after each.
type sequence struct {
	// base is the number of the transaction before the first that is known.
	base         persistence.TransactionNumber
	transactions []Transaction
	// states[i] is the state before transactions[i]; the last one is that at the end.
	states []map[string]string
	// byValue holds, for each value, the transactions that wrote it, in order.
	byValue map[string][]int
}

func newSequence(base persistence.TransactionNumber, state map[string]string) *sequence {
	return &sequence{base: base, states: []map[string]string{state}, byValue: map[string][]int{}}
}

// add appends a transaction with the state that it leaves behind. What a restore brings
// back was written before, by another.
func (s *sequence) add(t Transaction, after map[string]string) {
	i := len(s.transactions)
	s.transactions, s.states = append(s.transactions, t), append(s.states, after)
	for value := range values(t.Wrote) {
		if t.Restore && len(s.byValue[value]) > 0 {
			continue
		}
		s.byValue[value] = append(s.byValue[value], i)
	}
}

// values are the different values in a set of registers.
func values(registers map[string]string) map[string]bool {
	set := make(map[string]bool, len(registers))
	for _, value := range registers {
		set[value] = true
	}
	return set
}

// last is the number of the last transaction.
func (s *sequence) last() persistence.TransactionNumber {
	return s.base + persistence.TransactionNumber(len(s.transactions))
}

// find returns the transaction with a number; nil if the sequence does not have it.
func (s *sequence) find(number persistence.TransactionNumber) *Transaction {
	if number <= s.base || number > s.last() {
		return nil
	}
	return &s.transactions[number-s.base-1]
}

// state is the state after a transaction, false if the sequence does not have it.
func (s *sequence) state(number persistence.TransactionNumber) (map[string]string, bool) {
	if number < s.base || number > s.last() {
		return nil, false
	}
	return s.states[number-s.base], true
}

// having returns the transactions, in order, that wrote any of the values in wrote.
func (s *sequence) having(wrote map[string]string) []*Transaction {
	var found []*Transaction
	seen := map[int]bool{}
	for value := range values(wrote) {
		for _, i := range s.byValue[value] {
			if !seen[i] {
				seen[i] = true
				found = append(found, &s.transactions[i])
			}
		}
	}
	sortByNumber(found)
	return found
}

// after is the state that a transaction makes of another.
func (t *Transaction) after(state map[string]string) map[string]string {
	if t.Restore {
		return t.Wrote
	}
	state = maps.Clone(state)
	if state == nil {
		state = map[string]string{}
	}
	maps.Copy(state, t.Wrote)
	return state
}
