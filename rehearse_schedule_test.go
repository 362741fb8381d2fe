package schedulerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// slowParts makes each part of a snapshot take an hour to read.
func (c *cell) slowParts() {
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: func(key string) bool { return strings.Contains(key, "/part-") }, Do: memdriver.Delay(time.Hour)})
}

// rehearsing rehearses meanwhile, and tells what came of it.
func (c *cell) rehearsing(s *Store) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := s.Rehearse(c.Context())
		ended <- err
	}()
	return ended
}

func TestRehearsalGivesWayToARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.snapshot(one)
		c.slowParts()
		ended := c.rehearsing(one)
		time.Sleep(time.Minute)
		start := time.Now()
		restored := make(chan error)
		go func() {
			_, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")})
			restored <- err
		}()
		if err := <-ended; !errors.Is(err, errGaveWay) {
			t.Error(err)
		}
		c.mem.Heal()
		if err := <-restored; err != nil || time.Since(start) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// One that waits for its turn before the restore gives way, too.
func TestWaitingRehearsalGivesWayToARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.snapshot(one)
		c.slowParts()
		release, err := one.beginCopy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended := c.rehearsing(one)
		synctest.Wait()
		restored := make(chan error, 1)
		go func() {
			_, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")})
			restored <- err
		}()
		synctest.Wait()
		release()
		if err := <-ended; !errors.Is(err, errGaveWay) {
			t.Error(err)
		}
		c.mem.Heal()
		if err := <-restored; err != nil {
			t.Error(err)
		}
	})
}

// One copy of the state at a time: a snapshot waits, and is waited for.
func TestRehearsalIsNeverBesideAnotherCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.snapshot(one)
		synctest.Wait()
		release, err := one.beginCopy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended := c.rehearsing(one)
		gets := func() int {
			return c.mem.CountOf(memdriver.Get, func(key string) bool { return strings.HasPrefix(key, "snapshot/") })
		}
		before := gets()
		time.Sleep(time.Second)
		if n := gets() - before; n > 0 {
			t.Errorf("%d objects were read beside another copy", n)
		}
		c.slowParts()
		release()
		time.Sleep(time.Second)
		waiting, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := one.beginCopy(waiting); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a copy beside a rehearsal: %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseEndsARehearsalAtOnce(t *testing.T) {
	for what, every := range map[string]time.Duration{"by schedule": time.Minute, "on demand": 0} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				one := c.leader("one")
				c.write(one, "a")
				c.snapshot(one)
				two := c.open("two", Options{Rehearse: every})
				if err := two.Recovered(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.slowParts()
				ended := make(chan error, 1)
				if every == 0 {
					go func() {
						_, err := two.Rehearse(t.Context())
						ended <- err
					}()
				} else {
					ended <- ErrClosed
				}
				time.Sleep(2 * time.Minute)
				if len(two.copying) == 0 {
					t.Fatal("no rehearsal is under way")
				}
				start := time.Now()
				if err := two.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if err := <-ended; !errors.Is(err, ErrClosed) || time.Since(start) > time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if r := two.Status().Rehearsal; r != nil {
					t.Errorf("%+v: an end is no result", r)
				}
				if r, err := two.Rehearse(t.Context()); !errors.Is(err, ErrClosed) || r.Result != RehearsalUnsure {
					t.Errorf("%+v, %v", r, err)
				}
			})
		})
	}
}

func TestRehearsalNeedsARecoveredState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.open("one", Options{ReadOnly: false})
		if err := s.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := c.rehearses(s, RehearsalUnsure); !strings.Contains(r.Problem, "nothing was ever written") {
			t.Errorf("%+v", r)
		}
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Under("snapshot/"), Do: memdriver.Fail})
		two := c.open("two", Options{})
		if r := c.rehearses(two, RehearsalUnsure); !strings.Contains(r.Problem, "not recovered") {
			t.Errorf("%+v", r)
		}
	})
}

// Leader and follower rehearse once in each interval, and not at the same time.
func TestRehearsalsAreDoneBySchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		var stores []*Store
		for i := range 4 {
			stores = append(stores, c.open(fmt.Sprint(i), Options{Rehearse: time.Hour}))
		}
		c.campaign(stores[0])
		c.write(stores[0], "a")
		never := c.open("never", Options{})
		time.Sleep(time.Hour)
		began := map[time.Time]bool{}
		for _, s := range stores {
			last := s.Status().LastRehearsed
			if last == nil {
				t.Fatal("none in the first interval")
			}
			began[last.Round(time.Second)] = true
		}
		if len(began) < 2 { // of 3,600 seconds
			t.Errorf("%d processes at the same time", len(stores))
		}
		for range 5 {
			before := *stores[0].Status().LastRehearsed
			time.Sleep(66 * time.Minute) // an interval and a tenth
			if last := *stores[0].Status().LastRehearsed; last.Sub(before) < 54*time.Minute {
				t.Errorf("after %v", last.Sub(before))
			}
		}
		if never.Status().Rehearsal != nil {
			t.Error("one that was not asked for")
		}
	})
}

// writerFunc is a function that takes what is written, here the lines of a log.
type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(b []byte) (int, error) { return w(b) }

// One that can't be done is tried again soon, and that none succeeds is said.
func TestRehearsalsThatDoNotSucceedAreToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.snapshot(one)
		var warned atomic.Int64
		logged := writerFunc(func(line []byte) (int, error) {
			if bytes.Contains(line, []byte("no rehearsed restore has succeeded for long")) {
				warned.Add(1)
			}
			return len(line), nil
		})
		s := c.open("two", Options{Rehearse: time.Hour, Logger: slog.New(slog.NewTextHandler(logged, nil))})
		if err := s.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		failing := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("snapshot/"), Do: memdriver.Fail})
		warnings := func() int64 {
			synctest.Wait()
			return warned.Load()
		}
		time.Sleep(119 * time.Minute)
		if n := warnings(); n != 0 {
			t.Errorf("%d warnings within two intervals", n)
		}
		time.Sleep(10 * time.Minute)
		if n := warnings(); n != 1 {
			t.Errorf("%d warnings soon after two", n)
		}
		time.Sleep(time.Hour)
		if n := warnings(); n != 2 {
			t.Errorf("%d warnings after three", n)
		}
		failing.Stop()
		time.Sleep(7 * time.Minute)
		if s.Status().LastRehearsed == nil || warnings() != 2 {
			t.Errorf("%+v, %d warnings", s.Status().Rehearsal, warnings())
		}
	})
}
