package lease_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestFormOfTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		holder := persistence.WriterID{0: 0xab, 15: 1}
		l, err := lease.Acquire(t.Context(), newNode(store).bucket(), holder, 0, lease.Options{Host: "h\xff", URL: "http://h/?a&b"})
		if err != nil {
			t.Fatal(err)
		}
		const want = `{
  "format": 1,
  "epoch": 1,
  "holder": "ab000000000000000000000000000001",
  "host": "h?",
  "url": "http://h/?a&b",
  "ttl": 15000,
  "state": "held",
  "beat": 1,
  "durable": 0,
  "renewed": "2000-01-01T00:00:00Z",
  "sha256": "`
		if got := string(store.Data(lease.Key)); !strings.HasPrefix(got, want) {
			t.Errorf("got %s", got)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := string(store.Data(lease.Key)); !strings.Contains(got, `"state": "released",`+"\n"+`  "beat": 2,`) {
			t.Errorf("got %s", got)
		}
	})
}

func TestReadOfNothing(t *testing.T) {
	b := newNode(memdriver.New()).bucket()
	if _, err := lease.Read(t.Context(), b); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("read: %v", err)
	}
	if _, err := lease.Break(t.Context(), b); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("break: %v", err)
	}
}

func TestBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		n := newNode(store)
		l := acquire(t, n, 6, lease.Options{})
		n.cut.Store(true)
		operator := newNode(store).bucket()
		broken, err := lease.Break(t.Context(), operator)
		if err != nil || !broken.Released || broken.Epoch != 6 || broken.Holder != l.State().Holder {
			t.Fatalf("%+v, %v", broken, err)
		}
		if s := read(t, store); s != broken || !strings.Contains(s.String(), "broken") {
			t.Errorf("the object says %+v", s)
		}
		before := store.Count(memdriver.Replace)
		if again, err := lease.Break(t.Context(), operator); err != nil || again != broken || store.Count(memdriver.Replace) != before {
			t.Errorf("again: %+v, %v", again, err)
		}
		start := time.Now()
		next := acquire(t, newNode(store), 0, lease.Options{})
		checkEpoch(t, next, 7)
		if time.Since(start) != 0 {
			t.Errorf("waited %v", time.Since(start))
		}
		if s := next.State(); s.Released || s.Breaker != (persistence.WriterID{}) {
			t.Errorf("the next lease is %+v", s)
		}
	})
}

func TestBreakAndARenewalAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		// Between the operator's read and its write the holder renews.
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Delay(ttl / 2)})
		if s, err := lease.Break(t.Context(), newNode(store).bucket()); err != nil || !s.Released {
			t.Fatal(err)
		}
		if _, err := whenLost(t, l); !strings.Contains(err.Error(), "broken") {
			t.Error(err)
		}
	})
}

// An operator means the holder that was seen, not one that came meanwhile.
func TestBreakOfTheWrongHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		first := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Before(func(string) {
			if err := first.Release(t.Context()); err != nil {
				t.Error(err)
			}
			acquire(t, newNode(store), 0, lease.Options{Host: "newcomer"})
		})})
		s, err := lease.Break(t.Context(), newNode(store).bucket())
		if err == nil || !strings.Contains(err.Error(), "newcomer") || s.Epoch != 2 {
			t.Errorf("%v, %v", s, err)
		}
		if s := read(t, store); s.Released || s.Epoch != 2 {
			t.Errorf("the object says %v", s)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(2500 * time.Millisecond)
			l := acquire(t, newNode(store), 0, lease.Options{URL: "http://one"})
			time.Sleep(time.Minute) // renewals are no news
			outage := store.Inject(memdriver.Fault{Operation: memdriver.Get, Times: 5, Do: memdriver.Fail})
			time.Sleep(time.Minute)
			outage.Stop()
			_ = l.Raise(ctx, 4)
			time.Sleep(time.Minute)
			_ = l.Release(ctx)
			time.Sleep(time.Minute)
			cancel()
		}()
		var got []string
		for s, err := range lease.Watch(ctx, newNode(store).bucket(), time.Second) {
			switch {
			case errors.Is(err, bucket.ErrNotExist):
				got = append(got, "none")
			case err != nil:
				got = append(got, "error")
			default:
				got = append(got, fmt.Sprintf("%s %d released=%v", s.URL, s.Epoch, s.Released))
			}
		}
		want := "none, http://one 1 released=false, error, http://one 1 released=false, http://one 4 released=false, http://one 4 released=true"
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("saw %s", s)
		}
		for range lease.Watch(t.Context(), newNode(store).bucket(), 0) {
			break
		}
	})
}

// What holders know to be durable stays in the lease, whoever holds it, and only
// grows.
func TestDurablePositionsOnlyGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		var durable atomic.Uint64
		o := lease.Options{Durable: func() persistence.Position { return persistence.Position(durable.Load()) }}
		one := acquire(t, newNode(store), 0, o)
		want := func(what string, n persistence.Position) {
			t.Helper()
			if got := read(t, store).Durable; got != n {
				t.Errorf("%s: %d positions, want %d", what, got, n)
			}
		}
		want("a holder that has not led yet", 0)
		durable.Store(7)
		time.Sleep(ttl)
		want("after a renewal", 7)
		durable.Store(9)
		if err := one.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("released", 9)
		durable.Store(0)
		two := acquire(t, newNode(store), 0, o)
		want("the next holder, which knows nothing yet", 9)
		time.Sleep(ttl)
		want("its renewals", 9)
		if _, err := lease.Break(t.Context(), newNode(store).bucket()); err != nil {
			t.Fatal(err)
		}
		want("broken", 9)
		<-two.Context().Done()
	})
}
