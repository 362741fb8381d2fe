package schedulerstore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// requests are what a store has asked of its bucket, by cause.
func requests(s *Store) map[cost.Cause]cost.Requests {
	all := map[cost.Cause]cost.Requests{}
	for _, l := range s.Status().Cost.Causes {
		all[l.Cause] = l.Requests
	}
	return all
}

// wantRequests compares the requests of one process over a time with those of a
// projection: of the workload with the process, less those of the one without it. Each
// may be off by a number or by a fraction, whichever is more.
func (c *cell) wantRequests(what string, before, got map[cost.Cause]cost.Requests, over time.Duration, number, fraction float64, with cost.Workload, without ...cost.Workload) {
	c.Helper()
	prices, _ := cost.PricesOf("s3")
	want := map[cost.Cause]cost.Requests{}
	for _, l := range cost.Project(prices, with).Causes {
		want[l.Cause] = l.Requests
	}
	for _, w := range without {
		for _, l := range cost.Project(prices, w).Causes {
			want[l.Cause] = minus(want[l.Cause], l.Requests)
		}
	}
	months := over.Seconds() / cost.Month.Seconds()
	for _, cause := range []cost.Cause{cost.LogWrites, cost.LeaseRenewals, cost.LeaseWatching, cost.Following, cost.EndChecks, cost.Snapshots, cost.Backups, cost.Other} {
		g, w := minus(got[cause], before[cause]), want[cause]
		for class, n := range map[string][2]float64{"writes": {g.Writes, w.Writes}, "lists": {g.Lists, w.Lists},
			"reads": {g.Reads, w.Reads}, "refused reads": {g.RefusedReads, w.RefusedReads}, "deletes": {g.Deletes, w.Deletes}} {
			got, want := n[0], n[1]*months
			if slack := max(number, want*fraction); math.Abs(got-want) > slack+0.01 {
				c.Errorf("%s: %v: %v %s in %v, the projection says %.1f", what, cause, got, class, over, want)
			}
		}
	}
}

func minus(a, b cost.Requests) cost.Requests {
	return cost.Requests{Writes: a.Writes - b.Writes, Lists: a.Lists - b.Lists, Reads: a.Reads - b.Reads,
		RefusedReads: a.RefusedReads - b.RefusedReads, Deletes: a.Deletes - b.Deletes}
}

// An idle leader renews its lease, and an idle follower asks for the next entry and now
// and then proves that it stands at the end: exactly as often as the projection says.
func TestIdleRequestsAreThoseOfTheProjection(t *testing.T) {
	for _, ttl := range []time.Duration{3 * time.Second, ttl, time.Minute} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				o := Options{Lease: lease.Options{TTL: ttl}}
				leader, follower := c.openAs("leader", o), c.openAs("follower", o)
				if err := leader.Campaign(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // what a start asks for is over
				led, followed := requests(leader), requests(follower)
				time.Sleep(time.Hour)
				idle := cost.Workload{Lease: o.Lease}
				c.wantRequests("leader", led, requests(leader), time.Hour, 1, 0, idle)
				c.wantRequests("follower", followed, requests(follower), time.Hour, 1, 0, cost.Workload{Lease: o.Lease, Followers: 1}, idle)
			})
		})
	}
}

// A standby also watches the lease, at times that are random.
func TestIdleStandbysRequestsAreThoseOfTheProjection(t *testing.T) {
	for _, ttl := range []time.Duration{3 * time.Second, ttl, time.Minute} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				o := Options{Lease: lease.Options{TTL: ttl}}
				leader, standby := c.openAs("leader", o), c.openAs("standby", o)
				if err := leader.Campaign(t.Context()); err != nil {
					t.Fatal(err)
				}
				campaign, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- standby.Campaign(campaign) }()
				time.Sleep(time.Minute)
				before := requests(standby)
				time.Sleep(time.Hour)
				idle := cost.Workload{Lease: o.Lease}
				c.wantRequests("standby", before, requests(standby), time.Hour, 1, 0.02, cost.Workload{Lease: o.Lease, Standbys: 1}, idle)
				stop()
				<-ended
			})
		})
	}
}

// A log that is written to gets as many PUTs as the projection says, whatever the rate.
// What its followers ask for is near that: how often in vain depends on how the entries
// meet the times at which they ask, and an end check that an entry overtakes ends early.
func TestBusyRequestsAreThoseOfTheProjection(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		log  blob.Options
	}{
		{rate: 1}, {rate: 10}, {rate: 100}, {rate: 1000},
		{50, blob.Options{Linger: 250 * time.Millisecond}}, {50, blob.Options{MaxPutsPerSecond: 5}},
	} {
		rate := tt.rate
		t.Run(fmt.Sprint(rate, tt.log.Linger, tt.log.MaxPutsPerSecond), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Delay(put)})
				o := Options{Lease: lease.Options{TTL: ttl}, Log: tt.log}
				leader, follower := c.openAs("leader", o), c.openAs("follower", o)
				if err := leader.Campaign(t.Context()); err != nil {
					t.Fatal(err)
				}
				stop := c.keepWriting(leader, rate)
				time.Sleep(2 * time.Second)
				led, followed := requests(leader), requests(follower)
				over := max(time.Duration(1000/rate*float64(time.Second)), 10*time.Second)
				time.Sleep(over)
				alone := cost.Workload{TransactionsPerSecond: rate, PutLatency: put, Lease: o.Lease, Log: o.Log, GarbageEvery: -1}
				both := alone
				both.Followers = 1
				c.wantRequests("leader", led, requests(leader), over, 4, 0.1, alone)
				c.wantRequests("follower", followed, requests(follower), over, 4, 0.5, both, alone)
				stop()
			})
		})
	}
}

