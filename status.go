package schedulerstore

import (
	"context"
	"errors"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Role is what a process is to its store.
type Role string

// The roles.
const (
	Follower Role = "follower"
	Leader   Role = "leader"
)

// errNeverLed is why there is no leadership at first.
var errNeverLed = errors.New("this process has not led yet")

// progress is what the run goroutine has come to. It is guarded by Store.mu.
type progress struct {
	role       Role
	lease      *lease.Lease // of a leader
	led        time.Time    // since when, of a leader
	writer     *blob.Writer // of a leader
	leadership context.Context
	lost       context.CancelCauseFunc
	// What keeps this process from following, and from contending for the lease.
	problem, noLease error
	leader           *lease.State  // as last seen; nil while this process leads
	leaderNews       chan struct{} // closed and replaced when leader changes
	holding          chan struct{} // closed when the lease that was won last is let go; nil if none ever was
	snapshot         *snapshot.Manifest
	snapshotMade     time.Time // when, by the clock that is best for how long ago
	backups          backupProgress
	garbage          garbageProgress
	rehearsal        rehearsalProgress
}

// endedContext is a context that has ended with a cause.
func endedContext(cause error) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	return ctx, cancel
}

// Leadership is a context that lives while this process leads. When it has ended,
// context.Cause says why.
func (s *Store) Leadership() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.leadership
}

func (s *Store) leading(l *lease.Lease, writer *blob.Writer) {
	s.mu.Lock()
	p := &s.progress
	p.role, p.lease, p.led, p.writer, p.problem, p.noLease = Leader, l, time.Now(), writer, nil, nil
	p.seeLeader(nil)
	p.leadership, p.lost = context.WithCancelCause(context.Background())
	s.mu.Unlock()
	s.logger.Info("leading", "epoch", l.Epoch(), "transaction", s.storage.Checkpoint().At.Transaction)
}

func (s *Store) following(cause error) {
	s.mu.Lock()
	p := &s.progress
	p.role, p.lease, p.led, p.writer = Follower, nil, time.Time{}, nil
	p.snapshot, p.garbage = nil, garbageProgress{} // another process makes the next
	p.lost(cause)
	s.mu.Unlock()
	s.logger.Info("no longer leading", "cause", cause)
}

// caughtUp notes that the end of the log was reached.
func (s *Store) caughtUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.problem = nil
	select {
	case <-s.recovered:
	default:
		close(s.recovered)
		s.metrics.recovery.Set(time.Since(s.opened).Seconds())
	}
}

// trouble notes, loudly, what keeps this process from going on.
func (s *Store) trouble(doing string, err error) {
	s.mu.Lock()
	s.progress.problem = err
	s.mu.Unlock()
	s.logger.Error("can't go on", "doing", doing, "error", err, "lasting", lasting(err))
}

// cantContend notes why this process can't contend for the lease.
func (s *Store) cantContend(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.noLease = err
}

// problem is what keeps this process from going on, if anything does.
func (s *Store) problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.any()
}

// followProblem is what keeps it from following only.
func (s *Store) followProblem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.problem
}

func (p *progress) any() error { return errors.Join(p.problem, p.noLease) }

func (s *Store) observeLease(state lease.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.seeLeader(&state)
	s.progress.noLease = nil
}

// seeLeader needs mu.
func (p *progress) seeLeader(leader *lease.State) {
	p.leader = leader
	close(p.leaderNews)
	p.leaderNews = make(chan struct{})
}

// OtherLeader is the process that was last seen to hold the lease, by one that
// campaigns; nil if that was none, or has this one's own URL, as one before it on the
// same host. The channel is closed when that may have changed.
func (s *Store) OtherLeader() (*LeaderStatus, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	leader, news := s.progress.leader, s.progress.leaderNews
	if leader == nil || leader.Released || leader.URL == s.options.Lease.URL {
		return nil, news
	}
	return &LeaderStatus{Epoch: leader.Epoch, Host: leader.Host, URL: leader.URL}, news
}

// hold notes that this process holds a lease, until the function that it returns is
// called.
func (s *Store) hold() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	holding := make(chan struct{})
	s.progress.holding = holding
	return func() { close(holding) }
}

// LeaseReleased is closed while this process holds no lease. If it holds one, it is
// closed when that was let go: another can take it at once.
func (s *Store) LeaseReleased() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress.holding == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return s.progress.holding
}

// noteSnapshot takes a snapshot of this process's own history, unless a newer one is known.
// It needs mu.
func (p *progress) noteSnapshot(m *snapshot.Manifest, made time.Time) {
	if p.snapshot != nil && p.snapshot.At.Next > m.At.Next {
		return
	}
	p.snapshot, p.snapshotMade = m, made
}

