// Package mutation breaks rules of the protocol, one at a time, to show that tests find
// it out. Production code has a line at each rule that can be broken:
//
//	if mutation.On(mutation.SealsAreCollected) { … }
//
// Without the build tag mutations On is always false and nothing can change that: the
// compiler leaves the line out. With it a test switches one on by Set, or whoever runs
// tests by the environment variable SCHEDULER_STORE_MUTATION.
//
// Where two places of the code keep one rule, the mutation takes out both: it is the
// rule that is to be missing. What a mutation needs beyond its line is in files called
// mutated.go.
package mutation

// Name is one broken rule. Those that begin with H or M are the holes and mutations of
// the protocol's model, under the model's names: see model/README.md.
type Name string

// Recovering and leading (protocol §6, §9).
const (
	// NoLook: neither before a seal nor after it are the snapshots looked at once more.
	NoLook Name = "H1-slow-standby"
	// NoLookAtTheEnd: that is left out before the end is called the end.
	NoLookAtTheEnd Name = "H1-slow-reader"
	// NoLookAfterTheSeal: that is left out after the seal.
	NoLookAfterTheSeal Name = "H2-late-seal"
	// PositionFitsTheChain: a snapshot is on the reader's own chain if its position is
	// below the reader's; the hash is not compared.
	PositionFitsTheChain Name = "H1-chain"
	// NoSecondGet: what was missing is not asked for again after the LIST.
	NoSecondGet Name = "H5-no-second-look"
	// EqualEpochGoesOn: who finds its epoch begun by another writer goes on in it.
	EqualEpochGoesOn Name = "H7-equal-epoch"
	// NoEndCheck: nothing that was found later shows that an entry is missing.
	NoEndCheck Name = "M-no-end-check"
	// SealMetIsNotRead: an entry that a seal finds in its place is passed, not applied.
	SealMetIsNotRead Name = "M-no-reread"
	// NoListBeyondSeals: a seal is crossed without a LIST of what is beyond it.
	NoListBeyondSeals Name = "no-list-beyond-seals"
)

// Committing (§7).
const (
	// NothingCoversDeposed: "deposed, not committed" is said without a look at the
	// snapshots.
	NothingCoversDeposed Name = "H3-false-answer"
	// WindowOfSlots: an entry that has landed makes room, though one before it has not.
	WindowOfSlots Name = "H4-slot-window"
	// LandingAcknowledges: an entry that has landed is acknowledged with all before it,
	// whether those have or not.
	LandingAcknowledges Name = "M-ack-order"
	// ExistsIsSuccess: an entry is there if anything is in its place.
	ExistsIsSuccess Name = "M-exists-success"
	// ExistsIsFailure: what is in an entry's place is not compared with it, and counts
	// as another leader's seal.
	ExistsIsFailure Name = "M-exists-failure"
	// NewBytes: records of unknown outcome go into a new entry at the same position, and
	// the old one there counts as another leader's seal.
	NewBytes Name = "M-new-bytes"
)

// Snapshots and garbage (§8).
const (
	// SnapshotOfTheUnacknowledged: a snapshot has what was sent. (The lease says nothing
	// of what is durable meanwhile, as it would say that too.)
	SnapshotOfTheUnacknowledged Name = "M-snapshot-unacked"
	// SealsAreCollected: they go like entries.
	SealsAreCollected Name = "M-delete-seals"
	// BeyondASealIsGarbage: entries go that lie beyond any seal of their epoch.
	BeyondASealIsGarbage Name = "H6-beyond-a-seal"
	// ManifestBeforeParts: a snapshot exists before its parts do.
	ManifestBeforeParts Name = "manifest-before-parts"
	// PartsOfTheFuture: parts without a manifest go whatever their position.
	PartsOfTheFuture Name = "parts-above-the-newest"
	// EntriesBeforeManifests: the entries that an old snapshot needs go before it does.
	EntriesBeforeManifests Name = "entries-before-manifests"
)

// The lease (§5).
const (
	// ReleaseDeletes: a lease that is let go is deleted.
	ReleaseDeletes Name = "release-deletes"
	// LeaseByTheWallClock: it holds until a time of the wall clock.
	LeaseByTheWallClock Name = "lease-by-the-wall-clock"
	// LeaseWithoutDeadline: it holds until the holder learns that it is another's.
	LeaseWithoutDeadline Name = "lease-without-deadline"
)
