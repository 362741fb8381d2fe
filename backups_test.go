package schedulerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// campaigning is a leader with options.
func (c *cell) campaigning(host string, o Options) *Store {
	c.Helper()
	s := c.open(host, o)
	if err := s.Campaign(c.Context()); err != nil {
		c.Fatal(err)
	}
	return s
}

// backups lists them, oldest first.
func (c *cell) backups(s *Store) []*backup.Info {
	c.Helper()
	infos, err := s.Backups().List(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return infos
}

// holds are the tasks in a backup.
func (c *cell) holds(s *Store, name string) string {
	c.Helper()
	state := durability.New(durability.Options{})
	if _, err := s.Backups().Load(c.Context(), name, state); err != nil {
		c.Fatal(err)
	}
	var all []string
	for task := range state.View().Tasks().All() {
		all = append(all, task.AssignedTask.TaskID.Value)
	}
	return strings.Join(all, " ")
}

func (c *cell) wantBackups(s *Store, n int, when string) {
	c.Helper()
	if infos := c.backups(s); len(infos) != n {
		c.Errorf("%s: %d backups, want %d", when, len(infos), n)
	}
}

// None at start-up; then one an interval, if there was a transaction.
func TestAutomaticBackups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one") // by default every hour
		c.write(s, "a")
		time.Sleep(time.Hour - time.Minute)
		c.wantBackups(s, 0, "before the interval")
		time.Sleep(2 * time.Minute)
		c.wantBackups(s, 1, "after it")
		first := c.backups(s)[0]
		if got := c.holds(s, first.Name); got != "a" || !first.Automatic || first.Cell != s.log.Cell().ID || first.Reason != "schedule" || first.By != "one" {
			t.Errorf("it holds %q: %+v", got, first)
		}
		before := c.mem.Count(memdriver.Create) + c.mem.Count(memdriver.List) + c.mem.Count(memdriver.Get)
		time.Sleep(5 * time.Hour)
		if n := c.mem.Count(memdriver.Create) + c.mem.Count(memdriver.List) + c.mem.Count(memdriver.Get) - before; n != 0 {
			t.Errorf("%d requests while nothing was written", n)
		}
		c.write(s, "b")
		time.Sleep(time.Minute)
		c.wantBackups(s, 2, "at the first transaction after a long time")
		c.write(s, "c")
		time.Sleep(time.Hour - 2*time.Minute)
		c.wantBackups(s, 2, "within the interval after that")
		time.Sleep(2 * time.Minute)
		c.wantBackups(s, 3, "after it")
		if got := c.holds(s, c.backups(s)[2].Name); got != "a b c" {
			t.Errorf("it holds %q", got)
		}
	})
}

// A new leader counts from the beginning of its leadership, and knows what its
// predecessor has saved.
func TestBackupsAfterAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		time.Sleep(90 * time.Minute)
		c.wantBackups(one, 1, "first leader")
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		two := c.leader("two")
		time.Sleep(3 * time.Hour)
		c.wantBackups(two, 1, "second leader, nothing new")
		c.write(two, "b")
		time.Sleep(time.Minute)
		c.wantBackups(two, 2, "second leader")
		if err := two.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		three := c.leader("three")
		c.write(three, "c")
		if _, err := three.Backup(t.Context(), "named", ""); err != nil { // may go any time: it does not count
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Minute)
		c.wantBackups(three, 3, "third leader, within the interval")
		time.Sleep(2 * time.Minute)
		c.wantBackups(three, 4, "third leader, after it")
	})
}

