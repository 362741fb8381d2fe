package schedulerstore

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// stateOf yields the records of a state with these tasks.
func stateOf(ids ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, id := range ids {
			record, err := (&api.Transaction{Ops: []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{newTask(id)}}}},
				SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
			if !yield(record, err) {
				return
			}
		}
	}
}

func (c *cell) restore(s *Store, ids ...string) persistence.Commit {
	c.Helper()
	commit, err := s.Restore(c.Context(), Restoration{Records: stateOf(ids...), Reason: "test"})
	if err != nil {
		c.Fatal(err)
	}
	return commit
}

// recovers makes sure of what a process finds that opens the store now.
func (c *cell) recovers(want string) {
	c.Helper()
	s := c.open("a fresh one", Options{ReadOnly: true})
	if err := s.Recovered(c.Context()); err != nil {
		c.Fatal(err)
	}
	c.want(s, want)
	if err := s.Close(c.Context()); err != nil {
		c.Fatal(err)
	}
}

func (c *cell) campaign(s *Store) {
	c.Helper()
	if err := s.Campaign(c.Context()); err != nil {
		c.Fatal(err)
	}
}

// wholeStates are the folders of restores that have a manifest.
func (c *cell) wholeStates() int {
	return len(slices.DeleteFunc(c.mem.Keys(), func(key string) bool {
		return !strings.HasPrefix(key, "restore/") || !strings.HasSuffix(key, "/manifest.json")
	}))
}

func TestRestoreReplacesTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		c.write(one, "a")
		key := durability.WriteOptions{Key: "request", Fingerprint: []byte("f")}
		p, err := one.Submit(t.Context(), save("b"), key)
		if err != nil {
			t.Fatal(err)
		}
		first, err := p.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		led := one.Leadership()
		commit := c.restore(one, "x", "y")
		if commit.Transaction != 3 || commit.Position != 3 {
			t.Errorf("restored as %+v", commit)
		}
		if cause := context.Cause(led); !errors.Is(cause, ErrRestored) || one.Status().Role != Follower {
			t.Errorf("leadership ended with %v, role %s", cause, one.Status().Role)
		}
		if err := one.ReadLinearizable(func(storage.View) {}); !errors.Is(err, durability.ErrNotLeader) {
			t.Errorf("a linearizable read of the old state: %v", err)
		}
		if err := one.Write(t.Context(), save("c")); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, ErrRestored) {
			t.Errorf("a write: %v, want not committed, and why", err)
		}
		time.Sleep(3 * time.Second)
		c.want(one, "x y")
		c.want(two, "x y")
		c.recovers("x y")

		c.campaign(one)
		c.want(one, "x y")
		c.write(one, "z")
		c.recovers("x y z")
		if n := one.Status().Transaction; n != 4 {
			t.Errorf("after one more transaction the number is %d, want 4", n)
		}
		// A repeat is still a repeat, though what it did is gone.
		again, err := one.Submit(t.Context(), save("b"), key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Wait(t.Context()); err != nil || got != first {
			t.Errorf("a repeat has the answer %+v, %v; want %+v", got, err, first)
		}
		if _, err := one.Submit(t.Context(), save("b"), durability.WriteOptions{Key: "request", Fingerprint: []byte("g")}); !errors.Is(err, durability.ErrKeyReused) {
			t.Errorf("the key again, for another request: %v", err)
		}
		c.want(one, "x y z")

		name := string(one.restoredState(t, commit.Position))
		m, err := snapshot.ReadIn(t.Context(), one.bucket, snapshot.Folder(name))
		if err != nil || m.Counts["tasks"] != 2 || m.Counts["idempotencyKeys"] != 1 || m.By != "one" || m.Reason != "test" {
			t.Errorf("manifest %+v, %v", m, err)
		}
	})
}

// restoredState is the folder that the restore at a position names.
func (s *Store) restoredState(t *testing.T, at persistence.Position) snapshot.Folder {
	t.Helper()
	e, _, err := s.log.Get(t.Context(), at)
	if err != nil || e.Restore == nil {
		t.Fatalf("%+v, %v", e, err)
	}
	return e.Restore.Folder
}

