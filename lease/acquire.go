package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/clock"
	"github.com/scheduler-store/scheduler-store/persistence"
)

const (
	defaultTTL = 15 * time.Second
	// minTTL keeps the renewals, one every third of a TTL, below the one change a
	// second of one object that GCS takes.
	minTTL = 3 * time.Second
	// maxTTL bounds how long a dead holder can keep the others waiting.
	maxTTL = time.Hour
	// maxPoll makes it one look a second, with those that come when a renewal is due.
	maxPoll = 1250 * time.Millisecond
)

// Options of Acquire. The zero value is good.
type Options struct {
	// TTL is how long this holder may go without a renewal: 3 s to 1 h; 0 means
	// 15 s. Fail-over after a crash takes one TTL.
	TTL time.Duration
	// Host is this host's name for people; empty means what the system says.
	Host string
	// URL is where clients reach this process once it leads.
	URL string
	// Poll is how often the lease is read while somebody else holds it, besides when
	// its next renewal is due; 0 means a twelfth of the TTL, 1.25 s at most.
	Poll time.Duration
	// Hint, if set, makes Acquire look at the lease at once whenever it receives:
	// something has told that the lease may be free. A hint is never believed; each
	// costs a request.
	Hint <-chan struct{}
	// Durable, if set, is asked before each renewal for the number of positions that
	// are durable in the log; see State.Durable. It must not wait.
	Durable func() persistence.Position
	// Observe, if set, is called by Acquire with what the lease says whenever
	// that is more than a renewal, so that who waits can tell who leads.
	Observe func(State)
	// Claiming, if set, is called by Acquire before each write that is to take the
	// lease, so that what is next can begin meanwhile. It must not wait.
	Claiming func()
	// Clock is this process's time; nil means this machine's. It is there for tests.
	Clock *clock.Clock
	// Logger gets what happens to the lease; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
}

func (o Options) withDefaults() (Options, error) {
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.TTL = o.TTL.Truncate(time.Millisecond); o.TTL < minTTL || o.TTL > maxTTL {
		return o, fmt.Errorf("a lease of %v: the TTL must be from %v to %v", o.TTL, minTTL, maxTTL)
	}
	if o.Poll <= 0 {
		o.Poll = min(o.TTL/12, maxPoll)
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // only for people; empty is bearable
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Acquire waits until the lease is free and takes it, with an epoch that is
// larger than the last one and not below minEpoch. holder must be fresh. While
// somebody else holds the lease it only reads.
//
// It goes on through outages of the store, until ctx ends. It gives up when the
// lease can't be read for a reason that does not pass: access denied, no bucket,
// a damaged object, a newer format. The lease lives on after ctx.
func Acquire(ctx context.Context, b *bucket.Bucket, holder persistence.WriterID, minEpoch persistence.Epoch, o Options) (*Lease, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &contender{bucket: b, holder: holder, minEpoch: minEpoch, options: o, metrics: newMetrics(o.Registerer), jitter: newJitter(holder)}
	c.metrics.ttl.Set(o.TTL.Seconds())
	for {
		l, wait, err := c.try(ctx)
		if l != nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("acquire %s of %s: %w", Key, b.Name(), context.Cause(ctx))
		}
		if final(err) {
			return nil, fmt.Errorf("acquire the lease: %w", err)
		}
		c.report(err)
		if err := c.sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("acquire %s of %s: %w", Key, b.Name(), err)
		}
	}
}