// One that failed is not retried before its time, harms nothing, and is counted.
func TestBackupThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		registry := prometheus.NewPedanticRegistry()
		s := c.campaigning("one", Options{Registerer: registry})
		fault := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("backup/"), Do: memdriver.Fail})
		c.write(s, "a")
		time.Sleep(time.Hour + time.Minute)
		tries := fault.Hits()
		if tries == 0 {
			t.Error("none was tried")
		}
		time.Sleep(58 * time.Minute)
		if fault.Hits() != tries {
			t.Error("it was retried before its time")
		}
		if s.Leadership().Err() != nil {
			t.Error("leadership has ended")
		}
		c.write(s, "b")
		fault.Stop()
		time.Sleep(2 * time.Minute)
		c.wantBackups(s, 1, "an interval later")
		for name, want := range map[string]float64{`scheduler_store_backups_total{ok}`: 1, `scheduler_store_backups_total{error}`: 1} {
			if got := metric(t, registry, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if got := metric(t, registry, "scheduler_store_last_backup_timestamp_seconds"); float64(time.Now().Unix())-got > 120 {
			t.Errorf("last backup at %v", got)
		}
	})
}

func metric(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			full := family.GetName()
			for _, label := range m.Label {
				full += "{" + label.GetValue() + "}"
			}
			if full == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Errorf("there is no %s", name)
	return 0
}

func TestBackupsCanBeTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.campaigning("one", Options{Backups: backup.Schedule{Every: -1}})
		c.write(s, "a")
		time.Sleep(5 * time.Hour)
		c.wantBackups(s, 0, "never")
	})
}

// The oldest automatic ones go; those with names stay.
func TestOldBackupsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.campaigning("one", Options{Backups: backup.Schedule{Every: time.Minute, Keep: 3}})
		c.write(s, "named")
		if _, err := s.Backup(t.Context(), "keep-me", "test"); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			c.write(s, fmt.Sprint(i))
			time.Sleep(2 * time.Minute)
		}
		infos := c.backups(s)
		if len(infos) != 4 || infos[0].Name != "keep-me" || c.holds(s, infos[1].Name) != "0 1 2 3 named" {
			t.Errorf("%d are left, the oldest automatic one of %s", len(infos), c.holds(s, infos[1].Name))
		}
	})
}

// A backup on demand is made by any process that has recovered, of the newest state.
func TestBackupOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		registry := prometheus.NewPedanticRegistry()
		leader, follower := c.leader("one"), c.open("two", Options{Registerer: registry})
		c.write(leader, "a")
		time.Sleep(5 * time.Second)
		info, err := follower.Backup(t.Context(), "monday", "before the upgrade")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.holds(leader, "monday"); got != "a" || info.By != "two" || info.Reason != "before the upgrade" || info.Automatic || info.Transaction != 1 {
			t.Errorf("it holds %q: %+v", got, info)
		}
		if _, err := follower.Backup(t.Context(), "monday", ""); !errors.Is(err, backup.ErrExists) {
			t.Error(err)
		}
		if _, err := follower.Backup(t.Context(), "../monday", ""); !errors.Is(err, backup.ErrInvalidName) {
			t.Error(err)
		}
		if n := metric(t, registry, "scheduler_store_backups_total{error}"); n != 0 {
			t.Errorf("%v mistakes of an operator were counted as failures", n)
		}
		if info, err := follower.Backup(t.Context(), "", "performBackup"); err != nil || !info.Automatic {
			t.Errorf("%+v, %v", info, err)
		}
		reader := c.open("three", Options{ReadOnly: true})
		if err := reader.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		creates := c.mem.Count(memdriver.Create)
		if _, err := reader.Backup(t.Context(), "x", ""); err == nil || c.mem.Count(memdriver.Create) != creates {
			t.Errorf("a read-only store made a backup: %v", err)
		}
		if len(c.backups(reader)) != 2 {
			t.Error("a read-only store can't list them")
		}
		if _, err := leader.Snapshot(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Fail})
		four := c.open("four", Options{})
		time.Sleep(time.Second) // it has loaded the snapshot, and can't know what came after
		if _, err := four.Backup(t.Context(), "x", ""); err == nil || len(c.backups(leader)) != 2 {
			t.Errorf("a process that has not recovered made a backup: %v", err)
		}
	})
}

// One on demand without a name puts the next by schedule off, as in Aurora; one with a
// name does not.
func TestBackupOnDemandAndTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		time.Sleep(40 * time.Minute)
		if _, err := s.Backup(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
		c.write(s, "b")
		if _, err := s.Backup(t.Context(), "named", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		c.wantBackups(s, 2, "within an hour of the one on demand")
		time.Sleep(11 * time.Minute)
		c.wantBackups(s, 3, "after it")
	})
}

