package damage

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// cell is a cell with an object of each kind, and what a reader must find in it.
type cell struct {
	name string
	mem  *memdriver.Bucket
	// early is the bucket as a follower saw it that goes on reading now.
	early *memdriver.Bucket
	// older has the versions that the lease had before.
	older map[string][]byte
	keys  []string // of its objects, in order
	// collected: what lies before the newest snapshot and is not pinned is gone, and the
	// last leader let the lease go. Else it died.
	collected bool
	// before is the state before the last transaction.
	before string
	key    *encryption.Keeper
}

// maker makes a cell, by real processes in virtual time.
type maker struct {
	*testing.T
	*cell
}

func (m *maker) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *maker) open(host string) *schedulerstore.Store {
	m.Helper()
	o := schedulerstore.Options{Key: m.key, GarbageEvery: -1, Lease: lease.Options{Host: host, TTL: 15 * time.Second}, Log: blob.Options{Hedge: bucket.HedgeOff}}
	s, err := schedulerstore.OpenBucket(m.Context(), bucketOf(m.mem), o)
	m.must(err)
	return s
}

func bucketOf(mem *memdriver.Bucket) *bucket.Bucket {
	return bucket.New(mem, "mem://damage", "", bucket.Options{})
}

func (m *maker) lead(host string) *schedulerstore.Store {
	m.Helper()
	s := m.open(host)
	m.must(s.Campaign(m.Context()))
	return s
}

func (m *maker) close(s *schedulerstore.Store) {
	m.Helper()
	m.must(s.Close(context.WithoutCancel(m.Context())))
}

func (m *maker) write(s *schedulerstore.Store, tasks ...string) {
	m.Helper()
	m.must(s.Write(m.Context(), save(tasks...)))
}

func save(tasks ...string) durability.Work {
	return func(_ context.Context, tx storage.Mutable) error {
		for _, id := range tasks {
			if err := tx.Tasks().Save(task(id)); err != nil {
				return err
			}
		}
		return nil
	}
}

func task(id string) *api.ScheduledTask {
	return &api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
		Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: api.Some("job")}}}}
}

// snapshot makes a snapshot, of what has changed since another if there is one: whether
// that pays for so small a state is not asked.
func (m *maker) snapshot(s *schedulerstore.Store, base *snapshot.Manifest) *snapshot.Manifest {
	m.Helper()
	c := s.Storage().Checkpoint()
	source := snapshot.Source{Cell: s.Log().Cell().ID, At: c.At, Records: c.Records(), Counts: c.Counts(), By: "host", Reason: "test"}
	if base != nil {
		since, ok := c.Since(base.At.Transaction)
		if !ok {
			m.Fatal("what has changed is not known")
		}
		source.Base, source.Records = base, since.Records()
	}
	made, err := snapshot.Write(m.Context(), bucketOf(m.mem), s.Log().Codec(), source, 1)
	m.must(err)
	return made
}

// newCell makes a cell: three leaders, a restore, an entry beyond a seal, full and
// incremental snapshots, a pin, and backups of which one expires. If it is collected,
// then only what the newest snapshots need is left.
func newCell(t *testing.T, name string, key *encryption.Keeper, collected bool) *cell {
	c := &cell{name: name, mem: memdriver.New(), key: key, collected: collected, older: map[string][]byte{}}
	synctest.Test(t, func(t *testing.T) {
		m := &maker{t, c}
		one := m.lead("one")
		m.write(one, "a")
		m.write(one, "b", "c")
		first := m.snapshot(one, nil)
		c.early = c.mem.Clone()
		m.must(one.Backups().Pin(t.Context(), snapshot.Pin{Name: "first", Snapshot: first.Name, Reason: "test", By: "test"}))
		_, err := one.Backup(t.Context(), "kept", "test")
		m.must(err)
		_, err = one.BackupUntil(t.Context(), "passing", "test", time.Now().Add(1000*time.Hour))
		m.must(err)
		m.must(one.Backups().Pin(t.Context(), snapshot.Pin{Name: "kept", Reason: "test", By: "test"}))
		m.write(one, "d")
		c.older[lease.Key] = c.mem.Data(lease.Key)
		m.close(one)

		two := m.lead("two")
		m.write(two, "e")
		_, err = two.Restore(t.Context(), schedulerstore.Restoration{Records: one.Storage().Checkpoint().Records(), Reason: "test"})
		m.must(err)
		m.must(two.Campaign(t.Context()))
		m.write(two, "f")
		full := m.snapshot(two, nil)
		m.write(two, "g")
		second := m.snapshot(two, full)
		m.write(two, "h")
		m.snapshot(two, second)
		m.write(two, "i")
		m.orphan(two)

		three := m.lead("three")
		m.write(three, "j")
		c.before, err = fingerprint(three.Storage())
		m.must(err)
		if collected {
			_, err := three.CollectGarbage(t.Context(), garbage.Retention{Keep: 1, Window: -1, Grace: -1}, false)
			m.must(err)
			m.write(three, "k")
			m.close(three)
		} else { // it dies: the lease does not know of its last entry
			m.write(three, "k")
			c.mem = c.mem.Clone()
			_ = three.Close(context.Background())
		}
	})
	c.keys = c.mem.Keys()
	return c
}

// orphan ends a leadership with an entry that landed behind one that did not.
func (m *maker) orphan(s *schedulerstore.Store) {
	m.Helper()
	at := s.Storage().Checkpoint().At
	key := blob.Key(at.Epoch, at.Next)
	m.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: func(k string) bool { return k == key }, Times: 1, Do: memdriver.Delay(time.Hour)})
	for _, id := range []string{"never", "orphan"} {
		_, err := s.Submit(m.Context(), save(id), durability.WriteOptions{})
		m.must(err)
		time.Sleep(5 * time.Second)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.Context()), time.Second)
	defer cancel()
	_ = s.Close(ctx)
	if m.mem.Data(blob.Key(at.Epoch, at.Next+1)) == nil || m.mem.Data(key) != nil {
		m.Fatalf("no orphan was made: %v", m.mem.Keys())
	}
}

// kind says what an object is.
func kind(c *cell, key string) string {
	folder, file, _ := strings.Cut(key, "/")
	manifest := strings.HasSuffix(file, "/manifest.json")
	switch {
	case file == "":
		return key
	case folder == "log":
		return c.entryKind(key)
	case folder == "snapshot" && manifest:
		return c.snapshotKind(key)
	case manifest:
		return folder + " manifest"
	case strings.Contains(file, "/part-"):
		return folder + " part"
	case strings.Contains(file, "/key-"):
		return folder + " key"
	}
	return folder
}

func (c *cell) entryKind(key string) string {
	kind := map[byte]string{1: "records", 2: "seal", 3: "restore"}[c.mem.Data(key)[10]]
	for _, k := range c.keys { // of the epoch after it, at or before its position
		if k > key && strings.HasPrefix(k, "log/") && k[len("log/0000000000"):] <= key[len("log/0000000000"):] {
			return orphan
		}
	}
	return "entry, " + kind
}

const orphan = "entry beyond a seal"

func (c *cell) snapshotKind(key string) string {
	if strings.Contains(string(c.mem.Data(key)), `"base"`) {
		return "incremental manifest"
	}
	return "snapshot manifest"
}
