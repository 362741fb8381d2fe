package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
)

func TestRelease(t *testing.T) {
	for name, c := range map[string]struct {
		do    memdriver.Effect
		fails bool // the first call
	}{
		"well":       {memdriver.Delay(time.Second), false},
		"lost reply": {memdriver.LoseReply, false},
		"unknown":    {memdriver.LandAndFail, true},
		"failure":    {memdriver.Fail, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				l := acquire(t, newNode(store), 0, lease.Options{})
				time.Sleep(ttl + time.Second)
				// It must not be held any more when others learn that it is free.
				store.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.Before(func(string) {
					if l.Held() || l.Remaining() != 0 || l.Context().Err() == nil {
						t.Error("held while it is being released")
					}
				})})
				store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: c.do})
				if err := l.Release(t.Context()); (err != nil) != c.fails {
					t.Fatalf("released: %v", err)
				}
				if err := context.Cause(l.Context()); !errors.Is(err, lease.ErrReleased) || errors.Is(err, lease.ErrLost) {
					t.Errorf("the context ended because of: %v", err)
				}
				if err := l.Release(t.Context()); err != nil {
					t.Errorf("again: %v", err)
				}
				if s := read(t, store); !s.Released || s.Epoch != 1 || s.Holder != l.State().Holder {
					t.Errorf("the object says %+v", s)
				}
				before := store.Count(memdriver.Any)
				time.Sleep(time.Minute)
				if err := l.Release(t.Context()); err != nil || store.Count(memdriver.Any) != before {
					t.Errorf("a third time: %v, %d requests", err, store.Count(memdriver.Any)-before)
				}
			})
		})
	}
}

// The renewal under way is given up; if it lands after all, it lands on nothing.
func TestReleaseDuringARenewal(t *testing.T) {
	for name, do := range map[string]memdriver.Effect{
		"hangs":       memdriver.Block,
		"lands":       memdriver.DelayReply(time.Minute),
		"never comes": memdriver.Delay(time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				l := acquire(t, newNode(store), 0, lease.Options{})
				rule := store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: do})
				time.Sleep(ttl/3 + time.Second)
				start := time.Now()
				if err := l.Release(t.Context()); err != nil || time.Since(start) != 0 || rule.Hits() != 1 {
					t.Fatalf("%v after %v", err, time.Since(start))
				}
				if s := read(t, store); !s.Released {
					t.Errorf("the object says %+v", s)
				}
			})
		})
	}
}

func TestRenewalThatLandsAfterTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.NewWithETags()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LandLater})
		time.Sleep(ttl/3 + 100*time.Millisecond)
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		store.Release()
		if s := read(t, store); !s.Released {
			t.Errorf("the object says %+v", s)
		}
	})
}

func TestReleaseAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		n := newNode(store)
		l := acquire(t, n, 0, lease.Options{})
		n.cut.Store(true)
		<-l.Context().Done()
		n.cut.Store(false)
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := read(t, store); !s.Released {
			t.Errorf("the object says %+v: the next one waits for nothing", s)
		}
		if err := context.Cause(l.Context()); !errors.Is(err, lease.ErrLost) {
			t.Errorf("the cause became %v", err)
		}
	})
}

func TestReleaseOfATakenLeaseLeavesItAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		l := acquire(t, a, 0, lease.Options{})
		a.cut.Store(true)
		next := acquire(t, b, 0, lease.Options{})
		a.cut.Store(false)
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl + time.Second)
		if !next.Held() || read(t, store) != next.State() {
			t.Errorf("held is %v, the object says %v", next.Held(), read(t, store))
		}
	})
}

func TestReleaseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Block})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Release(ctx); !errors.Is(err, context.DeadlineExceeded) || l.Held() {
			t.Errorf("%v, held is %v", err, l.Held())
		}
	})
}
