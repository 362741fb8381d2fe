package schedulerstore

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// A full snapshot, several incremental ones on top, and now and then a restore or a new
// leader in between: the newest has the whole state, with the log before it gone.
func TestRoundTripThroughIncrementalSnapshots(t *testing.T) {
	incremental := 0
	// Virtual time: whoever was restored waits for the lease.
	synctest.Test(t, func(t *testing.T) {
		randomStates(t, func(t *trip) {
			base, err := t.Store.Snapshot(t.Context(), "test")
			t.check(err)
			for range 1 + t.source.IntN(4) {
				for _, ops := range t.source.Transactions(t.source.IntN(6)) {
					t.apply(ops)
				}
				switch t.source.IntN(6) {
				case 0:
					_, err := t.Restore(t.Context(), Restoration{Records: durability.RecordsOf(t.Storage().View()), Reason: "test"})
					t.check(err)
					t.check(t.Campaign(t.Context()))
				case 1:
					t.check(t.Store.Close(t.Context()))
					t.Store = t.open(t.mem, true)
				}
				c := t.Storage().Checkpoint()
				if c.At == base.At {
					continue
				}
				source := t.sourceOf(c, "test")
				if since, known := c.Since(base.At.Transaction); known {
					source.Base, source.Records = base, since.Records()
					incremental++
				}
				base, err = snapshot.Write(t.Context(), t.Store.bucket, t.log.Codec(), source, 1)
				t.check(err)
			}
			t.withoutLogBefore(base)
			t.recovered(t.mem, t.Storage().View())
		})
	})
	if incremental == 0 {
		t.Error("no snapshot was incremental")
	}
}

// withoutLogBefore takes away what a snapshot covers.
func (t *trip) withoutLogBefore(m *snapshot.Manifest) {
	for _, key := range t.mem.Keys() {
		var epoch, position uint64
		if n, _ := fmt.Sscanf(key, "log/%d/%d", &epoch, &position); n == 2 && position < uint64(m.At.Next) {
			t.check(t.mem.Delete(t.Context(), key))
		}
	}
}

