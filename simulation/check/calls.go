package check

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// calls tells between which transactions a read must have happened, as far as the
// clients can tell. Real processes have hundreds of thousands of operations, so each
// question takes the logarithm of their number.
type calls struct {
	// answered are the times at which writes were answered, in order, each with the
	// largest number that was told up to then.
	answered []bound
	// called are the times at which writes of the history were called, in order, each
	// with the smallest number of those from then on.
	called []bound
	last   persistence.TransactionNumber
	// returned are the reads that are judged, those that end first on top; low is the
	// largest number among those that ended before the newest question.
	returned returned
	low      persistence.TransactionNumber
}

type bound struct {
	at     time.Duration
	number persistence.TransactionNumber
}

func newCalls(s *sequence, all []*tried) *calls {
	c := &calls{last: s.last()}
	for _, t := range all {
		if t.committed != nil {
			c.answered = append(c.answered, bound{t.committed.Returned, t.committed.Commit.Transaction})
		}
		for _, found := range s.having(t.wrote()) {
			c.called = append(c.called, bound{t.invoked(), found.Transaction})
		}
	}
	byTime := func(a, b bound) int { return cmp.Compare(a.at, b.at) }
	slices.SortFunc(c.answered, byTime)
	slices.SortFunc(c.called, byTime)
	for i := 1; i < len(c.answered); i++ {
		c.answered[i].number = max(c.answered[i].number, c.answered[i-1].number)
	}
	for i := len(c.called) - 2; i >= 0; i-- {
		c.called[i].number = min(c.called[i].number, c.called[i+1].number)
	}
	return c
}

// answeredBefore is the last transaction that a write was told, or a read saw, before a
// time. The times of the questions must not go back.
func (c *calls) answeredBefore(at time.Duration) persistence.TransactionNumber {
	for len(c.returned) > 0 && c.returned[0].at < at {
		c.low = max(c.low, heap.Pop(&c.returned).(bound).number)
	}
	i, _ := slices.BinarySearchFunc(c.answered, at, func(b bound, at time.Duration) int { return cmp.Compare(b.at, at) })
	if i == 0 {
		return c.low
	}
	return max(c.low, c.answered[i-1].number)
}

// calledAfter is the one before the first transaction that was called after a time.
func (c *calls) calledAfter(at time.Duration) persistence.TransactionNumber {
	i, _ := slices.BinarySearchFunc(c.called, at, func(b bound, at time.Duration) int {
		if b.at > at {
			return 1
		}
		return -1
	})
	if i == len(c.called) {
		return c.last
	}
	return min(c.last, c.called[i].number-1)
}

// read notes the earliest state that a read can have seen.
func (c *calls) read(op *Op, number persistence.TransactionNumber) {
	heap.Push(&c.returned, bound{op.Returned, number})
}

// returned is a heap of reads by when they were answered.
type returned []bound

func (r returned) Len() int           { return len(r) }
func (r returned) Less(i, j int) bool { return r[i].at < r[j].at }
func (r returned) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *returned) Push(x any)        { *r = append(*r, x.(bound)) }
func (r *returned) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
