package schedulerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// rehearses makes sure of what a rehearsal says.
func (c *cell) rehearses(s *Store, want RehearsalResult) *Rehearsal {
	c.Helper()
	r, err := s.Rehearse(c.Context())
	if r.Result != want || (err == nil) != (want == RehearsalOK) {
		c.Fatalf("%+v, %v; want %s", r, err, want)
	}
	return r
}

func (c *cell) snapshot(s *Store) *snapshot.Manifest {
	c.Helper()
	m, err := s.Snapshot(c.Context(), "test")
	if err != nil {
		c.Fatal(err)
	}
	return m
}

// damage changes a bit in the middle of an object.
func (c *cell) damage(key string) {
	data := slices.Clone(c.mem.Data(key))
	data[len(data)/2] ^= 1
	c.mem.Put(key, data)
}

func TestRehearsalOfAnEqualState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		both := func(entries int, read bool) {
			t.Helper()
			time.Sleep(5 * time.Second) // for the follower to follow
			for _, s := range []*Store{one, two} {
				r := c.rehearses(s, RehearsalOK)
				at := s.storage.Checkpoint().At
				if r.Transaction != at.Transaction || r.Position != at.Next-1 || r.Differences != 0 || r.Problem != "" || r.Entries != entries || read != (r.Bytes > 0) {
					t.Errorf("%+v at %v", r, at)
				}
				if status := s.Status(); status.Rehearsal == nil || *status.LastRehearsed != r.Began {
					t.Errorf("status %+v, %v", status.Rehearsal, status.LastRehearsed)
				}
			}
		}
		both(1, true) // the seal
		for _, id := range []string{"a", "b", "c"} {
			c.writeWithKey(one, id)
		}
		if err := one.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
			big := newTask("big") // so that an incremental snapshot pays
			big.AncestorID = api.Some(fmt.Sprintf("%x", incompressible(1<<20)))
			return tx.Tasks().Save(big)
		}); err != nil {
			t.Fatal(err)
		}
		both(5, true)
		c.snapshot(one)
		both(0, true)
		c.write(one, "a", "d") // one is saved again
		both(1, true)
		if m := c.snapshot(one); !m.Incremental() {
			t.Errorf("%s is full", m.Name)
		}
		both(0, true)
		c.write(one, "e")
		before := c.mem.Keys()
		both(1, true)
		if after := c.mem.Keys(); !slices.Equal(before, after) {
			t.Errorf("objects were %q and are %q", before, after)
		}
		c.restore(one, "x")
		c.campaign(one)
		both(3, true) // the restore and a seal
	})
}

