package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// History is what happened in one run, told by an observer who sees all. All times are
// durations since the run began, by one clock that neither jumps nor drifts: the
// virtual one in a simulation. What happens at the same instant is taken to be
// concurrent.
type History struct {
	// Landings are all changes of the bucket in the order in which they took effect,
	// from the first: the bucket was empty before. (One that was not is told as
	// landings at time 0.)
	Landings []Landing
	// Ops are what clients did, in any order.
	Ops []Op
	// States are what processes showed, in any order.
	States []State
	// Reigns are the times in which processes led, in any order.
	Reigns []Reign
	// Refusals are the errors that said that something is damaged.
	Refusals []Refusal
	// Breaks are the times in which the lease could not keep an old leader from
	// answering.
	Breaks []Break
	// Damaged tells that an accident happened: an object was lost or changed that
	// later objects show to be missing. Then refusals are right, and so is a wrong
	// word about what was not committed; all else must hold as ever.
	Damaged bool
}

// Landing is one change of the bucket, whoever asked for it and whatever was answered.
type Landing struct {
	At time.Duration
	// Key is relative to the cell: log/0000000000/00000000000000000000.
	Key string
	// Body is what the key holds from now on; nil: it was deleted. It may be shared.
	Body []byte
	// Process sent the request, named as State.Process is; empty for an accident or an
	// operator.
	Process string
	// Replaced tells that the key held something, which this has taken the place of.
	Replaced bool
}

func (l Landing) String() string {
	what := fmt.Sprintf("%d bytes", len(l.Body))
	if l.Body == nil {
		what = "deleted"
	}
	return fmt.Sprintf("%v: %s by %s: %s", l.At, l.Key, l.Process, what)
}

// Kind is what a client did.
type Kind int

// The kinds of operations.
const (
	// Write is a transaction.
	Write Kind = iota
	// Read is a linearizable one, at a process that leads.
	Read
	// Restore replaces the whole state: a register that it does not write is gone.
	Restore
)

func (k Kind) String() string { return [...]string{"write", "read", "restore"}[k] }

// Outcome is what a client knows of its operation.
type Outcome int

// The outcomes. The zero value is that of a client that knows nothing.
const (
	// Unknown: the operation may take effect at any time from its call on, even long
	// after it has returned, or never; but once at most. It is what a client is told
	// (persistence.ErrUnknown), and also what it knows if it never heard anything: its
	// process was killed, or the run ended first.
	Unknown Outcome = iota
	// Committed: a write or restore is durable; a read was answered.
	Committed
	// NotCommitted: it had no effect and never will.
	NotCommitted
	// Deposed is the kind of NotCommitted in which another leader's seal was found.
	Deposed
	// Failed: it was refused before anything was tried, with an error of another kind.
	// Of a write that says the same as NotCommitted. A read that failed says nothing.
	Failed
)

func (o Outcome) String() string {
	return [...]string{"unknown", "committed", "not committed", "deposed", "failed"}[o]
}

// OutcomeOf is what an error of this store's API tells a client.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Committed
	case errors.Is(err, persistence.ErrUnknown):
		return Unknown
	case errors.Is(err, persistence.ErrDeposed):
		return Deposed
	case errors.Is(err, persistence.ErrNotCommitted):
		return NotCommitted
	}
	return Failed
}

// Op is one call of a client. A client that tries again makes another Op.
type Op struct {
	// Client makes one call after another.
	Client string
	// Process is where it called, named as State.Process is.
	Process string
	Kind    Kind
	// Key is the write's idempotency key, empty if it had none. Ops with one key are
	// tries of one transaction: they write the same and take effect once, together.
	Key string
	// Invoked is when the client called, Returned when it was answered, negative if it
	// never was: then the outcome is Unknown, whatever Outcome says.
	Invoked, Returned time.Duration
	Outcome           Outcome
	// Commit is what a committed write or restore was told. Of a read, Transaction may
	// be the number of the state that was read, if the client was told it; 0 if not.
	Commit persistence.Commit
	// Saw is what the operation read: of a Read all registers that are set; of a Write
	// what its work read before it wrote, "" for a register that was not set, nil if
	// it read nothing.
	Saw map[string]string
	// Wrote is what it wrote or would have written. No two transactions of a run ever
	// write the same value, in whichever register, so that a value tells who wrote it.
	Wrote map[string]string
}

