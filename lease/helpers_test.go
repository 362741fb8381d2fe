package lease_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

const ttl = 15 * time.Second

// usable is how much of a TTL a holder relies on.
const usable = ttl * 9 / 10

var errCutOff = errors.New("cut off from the store")

// node is one process's way to the store. Once cut off, it is as good as dead.
type node struct {
	*memdriver.Bucket
	cut    atomic.Bool
	writes atomic.Int64

	mu     sync.Mutex
	bodies map[string]int // how often each was sent
}

func newNode(store *memdriver.Bucket) *node {
	return &node{Bucket: store, bodies: map[string]int{}}
}

func (n *node) bucket() *bucket.Bucket { return bucket.New(n, "mem://test", "", bucket.Options{}) }

func (n *node) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	if n.cut.Load() {
		return nil, "", errCutOff
	}
	return n.Bucket.Get(ctx, key)
}

func (n *node) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	if err := n.writing(data); err != nil {
		return "", err
	}
	return n.Bucket.Create(ctx, key, data)
}

func (n *node) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	if err := n.writing(data); err != nil {
		return "", err
	}
	return n.Bucket.Replace(ctx, key, data, old)
}

func (n *node) writing(data []byte) error {
	n.writes.Add(1)
	n.mu.Lock()
	n.bodies[string(data)]++
	n.mu.Unlock()
	if n.cut.Load() {
		return errCutOff
	}
	return nil
}

// acquire is lease.Acquire with a fresh holder, for a test that ends it.
func acquire(t *testing.T, n *node, minEpoch persistence.Epoch, o lease.Options) *lease.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	l, err := lease.Acquire(ctx, n.bucket(), persistence.NewWriterID(), minEpoch, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release(context.Background()) })
	return l
}

// whenLost waits for the end of the lease and tells how long that took.
func whenLost(t *testing.T, l *lease.Lease) (time.Duration, error) {
	t.Helper()
	start := time.Now()
	select {
	case <-l.Context().Done():
	case <-time.After(10 * ttl):
		t.Fatal("it is never lost")
	}
	if l.Held() || l.Remaining() != 0 {
		t.Error("the context has ended and the lease is held")
	}
	err := context.Cause(l.Context())
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("lost because of: %v", err)
	}
	return time.Since(start), err
}

func read(t *testing.T, store *memdriver.Bucket) lease.State {
	t.Helper()
	s, err := lease.Read(t.Context(), newNode(store).bucket())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkEpoch(t *testing.T, l *lease.Lease, want persistence.Epoch) {
	t.Helper()
	if got := l.Epoch(); got != want {
		t.Errorf("epoch %d, want %d", got, want)
	}
}

func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %v, want %v to %v", what, got, low, high)
	}
}
