package benchmark

import (
	"context"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/internal/scratch"
)

// Scratch is the part of a store that a run works in.
type Scratch struct{ *scratch.Scratch }

// NewScratch chooses one, bench-<random>, as scratch.New does.
func NewScratch(d driver.Bucket, name, prefix string) *Scratch {
	return &Scratch{scratch.New(d, name, prefix, "bench-")}
}

// place is a part of a scratch for one cell, or for raw objects, whose requests are
// counted.
type place struct {
	counter *counter
	name    string
	prefix  string // without a slash at its end
}

// wrapper puts something between a store and who uses it, such as latencies.
type wrapper func(driver.Bucket) driver.Bucket

// place makes one of a new name. wrap may be nil.
func (s *Scratch) place(name string, wrap wrapper) *place {
	d := s.Driver
	if wrap != nil {
		d = wrap(d)
	}
	return &place{counter: &counter{driver: d}, name: s.Name() + "/" + name, prefix: s.Prefix + name}
}

// bucket opens the place. Closing it closes nothing: other places share the driver.
func (p *place) bucket() *bucket.Bucket {
	return bucket.New(p.counter, p.name, p.prefix, bucket.Options{})
}

// put is a raw conditional PUT: one request to the store, as the log makes it.
func (p *place) put(ctx context.Context, key string, data []byte) error {
	_, err := p.counter.Create(ctx, p.prefix+"/"+key, data)
	if err != nil {
		return fmt.Errorf("create %s of %s: %w", key, p.name, err)
	}
	return nil
}
