package bucket_test

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

func create(t *testing.T, b *bucket.Bucket, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := b.Create(t.Context(), key, []byte("12345")); err != nil {
			t.Fatal(err)
		}
	}
}

// What was asked for is counted by what it was about; the prefix of the bucket does not
// matter, nor what other buckets of the process ask for.
func TestUsage(t *testing.T) {
	registry := prometheus.NewRegistry()
	d := memdriver.New()
	b := bucket.New(d, "mem://test", "log/x", bucket.Options{Registerer: registry})
	other := bucket.New(d, "mem://test", "", bucket.Options{Registerer: registry})
	create(t, other, "lease.json")
	create(t, b, "cell.json", "lease.json", "log/0000000001/00000000000000000000", "logs/1", "snapshot/a/manifest.json", "restore/a/part-00000", "backup/a/part-00000", "backups")
	_, _ = b.Get(t.Context(), "lease.json")
	_, _ = b.Get(t.Context(), "log/none")
	_, _ = b.GetRange(t.Context(), "lease.json", 0, 2)
	for range b.List(t.Context(), "snapshot/", "") {
		break
	}
	for range b.List(t.Context(), "", "") {
	}
	_ = b.Delete(t.Context(), "backup/a/part-00000")
	_, _ = b.Create(t.Context(), "lease.json", []byte("other")) // which asks whose it is
	d.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Fail, Times: 1})
	_, _ = b.Get(t.Context(), "lease.json") // gets no answer
	want := []bucket.Usage{
		{Operation: bucket.OpGet, Object: bucket.ObjectLease, Requests: 3, Bytes: 12},
		{Operation: bucket.OpGet, Object: bucket.ObjectLog, Requests: 1, Refused: 1},
		{Operation: bucket.OpCreate, Object: bucket.ObjectCell, Requests: 1, Bytes: 5},
		{Operation: bucket.OpCreate, Object: bucket.ObjectLease, Requests: 2, Refused: 1, Bytes: 10},
		{Operation: bucket.OpCreate, Object: bucket.ObjectLog, Requests: 1, Bytes: 5},
		{Operation: bucket.OpCreate, Object: bucket.ObjectSnapshot, Requests: 1, Bytes: 5},
		{Operation: bucket.OpCreate, Object: bucket.ObjectRestore, Requests: 1, Bytes: 5},
		{Operation: bucket.OpCreate, Object: bucket.ObjectBackup, Requests: 1, Bytes: 5},
		{Operation: bucket.OpCreate, Object: bucket.ObjectOther, Requests: 2, Bytes: 10},
		{Operation: bucket.OpList, Object: bucket.ObjectSnapshot, Requests: 1},
		{Operation: bucket.OpList, Object: bucket.ObjectOther, Requests: 1},
		{Operation: bucket.OpDelete, Object: bucket.ObjectBackup, Requests: 1},
	}
	if got := b.Usage(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// tries is a driver that sends several requests a call, as one over HTTP does that tries
// again and lists in pages.
type tries struct {
	*memdriver.Bucket
	sent []bool // refused or not
	late func() // is told to send one more
}

func (d *tries) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	for _, refused := range d.sent {
		driver.Sent(ctx, refused)
	}
	d.late = func() { driver.Sent(ctx, false) }
	return d.Bucket.Get(ctx, key)
}

// Each request that a driver tells of counts, also one that it tells of when the call is
// over; and then the call itself does not.
func TestUsageOfADriverThatTells(t *testing.T) {
	d := &tries{Bucket: memdriver.New()}
	b := bucket.New(d, "mem://test", "", bucket.Options{})
	create(t, b, "log/1")
	usage := func() bucket.Usage { return b.Usage()[0] }
	for _, c := range []struct {
		sent              []bool
		requests, refused int64
	}{{[]bool{false}, 1, 0}, {[]bool{false, true, false}, 4, 1}, {[]bool{true}, 5, 2}} {
		d.sent = c.sent
		if _, err := b.Get(t.Context(), "log/1"); err != nil {
			t.Fatal(err)
		}
		if u := usage(); u.Requests != c.requests || u.Refused != c.refused {
			t.Errorf("after %v: %+v, want %d and %d", c.sent, u, c.requests, c.refused)
		}
	}
	if d.late(); usage().Requests != 6 {
		t.Errorf("a request that ended after its call: %+v", usage())
	}
}

func TestUsageWhileRequestsAreMade(t *testing.T) {
	b := bucket.New(memdriver.New(), "mem://test", "", bucket.Options{})
	create(t, b, "log/1")
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 100 {
				_, _ = b.Get(t.Context(), "log/1")
				_ = b.Usage()
			}
		})
	}
	readers.Wait()
	if u := b.Usage()[0]; u.Requests != 800 || u.Bytes != 4000 {
		t.Errorf("%+v", u)
	}
}
