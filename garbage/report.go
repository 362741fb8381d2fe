package garbage

import (
	"time"

	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Class is a kind of garbage.
type Class string

// The classes, in the order in which they go.
const (
	// Snapshots are the manifests of old snapshots: with them the snapshots are gone.
	Snapshots Class = "snapshots"
	Entries   Class = "entries"
	// Restores are the objects of the states of restores.
	Restores Class = "restores"
	// Parts are those that no manifest names, of old snapshots too.
	Parts Class = "parts"
	// Pins are those that have expired.
	Pins Class = "pins"
)

var classes = []Class{Snapshots, Entries, Restores, Parts, Pins}

// Classes are all of them, in the order of every list.
func Classes() []Class { return append([]Class{}, classes...) }

// Amount is how much there is of a class.
type Amount struct {
	Class   Class `json:"class"`
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Left is an object that may be garbage and was left.
type Left struct {
	Object string `json:"object"`
	Bytes  int64  `json:"bytes"`
	Why    string `json:"why"`
}

// Report is what a run found, and what became of it.
type Report struct {
	// DryRun tells that nothing was deleted: Garbage would have been.
	DryRun bool
	// Oldest is the oldest snapshot from which on every state can be recovered; nil if
	// the log reaches back to its beginning.
	Oldest *snapshot.Manifest
	// Garbage is what was deleted, of all classes; of a dry run, what would be.
	Garbage []Amount
	// Seals are those below the oldest kept snapshot. They stay for ever.
	Seals Amount
	// Orphans mean nothing, and stay until the oldest kept snapshot has passed them,
	// as they may be in the making: parts without a manifest, states that no restore
	// names, entries beyond a seal.
	Orphans []Amount
	// Pinned are the snapshots that only a pin keeps.
	Pinned []string
	// Backups are those that had expired, and were removed; of a dry run, would be.
	Backups []string
	// Left can't be told to be garbage.
	Left []Left
	// Waiting tells that there will be more to collect with time alone.
	Waiting bool
	// Took is how long it took.
	Took time.Duration
}

// Total sums up amounts.
func Total(amounts []Amount) (t Amount) {
	for _, a := range amounts {
		t.Objects += a.Objects
		t.Bytes += a.Bytes
	}
	return t
}

func newReport(dryRun bool) *Report {
	r := &Report{DryRun: dryRun, Seals: Amount{Class: "seals"}}
	for _, c := range classes {
		r.Garbage = append(r.Garbage, Amount{Class: c})
	}
	for _, c := range []Class{Parts, Restores, Entries} {
		r.Orphans = append(r.Orphans, Amount{Class: c})
	}
	return r
}

func add(amounts []Amount, c Class, bytes int64) {
	for i := range amounts {
		if amounts[i].Class == c {
			amounts[i].add(bytes)
		}
	}
}

func (a *Amount) add(bytes int64) {
	a.Objects++
	a.Bytes += bytes
}

// found notes garbage, orphan what means nothing and stays, and leave what can't be told
// to be garbage.
func (r *Report) found(c Class, bytes int64)  { add(r.Garbage, c, bytes) }
func (r *Report) orphan(c Class, bytes int64) { add(r.Orphans, c, bytes) }

func (r *Report) leave(object string, bytes int64, why string) {
	r.Left = append(r.Left, Left{object, bytes, why})
}
