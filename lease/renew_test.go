package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
)

func TestIdleHolderSendsOneRequestARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		before := store.Count(memdriver.Any)
		time.Sleep(time.Hour + time.Second)
		if n := store.Count(memdriver.Replace); n != 720 || store.Count(memdriver.Any)-before != n {
			t.Errorf("%d renewals and %d requests in an hour, want 720", n, store.Count(memdriver.Any)-before)
		}
		if !l.Held() || l.Remaining() != usable-time.Second {
			t.Errorf("held for %v", l.Remaining())
		}
	})
}

func TestLostByTheDeadlineAndNotLater(t *testing.T) {
	hang := memdriver.Before(func(string) { time.Sleep(10 * ttl) }) // whatever its context says
	for name, do := range map[string]memdriver.Effect{
		"fails": memdriver.Fail, "denied": memdriver.Deny, "lands and fails": memdriver.LandAndFail,
		"waits for the context": memdriver.Block, "hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				l := acquire(t, newNode(store), 0, lease.Options{})
				time.Sleep(7 * time.Second) // one renewal, 2 s ago
				store.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: do})
				store.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Fail})
				waited, err := whenLost(t, l)
				if waited != usable-2*time.Second {
					t.Errorf("lost after %v", waited)
				}
				if !strings.Contains(err.Error(), "not renewed in time") || !strings.Contains(err.Error(), lease.Key) {
					t.Errorf("it says only: %v", err)
				}
				if waited < usable/2 && store.Count(memdriver.Replace) < 4 {
					t.Errorf("%d tries only", store.Count(memdriver.Replace))
				}
				store.Heal()
				before := store.Count(memdriver.Any)
				time.Sleep(20 * ttl)
				if n := store.Count(memdriver.Any) - before; n != 0 || l.Held() {
					t.Errorf("%d requests after the end, held is %v", n, l.Held())
				}
			})
		})
	}
}

func TestFailedRenewalsAreTriedAgain(t *testing.T) {
	for name, f := range map[string]memdriver.Fault{
		"lost replies":    {Do: memdriver.LoseReply, Times: 5},
		"unknown":         {Do: memdriver.LandAndFail, Times: 4},
		"failures":        {Do: memdriver.Fail, Times: 6},
		"denials":         {Do: memdriver.Deny, Times: 6},
		"hanging request": {Do: memdriver.Block, Times: 1},
		"lost and late":   {Do: memdriver.DelayReply(10 * time.Second), Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				l := acquire(t, newNode(store), 0, lease.Options{})
				f.Operation = memdriver.Replace
				rule := store.Inject(f)
				time.Sleep(2 * ttl)
				synctest.Wait()
				if !l.Held() || rule.Hits() != f.Times {
					t.Errorf("held is %v after %d faults: %v", l.Held(), rule.Hits(), context.Cause(l.Context()))
				}
				if s := read(t, store); s != l.State() {
					t.Errorf("the object says %+v, the lease %+v", s, l.State())
				}
			})
		})
	}
}

// Renewals whose outcome is unknown land late, in the middle of later ones.
func TestRenewalsThatLandLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 2, Do: memdriver.LandLater})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Before(func(string) { store.Release() })})
		time.Sleep(ttl + time.Second)
		if !l.Held() || read(t, store) != l.State() {
			t.Errorf("held is %v, %v", l.Held(), context.Cause(l.Context()))
		}
	})
}

// That a write of ours landed is no proof of when: only a confirmed one moves the
// deadline, and only to its own time.
func TestUnknownRenewalDoesNotMoveTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LandAndFail})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Skip: 1, Do: memdriver.Fail})
		if waited, _ := whenLost(t, l); waited != usable {
			t.Errorf("lost after %v", waited)
		}
		if s := read(t, store); s.Beat == 1 {
			t.Error("the renewal should have landed")
		}
	})
}

// After an unknown one, the next try finds out, and the one after it follows at once.
func TestUnknownRenewalCostsOnePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LandAndFail})
		time.Sleep(ttl/3 + ttl/15)
		synctest.Wait()
		if l.Remaining() != usable || read(t, store) != l.State() {
			t.Errorf("held for %v", l.Remaining())
		}
	})
}

// The renewal landed, its answer was lost, and then somebody took the lease.
func TestLostReplyAndTakeoverIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		a, b := newNode(store), newNode(store)
		l := acquire(t, a, 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LoseReply})
		store.Inject(memdriver.Fault{Operation: memdriver.Get, Times: 1, Do: memdriver.Before(func(string) {
			_, err := lease.Break(t.Context(), b.bucket())
			if err != nil {
				t.Error(err)
			}
			acquire(t, b, 0, lease.Options{Host: "usurper"})
		})})
		waited, err := whenLost(t, l)
		if waited != ttl/3 || !strings.Contains(err.Error(), "usurper") || !strings.Contains(err.Error(), "epoch 2") {
			t.Errorf("lost after %v: %v", waited, err)
		}
	})
}

