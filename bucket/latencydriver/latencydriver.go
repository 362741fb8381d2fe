// Package latencydriver makes a bucket as slow as a cloud's: it wraps any driver
// and lets each request take as long as the same request takes on S3, S3 Express
// or GCS, so that what is measured against a local store means something for
// those.
//
//	p, err := latencydriver.Lookup("s3")
//	…
//	slow := latencydriver.New(memdriver.New(), p, 1)
//
// A Profile is plain data, so an experiment can have its own:
//
//	latencydriver.Profile{
//		Read:  latencydriver.Distribution{Median: 20 * time.Millisecond},
//		Write: latencydriver.Distribution{
//			Median: 60 * time.Millisecond,
//			Tail:   latencydriver.Tail{Probability: 0.02, Factor: 20}, // 2 % take 1.2 s
//		},
//	}
//
// A request takes effect at a random point of its latency: what comes before is
// its way to the store (an upload's bytes among it), what comes after is the
// reply's way back (a download's bytes among it). A request whose context ends
// returns at once. If it had not taken effect, it never does; if it had, it
// landed, and the caller can't know: as with a real store.
//
// docs/latency-profiles.md tells where the profiles' numbers come from and what
// is not modelled.
package latencydriver

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
)

// pageKeys is how many keys one list request yields: the most that S3's
// ListObjectsV2 (max-keys) and GCS's objects.list (maxResults) give.
const pageKeys = 1000

// Bucket is a driver with latency. Its methods may be called by many goroutines;
// requests do not wait for each other. A request that takes the inner driver
// longer than the profile says takes that long. It starts no goroutines and holds
// no lock while it waits, so it works inside a testing/synctest bubble.
type Bucket struct {
	inner   driver.Bucket
	profile Profile

	mu     sync.Mutex // guards random
	random *rand.Rand
}

var _ driver.Bucket = (*Bucket)(nil)

// New returns inner with the latencies of the profile. With the same seed, the
// same requests in the same order get the same latencies.
func New(inner driver.Bucket, p Profile, seed uint64) *Bucket {
	return &Bucket{inner: inner, profile: p, random: rand.New(rand.NewPCG(seed, 0))}
}

// Unwrap returns the inner driver, for whoever looks for what only some drivers
// can do.
func (b *Bucket) Unwrap() driver.Bucket { return b.inner }

// Hedgeable says whether the store that is imitated takes it well when a slow
// request is sent once more. What the inner driver says of its own store does not
// count: the latency that hedging is about is not from there.
func (b *Bucket) Hedgeable() bool { return !b.profile.NoHedging }

// Get reads a whole object with its version.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	var data []byte
	var version driver.Version
	err := b.read(ctx, func() (size int, err error) {
		data, version, err = b.inner.Get(ctx, key)
		return len(data), err
	})
	if err != nil {
		return nil, "", err
	}
	return data, version, nil
}

// GetRange reads length bytes from offset on, or as many as there are.
func (b *Bucket) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	var data []byte
	err := b.read(ctx, func() (size int, err error) {
		data, err = b.inner.GetRange(ctx, key, offset, length)
		return len(data), err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Create writes an object whose key is free.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	return b.write(ctx, b.profile.Write, len(data), func() (driver.Version, error) {
		return b.inner.Create(ctx, key, data)
	})
}

// Replace writes an object whose version is old.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	return b.write(ctx, b.profile.Write, len(data), func() (driver.Version, error) {
		return b.inner.Replace(ctx, key, data, old)
	})
}

// Delete removes an object; that it was not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	_, err := b.write(ctx, b.profile.Delete, 0, func() (driver.Version, error) {
		return "", b.inner.Delete(ctx, key)
	})
	return err
}

// Close closes the inner driver.
func (b *Bucket) Close() error { return b.inner.Close() }

// read takes a read's two waits, with its effect between them. Whether the
// object is there is known only then, so what comes before is the same for both.
func (b *Bucket) read(ctx context.Context, effect func() (size int, err error)) error {
	start, l := time.Now(), b.draw()
	hit, miss := b.profile.Read.latency(l), b.profile.miss().latency(l)
	if err := waitUntil(ctx, start.Add(part(min(hit, miss), l.split))); err != nil {
		return err
	}
	size, err := effect()
	total := hit + b.profile.Read.transfer(size)
	if errors.Is(err, driver.ErrNotExist) {
		total = miss
	}
	if err := waitUntil(ctx, start.Add(total)); err != nil {
		return err
	}
	return err
}

// write takes the two waits of a request that changes something. All its bytes
// must be there before it takes effect.
func (b *Bucket) write(ctx context.Context, d Distribution, size int,
	effect func() (driver.Version, error),
) (driver.Version, error) {
	start, l := time.Now(), b.draw()
	total, upload := d.latency(l), d.transfer(size)
	if err := waitUntil(ctx, start.Add(part(total, l.split)+upload)); err != nil {
		return "", err
	}
	version, err := effect()
	if err := waitUntil(ctx, start.Add(total+upload)); err != nil {
		return "", err
	}
	return version, err
}

// List yields what the inner driver lists. Each page of 1,000 keys is one request
// with its own latency; the listing takes effect in the first.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		start, l := time.Now(), b.draw()
		total := b.profile.List.latency(l)
		if err := waitUntil(ctx, start.Add(part(total, l.split))); err != nil {
			yield(driver.Info{}, err)
			return
		}
		arrival, keys := start.Add(total), 0
		for info, err := range b.inner.List(ctx, prefix, after) {
			if keys > 0 && keys%pageKeys == 0 {
				arrival = time.Now().Add(b.profile.List.latency(b.draw()))
			}
			if late := waitUntil(ctx, arrival); late != nil {
				yield(driver.Info{}, late)
				return
			}
			if keys++; !yield(info, err) || err != nil {
				return
			}
		}
		if keys > 0 {
			return
		}
		if err := waitUntil(ctx, arrival); err != nil { // to learn that there is nothing takes as long
			yield(driver.Info{}, err)
		}
	}
}

func (b *Bucket) draw() luck {
	b.mu.Lock()
	defer b.mu.Unlock()
	return draw(b.random)
}

func part(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * share)
}

// waitUntil waits until t. If ctx ends before, it returns its cause.
func waitUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return context.Cause(ctx)
	}
	return sleep.For(ctx, d)
}
