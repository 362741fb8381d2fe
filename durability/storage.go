package durability

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

var (
	// ErrNotLeader: this process does not lead, so it can't write. Nothing was done.
	ErrNotLeader = errors.New("not the leader")
	// ErrConflict: the write was to happen only after a certain transaction, and
	// others have come since. Nothing was done.
	ErrConflict = errors.New("other transactions have come since")
	// ErrBehind: the log has fewer transactions than this process has seen durable.
	ErrBehind = errors.New("durable transactions are missing")
	// ErrKeyReused: the idempotency key belongs to another transaction. Nothing
	// was done.
	ErrKeyReused = errors.New("idempotency key was used for another transaction")
)

// Persistence is where records become durable (Aurora: Persistence). blob.Writer
// is one.
type Persistence interface {
	// Append hands over a record and returns its transaction number, one more than
	// the one before. It does not wait. If it returns no error, done is called
	// once: when the record is durable, or with an error that matches
	// persistence.ErrNotCommitted or ErrUnknown. The calls come one after another
	// and in order of the numbers.
	Append(record []byte, done func(persistence.Ack, error)) (persistence.TransactionNumber, error)
	// WaitRoom waits until there is room for one more record.
	WaitRoom(ctx context.Context) error
}

// Options of a Storage. The zero value is good.
type Options struct {
	// Tiers of the cluster, for the backfill of tasks; nil means the stock ones.
	Tiers schema.Tiers
	// Logger gets the task queries, slow ones at level info; nil discards them.
	Logger *slog.Logger
	// Registerer takes the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Tracer makes a span of each write; nil makes none.
	Tracer trace.Tracer
	// Alike, if not nil, is a state that the one to be replayed is much like: a task that
	// is equal to one in it shares with it all that is below the task. It saves most of
	// the memory that a second state takes.
	Alike storage.View
}

// Start is how a term of leading begins.
type Start struct {
	// View is the state after the initial work and before any other transaction,
	// Transaction the number of its last one.
	View        storage.View
	Transaction persistence.TransactionNumber
	// Changes tells every transaction after that. It is never overrun: it keeps in
	// memory what it has not told, for as long as it is held.
	Changes *Cursor
}

// version is the state after one transaction. It never changes, but for its
// pending part, which tells whether it is durable yet.
type version struct {
	stores  *storage.State
	keys    keys
	number  persistence.TransactionNumber
	pending *Pending
	changed *changed
}

// term is one time of leading. A transaction belongs to the term that it began in:
// if that ends meanwhile, its writer refuses the record.
type term struct {
	writer Persistence
	head   *version // the newest, under the write lock
}

// Storage is durable state. Its methods may be called by many goroutines, except
// those of a persistence.Consumer, which belong to one reader.
type Storage struct {
	tiers   schema.Tiers
	alike   storage.View // nil if there is none
	queries *storage.QueryCounters
	onQuery func(q *api.TaskQuery, took time.Duration, tasks int)
	metrics *metrics
	tracer  trace.Tracer // nil traces nothing

	lock chan struct{}        // the write lock: whoever has put something in holds it
	term atomic.Pointer[term] // nil while this process does not lead

	durable    atomic.Pointer[version]
	checkpoint atomic.Pointer[Checkpoint]
	feed       *feed
	replay     *replay // of the reader's goroutine
}

// New returns an empty Storage.
func New(o Options) *Storage {
	s := &Storage{tiers: o.Tiers, alike: o.Alike, tracer: o.Tracer, queries: new(storage.QueryCounters), onQuery: logQuery(o.Logger), lock: make(chan struct{}, 1), feed: newFeed()}
	empty := &version{stores: s.empty(), keys: newKeys(), pending: settled(persistence.Commit{}), changed: newChanged(0)}
	s.durable.Store(empty)
	s.metrics = newMetrics(o.Registerer, s)
	return s
}