// Whatever fails before the entry is sent, the state is as it was, and leadership goes on.
func TestRestoreThatFailsChangesNothing(t *testing.T) {
	broken := errors.New("can't read the backup")
	type attempt struct {
		records iter.Seq2[[]byte, error]
		fault   memdriver.Fault
		want    error
	}
	for name, a := range map[string]attempt{
		"its records fail": {records: func(yield func([]byte, error) bool) {
			for record := range stateOf("x") {
				_ = yield(record, nil) && yield(nil, broken)
			}
		}, want: broken},
		"a record is no transaction": {records: func(yield func([]byte, error) bool) { yield([]byte("?"), nil) }, want: persistence.ErrNotCommitted},
		"a record can't be replayed": {records: func(yield func([]byte, error) bool) {
			record, err := (&api.Transaction{Ops: []*api.Op{{}}, SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
			yield(record, err)
		}, want: persistence.ErrNotCommitted},
		"a record of a newer schema": {records: func(yield func([]byte, error) bool) {
			record, err := (&api.Transaction{Ops: []*api.Op{}, SchemaVersion: api.CurrentSchemaVersion + 1}).AppendBinary(nil)
			yield(record, err)
		}, want: persistence.ErrNewerFormat},
		"a part fails": {records: stateOf("x"), want: memdriver.ErrInjected,
			fault: memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("restore/"), Do: memdriver.Fail}},
		"the manifest fails": {records: stateOf("x"), want: memdriver.ErrInjected,
			fault: memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Do: memdriver.Fail}},
		"the manifest lands, and nobody knows": {records: stateOf("x"), want: memdriver.ErrInjected,
			fault: memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Do: memdriver.LandAndFail}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				one := c.leader("one")
				c.write(one, "a")
				if a.fault.Do != nil {
					c.mem.Inject(a.fault)
				}
				_, err := one.Restore(t.Context(), Restoration{Records: a.records})
				if !errors.Is(err, a.want) || !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) {
					t.Errorf("%v, want not committed and %v", err, a.want)
				}
				c.mem.Heal()
				if one.Leadership().Err() != nil {
					t.Error("leadership has ended")
				}
				c.recovers("a")
				c.write(one, "b")
				c.recovers("a b")
				c.restore(one, "y") // what is left behind is not in the way
				c.recovers("y")
			})
		})
	}
}

func TestRestoreGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("restore/"), Do: memdriver.Delay(time.Hour)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := one.Restore(ctx, Restoration{Records: stateOf("x")}); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		c.write(one, "b") // it leads as before
		slow.Stop()

		// Once the entry is sent, nobody knows; and leadership ends in any case.
		slow = c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(90 * time.Second)})
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		led := one.Leadership()
		if _, err := one.Restore(ctx, Restoration{Records: stateOf("y")}); !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("with the entry on its way: %v, want unknown", err)
		}
		if err := one.Write(t.Context(), save("c")); !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("a write after that: %v", err)
		}
		slow.Stop()
		time.Sleep(time.Minute)
		if cause := context.Cause(led); !errors.Is(cause, ErrRestored) {
			t.Errorf("leadership ended with %v", cause)
		}
		c.want(one, "y")
		c.recovers("y")
	})
}

// Leadership that ends while the parts are written ends the restore.
func TestRestoreEndsWithLeadership(t *testing.T) {
	for name, end := range map[string]func(c *cell, s *Store){
		"the lease is lost": func(c *cell, s *Store) {
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
			<-s.Leadership().Done()
			c.mem.Heal()
		},
		"the writer ends": func(_ *cell, s *Store) {
			writer, _ := s.reigning()
			writer.Stop(errors.New("failed"))
		},
		"the store is closed": func(c *cell, s *Store) {
			if err := s.Close(context.Background()); err != nil {
				c.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				one := c.leader("one")
				c.write(one, "a")
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("restore/"), Do: memdriver.Delay(time.Hour)})
				result := make(chan error)
				go func() {
					_, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")})
					result <- err
				}()
				synctest.Wait()
				end(c, one)
				ended := time.Now()
				if err := <-result; !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) || time.Since(ended) > time.Second {
					t.Errorf("%v, %v after leadership had ended", err, time.Since(ended))
				}
				c.mem.Heal()
				if c.wholeStates() != 0 {
					t.Error("the state was written all the same")
				}
				c.recovers("a")
				if name != "the store is closed" {
					c.campaign(one)
					c.write(one, "b")
					c.recovers("a b")
				}
			})
		})
	}
}

