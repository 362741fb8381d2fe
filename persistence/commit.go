package persistence

import (
	"errors"
	"fmt"
	"time"
)

// What became of a record whose commit did not succeed. Every such error matches
// exactly one of ErrNotCommitted and ErrUnknown with errors.Is; ErrDeposed is the
// kind of ErrNotCommitted in which another writer was found to have taken over.
var (
	// ErrNotCommitted: the record is not in the history and never will be.
	ErrNotCommitted = errors.New("not committed")
	// ErrDeposed: another leader sealed this writer's epoch before the record's
	// position, so the record is not in the history and never will be.
	ErrDeposed = fmt.Errorf("deposed, %w", ErrNotCommitted)
	// ErrUnknown: the record was sent and its answer is not known; the next
	// recovery may find it.
	ErrUnknown = errors.New("outcome unknown, the next recovery may find it")
)

// ErrNewerFormat: an object or a record was written by a newer version of this
// program. Nothing is wrong with it.
var ErrNewerFormat = errors.New("made by a newer version")

// ErrReplay: a consumer refused a record of the history or of a snapshot.
var ErrReplay = errors.New("a record can't be replayed")

// Commit says where a record became durable.
type Commit struct {
	Transaction TransactionNumber `json:"transaction"`
	Position    Position          `json:"position"`
	Epoch       Epoch             `json:"epoch"`
}

// Ack is what a writer tells of one durable record.
type Ack struct {
	Commit
	// After is the point behind the record's entry. It is set for the last
	// record of an entry only: only there does the state belong to a point.
	After *Point
	// Entry is how the record's entry came about, for those who trace.
	Entry *EntryTimes
}

// EntryTimes is when an entry of the log went through its stages.
type EntryTimes struct {
	Records              int // in it
	Formed, Sent, Landed time.Time
}

// Batch is a run of records that a recovery hands over together: those of one
// entry, or some of a snapshot's.
type Batch struct {
	// Object is the key of the object that the records came from.
	Object string
	// Records are the transactions' bytes, in order. They may be kept.
	Records [][]byte
	// Snapshot tells that the records are a snapshot's, or those of a state that was
	// restored: they rebuild a state and have no transaction numbers of their own; the rest is not set.
	Snapshot bool
	// First is the number of the first record, the others follow.
	First    TransactionNumber
	Position Position
	Epoch    Epoch
	// Time is the writer's wall clock when it made the entry; informative.
	Time time.Time
}

// Commit says where record i of the batch was committed.
func (b *Batch) Commit(i int) Commit {
	return Commit{b.First + TransactionNumber(i), b.Position, b.Epoch}
}

// Consumer rebuilds a state from what a log's reader finds.
type Consumer interface {
	// Reset drops everything. If at is not the beginning of the history, the
	// records of a snapshot taken at that point follow, or those of the state that
	// was restored by the transaction before it.
	Reset(at Point) error
	// Prepare does the part of the work that needs no state, such as decoding.
	// It may be called for many batches at once and ahead of time. The function
	// that it returns applies the batch; these are called one after another, in
	// order, and not at all for batches that turn out not to be in the history.
	Prepare(batch Batch) (apply func() error, err error)
	// Loaded tells that the snapshot's records, or the entry's, are all applied:
	// the state is now that of the point.
	Loaded(at Point)
}