func TestLostAtTheNextRenewal(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, store *memdriver.Bucket)
		says string
	}{
		"deleted": {func(t *testing.T, store *memdriver.Bucket) { store.Remove(lease.Key) }, "deleted"},
		"broken": {func(t *testing.T, store *memdriver.Bucket) {
			if _, err := lease.Break(t.Context(), newNode(store).bucket()); err != nil {
				t.Error(err)
			}
		}, "broken"},
		"taken": {func(t *testing.T, store *memdriver.Bucket) {
			store.Remove(lease.Key)
			acquire(t, newNode(store), 9, lease.Options{Host: "other"})
		}, "epoch 9, held by"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				a := newNode(store)
				l := acquire(t, a, 0, lease.Options{})
				time.Sleep(time.Second)
				c.do(t, store)
				after, writes := string(store.Data(lease.Key)), a.writes.Load()
				waited, err := whenLost(t, l)
				if waited != ttl/3-time.Second || !strings.Contains(err.Error(), c.says) {
					t.Errorf("lost after %v: %v", waited, err)
				}
				if err := l.Release(t.Context()); err != nil {
					t.Errorf("release: %v", err)
				}
				// Its one write was the renewal that failed.
				if name != "taken" && string(store.Data(lease.Key)) != after || a.writes.Load() != writes+1 {
					t.Error("the old holder changed what is not its own")
				}
				if name != "taken" {
					checkEpoch(t, acquire(t, newNode(store), 20, lease.Options{}), 20)
				}
			})
		})
	}
}

func TestOldStatePutBackIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		old := store.Data(lease.Key)
		time.Sleep(ttl + time.Second)
		store.Put(lease.Key, old)
		if _, err := whenLost(t, l); !strings.Contains(err.Error(), "old state") {
			t.Errorf("it says only: %v", err)
		}
	})
}

func TestHolderLeavesADamagedObjectAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Put(lease.Key, []byte("{}"))
		waited, err := whenLost(t, l)
		if waited != usable || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("lost after %v: %v", waited, err)
		}
		if err := l.Release(t.Context()); err == nil || string(store.Data(lease.Key)) != "{}" {
			t.Errorf("release: %v", err)
		}
	})
}

func TestRaise(t *testing.T) {
	for name, f := range map[string]memdriver.Fault{
		"well":       {Do: memdriver.Delay(time.Second)},
		"lost reply": {Do: memdriver.LoseReply},
		"unknown":    {Do: memdriver.LandAndFail},
		"failures":   {Do: memdriver.Fail, Times: 3},
		"late":       {Do: memdriver.LandLater},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.New()
				l := acquire(t, newNode(store), 3, lease.Options{})
				if err := l.Raise(t.Context(), 3); err != nil || store.Count(memdriver.Replace) != 0 {
					t.Errorf("raise to the same: %v", err)
				}
				f.Operation, f.Times = memdriver.Replace, max(f.Times, 1)
				store.Inject(f)
				time.Sleep(time.Second)
				if err := l.Raise(t.Context(), 8); err != nil {
					t.Fatal(err)
				}
				checkEpoch(t, l, 8)
				if s := read(t, store); s != l.State() || s.Epoch != 8 || l.Remaining() < usable-time.Second {
					t.Errorf("the object says %+v, held for %v", s, l.Remaining())
				}
				store.Release()
				time.Sleep(ttl + time.Second)
				if !l.Held() || read(t, store).Epoch != 8 {
					t.Errorf("held is %v, the object says %v", l.Held(), read(t, store))
				}
			})
		})
	}
}

// Who gave up waiting for a Raise finds the epoch raised all the same, if the
// write landed: the object is never written back to a smaller one.
func TestRaiseGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LandAndFail})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := l.Raise(ctx, 8); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if err := l.Raise(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl + time.Second)
		checkEpoch(t, l, 8)
		if s := read(t, store); s.Epoch != 8 || !l.Held() {
			t.Errorf("the object says %v", s)
		}
	})
}

func TestRaiseOfALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := acquire(t, newNode(store), 0, lease.Options{})
		time.AfterFunc(time.Second, func() { store.Remove(lease.Key) })
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Delay(2 * time.Second)})
		for range 2 {
			if err := l.Raise(t.Context(), 8); !errors.Is(err, lease.ErrLost) {
				t.Errorf("raise: %v", err)
			}
		}
		if err := l.Raise(t.Context(), 1); !errors.Is(err, lease.ErrLost) {
			t.Errorf("raise to the same: %v", err)
		}
		if store.Data(lease.Key) != nil {
			t.Error("the deleted object was written again")
		}
	})
}
