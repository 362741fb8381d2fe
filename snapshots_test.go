package schedulerstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

func TestSnapshotOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		c.write(one, "a")
		first, err := one.Snapshot(t.Context(), "test")
		if err != nil || first.At != one.storage.Checkpoint().At || first.Reason != "test" || first.By != "one" {
			t.Fatalf("%+v, %v", first, err)
		}
		if status := one.Status().LastSnapshot; status == nil || status.Name != first.Name {
			t.Errorf("status %+v", status)
		}
		again, err := one.Snapshot(t.Context(), "again")
		if err != nil || again.Name != first.Name {
			t.Errorf("%+v, %v: want the one of that position", again, err)
		}
		c.write(one, "b")
		second, err := one.Snapshot(t.Context(), "more")
		if err != nil || second.Name == first.Name {
			t.Errorf("%+v, %v: want a new one", second, err)
		}
		time.Sleep(5 * time.Second)
		if _, err := two.Snapshot(t.Context(), "test"); !errors.Is(err, durability.ErrNotLeader) {
			t.Errorf("a follower: %v", err)
		}
		if all, err := two.ListSnapshots(t.Context()); err != nil || len(all) != 2 || all[0].Name != first.Name || all[1].Name != second.Name {
			t.Errorf("%v, %v", all, err)
		}
	})
}

// One on demand counts for the schedule: the next comes an interval after it.
func TestSnapshotOnDemandPutsTheNextOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		time.Sleep(40 * time.Minute)
		if _, err := s.Snapshot(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		c.write(s, "b")
		count := func() int {
			all, err := s.ListSnapshots(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		time.Sleep(50 * time.Minute)
		if n := count(); n != 1 {
			t.Errorf("%d snapshots within an hour of it", n)
		}
		time.Sleep(11 * time.Minute)
		if n := count(); n != 2 {
			t.Errorf("%d snapshots after that", n)
		}
	})
}

// When one on demand was made while that by schedule waited for its turn, one is enough.
func TestSnapshotScheduleLooksAgainAfterWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		s.copying <- struct{}{}
		time.Sleep(59 * time.Minute)
		var demand sync.WaitGroup
		demand.Go(func() {
			if _, err := s.Snapshot(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(2 * time.Minute)
		<-s.copying
		demand.Wait()
		time.Sleep(time.Minute)
		if all, err := s.ListSnapshots(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("%d snapshots, %v", len(all), err)
		}
	})
}

// What is on its way, and may never arrive, is in no snapshot.
func TestSnapshotIsOfWhatIsAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		acknowledged := s.storage.Checkpoint().At
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Minute)})
		p, err := s.Submit(t.Context(), save("b"), durability.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m, err := s.Snapshot(t.Context(), "test"); err != nil || m.At != acknowledged || m.Counts["tasks"] != 1 {
			t.Errorf("it is of %v with %v, %v; acknowledged is %v", m.At, m.Counts, err, acknowledged)
		}
		if _, err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Who waits for a snapshot while leadership ends is told that.
func TestSnapshotEndsWithLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("snapshot/"), Do: memdriver.Block})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.Fail}) // no renewals
		if _, err := s.Snapshot(t.Context(), "test"); !errors.Is(err, durability.ErrNotLeader) {
			t.Error(err)
		}
	})
}

func TestDamagedSnapshotsAreToldAndTheOthersListed(t *testing.T) {
	c := newCell(t)
	s := c.leader("one")
	var names []string
	for i := range 3 {
		c.write(s, fmt.Sprint(i))
		m, err := s.Snapshot(t.Context(), "test")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, m.Name)
	}
	key := "snapshot/" + names[1] + "/manifest.json"
	c.mem.Put(key, []byte("{}"))
	all, err := s.ListSnapshots(t.Context())
	if !errors.Is(err, snapshot.ErrDamaged) || !strings.Contains(err.Error(), key) || len(all) != 2 || all[0].Name != names[0] || all[1].Name != names[2] {
		t.Errorf("%v, %v", all, err)
	}
}
