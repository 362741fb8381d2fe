package blob

import (
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/persistence"
)

var (
	// ErrNoCell: there is no cell at this place.
	ErrNoCell = errors.New("no cell here")
	// ErrDamaged: an object that the history needs is missing or wrong. Nothing
	// is repaired: the error names the object.
	ErrDamaged = errors.New("log is damaged")
	// ErrReplay: the consumer refused a record of the history.
	ErrReplay = persistence.ErrReplay
	// ErrStopped: the writer was told to stop.
	ErrStopped = errors.New("writer stopped")
	// ErrRestored: the writer ended with a restore, which is durable. The reader
	// stands before it, and loads the new state when it goes on.
	ErrRestored = errors.New("the state was restored")
	// ErrCollected: transactions that far back are covered by a snapshot, and their
	// entries are no longer in the log.
	ErrCollected = errors.New("no longer in the log")
	// ErrNotYet: the log ends before that place.
	ErrNotYet = errors.New("not in the log yet")
	// ErrTooLarge: a record is larger than an entry may be.
	ErrTooLarge = errors.New("record too large")
)

// DamageError names the object that is missing or wrong. It matches ErrDamaged.
type DamageError struct {
	Object string
	Reason error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%v: %s: %v; put the object back from a copy of the bucket, or import a backup into a new store", ErrDamaged, e.Object, e.Reason)
}

// Is makes the error match ErrDamaged.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

func (e *DamageError) Unwrap() error { return e.Reason }

// EpochError tells a candidate that its epoch can't lead: the log knows of a
// larger one, or its seal fell on a key that had been collected. It opens again
// with an epoch of at least Need.
type EpochError struct {
	Epoch, Need persistence.Epoch
	Reason      string
}

func (e *EpochError) Error() string {
	return fmt.Sprintf("epoch %d can't lead: %s; an epoch of at least %d is needed", e.Epoch, e.Reason, e.Need)
}

// commitError is why a record was not acknowledged: one of the three outcomes,
// and what happened.
type commitError struct {
	outcome error // persistence.ErrNotCommitted, ErrDeposed or ErrUnknown
	cause   error
}

func (e *commitError) Error() string   { return fmt.Sprintf("%v: %v", e.outcome, e.cause) }
func (e *commitError) Unwrap() []error { return []error{e.outcome, e.cause} }