// empty is the state that holds nothing.
func (s *Storage) empty() *storage.State {
	return storage.NewState(storage.Options{Queries: s.queries, OnQuery: s.onQuery})
}

// View is the newest durable state: consistent, never waiting, and the same for as
// long as it is held.
func (s *Storage) View() storage.View { return s.durable.Load().stores }

// Snapshot is a View with the number of its last transaction.
func (s *Storage) Snapshot() (storage.View, persistence.TransactionNumber) {
	v := s.durable.Load()
	return v.stores, v.number
}

// Lead makes the storage writable: from now on transactions go to w, which goes on
// from the state that was replayed. initial, if not nil, is the first of them, before
// any other; if it fails the storage stays as it was.
func (s *Storage) Lead(ctx context.Context, w Persistence, initial Work) error {
	_, err := s.LeadFrom(ctx, w, initial)
	return err
}

// LeadFrom is Lead, and tells what the term begins with.
func (s *Storage) LeadFrom(ctx context.Context, w Persistence, initial Work) (*Start, error) {
	changes := &Cursor{feed: s.feed, kept: s.feed.newest.Load()}
	t, first, err := s.begins(ctx, w, initial)
	if err != nil {
		return nil, err
	}
	if _, err := first.pending.Wait(ctx); err != nil {
		s.term.CompareAndSwap(t, nil)
		return nil, err
	}
	changes.after = first.number
	return &Start{View: first.stores, Transaction: first.number, Changes: changes}, nil
}

// begins a term, with the initial work as its first transaction if there is one, and
// returns its first version.
func (s *Storage) begins(ctx context.Context, w Persistence, initial Work) (t *term, first *version, err error) {
	release, err := s.acquire(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	t = &term{writer: w, head: s.durable.Load()}
	if r := s.replay; r != nil {
		return nil, nil, fmt.Errorf("%w: the log ends with transaction %d, but this process has seen %d", ErrBehind, r.number, t.head.number)
	}
	if initial != nil {
		if _, err = s.run(t, nil, WriteOptions{}, s.inContext(ctx, initial)); err != nil {
			return nil, nil, err
		}
	}
	s.term.Store(t)
	return t, t.head, nil
}

// StepDown makes the storage read-only again and throws away what is not durable. It
// does not wait: a transaction that is open can't be committed any more, as its
// writer has ended before.
func (s *Storage) StepDown() { s.term.Store(nil) }

// Leading tells whether the storage can be written to.
func (s *Storage) Leading() bool { return s.term.Load() != nil }

// acknowledged takes the log's answer for a version. change is what those who watch
// are told, its record has size bytes.
func (s *Storage) acknowledged(v *version, change *Change, size int, ack persistence.Ack, err error) {
	if mutation.On(mutation.SnapshotOfTheUnacknowledged) && errors.Is(err, persistence.ErrUnknown) && ack.After != nil { // it was sent
		s.checkpoint.Store(&Checkpoint{At: *ack.After, version: v})
		return
	}
	if err == nil && ack.Transaction != v.number {
		// The number stands in results that were given out already.
		panic(fmt.Sprintf("transaction %d was acknowledged as %d", v.number, ack.Transaction))
	}
	if err != nil {
		s.metrics.failed.Inc()
		v.pending.settle(persistence.Commit{}, err)
		return
	}
	// Readers see it before those who watch and its writer hear of it: whoever is
	// told of a write can read it.
	v.pending.commit = ack.Commit
	v.changed.note(v.number, change.Ops)
	s.publish(v, ack.After)
	change.Commit = ack.Commit
	s.feed.publish(change, size)
	s.metrics.durable(change.Ops)
	close(v.pending.done)
}

// publish makes a version what readers see. at is set where the version is the
// state of a point.
func (s *Storage) publish(v *version, at *persistence.Point) {
	s.durable.Store(v)
	if at != nil {
		s.checkpoint.Store(&Checkpoint{At: *at, version: v})
	}
}
