package schedulerstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// writes are the calls that need a leader.
func writes(t *testing.T, s *Store) map[string]error {
	_, submit := s.Submit(t.Context(), save("x"), durability.WriteOptions{})
	_, apply := s.Apply(t.Context(), []*api.Op{{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some("f")}}}, durability.WriteOptions{})
	return map[string]error{
		"write": s.Write(t.Context(), save("x")), "submit": submit, "apply": apply,
		"linearizable read": s.ReadLinearizable(func(storage.View) {}),
	}
}

func (c *cell) refused(s *Store, phase string, also error) {
	c.Helper()
	for call, err := range writes(c.T, s) {
		if !errors.Is(err, ErrNotReady) || !errors.Is(err, durability.ErrNotLeader) || also != nil && !errors.Is(err, also) ||
			!strings.Contains(err.Error(), "in state "+phase+", expected to be in [READY]") {
			c.Errorf("%s in state %s: %v", call, phase, err)
		}
	}
}

func (c *cell) wantPhase(s *Store, want Phase) {
	c.Helper()
	if got := s.Phase(); got != want || s.Status().Phase != want {
		c.Errorf("in phase %s, status says %s, want %s", got, s.Status().Phase, want)
	}
}

// The table of Aurora's states, in the manner of a process that outlives leadership.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		first := c.leader("first")
		c.write(first, "a")
		if err := first.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Minute)})
		s := c.open("one", Options{})
		c.wantPhase(s, Constructed)
		c.refused(s, "CONSTRUCTED", nil)
		c.want(s, "") // reading is never refused
		if err := s.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow.Stop()
		c.wantPhase(s, Prepared)
		c.refused(s, "PREPARED", nil)
		c.want(s, "a")

		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantPhase(s, Ready)
		for call, err := range writes(t, s) {
			if err != nil {
				t.Errorf("%s in state READY: %v", call, err)
			}
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Errorf("campaign of a leader: %v", err)
		}

		s.loseLease(t, c)
		time.Sleep(time.Second)
		c.wantPhase(s, Prepared)
		c.refused(s, "PREPARED", nil)
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantPhase(s, Ready)

		for range 3 { // closing may be repeated
			if err := s.Close(t.Context()); err != nil {
				t.Errorf("close: %v", err)
			}
			c.wantPhase(s, Stopped)
			c.refused(s, "STOPPED", ErrClosed)
			if err := s.Campaign(t.Context()); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "in state STOPPED, expected to be in [PREPARED]") {
				t.Errorf("campaign in state STOPPED: %v", err)
			}
			c.want(s, "a x")
		}
	})
}

func TestClosingFromEveryPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader("first").Close(t.Context())
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Minute)})
		s := c.open("constructed", Options{})
		c.wantPhase(s, Constructed)
		campaigned := make(chan error, 1)
		go func() { campaigned <- s.Campaign(t.Context()) }()
		synctest.Wait()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-campaigned; !errors.Is(err, ErrClosed) {
			t.Errorf("the campaign under way: %v", err)
		}
		c.refused(s, "STOPPED", ErrClosed)
		if err := s.Recovered(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("recovered: %v", err)
		}
		slow.Stop()
		s = c.open("prepared", Options{})
		if err := s.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		c.refused(s, "STOPPED", ErrClosed)
	})
}

// If the initial work fails the phase stays, its error comes through, and a later call
// may succeed.
func TestInitialWorkThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		errInitial := errors.New("initial work failed")
		var s *Store
		runs := 0
		s = c.open("one", Options{Initialize: func(ctx context.Context, tx storage.Mutable) error {
			if runs++; runs == 1 {
				return errInitial
			}
			// It is not ready yet: only the transaction given can be used.
			c.wantPhase(s, Prepared)
			if err := s.Write(t.Context(), save("foreign")); !errors.Is(err, ErrNotReady) {
				t.Errorf("a write of its own inside the initial work: %v", err)
			}
			return save("initial")(ctx, tx)
		}})
		if err := s.Campaign(t.Context()); !errors.Is(err, errInitial) {
			t.Errorf("campaign: %v", err)
		}
		c.wantPhase(s, Prepared)
		c.refused(s, "PREPARED", nil)
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantPhase(s, Ready)
		c.want(s, "initial")
	})
}

// Initial work that changes nothing is not recorded, and neither is telling the sink
// of all tasks.
func TestBeginningToLeadRecordsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.write(c.leader("one"), "a")
		time.Sleep(time.Second)
		one := c.open("two", Options{Events: func(context.Context, durability.Event) {}, Initialize: func(context.Context, storage.Mutable) error { return nil }})
		c.mem.Remove("lease.json")
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, n := one.Storage().Snapshot(); n != persistence.TransactionNumber(1) {
			t.Errorf("there are %d transactions, want 1", n)
		}
	})
}
