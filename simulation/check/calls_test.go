package check

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// The bounds of reads, among writes and reads at any times, are those that looking at
// each of them gives.
func TestBoundsOfReads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		s := newSequence(0, nil)
		var all []*tried
		for n := range 1 + random.IntN(20) {
			value := map[string]string{"a": string(rune('A' + n))}
			op := &Op{Invoked: time.Duration(random.IntN(30)), Wrote: value, Commit: at(uint64(n+1), 1, 1)}
			op.Returned = op.Invoked + time.Duration(random.IntN(5))
			transaction := &tried{ops: []*Op{op}}
			if random.IntN(3) > 0 { // else its outcome is not known
				transaction.committed = op
			}
			all = append(all, transaction)
			s.add(Transaction{Commit: op.Commit, Wrote: value}, value)
		}
		c, times := newCalls(s, all), []time.Duration{}
		for range 20 {
			times = append(times, time.Duration(random.IntN(36)))
		}
		slices.Sort(times)
		var reads []bound
		for _, now := range times {
			low, high := persistence.TransactionNumber(0), s.last()
			for _, t := range all {
				if t.committed != nil && t.committed.Returned < now {
					low = max(low, t.committed.Commit.Transaction)
				}
				if t.invoked() > now {
					high = min(high, t.ops[0].Commit.Transaction-1)
				}
			}
			for _, read := range reads {
				if read.at < now {
					low = max(low, read.number)
				}
			}
			if got := c.answeredBefore(now); got != low {
				t.Fatalf("at %v: from %d on, want %d", now, got, low)
			}
			if got := c.calledAfter(now); got != high {
				t.Fatalf("at %v: up to %d, want %d", now, got, high)
			}
			read := bound{now + time.Duration(random.IntN(5)), persistence.TransactionNumber(random.IntN(25))}
			c.read(&Op{Returned: read.at}, read.number)
			reads = append(reads, read)
		}
	}
}

// What a restore brings back was written by another: it is not there twice. A write that
// comes again behind it is.
func TestRestoreOfWhatWasThereBefore(t *testing.T) {
	run := rightRun()
	run.ops = slices.Delete(run.ops, 8, 10)
	run.ops[8].Saw, run.ops[8].Commit = wrote("a=2 b=1"), at(5, 0, 0)
	run.log = run.log[:5]
	run.log[4].Wrote, run.final = wrote("a=2 b=1"), wrote("a=2 b=1")
	if r := Clients(run.ops, run.log, run.final); r.Violations != nil {
		t.Errorf("violations: %v", r)
	}
	run.log = append(run.log, Transaction{Commit: at(6, 6, 2), Key: "k", Wrote: wrote("b=6")})
	if r := Clients(run.ops, run.log, run.final); r.Count("doubled") != 1 {
		t.Errorf("a double was not noticed: %v", r)
	}
}