// outcome is what the client knows of the op.
func (o *Op) outcome() Outcome {
	if o.Returned < 0 {
		return Unknown
	}
	return o.Outcome
}

func (o *Op) String() string {
	text := fmt.Sprintf("%s of %s at %s, %v to %v", o.Kind, o.Client, o.Process, o.Invoked, o.Returned)
	if o.Kind != Read {
		text += ", " + registersText(o.Wrote)
	}
	if o.outcome() == Committed && o.Commit != (persistence.Commit{}) {
		return fmt.Sprintf("%s, committed as transaction %d, epoch %d position %d", text, o.Commit.Transaction, o.Commit.Epoch, o.Commit.Position)
	}
	return fmt.Sprintf("%s, %s", text, o.outcome())
}

// StateKind is how a process came to a state.
type StateKind int

// The kinds of states.
const (
	// Recovered is what a process has as it begins to lead, its seal included, before
	// any transaction of its own.
	Recovered StateKind = iota
	// Opened is what a process has as it has made sure of the log's end, the first time
	// or, read-only, at any time: all that was durable when that began.
	Opened
	// Followed is what a process shows to readers, at any time.
	Followed
	// Snapshot is what a snapshot was made of. (What it holds is checked without being
	// told: a snapshot's objects are among the landings.)
	Snapshot
)

func (k StateKind) String() string {
	return [...]string{"recovered", "opened", "followed", "snapshot"}[k]
}

// State is what a process showed.
type State struct {
	// At is when it was shown, Began when the recovery began that led to it: all that
	// was durable then must be in it. It matters for Recovered and Opened only.
	At, Began time.Duration
	// Process names one start of a process. A process that is started again forgets
	// all that it has shown: it has another name, such as "b#2".
	Process string
	Kind    StateKind
	// Epoch is that of a process that leads, of Recovered only.
	Epoch persistence.Epoch
	// Point and Registers belong together: both are of one durability.Checkpoint (see
	// RegistersOf).
	Point     persistence.Point
	Registers map[string]string
}

func (s *State) String() string {
	return fmt.Sprintf("%s by %s, at %v", s.Kind, s.Process, s.Point)
}

// Reign is a time in which a process led: from when it could write, until it knew that
// it could not any more. To is negative if that was never.
type Reign struct {
	Process  string
	Epoch    persistence.Epoch
	From, To time.Duration
}

// Refusal is an error that said that the log or a snapshot is damaged, or can't be
// replayed.
type Refusal struct {
	At      time.Duration
	Process string
	Text    string
}

// Break is a time in which the holder of a lease may answer reads with an old state, which
// the protocol allows (§5): an operator broke its lease, or lease.json was lost. It ends
// one TTL later. The holder may not have begun to lead when that happened, so it is told
// by its epoch. Who held the lease before has a Break of its own, or knows that it ran out.
type Break struct {
	From, To time.Duration
	Epoch    persistence.Epoch
}

// Violation is something that must not happen.
type Violation struct {
	// Rule is its short name, Text what happened.
	Rule, Text string
	// At is when it shows.
	At time.Duration
}

func (v Violation) String() string { return fmt.Sprintf("%v: %s: %s", v.At, v.Rule, v.Text) }

// violations collects them.
type violations []Violation

func (v *violations) add(rule string, at time.Duration, format string, args ...any) {
	*v = append(*v, Violation{rule, fmt.Sprintf(format, args...), at})
}

// sorted are the violations by time; those of one instant as they were found.
func (v violations) sorted() []Violation {
	slices.SortStableFunc(v, func(a, b Violation) int { return cmp.Compare(a.At, b.At) })
	return v
}