// bulky writes n tasks of about 1 KB that does not compress.
func bulky(t *testing.T, s *Store, from, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(from), uint64(n)))
	tasks := make([]*api.ScheduledTask, n)
	for i := range tasks {
		text := make([]byte, 1024)
		for j := range text {
			text[j] = byte(' ' + random.IntN(90))
		}
		tasks[i] = newTask(fmt.Sprint("bulky-", from+i))
		tasks[i].AncestorID = api.Some(string(text))
	}
	p, err := s.Apply(t.Context(), []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: tasks}}}, durability.WriteOptions{})
	if err == nil {
		_, err = p.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The leader makes incremental snapshots while they pay, then a full one; each is what a
// new process recovers from.
func TestLeaderMakesIncrementalSnapshotsWhileTheyPay(t *testing.T) {
	c := newCell(t)
	s := c.campaigning("one", Options{})
	bulky(t, s, 0, 4000)
	full := c.snapshot(s)
	if full.Incremental() || full.Bytes() < 3<<20 {
		t.Fatalf("%+v", full)
	}
	var kinds []string
	last := full
	var own int64
	for i := range 12 {
		bulky(t, s, 100*i, 300)
		m := c.snapshot(s)
		if m.Incremental() {
			kinds = append(kinds, "incremental")
			own += m.OwnBytes()
			if m.Base != last.Name || m.OwnBytes() > full.Bytes()/5 || m.Bytes() != last.Bytes()+m.OwnBytes() {
				t.Errorf("%+v", m)
			}
			if status := s.Status().LastSnapshot; status.Base != last.Name || status.OwnBytes != m.OwnBytes() || status.Bytes != m.Bytes() {
				t.Errorf("status %+v", status)
			}
		} else {
			kinds = append(kinds, "full")
			if m.OwnBytes() != m.Bytes() || m.Bytes() > full.Bytes()*11/10 {
				t.Errorf("%+v", m)
			}
		}
		last = m
	}
	if !slices.Contains(kinds, "full") || kinds[0] != "incremental" || kinds[1] != "incremental" {
		t.Errorf("snapshots were %v, want incremental ones and full ones between them", kinds)
	}
	if got := testutil.ToFloat64(s.metrics.snapshotBytes.WithLabelValues(incrementalSnapshot)); got != float64(own) {
		t.Errorf("%v bytes of incremental snapshots, want %d", got, own)
	}
	c.hasTasksOf(c.open("two", Options{ReadOnly: true}), s)
}

// hasTasksOf makes sure that one store has recovered as many tasks as another has.
func (c *cell) hasTasksOf(reader, s *Store) {
	c.Helper()
	if err := reader.Recovered(c.Context()); err != nil {
		c.Fatal(err)
	}
	if got, want := reader.Storage().View().Tasks().Len(), s.Storage().View().Tasks().Len(); got != want {
		c.Errorf("%d tasks were recovered, want %d", got, want)
	}
}

// The next leader goes on from the snapshot that it recovered from. One LIST makes sure
// that it is the newest.
func TestNextLeaderGoesOnFromTheSnapshotInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.campaigning("one", Options{})
		bulky(t, one, 0, 4000)
		full := c.snapshot(one)
		bulky(t, one, 0, 100)
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		two := c.campaigning("two", Options{})
		lists := c.mem.CountOf(memdriver.List, memdriver.Under("snapshot/"))
		synctest.Wait()
		if status := two.Status().LastSnapshot; status == nil || status.Name != full.Name {
			t.Errorf("status %+v", status)
		}
		bulky(t, two, 200, 100)
		if m := c.snapshot(two); m.Base != full.Name || m.Records <= full.Records {
			t.Errorf("%d records on top of %q, want more than the %d of %q", m.Records, m.Base, full.Records, full.Name)
		}
		if n := c.mem.CountOf(memdriver.List, memdriver.Under("snapshot/")); n != lists+1 {
			t.Errorf("%d LISTs of the snapshots", n-lists)
		}
	})
}

// A snapshot from before a restore is no base: of what came between, rows are unknown.
func TestSnapshotAfterARestoreIsFull(t *testing.T) {
	c := newCell(t)
	s := c.campaigning("one", Options{})
	bulky(t, s, 0, 4000)
	c.snapshot(s)
	if _, err := s.Restore(t.Context(), Restoration{Records: durability.RecordsOf(s.Storage().View()), Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	bulky(t, s, 0, 10)
	if m := c.snapshot(s); m.Incremental() {
		t.Errorf("it goes on from %s", m.Base)
	}
	bulky(t, s, 0, 10)
	if m := c.snapshot(s); !m.Incremental() {
		t.Error("the one after it is full")
	}
}

// A snapshot that was found damaged is not gone on from: what is wrong with it would be
// wrong with the next one.
func TestDamagedSnapshotIsNotGoneOnFrom(t *testing.T) {
	for _, damaged := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			one := c.campaigning("one", Options{})
			bulky(t, one, 0, 4000)
			m := c.snapshot(one)
			bulky(t, one, 0, 10)
			if err := one.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if damaged {
				data := c.mem.Data(m.PartKey(0))
				data[100] ^= 1
				c.mem.Put(m.PartKey(0), data)
			}
			two := c.campaigning("two", Options{})
			synctest.Wait() // it has read the manifest
			bulky(t, two, 0, 10)
			if m := c.snapshot(two); m.Incremental() == damaged {
				t.Errorf("damaged: %t, and the next goes on from %q", damaged, m.Base)
			}
		})
	}
}

