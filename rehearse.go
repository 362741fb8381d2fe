package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// A restore that was never tried may not work on the day. So each process now and then
// recovers, from the bucket alone, the very state that it has, and compares the two. Both
// were made of the same history by different ways: one as it came, transaction by
// transaction, the other from the newest snapshot on. What the bits' own checks can't
// show, shows here: a snapshot that is whole and has the wrong rows, a record that is
// replayed in another way than it was accepted.

// ErrDifferent: a rehearsed restore gave another state than this process has.
var ErrDifferent = errors.New("a restore would give another state")

// Rehearsal is what one rehearsed restore came to.
type Rehearsal struct {
	Began  time.Time       `json:"began"`
	Result RehearsalResult `json:"result"`
	// Transaction and Position are the last of the state that was recovered.
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	// Seconds is the time that the recovery took, Bytes what it read of the bucket for
	// it: the newest snapshot, and Entries of the log after it.
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
	Entries int     `json:"entries"`
	// Differences counts the rows and idempotency keys that differ; Rows names the first.
	Differences int      `json:"differences"`
	Rows        []string `json:"rows,omitempty"`
	Problem     string   `json:"problem,omitempty"`
}

// RehearsalResult is how a rehearsal ended.
type RehearsalResult string

// The results.
const (
	RehearsalOK        RehearsalResult = "ok"
	RehearsalDifferent RehearsalResult = "different" // see ErrDifferent
	RehearsalDamaged   RehearsalResult = "damaged"   // an object is missing or wrong, or can't be replayed
	RehearsalUnsure    RehearsalResult = "unsure"    // it could not be finished
)

// rehearsalProgress is what this process knows of rehearsals. It is guarded by Store.mu.
type rehearsalProgress struct {
	last    *Rehearsal // nil while there is none
	success *Rehearsal // the last that succeeded
	wrong   bool       // one found the bucket damaged or another state, and none has succeeded since
	proved  time.Time  // when that was, or when the first could have been
	warned  time.Time
	// ends end those that are under way, or wait for their turn.
	ends map[*Rehearsal]context.CancelCauseFunc
}

// The first rows that differ are named, so many of them.
const rehearsedRows = 5

// errGaveWay ends a rehearsal for what can't wait for it.
var errGaveWay = errors.New("it gave way to a restore")

// rehearseOnSchedule rehearses once in each interval, until the store is closed: the
// first after a part of it left to chance, so that the processes of a cell don't all do
// it at once.
func (s *Store) rehearseOnSchedule(every time.Duration) {
	select {
	case <-s.recovered:
	case <-s.ctx.Done():
		return
	}
	s.mu.Lock()
	s.progress.rehearsal.proved = time.Now()
	s.mu.Unlock()
	for wait := rand.N(every); sleep.For(s.ctx, wait) == nil; {
		r, err := s.Rehearse(s.ctx)
		wait = every - every/20 + rand.N(every/10)
		if err != nil && r.Result == RehearsalUnsure {
			wait = every / 10
		}
		s.warnUnproved(every)
	}
}

// warnUnproved warns, once in each interval, if no rehearsal has succeeded for two.
func (s *Store) warnUnproved(every time.Duration) {
	s.mu.Lock()
	p := &s.progress.rehearsal
	since := time.Since(p.proved)
	warn := since > 2*every && time.Since(p.warned) >= every
	if warn {
		p.warned = time.Now()
	}
	s.mu.Unlock()
	if warn && s.ctx.Err() == nil {
		s.logger.Warn("no rehearsed restore has succeeded for long: that this store can be restored is not proved", "age", since.Round(time.Second))
	}
}