func incompressible(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// forged makes a snapshot of another state than the one that the history has there. All
// its checks pass.
func (c *cell) forged(s *Store, change func(*api.Transaction)) *snapshot.Manifest {
	c.Helper()
	live := s.storage.Checkpoint()
	records := func(yield func([]byte, error) bool) {
		for record, err := range live.Records() {
			t := new(api.Transaction)
			if err == nil {
				err = t.UnmarshalBinary(record)
			}
			if err == nil {
				change(t)
				record, err = t.AppendBinary(nil)
			}
			if !yield(record, err) {
				return
			}
		}
	}
	m, err := snapshot.Write(c.Context(), s.bucket, s.log.Codec(), snapshot.Source{Cell: s.log.Cell().ID, At: live.At, Records: records}, 1)
	if err != nil {
		c.Fatal(err)
	}
	return m
}

// A snapshot of the wrong state, all of whose checks pass, is found, and the rows named.
func TestRehearsalFindsAStateThatIsNotTheOne(t *testing.T) {
	tasks := func(change func(d *api.DeduplicatedTasks)) func(*api.Transaction) {
		return func(t *api.Transaction) {
			if t.DeduplicatedTasks != nil {
				change(t.DeduplicatedTasks)
			}
		}
	}
	keys := func(change func(keys []*api.CommittedKey) []*api.CommittedKey) func(*api.Transaction) {
		return func(t *api.Transaction) {
			if len(t.CommittedKeys) > 0 {
				t.CommittedKeys = change(t.CommittedKeys)
			}
		}
	}
	for what, test := range map[string]struct {
		change func(*api.Transaction)
		rows   []string
	}{
		"a changed row": {tasks(func(d *api.DeduplicatedTasks) {
			d.PartialTasks[1].PartialScheduledTask.FailureCount = 7
		}), []string{"tasks b: another row"}},
		"a changed configuration": {tasks(func(d *api.DeduplicatedTasks) {
			d.TaskConfigs[0].Priority = 7
		}), []string{"tasks a: another row", "tasks b: another row", "tasks c: another row"}},
		"a row too few": {tasks(func(d *api.DeduplicatedTasks) { d.PartialTasks = d.PartialTasks[:2] }), []string{"tasks c: missing"}},
		"a row too many": {tasks(func(d *api.DeduplicatedTasks) {
			more := d.PartialTasks[0].Clone()
			more.PartialScheduledTask.AssignedTask.TaskID = api.Some("d")
			d.PartialTasks = append(d.PartialTasks, more)
		}), []string{"tasks d: too many"}},
		"nothing": {func(*api.Transaction) {}, nil},
		"another host": {func(t *api.Transaction) {
			for _, op := range t.Ops {
				if op.SaveHostAttributes != nil {
					op.SaveHostAttributes.HostAttributes.Host = api.Some("other")
				}
			}
		}, []string{"hosts h: missing", "hosts other: too many"}},
		"a key too few": {keys(func(keys []*api.CommittedKey) []*api.CommittedKey { return keys[:2] }), []string{`idempotency key "c"`}},
		"a key too many": {keys(func(keys []*api.CommittedKey) []*api.CommittedKey {
			return append(keys, &api.CommittedKey{Key: api.Some("z"), Transaction: 4})
		}), []string{`idempotency key "z"`}},
		"a key with another fingerprint": {keys(func(keys []*api.CommittedKey) []*api.CommittedKey {
			keys[0].Fingerprint = []byte("other")
			return keys
		}), []string{`idempotency key "a"`}},
		"a key with another result": {keys(func(keys []*api.CommittedKey) []*api.CommittedKey {
			keys[0].Position++
			return keys
		}), []string{`idempotency key "a"`}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				var lines bytes.Buffer
				registry := prometheus.NewRegistry()
				one := c.open("one", Options{Logger: slog.New(slog.NewTextHandler(&lines, nil)), Registerer: registry})
				c.campaign(one)
				for _, id := range []string{"a", "b", "c"} {
					c.writeWithKey(one, id)
				}
				if err := one.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
					_, err := tx.Hosts().Save(&api.HostAttributes{Host: api.Some("h"), SlaveID: api.Some("s"), Mode: api.Some(api.MaintenanceModeNONE)})
					return err
				}); err != nil {
					t.Fatal(err)
				}
				c.forged(one, test.change)
				c.write(one, "y") // the state goes on from there
				objects := c.mem.Keys()
				if len(test.rows) == 0 {
					c.rehearses(one, RehearsalOK)
					return
				}
				r := c.rehearses(one, RehearsalDifferent)
				synctest.Wait()
				if r.Differences != len(test.rows) || len(r.Rows) != len(test.rows) {
					t.Fatalf("%+v", r)
				}
				for i, row := range test.rows {
					if !strings.Contains(r.Rows[i], row) || !strings.Contains(lines.String(), strings.Trim(fmt.Sprintf("%q", row), `"`)) {
						t.Errorf("%q, want %q; log:\n%s", r.Rows, test.rows, &lines)
					}
				}
				c.want(one, "a b c y")
				if !slices.Equal(objects, c.mem.Keys()) || one.Status().LastRehearsed != nil || one.Leadership().Err() != nil {
					t.Error("it did more than tell")
				}
				if n := counted(t, registry, "scheduler_store_rehearsals_total", "result", "different"); n != 1 {
					t.Errorf("counted %v times", n)
				}
			})
		})
	}
}

// writeWithKey writes a task with an idempotency key of its name.
func (c *cell) writeWithKey(s *Store, id string) {
	c.Helper()
	p, err := s.Submit(c.Context(), save(id), durability.WriteOptions{Key: id, Fingerprint: []byte(id)})
	if err == nil {
		_, err = p.Wait(c.Context())
	}
	if err != nil {
		c.Fatal(err)
	}
}

// counted is the value of a metric with one label.
func counted(t *testing.T, registry *prometheus.Registry, name, label, value string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if l := m.GetLabel(); family.GetName() == name && len(l) == 1 && l[0].GetName() == label && l[0].GetValue() == value {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s with %s %s", name, label, value)
	return 0
}

// A difference that only the log shows is found as damage of the log.
func TestRehearsalOfASnapshotOfAnotherPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		live := one.storage.Checkpoint()
		at := live.At
		at.Transaction++
		if _, err := snapshot.Write(t.Context(), one.bucket, one.log.Codec(), snapshot.Source{Cell: one.log.Cell().ID, At: at, Records: live.Records()}, 1); err != nil {
			t.Fatal(err)
		}
		c.rehearses(one, RehearsalDifferent)
		c.write(one, "b")
		c.rehearses(one, RehearsalDamaged)
	})
}

// The newest snapshot must be of use, though the log would reach without it.
func TestRehearsalOfADamagedSnapshot(t *testing.T) {
	for _, older := range []bool{false, true} {
		for _, object := range []string{"/manifest.json", "/part-00000"} {
			t.Run(fmt.Sprint(object, older), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCell(t)
					one := c.leader("one")
					c.write(one, "a")
					if older {
						c.snapshot(one)
					}
					c.write(one, "b")
					key := "snapshot/" + c.snapshot(one).Name + object
					if older {
						c.restore(one, "a") // which the log goes through on its way
						c.campaign(one)
					}
					c.write(one, "c")
					data := c.mem.Data(key)
					c.damage(key)
					if r := c.rehearses(one, RehearsalDamaged); !strings.Contains(r.Problem, key) {
						t.Errorf("%s is not named: %s", key, r.Problem)
					}
					if one.Status().LastSnapshot != nil {
						t.Error("the next snapshot can go on from it")
					}
					c.mem.Put(key, data)
					c.rehearses(one, RehearsalOK)
				})
			})
		}
	}
}