// Never are two copies of the state made at once.
func TestCopiesAreMadeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.campaigning("one", Options{Snapshots: snapshot.Schedule{Replay: time.Millisecond}, Backups: backup.Schedule{Every: time.Minute}})
		var mu sync.Mutex
		running, most, seen := 0, 0, map[string]int{}
		step := func(d int) func(string) {
			return func(key string) {
				mu.Lock()
				defer mu.Unlock()
				running += d
				most = max(most, running)
				if d > 0 {
					seen[key[:4]]++
				}
			}
		}
		for _, prefix := range []string{"snapshot/", "backup/"} {
			part := func(key string) bool { return strings.HasPrefix(key, prefix) && strings.Contains(key, "part-") }
			manifest := func(key string) bool { return strings.HasPrefix(key, prefix) && strings.HasSuffix(key, ".json") }
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: part, Do: memdriver.Before(step(1))})
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: part, Do: memdriver.Delay(10 * time.Second)})
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: manifest, Do: memdriver.Delay(10 * time.Second)})
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: manifest, Do: memdriver.After(step(-1))})
		}
		var others sync.WaitGroup
		for i := range 30 {
			c.write(s, fmt.Sprint(i))
			if i%10 == 5 {
				others.Go(func() { _, _ = s.Backup(t.Context(), fmt.Sprint("named", i), "") })
				others.Go(func() { _, _ = s.Snapshot(t.Context(), "test") })
			}
			time.Sleep(20 * time.Second)
		}
		others.Wait()
		mu.Lock()
		defer mu.Unlock()
		if most != 1 || seen["snap"] < 5 || seen["back"] < 5 {
			t.Errorf("%d at once, of %v", most, seen)
		}
	})
}

// When one on demand was made while that by schedule waited for its turn, one is enough.
func TestScheduleLooksAgainAfterWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		s.copying <- struct{}{}
		time.Sleep(59 * time.Minute)
		var demand sync.WaitGroup
		demand.Go(func() {
			if _, err := s.Backup(t.Context(), "", ""); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(2 * time.Minute)
		<-s.copying
		demand.Wait()
		time.Sleep(time.Minute)
		c.wantBackups(s, 1, "after both had their turn")
	})
}

// Waiting for another copy ends with the context.
func TestWaitingForACopyCanBeGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		s.copying <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.Backup(ctx, "x", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := s.Snapshot(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		closed := make(chan error, 1)
		go func() {
			_, err := s.Backup(t.Context(), "x", "")
			closed <- err
		}()
		synctest.Wait()
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// unclosed is a bucket that tells when it was closed.
type unclosed struct {
	*memdriver.Bucket
	closed bool
}

func (u *unclosed) Close() error {
	u.closed = true
	return nil
}

// Many cells may keep their backups in one bucket, which is none of theirs.
func TestBackupsInAnotherBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &unclosed{Bucket: memdriver.New()}
		var cells []*cell
		var stores []*Store
		for i := range 2 {
			c := newCell(t)
			s := c.campaigning(fmt.Sprint(i), Options{BackupBucket: bucket.New(shared, "mem://shared", "", bucket.Options{}),
				Backups: backup.Schedule{Every: time.Minute, Keep: 1 + i}})
			cells, stores = append(cells, c), append(stores, s)
		}
		for n := range 4 {
			for i, s := range stores {
				cells[i].write(s, fmt.Sprint(i, n))
			}
			time.Sleep(2 * time.Minute)
		}
		of := map[string]int{}
		for _, info := range cells[0].backups(stores[0]) {
			of[info.Cell]++
		}
		if of[stores[0].log.Cell().ID] != 1 || of[stores[1].log.Cell().ID] != 2 || len(of) != 2 {
			t.Errorf("%v are left, want 1 of the one and 2 of the other", of)
		}
		if n := cells[0].mem.CountOf(memdriver.Create, memdriver.Under("backup/")); n != 0 {
			t.Errorf("%d objects in the cell's own bucket", n)
		}
		for _, s := range stores {
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if shared.closed {
			t.Error("the store has closed a bucket that it did not open")
		}
	})
}

