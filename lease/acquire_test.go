package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestFirstLease(t *testing.T) {
	for _, c := range []struct{ minEpoch, want persistence.Epoch }{{0, 1}, {1, 1}, {7, 7}} {
		synctest.Test(t, func(t *testing.T) {
			store := memdriver.New()
			l := acquire(t, newNode(store), c.minEpoch, lease.Options{Host: "h1", URL: "http://h1:8410"})
			checkEpoch(t, l, c.want)
			if !l.Held() || l.Remaining() != usable {
				t.Errorf("held is %v for %v", l.Held(), l.Remaining())
			}
			s := read(t, store)
			if s.Epoch != c.want || s.Holder != l.State().Holder || s.Host != "h1" || s.URL != "http://h1:8410" ||
				s.TTL != ttl || s.Released || s.Beat == 0 || !s.Renewed.Equal(time.Now()) || s != l.State() {
				t.Errorf("the object says %+v", s)
			}
		})
	}
}

func TestTakenOnlyAfterOneWholeTTLOfTheHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		first := acquire(t, a, 0, lease.Options{TTL: 20 * time.Second})
		time.Sleep(30 * time.Second)
		a.cut.Store(true)
		start, last := time.Now(), store.Data(lease.Key)
		second := acquire(t, b, 0, lease.Options{TTL: 3 * time.Second, Poll: time.Second})
		between(t, "waited", time.Since(start), 20*time.Second, 20*time.Second)
		checkEpoch(t, second, 2)
		if first.Held() || first.Context().Err() == nil {
			t.Error("two hold the lease")
		}
		if b.writes.Load() != 1 || string(last) == string(store.Data(lease.Key)) {
			t.Errorf("%d writes", b.writes.Load())
		}
	})
}

// What a slow read shows may have been sent just before its answer.
func TestWatchBeginsWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		acquire(t, a, 0, lease.Options{})
		a.cut.Store(true)
		store.Inject(memdriver.Fault{Operation: memdriver.Get, Times: 1, Do: memdriver.Delay(4 * time.Second)})
		start := time.Now()
		acquire(t, b, 0, lease.Options{})
		between(t, "waited", time.Since(start), 4*time.Second+ttl, 4*time.Second+ttl)
	})
}

// The holder renews once in a while only; each renewal starts the watch again.
func TestEachChangeBeginsTheWatchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		l := acquire(t, a, 0, lease.Options{})
		// Just before a renewal, so the last one is a third of a TTL old by then.
		cutAt := 4*ttl/3 - time.Second
		time.AfterFunc(cutAt, func() { a.cut.Store(true) })
		start := time.Now()
		acquire(t, b, 0, lease.Options{})
		between(t, "taken after the cut", time.Since(start)-cutAt, ttl*2/3, ttl*2/3+1500*time.Millisecond)
		if l.Held() {
			t.Error("two hold the lease")
		}
	})
}

func TestRenewingHolderIsNeverTakenOver(t *testing.T) {
	for name, f := range map[string]memdriver.Fault{
		"well":         {Operation: memdriver.Replace, Do: memdriver.Delay(0)},
		"slowly":       {Operation: memdriver.Replace, Do: memdriver.Delay(4 * time.Second)},
		"slow answers": {Operation: memdriver.Replace, Do: memdriver.DelayReply(4 * time.Second)},
		"slow reads":   {Operation: memdriver.Get, Do: memdriver.DelayReply(10 * time.Second)},
		"lost replies": {Operation: memdriver.Replace, Do: memdriver.LoseReply},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				l := acquire(t, newNode(store), 0, lease.Options{})
				store.Inject(f)
				b := newNode(store)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
				defer cancel()
				_, err := lease.Acquire(ctx, b.bucket(), persistence.NewWriterID(), 0, lease.Options{})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("acquired: %v", err)
				}
				if !l.Held() || l.Context().Err() != nil {
					t.Error("the holder lost the lease")
				}
				if b.writes.Load() != 0 {
					t.Errorf("the contender wrote %d times", b.writes.Load())
				}
			})
		})
	}
}

func TestReleasedIsTakenWithinTwoPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 4, lease.Options{})
		time.AfterFunc(time.Minute, func() {
			if err := l.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		next := acquire(t, newNode(store), 0, lease.Options{})
		between(t, "taken", time.Since(start)-time.Minute, 0, 2500*time.Millisecond)
		checkEpoch(t, next, 5)
	})
}

func TestEpochsOnlyGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		n := newNode(store)
		last := persistence.Epoch(0)
		for i := range 12 {
			l := acquire(t, n, persistence.Epoch(i/4*10), lease.Options{})
			if l.Epoch() <= last || int(l.Epoch()) < i/4*10 {
				t.Fatalf("epoch %d after %d", l.Epoch(), last)
			}
			last = l.Epoch()
			switch i % 3 {
			case 0:
				if err := l.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			case 1:
				if _, err := lease.Break(t.Context(), n.bucket()); err != nil {
					t.Fatal(err)
				}
			case 2:
				if err := l.Raise(t.Context(), last+3); err != nil {
					t.Fatal(err)
				}
				last += 3
				checkEpoch(t, l, last)
				store.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.Fail})
				<-l.Context().Done()
				store.Heal()
			}
			if s := read(t, store); s.Epoch != last {
				t.Fatalf("the object has epoch %d, not %d", s.Epoch, last)
			}
		}
	})
}

func TestAcquireWhoseAnswerIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		do    memdriver.Effect
		epoch persistence.Epoch
		after time.Duration // less the pause
	}{
		"lost":          {memdriver.LoseReply, 1, 0},
		"unknown":       {memdriver.LandAndFail, 2, 0},
		"failed":        {memdriver.Fail, 1, 0},
		"hangs":         {memdriver.Block, 1, usable},
		"much too late": {memdriver.DelayReply(time.Minute), 2, usable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				n := newNode(store)
				store.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: c.do})
				start := time.Now()
				l := acquire(t, n, 0, lease.Options{})
				between(t, "acquired after", time.Since(start), c.after, c.after+ttl/30)
				checkEpoch(t, l, c.epoch)
				if s := read(t, store); s != l.State() || l.Remaining() != usable {
					t.Errorf("the object says %+v, held for %v", s, l.Remaining())
				}
			})
		})
	}
}

// The first try lands between the next look and the next try.
func TestAcquireThatLandsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		store.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: memdriver.LandLater})
		store.Inject(memdriver.Fault{
			Operation: memdriver.Get, Skip: 1, Times: 1, Do: memdriver.After(func(string) { store.Release() }),
		})
		l := acquire(t, newNode(store), 0, lease.Options{})
		checkEpoch(t, l, 2)
		time.Sleep(ttl + time.Second)
		if !l.Held() || read(t, store).Holder != l.State().Holder {
			t.Errorf("held is %v, the object says %v", l.Held(), read(t, store))
		}
	})
}

func TestAcquireThatLandsAfterTheNextTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		store.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: memdriver.LandLater})
		l := acquire(t, newNode(store), 0, lease.Options{})
		before := string(store.Data(lease.Key))
		store.Release()
		if string(store.Data(lease.Key)) != before {
			t.Error("the late try landed over the later one")
		}
		checkEpoch(t, l, 1)
		time.Sleep(ttl + time.Second)
		if !l.Held() {
			t.Error("lost")
		}
	})
}

// Else one that lands late would pass for a later one, with a later deadline.
func TestNoTwoTriesHaveTheSameBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		n := newNode(store)
		store.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 5, Do: memdriver.Fail})
		acquire(t, n, 0, lease.Options{Poll: time.Nanosecond})
		if n.writes.Load() != 6 || len(n.bodies) != 6 {
			t.Errorf("%d different bodies in %d tries", len(n.bodies), n.writes.Load())
		}
	})
}

func TestUsableTimeIsCountedFromBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		slow := store.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.DelayReply(2 * time.Second)})
		l := acquire(t, newNode(store), 0, lease.Options{})
		if got := l.Remaining(); got != usable-2*time.Second {
			t.Errorf("acquired for %v", got)
		}
		slow.Stop()
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.DelayReply(3 * time.Second)})
		time.Sleep(ttl/3 - 2*time.Second + 3*time.Second)
		synctest.Wait()
		if got := l.Remaining(); got != usable-3*time.Second {
			t.Errorf("renewed for %v", got)
		}
	})
}

func TestOutagesAreOutlasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		outage := store.Inject(memdriver.Fault{Do: memdriver.Fail})
		store.Inject(memdriver.Fault{Times: 2, Do: memdriver.Block})
		time.AfterFunc(10*time.Minute, outage.Stop)
		start := time.Now()
		acquire(t, newNode(store), 0, lease.Options{})
		between(t, "waited", time.Since(start), 10*time.Minute, 10*time.Minute+3*ttl)
	})
}

func TestWhatDoesNotPassEndsAcquire(t *testing.T) {
	ok := func(t *testing.T) []byte {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		return store.Data(lease.Key)
	}
	for name, c := range map[string]struct {
		object func(good []byte) []byte
		fault  memdriver.Fault
		want   error
	}{
		"damaged": {func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, memdriver.Fault{}, checked.ErrDamaged},
		"cut":     {func(b []byte) []byte { return b[:len(b)-1] }, memdriver.Fault{}, checked.ErrDamaged},
		"empty":   {func(b []byte) []byte { return nil }, memdriver.Fault{}, checked.ErrDamaged},
		"newer": {func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"format": 1`, `"format": 2`, 1))
		}, memdriver.Fault{}, checked.ErrNewerFormat},
		"denied":    {nil, memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Deny}, bucket.ErrDenied},
		"no bucket": {nil, memdriver.Fault{Do: memdriver.Fail, Err: bucket.ErrNoBucket}, bucket.ErrNoBucket},
		"read only": {nil, memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Deny}, bucket.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				if c.object != nil {
					store.Put(lease.Key, c.object(ok(t)))
				} else {
					store.Inject(c.fault)
				}
				before := string(store.Data(lease.Key))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				_, err := lease.Acquire(ctx, newNode(store).bucket(), persistence.NewWriterID(), 0, lease.Options{})
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), lease.Key) {
					t.Errorf("got %v", err)
				}
				if _, err := lease.Break(t.Context(), newNode(store).bucket()); c.object != nil && !errors.Is(err, c.want) {
					t.Errorf("break: %v", err)
				}
				if string(store.Data(lease.Key)) != before || c.object != nil && store.Count(memdriver.Replace) != 0 {
					t.Error("the object was changed")
				}
			})
		})
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		acquire(t, newNode(store), 0, lease.Options{})
		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		start := time.Now()
		time.AfterFunc(3333*time.Millisecond, func() { cancel(why) })
		_, err := lease.Acquire(ctx, newNode(store).bucket(), persistence.NewWriterID(), 0, lease.Options{})
		if !errors.Is(err, why) || time.Since(start) != 3333*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestLeaseOutlivesTheContextOfAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		l, err := lease.Acquire(ctx, newNode(memdriver.New()).bucket(), persistence.NewWriterID(), 0, lease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(10 * ttl)
		if !l.Held() || l.Context().Value(key{}) != "v" {
			t.Error("the lease ended, or its context lost its values")
		}
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhoWaitsSeesWhoLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{URL: "http://one"})
		time.AfterFunc(time.Minute, func() { _ = l.Raise(t.Context(), 5) })
		time.AfterFunc(2*time.Minute, func() { _ = l.Release(t.Context()) })
		var seen []string
		acquire(t, newNode(store), 0, lease.Options{Observe: func(s lease.State) {
			seen = append(seen, s.URL+" "+s.Epoch.String())
		}})
		if got := strings.Join(seen, ", "); got != "http://one 1, http://one 5, http://one 5" {
			t.Errorf("saw %s", got)
		}
	})
}

func TestTTLHasBounds(t *testing.T) {
	for _, d := range []time.Duration{-1, 1, 3*time.Second - 1, time.Hour + time.Millisecond} {
		store := memdriver.New()
		_, err := lease.Acquire(t.Context(), newNode(store).bucket(), persistence.NewWriterID(), 0, lease.Options{TTL: d})
		if err == nil || store.Count(memdriver.Any) != 0 {
			t.Errorf("a TTL of %v was taken: %v", d, err)
		}
	}
}