// A new leader may read what it would go on from only after that was found damaged.
func TestNewLeaderGoesOnFromNothingThatARehearsalFoundDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		bulky(c.T, one, 0, 500)
		folder := "snapshot/" + c.snapshot(one).Name
		two := c.open("two", Options{})
		if err := errors.Join(two.Recovered(t.Context()), one.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		base := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(folder + "/manifest.json"), Times: 1, Do: memdriver.DelayReply(time.Minute)})
		c.campaign(two)
		c.write(two, "b")
		synctest.Wait()
		if base.Hits() != 1 {
			t.Fatal("the new leader does not read what it goes on from")
		}
		c.damage(folder + "/part-00000")
		c.rehearses(two, RehearsalDamaged)
		time.Sleep(2 * time.Minute)
		if m := c.snapshot(two); m.Base != "" {
			t.Errorf("the next snapshot goes on from %s, which is damaged", m.Base)
		}
		c.rehearses(two, RehearsalOK)
	})
}

// What happens to the cell meanwhile does not matter to the state that is rehearsed.
func TestRehearsalWhileTheCellGoesOn(t *testing.T) {
	for what, meanwhile := range map[string]func(c *cell, one, two *Store){
		"leadership changes": func(c *cell, one, two *Store) {
			if err := one.Close(context.Background()); err != nil {
				c.Error(err)
			}
			c.campaign(two)
			c.write(two, "d")
		},
		"the state is replaced": func(c *cell, one, two *Store) {
			c.restore(one, "x")
			c.campaign(one)
			c.snapshot(one)
		},
		"a newer snapshot is made": func(c *cell, one, two *Store) {
			c.write(one, "d")
			c.snapshot(one)
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				one := c.leader("one")
				c.write(one, "a")
				name := c.snapshot(one).Name
				c.write(one, "b", "c")
				two := c.open("two", Options{})
				if err := two.Recovered(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is("snapshot/" + name + "/part-00000"), Times: 1,
					Do: memdriver.Before(func(string) { meanwhile(c, one, two) })})
				r := c.rehearses(two, RehearsalOK)
				if r.Transaction != 2 || r.Position != 2 {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// A state that was collected meanwhile can't be recovered: nothing is said of it.
func TestRehearsalOfAStateThatIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		first := c.snapshot(one).Name
		c.write(one, "b")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(blob.Key(1, 2)), Times: 1, Do: memdriver.Before(func(string) {
			c.write(one, "c")
			at := one.storage.Checkpoint()
			if _, err := snapshot.Write(t.Context(), one.bucket, one.log.Codec(), one.sourceOf(at, "test"), 1); err != nil { // whoever makes it
				t.Error(err)
			}
			c.mem.Remove("snapshot/" + first + "/manifest.json")
			for position := persistence.Position(1); position < at.At.Next; position++ {
				c.mem.Remove(blob.Key(1, position))
			}
		})})
		if r, err := one.Rehearse(t.Context()); r.Result != RehearsalUnsure || !errors.Is(err, ErrCollected) {
			t.Errorf("%+v, %v", r, err)
		}
		c.rehearses(one, RehearsalOK)
	})
}

// The snapshot that a follower begins from is collected meanwhile: that is no damage, and
// if it has served by then, all is well.
func TestRehearsalOfASnapshotThatIsCollected(t *testing.T) {
	for name, test := range map[string]struct {
		file   string
		skip   int
		cutOff bool // when the manifest is gone
		want   RehearsalResult
	}{
		"before it is read":                           {"/manifest.json", 0, false, RehearsalUnsure},
		"before it is read, and the log is there yet": {"/manifest.json", 0, true, RehearsalUnsure},
		"while its part is read":                      {"/part-00000", 0, false, RehearsalUnsure},
		"after it was recovered from":                 {"/manifest.json", 1, false, RehearsalOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				one := c.leader("one")
				c.write(one, "a")
				folder := "snapshot/" + c.snapshot(one).Name
				c.write(one, "b")
				two := c.open("two", Options{})
				if err := two.Recovered(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(folder + test.file), Skip: test.skip, Times: 1, Do: memdriver.Before(func(string) {
					c.write(one, "c")
					c.snapshot(one)
					if test.cutOff {
						c.mem.Inject(memdriver.Fault{Operation: memdriver.Delete, Key: memdriver.Under("log/"), Do: memdriver.Fail})
					}
					if _, err := one.CollectGarbage(t.Context(), garbage.Retention{Keep: 1, Window: -1, Grace: -1}, false); (err != nil) != test.cutOff {
						t.Error(err)
					}
				})})
				c.rehearses(two, test.want)
				if c.mem.Data(folder+"/manifest.json") != nil {
					t.Error("it was not collected: this shows nothing")
				}
			})
		})
	}
}
