package schedulerstore

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// The leader removes garbage by itself, and says so; another process recovers from what
// stays.
func TestLeaderCollectsGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		o := Options{Lease: lease.Options{TTL: ttl}, Snapshots: snapshot.Schedule{Every: 10 * time.Minute},
			Retention: garbage.Retention{Keep: 2, Window: -1, Grace: -1}}
		one := c.openAs("one", o)
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := c.keepWriting(one, 0.5)
		time.Sleep(3*time.Hour + time.Minute)
		g := one.Status().Garbage
		if g == nil || g.Problem != "" || g.Objects < 1000 || g.Bytes == 0 || g.Left != 0 || g.Oldest.Transaction == 0 || g.Oldest.Made.IsZero() {
			t.Fatalf("%+v", g)
		}
		names, err := snapshot.List(t.Context(), one.bucket, nil)
		if err != nil || len(names) > 2+6 {
			t.Errorf("%d snapshots, %v; want no more than 2 and those of an hour", len(names), err)
		}
		stop()
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		two := c.openAs("two", o)
		if err := two.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if two.Status().Transaction != one.Status().Transaction {
			t.Errorf("recovered transaction %d, want %d", two.Status().Transaction, one.Status().Transaction)
		}
	})
}

// Only the leader collects, and what is wrong is told and counted.
func TestCollectGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.openAs("two", Options{})
		c.write(one, "a")
		for range 2 {
			c.write(one, "b")
			if _, err := one.Snapshot(t.Context(), "test"); err != nil {
				t.Fatal(err)
			}
		}
		all := garbage.Retention{Keep: 1, Window: -1, Grace: -1}
		if _, err := two.CollectGarbage(t.Context(), all, false); !errors.Is(err, durability.ErrNotLeader) {
			t.Errorf("%v; want that it does not lead", err)
		}
		if r, err := one.CollectGarbage(t.Context(), all, true); err != nil || garbage.Total(r.Garbage).Objects == 0 || c.mem.Count(memdriver.Delete) > 0 {
			t.Errorf("%+v, %v; want a dry run", r, err)
		}
		rule := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: func(k string) bool { return strings.Contains(k, "/part-") }, Do: memdriver.Corrupt})
		if _, err := one.CollectGarbage(t.Context(), all, false); !errors.Is(err, garbage.ErrDoubt) || !strings.Contains(one.Status().Garbage.Problem, "SHA-256") {
			t.Errorf("%v; want a doubt, and the status to tell it", err)
		}
		rule.Stop()
		if r, err := one.CollectGarbage(t.Context(), all, false); err != nil || garbage.Total(r.Garbage).Objects == 0 || one.Status().Garbage.Problem != "" {
			t.Errorf("%+v, %v", r, err)
		}
		// It ends with leadership, and before anything goes.
		c.write(one, "c")
		if _, err := one.Snapshot(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		deletes := c.mem.Count(memdriver.Delete)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Any, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is("log/"), Do: memdriver.Delay(2 * ttl)})
		if _, err := one.CollectGarbage(t.Context(), all, false); !errors.Is(err, durability.ErrNotLeader) {
			t.Errorf("%v; want that leadership was lost", err)
		}
		if n := c.mem.Count(memdriver.Delete) - deletes; n > 0 {
			t.Errorf("%d objects went after leadership was lost", n)
		}
	})
}

// The lease itself is asked, as leadership is known to be lost only after it.
func TestCollectionAsksTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.snapshot(one)
		c.write(one, "b")
		c.snapshot(one)
		l := one.progress.lease
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := one.collect(t.Context(), l, garbage.Retention{Keep: 1, Window: -1, Grace: -1}, garbage.Options{}); !errors.Is(err, garbage.ErrDoubt) || !strings.Contains(err.Error(), "lease") {
			t.Errorf("%v; want that the lease is not held", err)
		}
		if n := c.mem.Count(memdriver.Delete); n > 0 {
			t.Errorf("%d objects went", n)
		}
	})
}
