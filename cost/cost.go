// Package cost says what a bucket's requests cost: so far, from what was counted, and
// in a month, from what a cell is asked to do.
//
// Every request has a class, by which stores bill, and a cause, by which an operator can
// tell what to change. Both follow from what package bucket counts, an operation and
// the object that it was about:
//
//	object      written          read             listed        deleted
//	log         log-writes       following        end-checks    other
//	lease       lease-renewals   lease-watching   other         other
//	snapshot    snapshots        snapshots        end-checks    snapshots
//	backup      backups          backups          backups       backups
//
// and all else is other: opening a cell, restores, what operators look at. Some requests
// serve two purposes, and go where the table says: recovering reads the log as following
// does, and an end check reads the lease as watching does.
//
// Prices are list prices in US dollars, without free tiers, discounts by volume, taxes
// and transfer out of the region. A month has 730 hours, and a GB 2^30 bytes.
package cost

import (
	"math"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// Month is a twelfth of a year, as providers reckon it.
const Month = 730 * time.Hour

// Cause is what a request is for.
type Cause string

// The causes. Storage is no request: it is what lies in the bucket.
const (
	LogWrites     Cause = "log-writes"
	LeaseRenewals Cause = "lease-renewals"
	LeaseWatching Cause = "lease-watching"
	Following     Cause = "following"
	EndChecks     Cause = "end-checks"
	Snapshots     Cause = "snapshots"
	Backups       Cause = "backups"
	Other         Cause = "other"
	Storage       Cause = "storage"
)

// causes are all that requests are for, in the order of every list.
var causes = []Cause{LogWrites, LeaseRenewals, LeaseWatching, Following, EndChecks, Snapshots, Backups, Other}

// RequestCauses are all that requests are for, in the order of every list.
func RequestCauses() []Cause { return slices.Clone(causes) }

// Causes are these and Storage, in the order of every list.
func Causes() []Cause { return append(slices.Clone(causes), Storage) }

func causeOf(op bucket.Operation, object bucket.ObjectKind) Cause {
	write := op == bucket.OpCreate || op == bucket.OpReplace
	switch object {
	case bucket.ObjectLog:
		switch {
		case write:
			return LogWrites
		case op == bucket.OpGet:
			return Following
		case op == bucket.OpList:
			return EndChecks
		}
	case bucket.ObjectLease:
		switch {
		case write:
			return LeaseRenewals
		case op == bucket.OpGet:
			return LeaseWatching
		}
	case bucket.ObjectSnapshot:
		if op == bucket.OpList {
			return EndChecks
		}
		return Snapshots
	case bucket.ObjectBackup:
		return Backups
	}
	return Other
}

// Requests are numbers of requests by the classes in which stores bill them. They are
// whole when they were counted, and fractions when they are a rate.
type Requests struct {
	// Writes are PUTs.
	Writes float64 `json:"writes"`
	Lists  float64 `json:"lists"`
	// Reads are GETs.
	Reads   float64 `json:"reads"`
	Deletes float64 `json:"deletes"`
	// RefusedWrites, RefusedLists and RefusedReads are those of the above that the store
	// answered with a 4xx, such as "not found".
	RefusedWrites float64 `json:"refusedWrites"`
	RefusedLists  float64 `json:"refusedLists"`
	RefusedReads  float64 `json:"refusedReads"`
	// UploadedBytes and RetrievedBytes are those of bodies.
	UploadedBytes  float64 `json:"uploadedBytes"`
	RetrievedBytes float64 `json:"retrievedBytes"`
}

// Total is their number.
func (r Requests) Total() float64 { return r.Writes + r.Lists + r.Reads + r.Deletes }

func (r Requests) plus(o Requests) Requests {
	return Requests{r.Writes + o.Writes, r.Lists + o.Lists, r.Reads + o.Reads, r.Deletes + o.Deletes,
		r.RefusedWrites + o.RefusedWrites, r.RefusedLists + o.RefusedLists, r.RefusedReads + o.RefusedReads,
		r.UploadedBytes + o.UploadedBytes, r.RetrievedBytes + o.RetrievedBytes}
}

func (r Requests) times(f float64) Requests {
	return Requests{r.Writes * f, r.Lists * f, r.Reads * f, r.Deletes * f,
		r.RefusedWrites * f, r.RefusedLists * f, r.RefusedReads * f, r.UploadedBytes * f, r.RetrievedBytes * f}
}

// whole is the same in whole requests and bytes.
func (r Requests) whole() Requests {
	return Requests{math.Round(r.Writes), math.Round(r.Lists), math.Round(r.Reads), math.Round(r.Deletes),
		math.Round(r.RefusedWrites), math.Round(r.RefusedLists), math.Round(r.RefusedReads),
		math.Round(r.UploadedBytes), math.Round(r.RetrievedBytes)}
}

// byCause are requests by what they are for.
type byCause map[Cause]Requests

func (b byCause) add(c Cause, r Requests) { b[c] = b[c].plus(r) }

// counted sorts what a bucket has counted.
func counted(used []bucket.Usage) byCause {
	all := byCause{}
	for _, u := range used {
		n, refused, bytes := float64(u.Requests), float64(u.Refused), float64(u.Bytes)
		var r Requests
		switch u.Operation {
		case bucket.OpCreate, bucket.OpReplace:
			r = Requests{Writes: n, RefusedWrites: refused, UploadedBytes: bytes}
		case bucket.OpList:
			r = Requests{Lists: n, RefusedLists: refused}
		case bucket.OpGet:
			r = Requests{Reads: n, RefusedReads: refused, RetrievedBytes: bytes}
		case bucket.OpDelete:
			r = Requests{Deletes: n}
		}
		all.add(causeOf(u.Operation, u.Object), r)
	}
	return all
}

// Line is one cause with its requests and what they cost, over whatever time.
type Line struct {
	Cause Cause `json:"cause"`
	Requests
	Dollars float64 `json:"dollars"`
}

// lines are the bill, in the order of the causes, without those that there were none of.
func (b byCause) lines(p Prices) []Line {
	lines := []Line{}
	for _, c := range causes {
		if r := b[c]; r != (Requests{}) {
			lines = append(lines, Line{c, r, rounded(p.Dollars(r))})
		}
	}
	return lines
}

// sum is what lines cost together.
func sum(lines []Line) (dollars float64) {
	for _, l := range lines {
		dollars += l.Dollars
	}
	return rounded(dollars)
}

// of is what lines have of a cause, in dollars.
func of(lines []Line, c Cause) float64 {
	if i := slices.IndexFunc(lines, func(l Line) bool { return l.Cause == c }); i >= 0 {
		return lines[i].Dollars
	}
	return 0
}

// rounded is an amount of dollars that prints the same everywhere: to a billionth, which is
// less than the cheapest request.
func rounded(dollars float64) float64 { return math.Round(dollars*1e9) / 1e9 }
