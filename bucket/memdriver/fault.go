package memdriver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// ErrInjected is the error of a request that a fault made fail, unless the fault
// has its own. To a caller it says nothing of whether the request landed.
var ErrInjected = errors.New("injected fault")

// Operation is a kind of request.
type Operation string

// The operations. Any is all of them.
const (
	Any      Operation = ""
	Get      Operation = "get"
	GetRange Operation = "get range"
	Create   Operation = "create"
	Replace  Operation = "replace"
	List     Operation = "list"
	Delete   Operation = "delete"
)

// Fault is a rule: of the requests of one operation whose key matches, let Skip
// pass, then Do something to the next Times of them.
//
// A request gets all faults that match it, in the order of their injection, up
// to the first that settles what becomes of it; only those that make it wait or
// call the test (Delay, DelayReply, Before, After) let it go on to the next.
type Fault struct {
	Operation Operation
	// Key says which keys are meant; nil means all. A listing's key is its
	// prefix, but HideFromList asks it of each key that would be listed.
	Key func(string) bool
	// Skip requests that match are let pass first.
	Skip int
	// Times is how many requests it happens to; 0 means all.
	Times int
	Do    Effect
	// Err is what Fail, LandAndFail and LandLater return; nil means ErrInjected.
	Err error
}

// Effect is what happens to a request: one of the constants below, or a Delay,
// DelayReply, Before or After.
type Effect interface {
	// fits tells whether it can happen to requests of the operation.
	fits(Operation) bool
}

type end int

const (
	_ end = iota // the request goes its way
	// Fail returns an error; nothing lands.
	Fail
	// Deny returns driver.ErrDenied; nothing lands.
	Deny
	// Block waits until the context ends; nothing lands.
	Block
	// LoseReply lands, and answers as a second try of the same request is
	// answered: ErrExists to Create, ErrChanged to Replace.
	LoseReply
	// LandAndFail lands and returns an error: the caller can't know.
	LandAndFail
	// LandLater returns an error now and lands when the test calls Release, if
	// the condition of the write holds then.
	LandLater
	// IgnoreConditions writes whatever is there already.
	IgnoreConditions
	// Corrupt flips one bit of what is read.
	Corrupt
	// HideFromList leaves keys out of a listing.
	HideFromList
)

func (e end) fits(op Operation) bool {
	switch e {
	case Fail, Deny, Block:
		return true
	case LoseReply, IgnoreConditions:
		return op == Create || op == Replace
	case LandAndFail, LandLater:
		return op == Create || op == Replace || op == Delete
	case Corrupt:
		return op == Get || op == GetRange
	case HideFromList:
		return op == List
	}
	return false
}

// Delay waits before the request takes effect, or until its context ends.
type Delay time.Duration

// DelayReply waits after the request took effect, or until its context ends.
type DelayReply time.Duration

// Before is called with the key before the request takes effect. It may use the
// bucket, as another client that is just faster.
type Before func(key string)

// After is called with the key after the request took effect and before the
// caller knows.
type After func(key string)

func (Delay) fits(Operation) bool      { return true }
func (DelayReply) fits(Operation) bool { return true }
func (Before) fits(Operation) bool     { return true }
func (After) fits(Operation) bool      { return true }

// Rule is a fault that was injected.
type Rule struct {
	bucket *Bucket
	fault  Fault
	seen   int // requests that matched, those let pass included
	hits   int
}

// Inject adds a fault to the plan. It panics if the fault can never happen.
func (b *Bucket) Inject(f Fault) *Rule {
	if f.Do == nil || f.Operation != Any && !f.Do.fits(f.Operation) {
		panic(fmt.Sprintf("memdriver: effect %T %v can't happen to operation %q", f.Do, f.Do, f.Operation))
	}
	if f.Err == nil {
		f.Err = ErrInjected
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Rule{bucket: b, fault: f}
	b.rules = append(b.rules, r)
	return r
}

// Hits is how many requests it happened to.
func (r *Rule) Hits() int {
	r.bucket.mu.Lock()
	defer r.bucket.mu.Unlock()
	return r.hits
}

// Stop takes the fault out of the plan.
func (r *Rule) Stop() {
	r.bucket.mu.Lock()
	defer r.bucket.mu.Unlock()
	r.bucket.rules = slices.DeleteFunc(r.bucket.rules, func(other *Rule) bool { return other == r })
}

// Heal empties the plan. What LandLater holds back stays held back.
func (b *Bucket) Heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = nil
}

// Release lets the requests that LandLater holds back land now, in the order in
// which they were sent, each as a conditional write of this instant.
func (b *Bucket) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, land := range b.late {
		land()
	}
	b.late = nil
}

// take tells whether the fault happens to a request, and counts it. It needs the
// bucket's lock.
func (r *Rule) take(op Operation, key string) bool {
	f := r.fault
	if f.Operation != Any && f.Operation != op || !f.Do.fits(op) {
		return false
	}
	if f.Key != nil && f.Do != HideFromList && !f.Key(key) {
		return false
	}
	if r.seen++; r.seen <= f.Skip || f.Times > 0 && r.hits >= f.Times {
		return false
	}
	r.hits++
	return true
}

// fate is what the fault plan has decided for one request.
type fate struct {
	waits   []Effect // before it takes effect
	replies []Effect // after it
	end     end
	err     error
	hidden  func(string) bool
}

// begin counts a request, decides its fate, and does what happens before it
// takes effect. An error means that it takes none.
func (b *Bucket) begin(ctx context.Context, op Operation, key string) (fate, error) {
	if err := checkKey(op, key); err != nil {
		return fate{}, err
	}
	f := b.decide(op, key)
	if err := run(ctx, key, f.waits); err != nil {
		return fate{}, err
	}
	switch f.end {
	case Fail:
		return fate{}, f.err
	case Deny:
		return fate{}, fmt.Errorf("%w: injected fault", driver.ErrDenied)
	case Block:
		<-ctx.Done()
	}
	return f, ctx.Err()
}

func (b *Bucket) decide(op Operation, key string) (f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[request{op, key}]++
	for _, r := range b.rules {
		if !r.take(op, key) {
			continue
		}
		switch do := r.fault.Do.(type) {
		case Delay, Before:
			f.waits = append(f.waits, do)
		case DelayReply, After:
			f.replies = append(f.replies, do)
		case end:
			f.end, f.err, f.hidden = do, r.fault.Err, r.fault.Key
			return f
		}
	}
	return f
}

// reply does what happens between the effect of a request and its answer.
func (f *fate) reply(ctx context.Context, key string) error { return run(ctx, key, f.replies) }

// hides tells whether a listing leaves the key out.
func (f *fate) hides(key string) bool {
	return f.end == HideFromList && (f.hidden == nil || f.hidden(key))
}

func run(ctx context.Context, key string, effects []Effect) error {
	for _, e := range effects {
		switch e := e.(type) {
		case Delay:
			wait(ctx, time.Duration(e))
		case DelayReply:
			wait(ctx, time.Duration(e))
		case Before:
			e(key)
		case After:
			e(key)
		}
	}
	if len(effects) == 0 {
		return nil
	}
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Is matches one key.
func Is(key string) func(string) bool { return func(k string) bool { return k == key } }

// Under matches the keys that begin with prefix.
func Under(prefix string) func(string) bool {
	return func(k string) bool { return strings.HasPrefix(k, prefix) }
}

// Ending matches the keys that end with suffix.
func Ending(suffix string) func(string) bool {
	return func(k string) bool { return strings.HasSuffix(k, suffix) }
}
