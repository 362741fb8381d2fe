package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// One goroutine owns the log's reader all the time:
//
//	        ┌───────────── follow ◄──────────────┐
//	 lease won │                                 │ lease lost, deposed, closed
//	        └──► catch up, seal, initialize, lead┘
//
// It catches up while the lease is still being claimed, where that is of use.
//
// Campaign waits for the lease and hands it over; the run goroutine leads with it
// and goes back to following when that ends. The process need not restart.

// election is a lease that was won, on its way to the run goroutine.
type election struct {
	ctx    context.Context // of Campaign
	lease  *lease.Lease
	result chan error
}

// Campaign waits until this process leads: it has the lease, has sealed the log,
// and has run the initial work. It returns nil at once if it leads already. It
// gives up when ctx ends, or for an error that will not pass, such as damage.
//
// Leadership ends by itself when the lease is lost or another leader has taken
// over; the context of Leadership tells. Then call Campaign again.
func (s *Store) Campaign(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return fmt.Errorf("campaign: %w", wrongPhase(Stopped, Prepared, ErrClosed))
	}
	if s.options.ReadOnly {
		return errors.New("campaign: the store was opened read-only")
	}
	select {
	case s.campaigning <- struct{}{}:
		defer func() { <-s.campaigning }()
	case <-ctx.Done():
		return fmt.Errorf("campaign: %w", context.Cause(ctx))
	}
	if s.ctx.Err() != nil { // while it waited
		return fmt.Errorf("campaign: %w", ErrClosed)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })()
	if s.Leadership().Err() == nil {
		return nil
	}
	if err := s.noPosting(ctx); err != nil {
		return fmt.Errorf("campaign: waiting for the event sink of the last leadership: %w", err)
	}
	o := s.options.Lease
	o.Observe, o.Durable, o.Hint, o.Claiming = s.observeLease, s.durablePositions, s.hints, s.claiming
	l, err := lease.Acquire(ctx, s.bucket, persistence.NewWriterID(), 1, o)
	if err != nil {
		if lasting(err) {
			s.cantContend(err)
		}
		return fmt.Errorf("campaign: %w", err)
	}
	e := &election{ctx, l, make(chan error, 1)}
	select {
	case s.elections <- e:
		return <-e.result
	case <-ctx.Done(): // closed, too
		s.release(l)
		return fmt.Errorf("campaign: %w", context.Cause(ctx))
	}
}

// LookAtLease makes Campaign look at the lease now. Call it when something tells that
// the leader may have let it go; server.Standby does. It is a hint, which costs a
// request and is never believed, and it does not wait.
func (s *Store) LookAtLease() { poke(s.hints) }

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is on its way
	}
}

// run follows, leads when elected, and follows again, until the store is closed.
func (s *Store) run() {
	defer close(s.ended)
	defer s.refreshKeys()()
	reader := s.log.NewReader(s.storage)
	reader.Report(s.replaying)
	for {
		e := s.follow(reader)
		if e == nil {
			_ = s.noPosting(s.closeContext())
			return
		}
		if s.ctx.Err() != nil { // as Campaign does, which of the two may come first
			s.release(e.lease)
			e.result <- fmt.Errorf("campaign: %w", ErrClosed)
			continue
		}
		select {
		case <-s.claims: // it is won
		default:
		}
		s.lead(reader, e)
	}
}

// How long a follower that can't go on waits before it tries again.
const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
)

// follow reads on until there is an election, or the store is closed (nil).
func (s *Store) follow(reader *blob.Reader) *election {
	retry := minRetry
	for s.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		ended := make(chan error, 1)
		ready := false
		go func() {
			ended <- reader.Follow(ctx, blob.FollowOptions{Ready: func() { ready = true; s.caughtUp() }})
		}()
		var again <-chan time.Time
		var e *election
		select {
		case e = <-s.elections:
			cancel()
			<-ended
			return e
		case <-s.claims:
			cancel()
			<-ended
			select {
			case e = <-s.elections: // the lease is won already
				return e
			default:
			}
			if e := s.prepare(reader); e != nil {
				return e
			}
			continue
		case err := <-ended:
			cancel()
			if s.ctx.Err() != nil {
				return nil
			}
			if ready { // it had worked
				retry = minRetry
			}
			s.trouble("following the log", err)
			again = time.After(retry)
			retry = min(2*retry, maxRetry)
		}
		select {
		case e = <-s.elections:
			return e
		case <-s.ctx.Done():
			return nil
		case <-again:
		}
	}
	return nil
}

// claiming tells the run goroutine that the lease is being claimed. What is not yet
// recovered goes on with that.
func (s *Store) claiming() {
	if s.Phase() == Prepared {
		poke(s.claims)
	}
}

// claimPatience bounds how long nothing is followed for a claim that may be in vain.
const claimPatience = 2 * time.Second

