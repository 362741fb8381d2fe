package lease_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// slowly makes each request take some tens of milliseconds, and one in ten so many
// times as long.
func slowly(store *memdriver.Bucket, tail time.Duration) {
	wait := func(string) {
		d := 10*time.Millisecond + rand.N(20*time.Millisecond)
		if rand.N(20) == 0 {
			d *= tail
		}
		time.Sleep(d)
	}
	store.Inject(memdriver.Fault{Do: memdriver.Before(wait)})
	store.Inject(memdriver.Fault{Do: memdriver.After(wait)})
}

// takeOver lets a holder renew for a while with a contender watching from an instant
// on, cuts it off, and returns how long after the last renewal landed the lease was
// taken.
func takeOver(t *testing.T, tail, watchedFrom, cutAt time.Duration) (after time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		l := acquire(t, a, 0, lease.Options{})
		var landed time.Time
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.After(func(string) {
			if b.writes.Load() == 0 { // one that was sent before the cut may land after it
				landed = time.Now()
			}
		})})
		slowly(store, tail)
		time.AfterFunc(cutAt, func() { a.cut.Store(true) })
		time.Sleep(watchedFrom)
		next := acquire(t, b, 0, lease.Options{})
		after = next.Claim().Sent.Sub(landed)
		if l.Held() || time.Since(landed) < ttl {
			t.Errorf("taken %v after the last renewal landed; held is %v", time.Since(landed), l.Held())
		}
		if sign := next.Claim().LastSign; sign.Before(landed) || next.Claim().Sent.Sub(sign) < ttl {
			t.Errorf("the last sign of life was %v after the last renewal, the claim %v after that", sign.Sub(landed), next.Claim().Sent.Sub(sign))
		}
	})
	return after
}

// Whenever the holder dies, the time since its last renewal that a contender loses
// for having looked late is a small part of a second.
func TestDeadHolderIsFoundOutOneTTLAfterItsLastRenewal(t *testing.T) {
	for name, c := range map[string]struct {
		tail, cutFrom, most time.Duration
	}{
		"steady store": {1, 4 * ttl, 300 * time.Millisecond},
		"uneven store": {4, 4 * ttl, 700 * time.Millisecond},
		// When the first renewal is seen its instant is not known well.
		"just begun": {1, ttl, 700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var worst time.Duration
			for k := range 100 {
				begin := rand.N(ttl / 3)
				worst = max(worst, takeOver(t, c.tail, begin, c.cutFrom+time.Duration(k)*ttl/3/100)-ttl)
			}
			if worst > c.most {
				t.Errorf("at worst taken %v after one TTL, want %v at most", worst, c.most)
			}
			t.Logf("at worst taken %v after one TTL", worst)
		})
	}
}

// A contender that waits all month pays for about one look a second.
func TestWatchingIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		slowly(store, 4)
		l := acquire(t, newNode(store), 0, lease.Options{})
		before := store.Count(memdriver.Get)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := lease.Acquire(ctx, newNode(store).bucket(), persistence.NewWriterID(), 0, lease.Options{})
		if !errors.Is(err, context.DeadlineExceeded) || !l.Held() {
			t.Fatal(err, l.Held())
		}
		looks := store.Count(memdriver.Get) - before
		if looks > 3700 || looks < 3000 {
			t.Errorf("%d looks in an hour", looks)
		}
		t.Logf("%d looks in an hour", looks)
	})
}

func TestHintMakesALookAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		hint := make(chan struct{}, 1)
		time.AfterFunc(time.Minute+1234*time.Millisecond, func() {
			if err := l.Release(t.Context()); err != nil {
				t.Error(err)
			}
			hint <- struct{}{}
		})
		start := time.Now()
		next := acquire(t, newNode(store), 0, lease.Options{Hint: hint})
		if took := time.Since(start) - time.Minute - 1234*time.Millisecond; took != 0 {
			t.Errorf("taken %v after the hint", took)
		}
		checkEpoch(t, next, 2)
	})
}

// What a hint says is not believed: not the first, nor the thousandth.
func TestHintsDoNotShortenTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		acquire(t, a, 0, lease.Options{})
		a.cut.Store(true)
		hint := make(chan struct{})
		go func() {
			defer close(hint) // which is no hint
			for range 1000 {
				hint <- struct{}{}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		start := time.Now()
		acquire(t, b, 0, lease.Options{Hint: hint})
		between(t, "waited", time.Since(start), ttl, ttl)
		if looks := store.Count(memdriver.Get); looks < 1000 || looks > 1040 {
			t.Errorf("%d looks for 1000 hints", looks)
		}
		if b.writes.Load() != 1 {
			t.Errorf("%d writes", b.writes.Load())
		}
	})
}

// At the end of the TTL the take is the only request: that it is on the condition
// that nothing has changed is enough.
func TestExpiredLeaseIsTakenWithoutAnotherLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		acquire(t, a, 0, lease.Options{})
		a.cut.Store(true)
		start := time.Now()
		store.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Before(func(string) {
			if time.Since(start) >= ttl {
				t.Error("looked at the end of the TTL")
			}
		})})
		acquire(t, b, 0, lease.Options{})
		between(t, "waited", time.Since(start), ttl, ttl)
	})
}

// A holder that comes back at the last moment keeps its lease.
func TestRenewalThatTheContenderHasNotSeenWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		b := newNode(store)
		// The contender sees nothing of the renewals after its first look.
		var once bool
		blind := store.Inject(memdriver.Fault{Operation: memdriver.Get, Skip: 1, Do: memdriver.Fail})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.Before(func(string) {
			if b.writes.Load() > 0 && !once {
				once = true
				blind.Stop()
			}
		})})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		_, err := lease.Acquire(ctx, b.bucket(), persistence.NewWriterID(), 0, lease.Options{})
		if !errors.Is(err, context.DeadlineExceeded) || !l.Held() {
			t.Fatalf("%v, held is %v", err, l.Held())
		}
		if b.writes.Load() != 1 {
			t.Errorf("the contender wrote %d times, want once for a look that succeeded", b.writes.Load())
		}
	})
}