// Snapshots and backups come as often, and take as many requests, as the projection
// says.
func TestCopiesAreThoseOfTheProjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		o := Options{Lease: lease.Options{TTL: ttl}, Snapshots: snapshot.Schedule{Every: 2 * time.Minute}, Backups: backup.Schedule{Every: 3 * time.Minute, Keep: 2}, GarbageEvery: -1}
		leader := c.openAs("leader", o)
		if err := leader.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := c.keepWriting(leader, 1)
		time.Sleep(10 * time.Minute) // there are as many backups as are kept
		before := requests(leader)
		time.Sleep(time.Hour)
		c.wantRequests("leader", before, requests(leader), time.Hour, 2, 0.1, cost.Workload{TransactionsPerSecond: 1, Lease: o.Lease, PutLatency: time.Nanosecond,
			Snapshots: o.Snapshots, GarbageEvery: o.GarbageEvery, BackupEvery: o.Backups.Interval(), BackupsKept: o.Backups.Kept(), StateBytes: 1})
		stop()
	})
}

// Garbage goes as often, and takes as many requests, as the projection says.
func TestGarbageCollectionsAreThoseOfTheProjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		o := Options{Lease: lease.Options{TTL: ttl}, Snapshots: snapshot.Schedule{Every: 2 * time.Minute}, Backups: backup.Schedule{Every: -1},
			Retention: garbage.Retention{Keep: 3, Window: 20 * time.Minute, Grace: -1}, GarbageEvery: 10 * time.Minute}
		leader := c.openAs("leader", o)
		if err := leader.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := c.keepWriting(leader, 0.3)
		time.Sleep(45 * time.Minute) // the window is full
		before := requests(leader)
		time.Sleep(time.Hour)
		c.wantRequests("leader", before, requests(leader), time.Hour, 2, 0.15, cost.Workload{TransactionsPerSecond: 0.3, Lease: o.Lease, PutLatency: time.Nanosecond,
			Snapshots: o.Snapshots, Retention: o.Retention, GarbageEvery: o.GarbageEvery, StateBytes: 1, RecordBytes: 100})
		stop()
	})
}

// The status tells what was asked of the store's bucket and of that of its backups, each
// by the prices of whose it is, and asks for nothing itself.
func TestStatusTellsTheCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backups := bucket.New(memdriver.New(), "mem://backups", "", bucket.Options{Provider: "gcs"})
		b := bucket.New(memdriver.New(), "mem://store", "", bucket.Options{Provider: "s3"})
		s, err := OpenBucket(t.Context(), b, Options{BackupBucket: backups})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(context.Background())
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), save("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Backup(t.Context(), "", "test"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute) // before a snapshot is due
		synctest.Wait()
		report := s.Status().Cost
		if again := s.Status().Cost; again.Requests != report.Requests || again.Dollars != report.Dollars {
			t.Errorf("asking for the status costs something: %+v, then %+v", report, again)
		}
		asked := 0.0
		for _, u := range append(b.Usage(), backups.Usage()...) {
			asked += float64(u.Requests)
		}
		s3, _ := cost.PricesOf("s3")
		gcs, _ := cost.PricesOf("gcs")
		want := cost.NewReport(s3, 50*time.Minute, b.Usage()).Dollars + cost.NewReport(gcs, 50*time.Minute, backups.Usage()).Dollars
		if report.Requests != asked || math.Abs(report.Dollars-want) > 1e-9 || report.Prices != "s3" || report.Seconds < 3000 || report.Seconds > 3001 {
			t.Errorf("%+v; want %v requests and $%v", report, asked, want)
		}
		of := requests(s)
		if of[cost.LogWrites].Writes != 2 || of[cost.LeaseRenewals].Writes < 590 || of[cost.Backups].Writes != 2 {
			t.Errorf("by cause: %+v; want the seal and an entry, about 600 renewals, and a backup's two objects", of)
		}
	})
}

// put is what a PUT takes in these tests.
const put = 60 * time.Millisecond

// keepWriting writes transactions at random times, until the function it returns is
// called.
func (c *cell) keepWriting(s *Store, rate float64) (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		random := rand.New(rand.NewPCG(1, 2))
		next := time.Now()
		for n := 0; ; n++ {
			next = next.Add(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
			if sleep.For(ctx, time.Until(next)) != nil {
				return
			}
			if _, err := s.Submit(ctx, save(fmt.Sprint(n%100)), durability.WriteOptions{}); err != nil {
				c.Errorf("write %d: %v", n, err)
				return
			}
		}
	})
	return func() { cancel(); writing.Wait() }
}
