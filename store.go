// Package schedulerstore is durable state for a scheduler on nothing but a bucket:
// S3, GCS, MinIO, or a directory. A Go scheduler embeds it with one Open; any other
// runs the scheduler-store daemon beside it.
//
//	store, err := schedulerstore.Open(ctx, "s3://bucket/cells/prod", schedulerstore.Options{})
//	defer store.Close(ctx)
//	err = store.Campaign(ctx) // blocks until this process leads
//	err = store.Write(ctx, func(ctx context.Context, tx storage.Mutable) error {
//		return tx.Tasks().Save(task)
//	})
//	store.Read(func(view storage.View) { … })
//
// Any number of processes may open one store. All follow it and can be read; one
// leads and can write. When it stops, or hangs for longer than its lease, another
// that campaigns takes over. What Write has acknowledged survives all of that.
package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// ErrClosed: the store was closed.
var ErrClosed = errors.New("store is closed")

// Options of Open. The zero value is good.
type Options struct {
	// ReadOnly opens a store that exists and only follows it: no request writes.
	ReadOnly bool
	// Key encrypts what is kept: see docs/encryption.md, and keyurl.Open for one by its
	// URL. A store that is encrypted can't be opened without. The store does not close it.
	Key *encryption.Keeper
	// Lease says how this process leads: its TTL, and the host and URL by which
	// others know it. All else in it but Poll and Clock is set from here.
	Lease lease.Options
	// Initialize is run as the first transaction of each leadership, before
	// Campaign returns (Aurora: the initialization logic of Storage.start).
	Initialize durability.Work
	// Snapshots says when the leader makes them.
	Snapshots snapshot.Schedule
	// Retention says what the leader keeps of what recovery needs no more, and
	// GarbageEvery how often it looks for what may go: 1 h by default, negative is never.
	Retention    garbage.Retention
	GarbageEvery time.Duration
	// Backups says when the leader makes automatic backups, and how many are kept.
	Backups backup.Schedule
	// BackupBucket is where backups lie; nil means the cell's own bucket. The store
	// does not close it. It may hold the backups of many cells.
	BackupBucket *bucket.Bucket
	// Rehearse is the time between two rehearsed restores, see Rehearse; 0 is never.
	Rehearse time.Duration
	// History says which job updates the leader removes.
	History History
	// Events, if not nil, is told what happens while this process leads.
	Events EventSink
	// Tiers of the cluster; nil means Aurora's stock ones.
	Tiers schema.Tiers
	// Log sizes the log's entries and queues, and says whether requests for entries
	// are hedged. Its ReadOnly, Key, Host, Logger and Registerer are set from here.
	Log blob.Options
	// Logger gets what happens; nil discards it.
	Logger *slog.Logger
	// Registerer takes all metrics until the store is closed; nil leaves them
	// unregistered. Two stores that are open at once need one each, such as the same
	// one wrapped with different labels.
	Registerer prometheus.Registerer
	// TracerProvider gets a trace of each write, recovery and fail-over; nil makes none.
	// See docs/observability.md.
	TracerProvider trace.TracerProvider
}

// Store is one cell, opened; see Phase for its life. Its methods may be called by many goroutines.
type Store struct {
	options Options
	logger  *slog.Logger
	bucket  *bucket.Bucket
	log     *blob.Log
	storage *durability.Storage
	metrics *metrics
	tracer  trace.Tracer // nil traces nothing

	backups  *backup.Backups
	recovery *backup.Recovery
	// copying is held, by putting something in, by the one who makes a snapshot, a
	// backup or a restore, or collects garbage: never two at once.
	copying chan struct{}

	campaigning chan struct{} // held by the one who campaigns
	hints       chan struct{} // to look at the lease, for the one who campaigns
	claims      chan struct{} // the lease is being claimed, for the run goroutine
	elections   chan *election
	quit        context.CancelCauseFunc
	ctx         context.Context // ends when the store is closed
	closing     context.Context // bounds what Close waits for; set before quit
	ended       chan struct{}   // the run goroutine has ended
	rehearsing  sync.WaitGroup  // of the goroutine that rehearses
	opened      time.Time

	// reigned is set from the seal until the lease is released: the state is that
	// of a leader, all of it durable.
	reigned atomic.Bool
	// restored is the position behind this process's last restore.
	restored atomic.Uint64
	replay   replay
	// posted is the number of the last transaction whose events the sink was told.
	posted atomic.Uint64

	mu        sync.Mutex
	recovered chan struct{} // closed when the end of the log was reached once
	progress  progress
	posting   chan struct{} // closed when the sink of the newest leadership has returned
}

// Open opens the store at a URL (see package bucketurl), makes the cell where there
// is none, and begins to follow it. It returns before the state is recovered; see
// Recovered and Campaign.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	o.Registerer = register(o.Registerer)
	b, err := bucketurl.Open(ctx, url, bucketurl.Options{Registerer: o.Registerer})
	if err != nil {
		unregister(o.Registerer)
		return nil, err
	}
	s, err := OpenBucket(ctx, b, o)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return s, nil
}