// Another has taken over while the parts were written: the old leader's restore is not
// committed, and nobody sees it.
func TestDeposedLeaderCantRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		var two *Store
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Times: 1, Do: memdriver.Before(func(string) {
			if _, err := lease.Break(t.Context(), one.bucket); err != nil {
				t.Fatal(err)
			}
			two = c.leader("two")
			c.write(two, "b")
		})})
		if _, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")}); !errors.Is(err, persistence.ErrDeposed) {
			t.Errorf("%v, want deposed", err)
		}
		if cause := context.Cause(one.Leadership()); cause == nil || errors.Is(cause, ErrRestored) {
			t.Errorf("leadership ended with %v", cause)
		}
		time.Sleep(10 * time.Second)
		c.want(one, "a b")
		c.write(two, "c")
		c.recovers("a b c")
	})
}

// The entry's answer is not known: what is recovered is what the log says.
func TestRestoreOfUnknownOutcome(t *testing.T) {
	for do, want := range map[memdriver.Effect]string{memdriver.LandAndFail: "x", memdriver.Fail: "a"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			one := c.leader("one")
			c.write(one, "a")
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(blob.Key(1, 2)), Times: 1, Do: do})
			if _, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")}); !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) {
				t.Errorf("%v, want unknown", err)
			}
			c.campaign(one)
			c.want(one, want)
			c.write(one, "z")
			c.recovers(want + " z")
		})
	}
}

func TestWritesWaitForARestoreAndAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("restore/"), Do: memdriver.Delay(2 * time.Second)})
		restored := make(chan error)
		go func() {
			_, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")})
			restored <- err
		}()
		synctest.Wait()
		c.want(one, "a") // reads go on
		start := time.Now()
		err := one.Write(t.Context(), save("b"))
		if !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, ErrRestored) || time.Since(start) < 3*time.Second {
			t.Errorf("a write that waited for %v: %v", time.Since(start), err)
		}
		if err := <-restored; err != nil {
			t.Fatal(err)
		}
		c.recovers("x")
	})
}

func TestRestoreOfAStoreThatMustBeEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		one = c.leader("one") // the log has two seals, and no transaction
		records := 0
		r := Restoration{OnlyEmpty: true, Records: func(yield func([]byte, error) bool) {
			for record, err := range stateOf("x") {
				records++
				yield(record, err)
			}
		}}
		if commit, err := one.Restore(t.Context(), r); err != nil || commit.Transaction != 1 {
			t.Fatal(commit, err)
		}
		c.campaign(one)
		if _, err := one.Restore(t.Context(), r); !errors.Is(err, ErrNotEmpty) || records != 1 {
			t.Errorf("again: %v, read %d times", err, records)
		}
		c.write(one, "y")
		c.recovers("x y")
	})
}

func TestFollowerCantRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{})
		if _, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")}); !errors.Is(err, durability.ErrNotLeader) || !errors.Is(err, errNeverLed) {
			t.Errorf("%v, want not the leader, and why", err)
		}
		if c.mem.CountOf(memdriver.Any, memdriver.Under("restore/")) != 0 {
			t.Error("it wrote something")
		}
	})
}