// final tells whether an error will be the same the next time.
func final(err error) bool {
	for _, target := range []error{bucket.ErrDenied, bucket.ErrNoBucket, checked.ErrNewerFormat, checked.ErrDamaged} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// contender is one call of Acquire.
type contender struct {
	bucket   *bucket.Bucket
	holder   persistence.WriterID
	minEpoch persistence.Epoch
	options  Options
	metrics  *metrics
	jitter   jitter

	seen    stored    // the lease as last read; no version means absent, or not read yet
	phase   phase     // when it came to be as seen, and when the next change is due
	asked   time.Time // when the newest look was sent that was answered
	fresh   bool      // no take was tried since that look
	tries   uint64    // writes sent
	failure string    // the error last logged
}

// try takes the lease if it is free, and looks at it first if it may not be. Else
// it says how long to wait for the next try.
func (c *contender) try(ctx context.Context) (l *Lease, wait time.Duration, err error) {
	// What has stayed as it was seen for one whole TTL is taken without another
	// look: the take is on the condition that it still is so.
	if !c.fresh || c.timeToExpiry() > 0 {
		if err := c.look(ctx); err != nil {
			pause := c.jitter.less(c.options.Poll)
			if c.fresh {
				pause = min(pause, c.timeToExpiry())
			}
			return nil, pause, err
		}
		if left := c.timeToExpiry(); left > 0 {
			return nil, c.wait(left), nil
		}
	}
	c.fresh = false
	l, err = c.take(ctx)
	if errors.Is(err, bucket.ErrExists) || errors.Is(err, bucket.ErrChanged) {
		return nil, c.options.TTL / 300, nil // another one was faster; the next look shows who
	}
	return l, c.jitter.less(c.options.TTL / 30), err // nobody leads: it is sooner than a poll
}

// wait is the time to the next look at a lease that has time left. One that would
// come shortly before the end is left out.
func (c *contender) wait(left time.Duration) time.Duration {
	if wait := c.phase.wait(c.clock().Now(), c.options.Poll, c.jitter); wait+wait/2 < left {
		return wait
	}
	return left
}

// sleep waits for d, for a hint, or until ctx ends.
func (c *contender) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(c.clock().Wait(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case _, ok := <-c.options.Hint:
		if !ok { // closed: there are no more
			c.options.Hint = nil
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// look reads the lease. The watch begins again with each change, when the answer
// is there, not when the question was sent: the holder may have sent what is read
// at any time before the answer.
func (c *contender) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.clock().Wait(c.options.TTL))
	defer cancel()
	sent := c.clock().Now()
	s, err := get(ctx, c.bucket)
	if errors.Is(err, bucket.ErrNotExist) {
		s, err = stored{}, nil
	}
	if err != nil {
		return err
	}
	before := c.asked
	c.asked, c.fresh, c.failure = sent, true, ""
	if s.version == c.seen.version && s.data == c.seen.data {
		return nil
	}
	news := s.version != "" && !sameButForRenewal(s.State, c.seen.State)
	c.seen, c.phase = s, phase{before: before, shown: sent, seen: c.clock().Now(), period: s.TTL / 3}
	c.metrics.epoch.Set(float64(s.Epoch))
	if news {
		c.options.Logger.Info("lease seen", "lease", s.State.String(), "url", s.URL, "ttl", s.TTL)
		if c.options.Observe != nil {
			c.options.Observe(s.State)
		}
	}
	return nil
}

// timeToExpiry is how long the lease must still stay as it is to be free.
func (c *contender) timeToExpiry() time.Duration {
	if c.free() {
		return 0
	}
	return max(0, c.seen.TTL-c.clock().Since(c.phase.seen))
}

// free tells whether the lease, as seen, can be taken without waiting.
func (c *contender) free() bool {
	absent := c.seen.version == ""
	// Our own means that a try whose outcome was unknown did land.
	return absent || c.seen.Released || c.seen.Holder == c.holder
}

// lastSign is when there was the last sign of life of the holder before.
func (c *contender) lastSign() time.Time {
	if c.free() {
		return c.asked
	}
	return c.phase.seen
}

// take writes the lease as held by us, on the condition that it is as last seen.
func (c *contender) take(ctx context.Context) (*Lease, error) {
	sent := now(c.clock())
	c.tries++ // no two tries have the same bytes, or an old one that lands late would pass for a new one
	next := State{
		Epoch: max(c.seen.Epoch+1, c.minEpoch), Holder: c.holder,
		Host: c.options.Host, URL: c.options.URL, TTL: c.options.TTL,
		Beat: c.seen.Beat + c.tries, Durable: c.seen.Durable, Renewed: stamp(c.clock()),
	}
	if c.options.Claiming != nil {
		c.options.Claiming()
	}
	// An answer after the deadline would be of no use.
	writing, cancel := context.WithTimeout(ctx, c.clock().Wait(usable(next.TTL)))
	defer cancel()
	version, err := c.write(writing, next)
	if err != nil {
		return nil, err
	}
	if took := c.clock().Since(sent.monotonic); took >= usable(next.TTL) {
		return nil, fmt.Errorf("the answer that we hold %s came %v after the request", Key, took)
	}
	return start(ctx, c, next, version, sent, Claim{LastSign: c.lastSign(), Sent: sent.monotonic, Won: c.clock().Now()}), nil
}

func (c *contender) clock() *clock.Clock { return c.options.Clock }

func (c *contender) write(ctx context.Context, next State) (bucket.Version, error) {
	if c.seen.version != "" {
		return replace(ctx, c.bucket, next, c.seen.version)
	}
	data, err := encode(next)
	if err != nil {
		return "", err
	}
	return c.bucket.Create(ctx, Key, data)
}

// report logs an error once, until a read succeeds or another one comes.
func (c *contender) report(err error) {
	if err != nil && err.Error() != c.failure {
		c.failure = err.Error()
		c.options.Logger.Warn("the lease can't be read or taken; trying on", "error", err)
	}
}
