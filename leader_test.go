package schedulerstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// hang starts a write whose work does not end before the function that it returns is
// called.
func hang(t *testing.T, s *Store) (end func()) {
	release := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Write(t.Context(), func(context.Context, storage.Mutable) error {
			<-release
			return nil
		})
	}()
	synctest.Wait()
	return func() {
		close(release)
		<-done
	}
}

func TestHangingWorkDoesNotKeepTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		end := hang(t, one)
		defer end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := one.Close(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("closing with one second took %v", took)
		}
		start = time.Now()
		c.leader("two")
		if took := time.Since(start); took > time.Second {
			t.Errorf("hand-over took %v", took)
		}
	})
}

func TestCampaignWithAHangingWorkGivesTheLeaseUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		end := hang(t, one)
		defer end()
		rule := c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
		<-one.Leadership().Done()
		rule.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := one.Campaign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("campaign while a work hangs: %v", err)
		}
		c.leader("two")
	})
}

// Parts of a snapshot that fails stay behind, so it is not tried again at once.
func TestFailingSnapshotsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{Snapshots: snapshot.Schedule{Replay: 2500 * time.Microsecond}})
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		failing := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Ending("manifest.json"), Do: memdriver.Fail})
		for range 4 {
			c.write(one, "a")
		}
		time.Sleep(10 * time.Minute)
		if n := failing.Hits(); n < 3 || n > 8 {
			t.Errorf("%d tries in ten minutes", n)
		}
		failing.Stop()
		time.Sleep(time.Hour)
		if one.Status().LastSnapshot == nil {
			t.Error("no snapshot an hour after the store was well again")
		}
	})
}

func TestSnapshotThatWasRepairedIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{Snapshots: snapshot.Schedule{Replay: 2500 * time.Microsecond}})
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			c.write(one, "a")
		}
		time.Sleep(5 * time.Second)
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.mem.Remove(blob.Key(1, 1)) // collected
		c.mem.Remove(blob.Key(1, 2))
		damage := c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("snapshot/"), Do: memdriver.Corrupt})
		two := c.open("two", Options{})
		if err := two.Recovered(t.Context()); !errors.Is(err, blob.ErrDamaged) {
			t.Fatal(err)
		}
		damage.Stop()
		time.Sleep(time.Minute)
		if status := two.Status(); status.Problem != "" || !status.Recovered {
			t.Errorf("a minute after the repair: %+v", status)
		}
		c.want(two, "a")
	})
}

// One failed read now and then leaves a follower blind for a second, not for longer each time.
func TestFollowersBackOffStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		for range 7 {
			time.Sleep(10 * time.Minute)
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Times: 1, Do: memdriver.Fail})
		}
		time.Sleep(1100 * time.Millisecond)
		c.write(one, "b")
		time.Sleep(3 * time.Second)
		c.want(two, "b")
	})
}

// A record that can't be replayed is a lasting problem, said at once, and readers keep
// the state that they have.
func TestRecordThatCantBeReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		c.write(one, "a")
		time.Sleep(5 * time.Second)
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		log, err := blob.Open(t.Context(), bucket.New(c.mem, "mem://foreign", "", bucket.Options{}), blob.Options{})
		if err != nil {
			t.Fatal(err)
		}
		appendRecord(t, log, 2, []byte("not a transaction"))
		for range 100 {
			time.Sleep(time.Second)
			c.want(two, "a")
		}
		if status := two.Status(); !status.ProblemLasts || !strings.Contains(status.Problem, "record 0") {
			t.Errorf("status %+v", status)
		}
		three := c.open("three", Options{})
		if err := three.Recovered(t.Context()); !errors.Is(err, blob.ErrReplay) {
			t.Errorf("recovered: %v", err)
		}
	})
}

func TestStoreCanBeOpenedAgainWithTheSameMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	mem := memdriver.New()
	for range 2 {
		s, err := OpenBucket(t.Context(), bucket.New(mem, "mem://m", "", bucket.Options{}), Options{Registerer: r})
		if err != nil {
			t.Fatal(err)
		}
		if families, err := r.Gather(); err != nil || len(families) < 20 {
			t.Errorf("%d metrics, %v", len(families), err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A store that is closed as the lease is won, before it leads, releases the lease before
// Close returns: nobody waits for it to run out.
func TestClosedWhileTheLeaseIsWon(t *testing.T) {
	for range 20 { // which of its goroutines hears first that it is closed is chance
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			one, two := c.leader("one"), c.open("two", Options{})
			campaign := make(chan error, 1)
			go func() { campaign <- two.Campaign(t.Context()) }()
			time.Sleep(ttl) // it waits for the lease
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Block})
			if err := one.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			// Its claim and its release take a while, so that it has yet to make sure of the
			// log's end when the lease is won.
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Delay(100 * time.Millisecond)})
			time.Sleep(2 * time.Second)
			if err := two.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			now, err := lease.Read(t.Context(), bucket.New(c.mem, "mem://reader", "", bucket.Options{}))
			if err != nil || now.Host != "two" || !now.Released {
				t.Errorf("after closing the lease is %+v, %v", now, err)
			}
			if err := <-campaign; err == nil || !errors.Is(err, ErrClosed) || strings.Contains(err.Error(), "take over") {
				t.Errorf("the campaign ended with %v", err)
			}
		})
	}
}