// A snapshot from before a restore, one that is made of the old state while it is
// restored, and those from after: recovery finds the restored state.
func TestSnapshotsAroundARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{Snapshots: snapshot.Schedule{Replay: 2500 * time.Microsecond}})
		c.campaign(one)
		for _, id := range []string{"a", "b", "c"} {
			c.write(one, id)
			time.Sleep(5 * time.Second)
		}
		c.restore(one, "x")
		c.recovers("x")
		c.campaign(one)
		for _, id := range []string{"y", "z"} {
			c.write(one, id)
			time.Sleep(5 * time.Second)
		}
		names, err := snapshot.List(t.Context(), one.bucket, nil)
		if err != nil || len(names) < 2 || names[len(names)-1].Position < 5 {
			t.Fatalf("snapshots %v, %v; want one from after the restore", names, err)
		}
		before := c.mem.CountOf(memdriver.Get, memdriver.Under("restore/"))
		c.recovers("x y z")
		if c.mem.CountOf(memdriver.Get, memdriver.Under("restore/")) != before {
			t.Error("a recovery from the newest snapshot read the restored state")
		}
		if report, err := one.Log().Verify(t.Context(), nil); err != nil || len(report.Problems) != 0 || report.Restores != 1 {
			t.Errorf("verify: %+v, %v", report, err)
		}
	})
}

// Two whole states are never written at the same time.
func TestRestoreWaitsForASnapshotThatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("snapshot/"), Do: memdriver.Delay(time.Minute)})
		made := make(chan error)
		go func() {
			_, err := one.Snapshot(t.Context(), "test")
			made <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := one.Restore(ctx, Restoration{Records: stateOf("x")}); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want that it gave up waiting", err)
		}
		start := time.Now()
		c.write(one, "b") // it does not wait with the write lock in its hand
		if took := time.Since(start); took > 0 {
			t.Errorf("a write took %v", took)
		}
		c.restore(one, "x")
		if took := time.Since(start); took < time.Minute {
			t.Errorf("the restore was written after %v, with the snapshot", took)
		}
		if err := <-made; err != nil {
			t.Error(err)
		}
	})
}

// Nothing in the log shows that its last entry is gone, not even that of a restore;
// the lease does.
func TestLossOfARestoreIsDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		commit := c.restore(one, "x")
		time.Sleep(time.Second)
		lost := blob.Key(commit.Epoch, commit.Position)
		c.mem.Remove(lost)
		two := c.open("two", Options{})
		if err := two.Recovered(t.Context()); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), lost) {
			t.Errorf("recovery without the restore: %v", err)
		}
	})
}

func TestDamagedRestoreIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		object := string(one.restoredState(t, c.restore(one, "x").Position)) + "/part-00000"
		c.mem.Remove(object)
		two := c.open("two", Options{})
		if err := two.Recovered(t.Context()); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), object) {
			t.Errorf("recovery: %v", err)
		}
		if err := two.Campaign(t.Context()); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("campaign: %v", err)
		}
	})
}

// Closing waits for a restore that was handed over, as for writes.
func TestCloseWhileTheRestoresEntryIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(2 * time.Second)})
		restored := make(chan error)
		go func() {
			_, err := one.Restore(t.Context(), Restoration{Records: stateOf("x")})
			restored <- err
		}()
		time.Sleep(time.Second)
		if err := one.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-restored; err != nil {
			t.Error(err)
		}
		c.recovers("x")
	})
}

// Whoever is told of a restore is not answered with the old state any more. It is a
// race: one try would seldom show it.
func TestRestoreAnswersWhenLeadershipHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{})
		for range 200 {
			c.campaign(one)
			c.restore(one, "x")
			if err := one.ReadLinearizable(func(storage.View) {}); !errors.Is(err, durability.ErrNotLeader) {
				t.Fatalf("a linearizable read of the state that was replaced: %v", err)
			}
		}
	})
}

func TestRestoreOfNothingIsRefused(t *testing.T) {
	c := newCell(t)
	s := c.leader("one")
	if _, err := s.Restore(t.Context(), Restoration{}); !errors.Is(err, storage.ErrNullArgument) || !errors.Is(err, persistence.ErrNotCommitted) {
		t.Error(err)
	}
	c.write(s, "a")
}
