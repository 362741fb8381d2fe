package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func hold(t *testing.T, store *memdriver.Bucket, o Options) *Lease {
	t.Helper()
	l, err := Acquire(t.Context(), bucket.New(store, "mem://test", "", bucket.Options{}), persistence.NewWriterID(), 0, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release(context.Background()) })
	return l
}

// A process that was stopped for more than a TTL runs again, and the caller of
// Held is the first to run: no timer has fired, no goroutine has noticed.
func TestNotHeldRightAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		store.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.Before(func(string) { time.Sleep(time.Minute) })})
		l := hold(t, store, Options{})
		l.alarm.Stop() // as long as the process is stopped, so are its timers
		time.Sleep(usable(defaultTTL) - 1)
		if !l.Held() || l.Remaining() != 1 {
			t.Errorf("held for %v just before the deadline", l.Remaining())
		}
		time.Sleep(time.Nanosecond)
		if l.Held() || l.Remaining() != 0 {
			t.Errorf("held for %v at the deadline", l.Remaining())
		}
		if l.ctx.Err() != nil {
			t.Fatal("the test stops nothing")
		}
	})
}

// A suspended machine stops the monotonic clock; the wall clock tells.
func TestNotHeldAfterTheMachineSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hold(t, memdriver.New(), Options{})
		l.mu.Lock()
		l.deadline.wall = l.deadline.wall.Add(-time.Minute) // as if it had gone on by a minute more
		l.mu.Unlock()
		if l.Held() {
			t.Errorf("held for %v", l.Remaining())
		}
		time.Sleep(defaultTTL/3 + time.Second)
		if !l.Held() {
			t.Error("the next renewal, by which nobody else can have come, did not count")
		}
	})
}

// It had a renewal under way, which succeeded while it was stopped.
func TestLateConfirmationRevivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := hold(t, store, Options{})
		l.alarm.Stop()
		l.turn <- struct{}{} // the test plays the renewing goroutine
		defer l.endTurn()
		time.Sleep(usable(defaultTTL))
		sent := now(nil).add(-time.Second)
		l.mu.Lock()
		l.confirm(l.state, l.version, sent)
		l.mu.Unlock()
		if l.Held() || !errors.Is(context.Cause(l.ctx), ErrLost) {
			t.Errorf("held is %v, the context ended because of: %v", l.Held(), context.Cause(l.ctx))
		}
	})
}

// It was stopped when its next renewal was due.
func TestNoRenewalIsSentAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memdriver.New()
		l := hold(t, store, Options{})
		l.alarm.Stop()
		l.turn <- struct{}{} // keeps the renewing goroutine from going on
		time.Sleep(usable(defaultTTL))
		<-l.turn
		<-l.ctx.Done()
		if n := store.Count(memdriver.Replace); n != 0 {
			t.Errorf("%d renewals were sent after the deadline", n)
		}
		if err := context.Cause(l.ctx); !strings.Contains(err.Error(), "paused") {
			t.Errorf("it says only: %v", err)
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prometheus.NewRegistry()
		store := memdriver.New()
		for i := range 2 { // a process may lead again and again
			l := hold(t, store, Options{Registerer: r})
			time.Sleep(defaultTTL + time.Second)
			m := l.metrics
			if held, epoch := testutil.ToFloat64(m.held), testutil.ToFloat64(m.epoch); held != 1 || epoch != float64(i+1) {
				t.Errorf("held %v, epoch %v", held, epoch)
			}
			if n := testutil.ToFloat64(m.renewals.WithLabelValues(renewalOK)); n != float64(3*(i+1)) {
				t.Errorf("%v renewals", n)
			}
			if i == 0 {
				store.Put(Key, []byte(strings.Replace(string(store.Data(Key)), "held", "lost", 1)))
				<-l.ctx.Done()
				store.Remove(Key)
				l.mu.Lock()
				l.settled = true
				l.mu.Unlock()
				again := hold(t, store, Options{Registerer: r})
				if err := again.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else if err := l.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := testutil.ToFloat64(m.held); n != 0 {
				t.Errorf("held is %v after the end", n)
			}
			if n := testutil.ToFloat64(m.losses); n != 1 {
				t.Errorf("%v losses", n)
			}
		}
		if n, err := testutil.GatherAndCount(r); err != nil || n != 9 {
			t.Errorf("%d metrics, %v", n, err)
		}
		if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) != 0 {
			t.Errorf("%v, %v", problems, err)
		}
	})
}
