package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
)

const (
	defaultTTL = 15 * time.Second
	// minTTL keeps the renewals, one every third of a TTL, below the one change a
	// second of one object that GCS takes.
	minTTL = 3 * time.Second
	// maxTTL bounds how long a dead holder can keep the others waiting.
	maxTTL  = time.Hour
	maxPoll = 400 * time.Millisecond
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
	// Poll is how often the lease is read while somebody else holds it; 0 means a
	// tenth of the TTL, 400 ms at most.
	Poll time.Duration
	// Durable, if set, is asked before each renewal for the number of positions that
	// are durable in the log; see State.Durable. It must not wait.
	Durable func() persistence.Position
	// Observe, if set, is called by Acquire with what the lease says whenever
	// that is more than a renewal, so that who waits can tell who leads.
	Observe func(State)
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
		o.Poll = min(o.TTL/10, maxPoll)
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
	c := &contender{bucket: b, holder: holder, minEpoch: minEpoch, options: o, metrics: newMetrics(o.Registerer)}
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
		if err := sleep.For(ctx, wait); err != nil {
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

	seen    stored    // the lease as last read; no version means absent, or not read yet
	since   time.Time // when the answer came that first showed seen
	tries   uint64    // writes sent
	failure string    // the error last logged
}

// try reads the lease once, and takes it if it is free. Else it says how long to
// wait for the next try.
func (c *contender) try(ctx context.Context) (l *Lease, wait time.Duration, err error) {
	if err := c.look(ctx); err != nil {
		return nil, c.pause(), err
	}
	if left := c.timeToExpiry(); left > 0 {
		return nil, min(c.pause(), left), nil
	}
	l, err = c.take(ctx)
	if errors.Is(err, bucket.ErrExists) || errors.Is(err, bucket.ErrChanged) {
		return nil, c.pause(), nil // another one was faster; the next look shows who
	}
	return l, c.pause(), err
}

// pause is the time until the next read.
func (c *contender) pause() time.Duration {
	return c.options.Poll - rand.N(pauseSpread(c.options.Poll)+1)
}

// look reads the lease. The watch begins again with each change, when the answer
// is there, not when the question was sent: the holder may have sent what is read
// at any time before the answer.
func (c *contender) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.TTL)
	defer cancel()
	s, err := get(ctx, c.bucket)
	if errors.Is(err, bucket.ErrNotExist) {
		s, err = stored{}, nil
	}
	if err != nil {
		return err
	}
	c.failure = ""
	if s.version == c.seen.version && s.data == c.seen.data {
		return nil
	}
	news := s.version != "" && !sameButForRenewal(s.State, c.seen.State)
	c.seen, c.since = s, time.Now()
	c.metrics.epoch.Set(float64(s.Epoch))
	if news {
		c.options.Logger.Info("lease seen", "state", s.State.String(), "url", s.URL, "ttl", s.TTL)
		if c.options.Observe != nil {
			c.options.Observe(s.State)
		}
	}
	return nil
}

// timeToExpiry is how long the lease must still stay as it is to be free.
func (c *contender) timeToExpiry() time.Duration {
	absent := c.seen.version == ""
	// Our own means that a try whose outcome was unknown did land.
	if absent || c.seen.Released || c.seen.Holder == c.holder {
		return 0
	}
	return c.seen.TTL - time.Since(c.since)
}

// take writes the lease as held by us, on the condition that it is as last seen.
func (c *contender) take(ctx context.Context) (*Lease, error) {
	sent := time.Now()
	c.tries++ // no two tries have the same bytes, or an old one that lands late would pass for a new one
	next := State{
		Epoch: max(c.seen.Epoch+1, c.minEpoch), Holder: c.holder,
		Host: c.options.Host, URL: c.options.URL, TTL: c.options.TTL,
		Beat: c.seen.Beat + c.tries, Durable: c.seen.Durable, Renewed: wallClock(),
	}
	// An answer after the deadline would be of no use.
	deadline := sent.Add(usable(next.TTL))
	writing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	version, err := c.write(writing, next)
	if err != nil {
		return nil, err
	}
	if !time.Now().Before(deadline) {
		return nil, fmt.Errorf("the answer that we hold %s came %v after the request", Key, time.Since(sent))
	}
	return start(ctx, c, next, version, sent), nil
}

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