// A part that several snapshots name is lost: whoever recovers finds the newest state
// that does not need it, and the log from there on, and says which object is wrong.
func TestRecoveryFallsBackBehindADamagedInheritedPart(t *testing.T) {
	c := newCell(t)
	s := c.campaigning("one", Options{})
	bulky(t, s, 0, 4000)
	full := c.snapshot(s)
	var last *snapshot.Manifest
	for i := range 3 {
		bulky(t, s, 100*i, 100)
		last = c.snapshot(s)
	}
	inherited := last.PartKey(len(last.Parts) - 2) // of the snapshot before
	if !last.Incremental() || strings.Contains(inherited, last.Name) || strings.Contains(inherited, full.Name) {
		t.Fatalf("%+v", last)
	}
	c.mem.Put(inherited, []byte("lost"))
	var logged bytes.Buffer
	reader := c.open("two", Options{ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	c.hasTasksOf(reader, s)
	if err := reader.Close(t.Context()); err != nil { // it logs no more
		t.Fatal(err)
	}
	if text := logged.String(); strings.Count(text, inherited) != 2 {
		t.Errorf("%s should be named for both snapshots that need it:\n%s", inherited, text)
	}
}

func TestWhenAnIncrementalSnapshotPays(t *testing.T) {
	const mb = 1 << 20
	parts := func(full int, since ...int) *snapshot.Manifest {
		m := &snapshot.Manifest{Parts: []snapshot.Part{}}
		part := func(of string, bytes int) {
			m.Parts = append(m.Parts, snapshot.Part{Object: "snapshot/" + of + "/part-00000", Bytes: bytes})
		}
		for ; full > 0; full -= 2 * mb {
			part("full", min(full, 2*mb))
		}
		for i, bytes := range since {
			part(fmt.Sprint("since-", i), bytes)
		}
		return m
	}
	counts := map[string]int{"tasks": 900, "hosts": 100}
	for _, c := range []struct {
		name    string
		base    *snapshot.Manifest
		changed int
		want    bool
	}{
		{"a tenth of a large state", parts(100 * mb), 100, true},
		{"half of it", parts(100 * mb), 500, true},
		{"more than half of it", parts(100 * mb), 620, false},
		{"a tenth, after much else", parts(100*mb, 20*mb, 20*mb, 10*mb), 100, false},
		{"a tenth, after less", parts(100*mb, 20*mb, 20*mb), 100, true},
		{"one row of a state as small as a part", parts(mb), 1, true},
		{"one row of a small state", parts(100 << 10), 1, false},
		{"nothing of nothing", parts(0), 0, false},
		{"very many small ones", parts(2000*mb, make([]int, maxSince)...), 1, false},
		{"many small ones", parts(100*mb, make([]int, 300)...), 1, false},
		{"some small ones", parts(100*mb, make([]int, 200)...), 1, true},
	} {
		if got := incrementalPays(c.base, c.changed, counts); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// A busy log has a snapshot by what reading it takes, an idle one by age; and the status
// says what it would take.
func TestSnapshotIsDueByEstimatedReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.campaigning("one", Options{Snapshots: snapshot.Schedule{Replay: time.Second}})
		for range 500 { // a quarter of a second's
			c.write(s, "a")
		}
		time.Sleep(2 * time.Second)
		if n := len(list(t, s)); n != 0 {
			t.Fatalf("%d snapshots before half of the target", n)
		}
		if got := s.Status().ReplaySeconds; got < 0.2 || got > 0.3 {
			t.Errorf("estimate is %v s, want a quarter of one", got)
		}
		for range 550 {
			c.write(s, "a")
		}
		time.Sleep(2 * time.Second)
		if n := len(list(t, s)); n != 1 {
			t.Errorf("%d snapshots at half of the target", n)
		}
		if got := s.Status().ReplaySeconds; got > 0.01 {
			t.Errorf("estimate is %v s behind the snapshot", got)
		}
	})
}

func list(t *testing.T, s *Store) []*snapshot.Manifest {
	t.Helper()
	all, err := s.ListSnapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
