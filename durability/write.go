package durability

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Work is what a transaction does. It sees its own changes. If it returns an error,
// nothing of it happened, whatever it did. It must not keep tx, and must not hand
// it to other goroutines. A write with the context that it is given joins it.
type Work func(ctx context.Context, tx storage.Mutable) error

// WriteOptions are conditions of a write. The zero value has none.
type WriteOptions struct {
	// Key makes a repeat harmless: a write with a key that a recent transaction
	// had does nothing and has that transaction's outcome. Fingerprint tells a
	// repeat from another write with the same key by mistake, which is refused.
	Key         string
	Fingerprint []byte
	// After, if not nil, is the number that the last transaction must have; else
	// the write fails with ErrConflict.
	After *persistence.TransactionNumber
}

// Pending is a transaction whose outcome may not be known yet.
type Pending struct {
	done   chan struct{}
	commit persistence.Commit
	err    error
}

func settled(c persistence.Commit) *Pending {
	p := &Pending{done: make(chan struct{})}
	p.settle(c, nil)
	return p
}

func (p *Pending) settle(c persistence.Commit, err error) {
	p.commit, p.err = c, err
	close(p.done)
}

// Done is closed when the outcome is known.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait returns the outcome: where the transaction is durable, or an error that
// matches persistence.ErrNotCommitted or ErrUnknown. If ctx ends before, the
// commit goes on, and the caller gets ErrUnknown.
func (p *Pending) Wait(ctx context.Context) (persistence.Commit, error) {
	select {
	case <-p.done:
		return p.commit, p.err
	default:
	}
	select {
	case <-p.done:
		return p.commit, p.err
	case <-ctx.Done():
		return persistence.Commit{}, fmt.Errorf("%w: gave up waiting: %w", persistence.ErrUnknown, context.Cause(ctx))
	}
}

// Write runs work as one transaction, after all before it, and returns when it is
// durable. A work that changed nothing is not recorded; Write then returns when
// what it saw is durable.
func (s *Storage) Write(ctx context.Context, work Work) error {
	p, err := s.Submit(ctx, work, WriteOptions{})
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx)
	return err
}

// Submit runs work as Write does, but returns as soon as the next may run. An error
// means that nothing happened.
func (s *Storage) Submit(ctx context.Context, work Work, o WriteOptions) (*Pending, error) {
	return s.submit(ctx, o, s.inContext(ctx, work))
}

var errNotLeading = fmt.Errorf("%w: %w", ErrNotLeader, persistence.ErrNotCommitted)

// openKey finds the open transaction of a storage in the context of its work.
type openKey struct{ s *Storage }

// inContext gives a work the context in which its nested writes find it.
func (s *Storage) inContext(ctx context.Context, work Work) func(*recorder) error {
	return func(r *recorder) error { return work(context.WithValue(ctx, openKey{s}, r), r) }
}

// What a client may send with a write; the newest keys are kept in memory.
const (
	maxKey         = 256
	maxFingerprint = 64
)

func (s *Storage) submit(ctx context.Context, o WriteOptions, work func(*recorder) error) (_ *Pending, err error) {
	if len(o.Key) > maxKey || len(o.Fingerprint) > maxFingerprint {
		return nil, fmt.Errorf("%w: idempotency key of %d bytes with a fingerprint of %d, at most %d and %d are allowed",
			storage.ErrInvalidArgument, len(o.Key), len(o.Fingerprint), maxKey, maxFingerprint)
	}
	if outer, ok := ctx.Value(openKey{s}).(*recorder); ok {
		return outer.join(o, work)
	}
	// Before the lock, too: initial work holds it for long, and one that by mistake
	// writes without its own context would wait for itself.
	if s.term.Load() == nil {
		return nil, errNotLeading
	}
	span := s.trace(ctx)
	defer func() { span.returned(err) }()
	release, err := s.acquire(ctx, span)
	if err != nil {
		return nil, err
	}
	defer release()
	t := s.term.Load()
	if t == nil {
		return nil, errNotLeading
	}
	return s.run(t, span, o, work)
}

// acquire waits for room in the log's queue and takes the write lock.
func (s *Storage) acquire(ctx context.Context, span *span) (release func(), err error) {
	start := time.Now()
	defer span.stage("lock", start)
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for the write lock: %w", persistence.ErrNotCommitted, context.Cause(ctx))
	}
	release = func() { <-s.lock }
	if t := s.term.Load(); t != nil {
		if err := t.writer.WaitRoom(ctx); err != nil {
			release()
			return nil, err
		}
	}
	s.metrics.lockWait.Observe(time.Since(start).Seconds())
	return release, nil
}

// run runs work as a transaction of a term. It needs the write lock.
func (s *Storage) run(t *term, span *span, o WriteOptions, work func(*recorder) error) (*Pending, error) {
	head := t.head
	if o.Key != "" {
		if earlier, err := head.keys.find(o.Key, o.Fingerprint); earlier != nil || err != nil {
			return earlier, err
		}
	}
	if o.After != nil && *o.After != head.number {
		return nil, fmt.Errorf("%w: the last transaction is %d, not %d: %w", ErrConflict, head.number, *o.After, persistence.ErrNotCommitted)
	}
	r := &recorder{tx: head.stores.Begin(), tiers: s.tiers}
	defer r.end() // whoever has kept its context can't join it any more
	start := time.Now()
	err := work(r)
	s.metrics.work.Observe(time.Since(start).Seconds())
	span.stage("work", start)
	if err != nil {
		return nil, err
	}
	if len(r.ops.ops) == 0 && o.Key == "" {
		return head.pending, nil
	}
	return s.append(t, span, r, o)
}

// append hands the transaction's record to the log and makes its version the head.
func (s *Storage) append(t *term, span *span, r *recorder, o WriteOptions) (*Pending, error) {
	head := t.head
	record := api.Transaction{Ops: r.ops.sorted(), SchemaVersion: api.CurrentSchemaVersion}
	next := &version{number: head.number + 1, keys: head.keys, changed: head.changed, pending: &Pending{done: make(chan struct{})}}
	if o.Key != "" {
		fingerprint := bytes.Clone(o.Fingerprint)
		record.Idempotency = &api.Idempotency{Key: api.Some(o.Key), Fingerprint: fingerprint}
		next.keys = head.keys.with(o.Key, &keyed{fingerprint: fingerprint, pending: next.pending, number: next.number})
	}
	data, err := record.AppendBinary(nil)
	if err != nil {
		return nil, fmt.Errorf("%w: encode transaction: %w", persistence.ErrNotCommitted, err)
	}
	next.stores = r.tx.Commit()
	change := &Change{Time: time.Now().UTC().Truncate(time.Millisecond), Ops: record.Ops, Events: eventsOf(head.stores.Tasks(), head.stores.Hosts(), record.Ops)}
	span.toLog(next.number, len(data))
	number, err := t.writer.Append(data, func(ack persistence.Ack, err error) {
		span.answered(ack, err) // before its writer hears of it
		s.acknowledged(next, change, len(data), ack, err)
	})
	if err != nil {
		return nil, err
	}
	if number != next.number {
		panic(fmt.Sprintf("the log gave transaction %d the number %d", next.number, number))
	}
	t.head = next
	s.metrics.handedOver(record.Ops)
	return next.pending, nil
}