// OpenBucket is Open for a bucket that is open already. The store closes it.
func OpenBucket(ctx context.Context, b *bucket.Bucket, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Registerer = register(o.Registerer)
	if o.Lease.Host == "" {
		o.Lease.Host, _ = os.Hostname() // only for people; empty is bearable
	}
	o.Lease.Logger, o.Lease.Registerer = o.Logger, o.Registerer
	o.Log.ReadOnly, o.Log.Key, o.Log.Host, o.Log.Logger, o.Log.Registerer = o.ReadOnly, o.Key, o.Lease.Host, o.Logger, o.Registerer
	log, err := blob.Open(ctx, b, o.Log)
	if err != nil {
		unregister(o.Registerer)
		return nil, fmt.Errorf("open store: %w", err)
	}
	tracer := tracer(o.TracerProvider)
	s := &Store{options: o, logger: o.Logger, bucket: b, log: log, tracer: tracer,
		storage:     durability.New(durability.Options{Tiers: o.Tiers, Logger: o.Logger, Registerer: o.Registerer, Tracer: tracer}),
		campaigning: make(chan struct{}, 1), hints: make(chan struct{}, 1), claims: make(chan struct{}, 1), elections: make(chan *election), ended: make(chan struct{}),
		copying: make(chan struct{}, 1), recovered: make(chan struct{}), progress: progress{role: Follower, leaderNews: make(chan struct{})}, opened: time.Now()}
	s.openBackups()
	s.progress.leadership, s.progress.lost = endedContext(errNeverLed)
	s.ctx, s.quit = context.WithCancelCause(context.WithoutCancel(ctx))
	s.metrics = newMetrics(o.Registerer, s)
	go s.run()
	if o.Rehearse > 0 {
		s.rehearsing.Go(func() { s.rehearseOnSchedule(o.Rehearse) })
	}
	return s, nil
}

// Close ends leadership, if this process leads, so that another can take over at
// once: what was handed over becomes durable, then the lease is released. If ctx
// ends before, it does not wait for that. It closes the bucket. It may be called in
// any phase, and again.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closing == nil {
		s.closing = ctx
	}
	s.mu.Unlock()
	s.quit(ErrClosed)
	<-s.ended
	s.campaigning <- struct{}{} // a lease that was won in the meantime is released
	<-s.campaigning
	s.rehearsing.Wait()
	unregister(s.options.Registerer)
	return s.bucket.Close()
}

// Read calls f with the newest durable state. The view is consistent, stays the
// same for as long as it is held, and never waits. On a follower it may be behind
// the leader.
func (s *Store) Read(f func(storage.View)) { f(s.storage.View()) }

// ReadLinearizable is Read, but answers only if no other process can have committed
// anything that the view does not have: this process leads and its lease holds.
func (s *Store) ReadLinearizable(f func(storage.View)) error {
	view, _, err := s.LinearizableSnapshot()
	if err != nil {
		return err
	}
	f(view)
	return nil
}

// LinearizableSnapshot is the view of ReadLinearizable with the number of its last
// transaction.
func (s *Store) LinearizableSnapshot() (storage.View, persistence.TransactionNumber, error) {
	s.mu.Lock()
	held := s.progress.role == Leader && s.progress.lease.Held()
	s.mu.Unlock()
	view, number := s.storage.Snapshot() // after the lease was looked at, not before
	if !held {
		return nil, 0, s.explain(fmt.Errorf("linearizable read: %w", durability.ErrNotLeader))
	}
	return view, number, nil
}

// Write runs work as one transaction and returns when it is durable; see
// durability.Storage.Write.
func (s *Store) Write(ctx context.Context, work durability.Work) error {
	return s.explain(s.storage.Write(ctx, work))
}

// Submit runs work as Write does, but returns as soon as the next may run; see
// durability.Storage.Submit.
func (s *Store) Submit(ctx context.Context, work durability.Work, o durability.WriteOptions) (*durability.Pending, error) {
	p, err := s.storage.Submit(ctx, work, o)
	return p, s.explain(err)
}

// Apply writes a transaction that came from outside as a list of ops; see
// durability.Storage.Apply.
func (s *Store) Apply(ctx context.Context, ops []*api.Op, o durability.WriteOptions) (*durability.Pending, error) {
	p, err := s.storage.Apply(ctx, ops, o)
	return p, s.explain(err)
}

// Log is the cell's log, for tools that look into it.
func (s *Store) Log() *blob.Log { return s.log }

// Storage is the stores, for tools that need more than Read.
func (s *Store) Storage() *durability.Storage { return s.storage }

// Recovered waits until the end of the log was reached once: from then on Read
// answers with a state that was whole and recent. It returns an error if recovery
// can't go on, such as one that matches blob.ErrDamaged.
func (s *Store) Recovered(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := s.followProblem(); err != nil && lasting(err) {
			return err
		}
		select {
		case <-s.recovered:
			return nil
		case <-tick.C: // a problem may have come up
		case <-s.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("wait for recovery: %w", context.Cause(ctx))
		}
	}
}
