package schedulerstore

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// late writes the manifest of a snapshot behind the leader's back.
func (c *cell) late(s *Store, of *durability.Checkpoint) {
	c.Helper()
	if _, err := snapshot.Write(c.Context(), s.bucket, s.log.Codec(), s.sourceOf(of, "late"), 1); err != nil {
		c.Fatal(err)
	}
}

// The leader before has made a snapshot that nobody knew of. To whoever relies on that,
// the one that this leader began with is garbage: it does not go on from it.
func TestSnapshotDoesNotGoOnFromOneThatIsNotTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		bulky(t, s, 0, 4000)
		first := c.snapshot(s)
		c.write(s, "x")
		second := c.snapshot(s)
		if second.Base != first.Name {
			t.Fatalf("the second goes on from %q: this test shows nothing", second.Base)
		}
		c.write(s, "y")
		c.late(s, s.storage.Checkpoint())
		c.write(s, "z")
		if third := c.snapshot(s); third.Base != "" {
			t.Errorf("it goes on from %s", third.Base)
		}
		c.write(s, "zz")
		if fourth := c.snapshot(s); fourth.Base == "" {
			t.Error("the one after is full too")
		}
	})
}

// A snapshot that took over parts while another manifest came late is not relied on by the
// collector. So the next is full, and then garbage goes again.
func TestDoubtfulSnapshotIsFollowedByAFullOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		bulky(t, s, 0, 4000)
		first := c.snapshot(s)
		c.write(s, "x")
		between := s.storage.Checkpoint()
		c.write(s, "y")
		if second := c.snapshot(s); second.Base != first.Name {
			t.Fatalf("the second goes on from %q: this test shows nothing", second.Base)
		}
		c.late(s, between)
		all := garbage.Retention{Keep: 1, Window: -1, Grace: -1}
		if _, err := s.CollectGarbage(t.Context(), all, false); !errors.Is(err, garbage.ErrNeedsFull) {
			t.Fatalf("%v, want that a full one is needed", err)
		}
		c.write(s, "z")
		if third := c.snapshot(s); third.Incremental() {
			t.Errorf("it goes on from %s", third.Base)
		}
		if report, err := s.CollectGarbage(t.Context(), all, false); err != nil || garbage.Total(report.Garbage).Objects == 0 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
