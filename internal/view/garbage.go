package view

import (
	"math"

	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/garbage"
)

// Garbage is what a collection did, or would do.
type Garbage struct {
	// DryRun tells that nothing was removed: Garbage would have been.
	DryRun bool `json:"dryRun"`
	// Oldest is the oldest snapshot from which on every state can be recovered; null if
	// the log reaches back to its beginning.
	Oldest  *Snapshot     `json:"oldest"`
	Garbage []GarbageLine `json:"garbage"`
	Total   GarbageLine   `json:"total"`
	// Orphans mean nothing, and stay until the oldest snapshot has passed them.
	Orphans []GarbageLine `json:"orphans"`
	// Seals are those that garbage was found beside; they stay for ever.
	Seals GarbageLine `json:"seals"`
	// Pinned are snapshots that only a pin keeps.
	Pinned []string `json:"pinned"`
	// Backups are those that had expired, and were removed; of a dry run, would be.
	Backups []string       `json:"backups"`
	Left    []garbage.Left `json:"left"`
	// Waiting tells that more will be garbage with time alone.
	Waiting bool    `json:"waiting"`
	Seconds float64 `json:"seconds"`
}

// GarbageLine is one class of objects, and what they cost in a month.
type GarbageLine struct {
	Class   garbage.Class `json:"class,omitzero"`
	Objects int           `json:"objects"`
	Bytes   int64         `json:"bytes"`
	// DollarsPerMonth is what storing them costs by the list prices of the provider.
	DollarsPerMonth float64 `json:"dollarsPerMonth"`
}

// GarbageOf shows a report, of a cell in a provider's bucket.
func GarbageOf(r *garbage.Report, provider string) *Garbage {
	prices, _ := cost.PricesOf(provider) // one that is not known is taken for free
	line := func(a garbage.Amount) GarbageLine {
		return GarbageLine{a.Class, a.Objects, a.Bytes, math.Round(prices.StorageDollars(float64(a.Bytes))*1e9) / 1e9}
	}
	lines := func(amounts []garbage.Amount) (lines []GarbageLine) {
		for _, a := range amounts {
			lines = append(lines, line(a))
		}
		return lines
	}
	g := &Garbage{DryRun: r.DryRun, Garbage: lines(r.Garbage), Total: line(garbage.Total(r.Garbage)), Orphans: lines(r.Orphans),
		Seals: line(garbage.Amount{Objects: r.Seals.Objects, Bytes: r.Seals.Bytes}), Pinned: append([]string{}, r.Pinned...),
		Backups: append([]string{}, r.Backups...), Left: append([]garbage.Left{}, r.Left...), Waiting: r.Waiting, Seconds: math.Round(r.Took.Seconds()*1000) / 1000}
	if r.Oldest != nil {
		g.Oldest = SnapshotOf(r.Oldest)
	}
	return g
}