// Rehearse recovers the state that this process has from the bucket, beside it, and
// compares the two, in any process that has recovered. No request writes, and nothing is
// repaired. It waits for a snapshot or a backup that is being made, and these wait for
// it; it ends at once for a restore. The error is nil only if the states are equal. It
// matches ErrDifferent, or blob.ErrDamaged, snapshot.ErrDamaged or blob.ErrReplay; any
// other error kept it from knowing.
//
// It holds a second state in memory for its time. Tasks that are equal share what is
// below them with the first, which is most of it.
func (s *Store) Rehearse(ctx context.Context) (*Rehearsal, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })()
	r := &Rehearsal{Began: time.Now(), Result: RehearsalUnsure}
	err := s.rehearse(ctx, cancel, r)
	switch {
	case err == nil:
		r.Result = RehearsalOK
	case errors.Is(err, ErrDifferent):
		r.Result = RehearsalDifferent
	case ctx.Err() != nil: // says more than what came of it
		err = context.Cause(ctx)
	case errors.Is(err, blob.ErrDamaged), errors.Is(err, snapshot.ErrDamaged), errors.Is(err, blob.ErrReplay):
		r.Result = RehearsalDamaged
	}
	if err != nil {
		err = fmt.Errorf("rehearse a restore: %w", err)
		r.Problem = err.Error()
	}
	if !errors.Is(err, ErrClosed) {
		s.noteRehearsal(r, err)
	}
	return r, err
}

func (s *Store) rehearse(ctx context.Context, cancel context.CancelCauseFunc, r *Rehearsal) error {
	select {
	case <-s.recovered:
	default:
		return errors.New("the state is not recovered yet")
	}
	defer s.canEnd(r, cancel)()
	release, err := s.beginCopy(ctx)
	if err != nil {
		return err
	}
	defer release()
	live := s.storage.Checkpoint()
	if live == nil || live.At.Next == 0 {
		return errors.New("nothing was ever written")
	}
	r.Transaction, r.Position = live.At.Transaction, live.At.Next-1
	newest, err := s.newestSnapshot(ctx, r.Position)
	if err != nil {
		return err
	}
	scratch := &rehearsed{Storage: durability.New(durability.Options{Tiers: s.options.Tiers, Alike: live.View()})}
	start := time.Now()
	at, err := s.log.Past(ctx, scratch, blob.UntilPosition(r.Position), func(p blob.Progress) {
		if r.Entries, r.Bytes = p.Entries, p.Bytes; p.Done {
			s.measured(p)
		}
	})
	r.Seconds = time.Since(start).Seconds()
	if err != nil {
		return err
	}
	if newest != nil {
		if err := s.wasUsed(ctx, *newest, scratch.began, r); err != nil {
			return err
		}
	}
	return r.compare(live, scratch.Checkpoint(), at)
}

// rehearsed is a second state that notes the earliest point at which its recovery began.
// It begins again where a snapshot can't be used, and at a restore in the log.
type rehearsed struct {
	*durability.Storage
	began *persistence.Point
}

// Reset starts over.
func (s *rehearsed) Reset(at persistence.Point) error {
	if s.began == nil || at.Next < s.began.Next {
		s.began = &at
	}
	return s.Storage.Reset(at)
}

// newestSnapshot is the newest one at a position or before it, nil if there is none.
func (s *Store) newestSnapshot(ctx context.Context, position persistence.Position) (*snapshot.Name, error) {
	names, err := snapshot.List(ctx, s.bucket, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		if name.Position <= position {
			return &name, nil
		}
	}
	return nil, nil
}

// wasUsed makes sure that a recovery began with a snapshot or a newer one. Where it could
// not, the state was made of an older one, which is not what was to be proved.
func (s *Store) wasUsed(ctx context.Context, name snapshot.Name, began *persistence.Point, r *Rehearsal) error {
	used := began.Next > name.Position
	m, err := snapshot.Read(ctx, s.bucket, s.log.Cell().ID, name)
	switch {
	case errors.Is(err, bucket.ErrNotExist) && used: // it has served, and was collected since
		return nil
	case errors.Is(err, bucket.ErrNotExist):
		return fmt.Errorf("snapshot %s was collected while it was read", name)
	case err == nil && !used:
		if m, err = snapshot.Verify(ctx, s.bucket, s.log.Codec(), s.log.Cell().ID, name); err == nil {
			err = fmt.Errorf("snapshot %s could not be used a moment ago, and is whole now", name)
		}
	}
	if err == nil {
		r.Bytes += m.Bytes()
	}
	return err
}

