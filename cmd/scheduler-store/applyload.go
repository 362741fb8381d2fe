package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// maxPending bounds the transactions that are handed over and not durable yet.
const maxPending = 4096

// loader commits lines of input as transactions, each handed over before the ones
// before it are durable.
type loader struct {
	store    *schedulerstore.Store
	progress *progressBar
	started  time.Time

	pending []pendingLine // in order
	// What is durable.
	lines, unchanged, entries int
	lastLine                  int
	transaction               persistence.TransactionNumber
	commit                    persistence.Commit
	// The first and the last line whose outcome is not known.
	unknownFrom, unknownTo int
}

type pendingLine struct {
	*durability.Pending
	number int
	end    int64 // of the line in the input, in bytes
}

// applied is what apply has done, in JSON.
type applied struct {
	Transactions int `json:"transactions"` // lines that are committed
	Unchanged    int `json:"unchanged"`    // those of them that changed nothing, and are not recorded
	Entries      int `json:"entries"`
	// CommittedLine is the last line that is committed, with all before it.
	CommittedLine int `json:"committedLine"`
	// UnknownFrom and UnknownTo are lines whose outcome is not known.
	UnknownFrom int                           `json:"unknownFromLine,omitzero"`
	UnknownTo   int                           `json:"unknownToLine,omitzero"`
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	Epoch       persistence.Epoch             `json:"epoch"`
	Seconds     float64                       `json:"seconds"`
	Rate        float64                       `json:"transactionsPerSecond"`
	Error       string                        `json:"error,omitzero"`
}

func (l *loader) result(err error) applied {
	seconds := time.Since(l.started).Seconds()
	r := applied{Transactions: l.lines, Unchanged: l.unchanged, Entries: l.entries, CommittedLine: l.lastLine, UnknownFrom: l.unknownFrom,
		UnknownTo: l.unknownTo, Transaction: l.transaction, Position: l.commit.Position, Epoch: l.commit.Epoch,
		Seconds: math.Round(seconds*1000) / 1000, Rate: math.Round(float64(l.lines)/max(seconds, 1e-3)*10) / 10}
	if err != nil {
		r.Error = oneLine(err)
	}
	return r
}

// load commits the input. Its error names the line at fault, and says what became
// of the lines. When ctx ends, no more lines are handed over, and those that were
// are waited for a little longer: their outcome is what the user has to know.
func (l *loader) load(ctx context.Context, input io.Reader) error {
	waiting, cancel := outlast(ctx, closeTimeout)
	defer cancel()
	failed := readLines(ctx, input, func(line inputLine) error {
		if line.err != nil {
			return &lineError{line.number, line.err}
		}
		if err := l.submit(ctx, line); err != nil {
			return err
		}
		return l.settle(waiting, maxPending)
	})
	lost := l.settle(waiting, 0)
	if failed == nil && lost == nil {
		return nil
	}
	return fmt.Errorf("%w; %s", l.cause(failed, lost), l.outcome())
}

// cause joins why the input was not read on, and which line that was handed over
// was lost: the earlier line, and what ended leadership.
func (l *loader) cause(failed, lost error) error {
	_, atLine := errors.AsType[*lineError](failed)
	switch {
	case lost == nil:
	case failed == nil, atLine:
		failed = lost
	default:
		failed = fmt.Errorf("%w; %w", failed, lost)
	}
	leadership := l.store.Leadership()
	if errors.Is(failed, durability.ErrNotLeader) && leadership.Err() != nil {
		return fmt.Errorf("%w: %w", failed, context.Cause(leadership))
	}
	return failed
}

// outlast returns a context that ends some time after ctx.
func outlast(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(ctx))
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

// submit hands a line over.
func (l *loader) submit(ctx context.Context, line inputLine) error {
	p, err := l.store.Apply(ctx, line.ops, durability.WriteOptions{})
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &lineError{line.number, err}
	}
	l.pending = append(l.pending, pendingLine{p, line.number, line.end})
	return nil
}

// settle takes the outcomes that are known, and waits for the oldest while more
// than most are pending. It returns the first failure, after which there is no
// success any more.
func (l *loader) settle(ctx context.Context, most int) error {
	var failed error
	for len(l.pending) > 0 {
		p := l.pending[0]
		if len(l.pending) <= most {
			select {
			case <-p.Done():
			default:
				return failed
			}
		}
		commit, err := p.Wait(ctx)
		l.pending = l.pending[1:]
		switch {
		case err == nil:
			l.committed(p, commit)
			continue
		case errors.Is(err, persistence.ErrUnknown):
			if l.unknownFrom == 0 {
				l.unknownFrom = p.number
			}
			l.unknownTo = p.number
		}
		if failed == nil {
			failed = &lineError{p.number, err}
			most = 0 // the writer has ended, so the rest fails too, and soon
		}
	}
	return failed
}

func (l *loader) committed(p pendingLine, c persistence.Commit) {
	l.lines++
	l.lastLine = p.number
	switch {
	case c.Transaction == l.transaction: // that of the line before, or of what was there
		l.unchanged++
	case l.entries == 0 || c.Position != l.commit.Position:
		l.entries++
	}
	l.transaction = c.Transaction
	l.commit = c
	l.progress.set(p.end, "transactions: "+fmt.Sprint(l.lines))
}

// outcome says what became of the lines, when not all is well.
func (l *loader) outcome() string {
	var s string
	switch l.lastLine {
	case 0:
		s = "nothing is committed"
	case 1:
		s = "line 1 is committed"
	default:
		s = fmt.Sprintf("lines 1–%d are committed", l.lastLine)
	}
	switch {
	case l.unknownFrom == 0:
	case l.unknownFrom == l.unknownTo:
		s += fmt.Sprintf(", the outcome of line %d is unknown: look at the state before it is applied again", l.unknownFrom)
	default:
		s += fmt.Sprintf(", the outcome of lines %d–%d is unknown: look at the state before they are applied again", l.unknownFrom, l.unknownTo)
	}
	return s
}

// lineError is an error of one line of the input.
type lineError struct {
	number int
	err    error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.number, e.err) }
func (e *lineError) Unwrap() error { return e.err }
