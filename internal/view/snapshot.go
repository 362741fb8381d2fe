package view

import (
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Snapshot is a snapshot's manifest in short.
type Snapshot struct {
	Name string `json:"name"`
	// Transaction and Position are the last that the snapshot covers.
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	Made        time.Time                     `json:"made"`
	By          string                        `json:"by"`
	Reason      string                        `json:"reason"`
	// Base is the snapshot that it goes on from; one without is full.
	Base string `json:"base,omitempty"`
	// Bytes is what its parts take in the bucket, OwnBytes what those take that were made
	// for it: the others are older snapshots', too.
	Bytes    int64          `json:"bytes"`
	OwnBytes int64          `json:"ownBytes"`
	Counts   map[string]int `json:"counts"`
}

// SnapshotOf shows a manifest.
func SnapshotOf(m *snapshot.Manifest) *Snapshot {
	return &Snapshot{Name: m.Name, Transaction: m.At.Transaction, Position: m.At.Next - 1, Made: m.Made, By: m.By,
		Reason: m.Reason, Base: m.Base, Bytes: m.Bytes(), OwnBytes: m.OwnBytes(), Counts: m.Counts}
}