// prepare makes sure of the log's end while the lease is being claimed, and waits for
// the election; nil means that there is none.
func (s *Store) prepare(reader *blob.Reader) *election {
	ctx, cancel := context.WithTimeout(s.ctx, claimPatience)
	defer cancel()
	if err := reader.Prepare(ctx); err != nil {
		return nil // following finds the same, and says it
	}
	select {
	case e := <-s.elections:
		return e
	case <-ctx.Done():
		return nil
	}
}

// lead takes over with a lease that was won and leads until that ends.
func (s *Store) lead(reader *blob.Reader, e *election) {
	defer s.hold()()
	defer s.reigned.Store(false)
	defer s.release(e.lease)
	ctx, cancel := context.WithCancelCause(e.ctx) // of taking over
	defer cancel(nil)
	defer context.AfterFunc(e.lease.Context(), func() { cancel(context.Cause(e.lease.Context())) })()

	writer, err := s.takeOver(ctx, reader, e.lease)
	if err != nil {
		// A request that was cut off does not say why: the lease was lost, perhaps.
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		s.trouble("taking over", err)
		e.result <- fmt.Errorf("campaign: take over: %w", err)
		return
	}
	took := failOver{claim: e.lease.Claim(), read: reader.Reached(), sealed: time.Now()}
	s.caughtUp()
	s.reigned.Store(true)
	start, err := s.storage.LeadFrom(ctx, writer, s.options.Initialize)
	if err != nil {
		s.storage.StepDown()
		writer.Stop(err)
		e.result <- fmt.Errorf("campaign: begin to lead: %w", err)
		return
	}
	s.leading(e.lease, writer)
	took.ready = time.Now()
	s.tookOver(took, e.lease)
	attended := s.attend(start)
	e.result <- nil
	s.reign(writer, e.lease)
	s.storage.StepDown()
	s.recovery.Forget() // recoveries are the leader's: the next one knows nothing of it
	attended()
}

// durablePositions is what the lease says of the log while this process leads, and
// once more when it lets go: so that the loss of the log's last entries is noticed.
// Before it has sealed the log it does not know for sure what is durable.
func (s *Store) durablePositions() persistence.Position {
	if !s.reigned.Load() || mutation.On(mutation.SnapshotOfTheUnacknowledged) {
		return 0
	}
	// After a restore, which is durable, the checkpoint is still of what it replaced.
	return max(s.storage.Checkpoint().At.Next, persistence.Position(s.restored.Load()))
}

// takeOver seals the log, with a larger epoch where the lease's is too small.
func (s *Store) takeOver(ctx context.Context, reader *blob.Reader, l *lease.Lease) (*blob.Writer, error) {
	for {
		state := l.State()
		writer, err := reader.Lead(ctx, state.Epoch, state.Holder)
		small, ok := errors.AsType[*blob.EpochError](err)
		if !ok {
			return writer, err
		}
		s.logger.Warn("opening the log again with a larger epoch", "error", err)
		if err := l.Raise(ctx, small.Need); err != nil {
			return nil, err
		}
	}
}

// reign lasts for as long as this process leads. It returns when every write has its
// answer; that leadership has ended is told at once.
func (s *Store) reign(writer *blob.Writer, l *lease.Lease) {
	ctx, cancel := context.WithCancel(s.ctx)
	var copies sync.WaitGroup
	copies.Go(func() { s.makeSnapshots(ctx, writer) })
	copies.Go(func() { s.makeBackups(ctx) })
	copies.Go(func() { s.collectGarbage(ctx, l) })
	defer copies.Wait()
	defer cancel()
	select {
	case <-writer.Done():
		s.following(writer.Err())
	case <-l.Context().Done():
		cause := context.Cause(l.Context())
		s.following(cause)
		writer.Stop(cause)
	case <-s.ctx.Done():
		s.following(ErrClosed)
		closing, cancel := context.WithCancelCause(s.closeContext())
		defer cancel(nil)
		defer context.AfterFunc(l.Context(), func() { cancel(context.Cause(l.Context())) })()
		if err := writer.Close(closing); err != nil {
			s.logger.Error("writes were cut off by closing", "error", err)
		}
	}
}

func (s *Store) closeContext() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// releaseTimeout bounds the release of a lease that is of no use any more. Nothing
// is lost if it fails: the lease then runs out by itself.
const releaseTimeout = 5 * time.Second

func (s *Store) release(l *lease.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := l.Release(ctx); err != nil && !errors.Is(err, lease.ErrLost) {
		s.logger.Warn("the lease could not be released; others wait until it runs out", "error", err)
	}
}

// lasting tells whether an error will be the same at the next try.
func lasting(err error) bool {
	return errors.Is(err, blob.ErrDamaged) || errors.Is(err, blob.ErrReplay) || errors.Is(err, durability.ErrBehind) || errors.Is(err, checked.ErrDamaged) || blob.IsNewerFormat(err) || encryption.Lasting(err) || errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrNoBucket)
}