// What the store's recovery stages is a backup of its own.
func TestRecoveryOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		if _, err := s.Backup(t.Context(), "monday", ""); err != nil {
			t.Fatal(err)
		}
		c.write(s, "b")
		if _, err := s.Recovery().Stage(t.Context(), "monday"); err != nil {
			t.Fatal(err)
		}
		v, err := s.Recovery().View()
		if err != nil || v.Tasks().Len() != 1 {
			t.Errorf("%v", err)
		}
		c.want(s, "a b")
	})
}

// A backup that is staged is the leader's: it must not come up again when this process
// leads once more, long after.
func TestStagedBackupIsForgottenWhenLeadershipEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		if _, err := s.Backup(t.Context(), "monday", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recovery().Stage(t.Context(), "monday"); err != nil {
			t.Fatal(err)
		}
		if _, err := lease.Break(t.Context(), s.bucket); err != nil {
			t.Fatal(err)
		}
		<-s.Leadership().Done()
		synctest.Wait()
		if info, staged := s.Recovery().Staged(); staged {
			t.Errorf("%s is staged", info.Name)
		}
	})
}

// A commit that was made conditional does nothing when others have come since.
func TestRestoreAfterACertainTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		if _, err := s.Backup(t.Context(), "monday", ""); err != nil {
			t.Fatal(err)
		}
		c.write(s, "b")
		if _, err := s.Recovery().Stage(t.Context(), "monday"); err != nil {
			t.Fatal(err)
		}
		after := persistence.TransactionNumber(1)
		if _, err := s.Recovery().Commit(t.Context(), &after); !errors.Is(err, durability.ErrConflict) || !errors.Is(err, persistence.ErrNotCommitted) {
			t.Error(err)
		}
		c.want(s, "a b")
		after = 2
		if _, err := s.Recovery().Commit(t.Context(), &after); err != nil {
			t.Error(err)
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want(s, "a")
	})
}

// What has expired goes after the next automatic backup, or in a collection on request,
// and the log says so.
func TestExpiredBackupsGoByThemselves(t *testing.T) {
	for _, automatic := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			var lines bytes.Buffer
			o := Options{Logger: slog.New(slog.NewTextHandler(&lines, nil)), Snapshots: snapshot.Schedule{Every: 10 * time.Minute}}
			if !automatic {
				o.Backups.Every = -1
			}
			s := c.campaigning("one", o)
			c.write(s, "a")
			for name, until := range map[string]time.Duration{"soon": 10 * time.Minute, "pinned": 10 * time.Minute, "later": 24 * time.Hour} {
				if _, err := s.BackupUntil(t.Context(), name, "test", time.Now().Add(until)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Backups().Pin(t.Context(), snapshot.Pin{Name: "pinned", Reason: "audit"}); err != nil {
				t.Fatal(err)
			}
			c.wantBackups(s, 3, "before")
			stop := c.keepWriting(s, 0.5)
			time.Sleep(70 * time.Minute)
			stop()
			if !automatic {
				c.wantBackups(s, 3, "without a request") // the leader's own collections look at no backups
				if r, err := s.CollectGarbage(t.Context(), s.Retention(), false); err != nil || !slices.Equal(r.Backups, []string{"soon"}) {
					t.Errorf("%+v, %v", r, err)
				}
			}
			var names []string
			for _, info := range c.backups(s) {
				if !info.Automatic {
					names = append(names, info.Name)
				}
			}
			slices.Sort(names)
			if err := s.Close(t.Context()); err != nil { // it logs no more
				t.Fatal(err)
			}
			if want := []string{"later", "pinned"}; !slices.Equal(names, want) {
				t.Errorf("automatic %t: left %q, want %q", automatic, names, want)
			}
			if n := strings.Count(lines.String(), `msg="expired backups removed" backups=[soon]`); n != 1 {
				t.Errorf("automatic %t: told %d times:\n%s", automatic, n, lines.String())
			}
		})
	}
}
