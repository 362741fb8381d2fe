package benchmark

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/lease"
)

// pair is a leader and a warm standby, which follows it and waits for its lease, in one
// cell. Both are of this process, but share nothing but the store.
type pair struct {
	scratch         *Scratch
	name            string
	ttl             time.Duration // of the lease; 0 is the default
	leader, standby *member
	gone            []*member // those that led before
}

// member is one process, as it were.
type member struct {
	store *schedulerstore.Store
	place *place
	cut   *cut
	won   chan error // the end of its campaign
	// registry has its metrics.
	registry *prometheus.Registry
}

// stages are how long the stages of a member's only take-over took, in milliseconds, by
// its metrics.
func (m *member) stages() map[string]float64 {
	families, err := m.registry.Gather()
	if err != nil {
		return nil // told apart they are a help, not more
	}
	stages := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "scheduler_store_failover_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "stage" {
					stages[label.GetValue()] = 1000 * metric.GetHistogram().GetSampleSum()
				}
			}
		}
	}
	return stages
}

// withPair opens a pair, calls f with it, and closes it.
func withPair(ctx context.Context, s *Scratch, name string, ttl time.Duration, f func(*pair) error) error {
	p := &pair{scratch: s, name: name, ttl: ttl}
	campaigning, cancel := context.WithCancel(ctx)
	err := p.open(campaigning)
	if err == nil {
		err = f(p)
	}
	cancel()
	for _, m := range append(p.gone, p.leader, p.standby) {
		if m != nil {
			err = errors.Join(err, closeStore(ctx, m.store, nil))
		}
	}
	return err
}

func (p *pair) open(ctx context.Context) (err error) {
	if p.leader, err = p.join(ctx); err != nil {
		return err
	}
	if err := <-p.leader.won; err != nil {
		return err
	}
	return p.stand(ctx)
}

// join opens the cell as one more process, which campaigns.
func (p *pair) join(ctx context.Context) (*member, error) {
	m := &member{cut: &cut{}, won: make(chan error, 1), registry: prometheus.NewRegistry()}
	m.place = p.scratch.place(p.name, func(d driver.Bucket) driver.Bucket {
		m.cut.Bucket = d
		return m.cut
	})
	o := storeOptions()
	o.Lease, o.Registerer = lease.Options{TTL: p.ttl}, m.registry
	var err error
	if m.store, err = openStore(ctx, m.place, o); err != nil {
		return nil, err
	}
	go func() { m.won <- m.store.Campaign(ctx) }()
	return m, nil
}

// stand opens a standby and waits until it follows and has seen who leads.
func (p *pair) stand(ctx context.Context) (err error) {
	if p.standby, err = p.join(ctx); err != nil {
		return err
	}
	if err := p.standby.store.Recovered(ctx); err != nil {
		return err
	}
	return until(ctx, "the standby to see the leader", func() bool { return p.standby.store.Status().Leader != nil })
}

// replace makes the standby the leader, in name, and opens a new standby.
func (p *pair) replace(ctx context.Context) error {
	p.gone = append(p.gone, p.leader)
	p.leader, p.standby = p.standby, nil
	return p.stand(ctx)
}

// untilTimeout bounds what is waited for inside of a process; a second would do.
const untilTimeout = time.Minute

// until waits for something that is looked at every few milliseconds.
func until(ctx context.Context, what string, is func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, untilTimeout, fmt.Errorf("it did not come in %v", untilTimeout))
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// cut is a driver that can be cut off from its store. What is under way then ends as it
// may; nothing is sent any more, as if the process had been killed.
type cut struct {
	driver.Bucket
	off atomic.Bool
}

var errCut = errors.New("cut off from the store")

func (c *cut) err() error {
	if c.off.Load() {
		return errCut
	}
	return nil
}

// Hedgeable is the other driver's.
func (c *cut) Hedgeable() bool { return hedgeable(c.Bucket) }

// Get is a driver's.
func (c *cut) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	if err := c.err(); err != nil {
		return nil, "", err
	}
	return c.Bucket.Get(ctx, key)
}

// GetRange is a driver's.
func (c *cut) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.Bucket.GetRange(ctx, key, offset, length)
}

// Create is a driver's.
func (c *cut) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	if err := c.err(); err != nil {
		return "", err
	}
	return c.Bucket.Create(ctx, key, data)
}

// Replace is a driver's.
func (c *cut) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	if err := c.err(); err != nil {
		return "", err
	}
	return c.Bucket.Replace(ctx, key, data, old)
}

// List is a driver's.
func (c *cut) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	if err := c.err(); err != nil {
		return func(yield func(driver.Info, error) bool) { yield(driver.Info{}, err) }
	}
	return c.Bucket.List(ctx, prefix, after)
}

// Delete is a driver's.
func (c *cut) Delete(ctx context.Context, key string) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.Bucket.Delete(ctx, key)
}
