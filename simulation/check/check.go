package check

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

func hashOf(b []byte) persistence.Hash { return sha256.Sum256(b) }

// Options of CheckWith. The zero value is good.
type Options struct {
	// Patience is how long porcupine may search, in real time; default 10 s.
	Patience time.Duration
	// Folder, if not empty, gets porcupine's drawing of a history that is not
	// linearizable.
	Folder string
}

// Result is what a check found.
type Result struct {
	// Violations are what is wrong, by time; nil if nothing is.
	Violations []Violation
	// Undecided tells that porcupine's patience ended before it knew. All else was
	// checked.
	Undecided bool
	// Drawing is the file with porcupine's drawing; empty if there is none.
	Drawing string
	// Report is what became of the clients' transactions. Its violations are among those
	// above.
	Report Report
	// Transactions and Entries are the size of the history; Epochs counts its seals.
	Transactions, Entries, Epochs int
}

// Check tells what is wrong with a run; nil if nothing is. That porcupine could not
// decide is told as a violation of the rule "undecided": see CheckWith for more.
func Check(h *History) []Violation { return CheckWith(h, Options{}).verdict() }

// verdict are the violations, and that nobody knows whether there is one more.
func (r *Result) verdict() []Violation {
	v := violations(r.Violations)
	if r.Undecided {
		v.add("undecided", 0, "porcupine could not tell in time whether the clients' history is linearizable")
	}
	return v
}

// CheckWith checks a run. It is not for a bubble of testing/synctest: patience is real
// time.
func CheckWith(h *History, o Options) *Result {
	g, v, err := walk(h)
	if err != nil {
		v.add("check", 0, "the check itself failed: %v", err)
		return &Result{Violations: v}
	}
	all := gather(h.Ops)
	r := &Result{Transactions: len(g.transactions), Entries: max(0, len(g.places)-1)}
	r.Report.Transactions = len(all)
	for _, t := range all {
		r.Report.count(g.sequence, t)
	}
	for i := range g.places {
		if e := g.places[i].entry; e != nil && e.Epoch != g.places[i].Epoch {
			r.Epochs++
		}
	}

	checkOutcomes(g.sequence, all, h.Damaged, &v)
	checkOrder(g.sequence, all, &v)
	checkDurable(g, h, &v)
	checkShutOut(g, all, h.Damaged, &v)
	checkStates(g, h, &v)
	checkReigns(h, &v)
	checkRefusals(h, &v)
	r.Report.Reads = checkReads(g.sequence, all, h.Ops, g.landed, excuses(h), &v)
	r.linearizable(h, all, o, &v)
	r.Violations = v.sorted()
	return r
}

// walk goes along the landings: it makes the ghost, and checks what can be told only of
// the bucket as it is at each of them.
func walk(h *History) (*ghost, violations, error) {
	ctx := context.Background()
	g, b := newGhost(), newBucketNow(h.Damaged)
	w := newWriters()
	var v violations
	for i := range h.Landings {
		l := &h.Landings[i]
		if i > 0 && l.At < h.Landings[i-1].At {
			return g, v, fmt.Errorf("landing %d, %s at %v, comes before the one that is told before it", i, l.Key, l.At)
		}
		if err := g.land(ctx, l); err != nil {
			return g, v, err
		}
		if err := w.land(ctx, l, &v); err != nil {
			return g, v, err
		}
		b.land(ctx, g, l, &v)
	}
	return g, append(g.wrong, v...), nil
}