// compare compares two states of one point.
func (r *Rehearsal) compare(live, restored *durability.Checkpoint, at persistence.Point) error {
	if at != live.At {
		return fmt.Errorf("%w: it is of %v with hash %s, this process's of %v with hash %s", ErrDifferent, at, at.Hash, live.At, live.At.Hash)
	}
	for d := range storage.Diff(live.View(), restored.View()) {
		r.differs(describe(d))
	}
	for key := range live.DifferentKeys(restored) {
		r.differs(fmt.Sprintf("idempotency key %q", key))
	}
	if r.Differences > 0 {
		return fmt.Errorf("%w as of transaction %d: rows that differ: %d", ErrDifferent, at.Transaction, r.Differences)
	}
	return nil
}

// describe names a row that differs. What is in it may be nobody's business.
func describe(d storage.Difference) string {
	how := "another row"
	switch {
	case d.After == nil:
		how = "missing"
	case d.Before == nil:
		how = "too many"
	}
	return fmt.Sprintf("%s %s: %s", d.Kind, d.Key, how)
}

func (r *Rehearsal) took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

func (r *Rehearsal) differs(row string) {
	if r.Differences++; r.Differences <= rehearsedRows {
		r.Rows = append(r.Rows, row)
	}
}

// canEnd makes a rehearsal known to endRehearsals, until the function that it returns
// is called.
func (s *Store) canEnd(r *Rehearsal, cancel context.CancelCauseFunc) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress.rehearsal.ends == nil {
		s.progress.rehearsal.ends = map[*Rehearsal]context.CancelCauseFunc{}
	}
	s.progress.rehearsal.ends[r] = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.progress.rehearsal.ends, r)
	}
}

// endRehearsals ends those that are under way, and those before a restore in the queue.
func (s *Store) endRehearsals() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cancel := range s.progress.rehearsal.ends {
		cancel(errGaveWay)
	}
}

// noteRehearsal tells what came of a rehearsal.
func (s *Store) noteRehearsal(r *Rehearsal, err error) {
	s.mu.Lock()
	p := &s.progress.rehearsal
	if p.last = r; err == nil {
		p.success, p.proved, p.wrong = r, r.Began, false
	} else if r.Result != RehearsalUnsure {
		s.progress.snapshot, p.wrong = nil, true // the next must not go on from what is wrong
	}
	s.mu.Unlock()
	s.metrics.rehearsals.note(r)
	fields := []any{"transaction", r.Transaction, "position", r.Position, "took", r.took(), "entries", r.Entries, "bytes", r.Bytes}
	switch r.Result {
	case RehearsalOK:
		s.logger.Info("rehearsed a restore: the state is the same", fields...)
	case RehearsalUnsure:
		s.logger.Warn("a restore could not be rehearsed", append(fields, "error", err)...)
	case RehearsalDifferent:
		s.logger.Error("a rehearsed restore gave another state than this process has",
			append(fields, "differences", r.Differences, "rows", r.Rows, "error", err)...)
	default:
		s.logger.Error("a rehearsed restore failed: what the store's bucket has is damaged", append(fields, "error", err)...)
	}
}

// rehearsalMetrics say what came of rehearsals; when one last succeeded the status knows.
type rehearsalMetrics struct {
	total   *prometheus.CounterVec
	seconds prometheus.Gauge
	bytes   prometheus.Counter
}

func newRehearsalMetrics() *rehearsalMetrics {
	m := &rehearsalMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + "rehearsals_total",
			Help: "Rehearsed restores, by result: ok; different, if the state is another than this process's; damaged; unsure, if it could not be finished."}, []string{"result"}),
		seconds: prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + "rehearsal_seconds",
			Help: "Time that recovering the state took in the last rehearsed restore that succeeded, in seconds; 0 if none has."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + "rehearsal_read_bytes_total",
			Help: "What rehearsed restores read: snapshots, and entries of the log, in bytes."}),
	}
	for _, result := range []RehearsalResult{RehearsalOK, RehearsalDifferent, RehearsalDamaged, RehearsalUnsure} {
		m.total.WithLabelValues(string(result)) // shows 0
	}
	return m
}

func (m *rehearsalMetrics) register(r prometheus.Registerer) {
	r.MustRegister(m.total, m.seconds, m.bytes)
}

func (m *rehearsalMetrics) note(r *Rehearsal) {
	m.total.WithLabelValues(string(r.Result)).Inc()
	m.bytes.Add(float64(r.Bytes))
	if r.Result == RehearsalOK {
		m.seconds.Set(r.Seconds)
	}
}
