package cost

import (
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// Report is what a process has asked of its buckets, and what that costs. Storage is not
// in it: what lies in a bucket can't be told without asking.
type Report struct {
	// Prices is the name of the price list; empty where requests cost nothing.
	Prices string `json:"prices"`
	// Seconds is how long was counted: since the process opened its store.
	Seconds float64 `json:"seconds"`
	// Causes are the requests so far, with what they cost.
	Causes []Line `json:"causes"`
	// Requests and Dollars are their sums.
	Requests float64 `json:"requests"`
	Dollars  float64 `json:"dollars"`
	// DollarsPerMonth is what a month costs at the mean rate of these Seconds. What a
	// start costs weighs much in the first minutes.
	DollarsPerMonth float64 `json:"dollarsPerMonth"`
}

// NewReport makes a report of what a bucket has counted over a time.
func NewReport(p Prices, over time.Duration, used []bucket.Usage) Report {
	return newReport(p.Name, over.Seconds(), counted(used).lines(p))
}

func newReport(prices string, seconds float64, causes []Line) Report {
	r := Report{Prices: prices, Seconds: seconds, Causes: causes, Dollars: sum(causes)}
	for _, l := range causes {
		r.Requests += l.Total()
	}
	r.DollarsPerMonth = r.PerMonth(r.Dollars)
	return r
}

// Plus adds what another bucket has counted over the same time, billed by its own
// prices.
func (r Report) Plus(o Report) Report {
	lines := []Line{}
	both := slices.Concat(r.Causes, o.Causes)
	for _, c := range causes {
		l := Line{Cause: c}
		for _, part := range both {
			if part.Cause == c {
				l.Requests, l.Dollars = l.plus(part.Requests), rounded(l.Dollars+part.Dollars)
			}
		}
		if l.Requests != (Requests{}) {
			lines = append(lines, l)
		}
	}
	return newReport(r.Prices, r.Seconds, lines)
}

// Of is what a cause cost, in dollars.
func (r Report) Of(c Cause) float64 { return of(r.Causes, c) }

// At is the same report by other prices.
func (r Report) At(p Prices) Report {
	all := byCause{}
	for _, l := range r.Causes {
		all.add(l.Cause, l.Requests)
	}
	return newReport(p.Name, r.Seconds, all.lines(p))
}

// PerMonth is what an amount of these Seconds comes to in a month.
func (r Report) PerMonth(amount float64) float64 {
	if r.Seconds <= 0 {
		return 0
	}
	return rounded(amount / r.Seconds * Month.Seconds())
}
