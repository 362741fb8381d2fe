// Package memdriver is a bucket in memory, with a fault plan: everything that a
// real store may do to a request can be made to happen to chosen requests.
//
//	b := memdriver.New()
//	b.Inject(memdriver.Fault{
//		Operation: memdriver.Create,
//		Key:       memdriver.Under("log/"),
//		Skip:      2,
//		Times:     1,
//		Do:        memdriver.LoseReply,
//	})
//
// reads: of the creations under log/, let two pass, then lose the reply of one.
//
// Without faults it is as strict as the best store: each request takes effect at
// one instant, and a listing is of one instant. It starts no goroutines, and
// holds no lock while it waits, so it works inside a testing/synctest bubble.
package memdriver

import (
	"context"
	"crypto/md5"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// Bucket is a bucket in memory. Its methods may be called by many goroutines.
type Bucket struct {
	etags bool // versions are made of the content

	mu      sync.Mutex // guards all below; never held while waiting
	objects *btree.Map[string, object]
	changes uint64 // writes that landed; the newest version's number
	rules   []*Rule
	late    []func() // requests that have not landed yet
	counts  map[request]int
}

// object is immutable, its data included, so copies of the tree may share it.
type object struct {
	data     []byte
	version  driver.Version
	modified time.Time
}

type request struct {
	operation Operation
	key       string
}

var _ driver.Bucket = (*Bucket)(nil)

// New returns an empty bucket. Every write has a version of its own, as on GCS.
func New() *Bucket {
	return &Bucket{objects: new(btree.Map[string, object]), counts: map[request]int{}}
}

// NewWithETags returns an empty bucket in which the same bytes have the same
// version, as on S3. A compare-and-swap there can't tell A from A after B.
func NewWithETags() *Bucket {
	b := New()
	b.etags = true
	return b
}

// Get reads a whole object with its version.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	return b.read(ctx, Get, key, func(data []byte) []byte { return data })
}

// GetRange reads length bytes from offset on, or as many as there are.
func (b *Bucket) GetRange(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("a range of %d bytes from %d on", length, offset)
	}
	data, _, err := b.read(ctx, GetRange, key, func(data []byte) []byte {
		start := min(offset, int64(len(data)))
		return data[start : start+min(length, int64(len(data))-start)]
	})
	return data, err
}

func (b *Bucket) read(ctx context.Context, op Operation, key string, part func([]byte) []byte) ([]byte, driver.Version, error) {
	fate, err := b.begin(ctx, op, key)
	if err != nil {
		return nil, "", err
	}
	b.mu.Lock()
	o, ok := b.objects.Get(key)
	b.mu.Unlock()
	if err := fate.reply(ctx, key); err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", driver.ErrNotExist
	}
	data := append([]byte{}, part(o.data)...)
	if fate.end == Corrupt && len(data) > 0 {
		data[len(data)/2] ^= 0x10
	}
	return data, o.version, nil
}

// Create writes an object whose key is free.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	data = append([]byte{}, data...)
	return b.write(ctx, Create, key, driver.ErrExists, func(conditions bool) (driver.Version, error) {
		if _, ok := b.objects.Get(key); ok && conditions {
			return "", driver.ErrExists
		}
		return b.set(key, data), nil
	})
}

// Replace writes an object whose version is old.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	data = append([]byte{}, data...)
	return b.write(ctx, Replace, key, driver.ErrChanged, func(conditions bool) (driver.Version, error) {
		if o, ok := b.objects.Get(key); conditions && (!ok || o.version != old) {
			return "", driver.ErrChanged
		}
		return b.set(key, data), nil
	})
}

// Delete removes an object; that it was not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	_, err := b.write(ctx, Delete, key, nil, func(bool) (driver.Version, error) {
		b.objects.Delete(key)
		return "", nil
	})
	return err
}

// write does to one changing request what the fault plan says. land is called
// with the lock held; again is what a second try of a request that landed gets.
func (b *Bucket) write(ctx context.Context, op Operation, key string, again error,
	land func(conditions bool) (driver.Version, error),
) (driver.Version, error) {
	fate, err := b.begin(ctx, op, key)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	if fate.end == LandLater {
		b.late = append(b.late, func() { _, _ = land(true) })
		b.mu.Unlock()
		return "", fate.err
	}
	version, err := land(fate.end != IgnoreConditions)
	b.mu.Unlock()
	if err := fate.reply(ctx, key); err != nil {
		return "", err
	}
	switch fate.end {
	case LoseReply:
		return "", again
	case LandAndFail:
		return "", fate.err
	}
	return version, err
}

// set needs the lock. It keeps data.
func (b *Bucket) set(key string, data []byte) driver.Version {
	b.changes++
	version := strconv.FormatUint(b.changes, 10)
	if b.etags {
		version = fmt.Sprintf(`"%x"`, md5.Sum(data))
	}
	b.objects.Set(key, object{data, driver.Version(version), time.Now()})
	return driver.Version(version)
}

// List yields the objects whose key has the prefix and is greater than after, in
// byte-wise order, as they were at the instant of the call.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		fate, err := b.begin(ctx, List, prefix)
		if err != nil {
			yield(driver.Info{}, err)
			return
		}
		b.mu.Lock()
		objects := b.objects.Copy()
		b.mu.Unlock()
		if err := fate.reply(ctx, prefix); err != nil {
			yield(driver.Info{}, err)
			return
		}
		objects.Ascend(max(prefix, after), func(key string, o object) bool {
			if key == after || !strings.HasPrefix(key, prefix) {
				return key == after
			}
			if fate.hides(key) {
				return true
			}
			if err := ctx.Err(); err != nil {
				yield(driver.Info{}, err)
				return false
			}
			return yield(driver.Info{Key: key, Size: int64(len(o.data)), Modified: o.modified}, nil)
		})
	}
}

// Close does nothing: what is in memory stays.
func (b *Bucket) Close() error { return nil }

// checkKey holds callers to the keys that every store can have.
func checkKey(op Operation, key string) error {
	if op != List && (key == "." || !fs.ValidPath(key)) {
		return fmt.Errorf("%q can't be a key", key)
	}
	return nil
}