// Status is what a store says of itself.
type Status struct {
	Cell  string            `json:"cell"`
	Store string            `json:"store"`
	Role  Role              `json:"role"`
	Phase Phase             `json:"phase"`
	Epoch persistence.Epoch `json:"epoch"`
	// Position and Transaction are the newest that are applied here; Position is -1
	// before the first entry.
	Position    int64                         `json:"position"`
	Transaction persistence.TransactionNumber `json:"transaction"`
	// Recovered tells that the end of the log was reached once.
	Recovered bool `json:"recovered"`
	// Recovery is how far a recovery is with the log, while there is one.
	Recovery *RecoveryStatus `json:"recovery,omitempty"`
	// Leader is who holds the lease, as far as this process has seen.
	Leader *LeaderStatus `json:"leader,omitempty"`
	// LastSnapshot is the newest snapshot that this process has made or seen as leader.
	LastSnapshot *SnapshotStatus `json:"lastSnapshot,omitempty"`
	// Garbage is what the leader's last collection did; nil on others, and before one.
	Garbage *GarbageStatus `json:"garbage,omitempty"`
	// ReplaySeconds estimates how long a recovery would read the log behind the newest
	// snapshot, on the leader.
	ReplaySeconds float64 `json:"replaySeconds,omitempty"`
	// Rehearsal is the last rehearsed restore of this process, whatever came of it, and
	// LastRehearsed when one last succeeded.
	Rehearsal     *Rehearsal `json:"rehearsal,omitempty"`
	LastRehearsed *time.Time `json:"lastRehearsed,omitempty"`
	// Problem is what keeps this process from going on, if anything does.
	Problem string `json:"problem,omitempty"`
	// ProblemLasts tells that the problem will not pass by itself, such as damage.
	ProblemLasts bool `json:"problemLasts,omitempty"`
	// Cost is what this process has asked of its buckets since it opened the store, and
	// what that costs by the list prices of whose they are.
	Cost cost.Report `json:"cost"`
}

// LeaderStatus is who holds the lease.
type LeaderStatus struct {
	Epoch persistence.Epoch `json:"epoch"`
	Host  string            `json:"host"`
	URL   string            `json:"url,omitempty"`
	// LeaseRemainingMs is how long the lease holds if it is not renewed; on the
	// leader itself only.
	LeaseRemainingMs int64 `json:"leaseRemainingMs,omitempty"`
}

// SnapshotStatus is a snapshot in short.
type SnapshotStatus struct {
	Name        string                        `json:"name"`
	Transaction persistence.TransactionNumber `json:"transaction"`
	Made        time.Time                     `json:"made"`
	Bytes       int64                         `json:"bytes"`
	// Base is the snapshot that it goes on from, and OwnBytes what was written for it
	// alone. One without a base is full.
	Base     string `json:"base,omitempty"`
	OwnBytes int64  `json:"ownBytes"`
}

// Status tells how the store is doing. It makes no request.
func (s *Store) Status() Status {
	status := Status{Cell: s.log.Cell().ID, Store: s.bucket.Name(), Position: -1, Cost: s.cost(), Recovery: s.recoveryStatus()}
	if c := s.storage.Checkpoint(); c != nil {
		status.Epoch, status.Transaction, status.Position = c.At.Epoch, c.At.Transaction, int64(c.At.Next)-1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.progress
	status.Role, status.Phase = p.role, s.phase()
	select {
	case <-s.recovered:
		status.Recovered = true
	default:
	}
	switch {
	case p.role == Leader:
		state := p.lease.State()
		status.Leader = &LeaderStatus{state.Epoch, state.Host, state.URL, p.lease.Remaining().Milliseconds()}
		status.ReplaySeconds = s.replayEstimate(p.writer.Backlog()).Seconds()
	case p.leader != nil && !p.leader.Released:
		status.Leader = &LeaderStatus{Epoch: p.leader.Epoch, Host: p.leader.Host, URL: p.leader.URL}
	}
	if m := p.snapshot; m != nil {
		status.LastSnapshot = &SnapshotStatus{m.Name, m.At.Transaction, m.Made, m.Bytes(), m.Base, m.OwnBytes()}
	}
	status.Garbage = p.garbage.last
	status.Rehearsal = p.rehearsal.last
	if r := p.rehearsal.success; r != nil {
		status.LastRehearsed = &r.Began
	}
	if problem := p.any(); problem != nil {
		status.Problem, status.ProblemLasts = problem.Error(), lasting(problem)
	}
	return status
}

// cost is what was asked of the bucket, and of that of the backups if it is another.
func (s *Store) cost() cost.Report {
	over := time.Since(s.opened)
	report := costOf(s.bucket, over)
	if b := s.options.BackupBucket; b != nil && b != s.bucket {
		report = report.Plus(costOf(b, over))
	}
	return report
}

func costOf(b *bucket.Bucket, over time.Duration) cost.Report {
	prices, _ := cost.PricesOf(b.Provider()) // who bills by prices that are not known is taken for free
	return cost.NewReport(prices, over, b.Usage())
}
