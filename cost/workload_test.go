package cost_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

func entries(t *testing.T, w cost.Workload) float64 {
	t.Helper()
	return cost.Project(prices(t, "s3"), w).EntriesPerSecond
}

// An entry for each transaction of a slow log; of a busy one as many as its pace, until
// they are full.
func TestEntriesOfALog(t *testing.T) {
	const latency = 60 * time.Millisecond
	pace := 1 / blob.Spacing(latency).Seconds()
	for _, c := range []struct {
		w           cost.Workload
		least, most float64
	}{
		{cost.Workload{}, 0, 0},
		{cost.Workload{TransactionsPerSecond: 0.01}, 0.00999, 0.01},
		{cost.Workload{TransactionsPerSecond: 1}, 0.99, 1},
		{cost.Workload{TransactionsPerSecond: pace}, pace / 2, pace * 0.8},
		{cost.Workload{TransactionsPerSecond: cost.Saturated}, pace * 0.99, pace},
		{cost.Workload{TransactionsPerSecond: cost.Saturated, RecordBytes: 1 << 20}, cost.Saturated, cost.Saturated},
		{cost.Workload{TransactionsPerSecond: 100, Log: blob.Options{Linger: time.Second}}, 0.99, 1},
		{cost.Workload{TransactionsPerSecond: 1, Log: blob.Options{Linger: time.Second}}, 0.5, 0.5},
		{cost.Workload{TransactionsPerSecond: 100, Log: blob.Options{MaxPutsPerSecond: 5}}, 5, 5},
		{cost.Workload{TransactionsPerSecond: 1, Log: blob.Options{MaxPutsPerSecond: 5}}, 0.99, 1},
		{cost.Workload{TransactionsPerSecond: cost.Saturated, RecordBytes: 1 << 20, Log: blob.Options{MaxPutsPerSecond: 5}}, 5, 5},
	} {
		if got := entries(t, c.w); got < c.least-1e-9 || got > c.most+1e-9 {
			t.Errorf("%+v: %v entries a second, want %v to %v", c.w, got, c.least, c.most)
		}
	}
}

// Each cause is paid for by what causes it, and by nothing else.
func TestWhatEachPartCosts(t *testing.T) {
	alone := cost.Workload{}
	follower := cost.Workload{Followers: 1}
	standby := cost.Workload{Standbys: 1}
	month, hour := cost.Month.Seconds(), time.Hour.Seconds()
	readsOf := func(d time.Duration) float64 { return month / d.Seconds() * 0.0004 / 1000 }
	follow, check := readsOf(blob.FollowOptions{}.PollEvery()), readsOf(blob.FollowOptions{}.CheckEvery())
	for _, c := range []struct {
		w     cost.Workload
		cause cost.Cause
		want  float64
	}{
		{alone, cost.LeaseRenewals, month / lease.Options{}.RenewEvery().Seconds() * 0.005 / 1000},
		{alone, cost.LogWrites, 0},
		{alone, cost.LeaseWatching, 0},
		{alone, cost.Following, 0},
		{alone, cost.EndChecks, 0},
		{alone, cost.Snapshots, 0},
		{alone, cost.Backups, 0},
		{alone, cost.Storage, 0},
		{follower, cost.Following, follow},
		{follower, cost.EndChecks, check / 0.0004 * 0.005 * 2},
		{follower, cost.LeaseWatching, check},
		{cost.Workload{Followers: 3}, cost.Following, 3 * follow},
		{standby, cost.Following, follow},
		{standby, cost.LeaseWatching, check + readsOf(lease.Options{}.WatchEvery())},
		{cost.Workload{Lease: lease.Options{TTL: time.Minute}}, cost.LeaseRenewals, month / 20 * 0.005 / 1000},
		{cost.Workload{TransactionsPerSecond: 1, GarbageEvery: -1, Snapshots: snapshot.Schedule{Every: time.Hour}, StateBytes: 20 << 20}, cost.Snapshots, month / hour * 4 * 0.005 / 1000},
		{cost.Workload{TransactionsPerSecond: 0.0001, GarbageEvery: -1, Snapshots: snapshot.Schedule{Every: time.Hour}}, cost.Snapshots, month / 10_000 * 3 * 0.005 / 1000},
		{cost.Workload{TransactionsPerSecond: 1, BackupEvery: time.Hour, BackupsKept: 9, StateBytes: 1}, cost.Backups, month / hour * (2*0.005 + 0.005 + 10*0.0004) / 1000},
		{cost.Workload{TransactionsPerSecond: 1, BackupEvery: time.Hour, BackupsKept: 4, StateBytes: 1 << 30, Snapshots: snapshot.Schedule{Every: time.Second}, Retention: garbage.Retention{Keep: 1, Window: -1, Grace: -1}}, cost.Storage, 5*0.023 + 1024*0.023/(1<<30)},
	} {
		if got := cost.Project(prices(t, "s3"), c.w).Of(c.cause); math.Abs(got-c.want) > 1e-5 { // requests are whole
			t.Errorf("%s of %+v: $%v, want $%v", c.cause, c.w, got, c.want)
		}
	}
}

func TestTotalsAreSums(t *testing.T) {
	p := cost.Project(prices(t, "s3express"), cost.Workload{TransactionsPerSecond: 100, Followers: 2, Standbys: 1, BackupEvery: time.Hour, BackupsKept: 48})
	sum := 0.0
	for _, cause := range cost.Causes() {
		if p.Of(cause) == 0 {
			t.Errorf("%s costs nothing", cause)
		}
		sum += p.Of(cause)
	}
	if !near(sum, p.Dollars) {
		t.Errorf("the causes cost $%v, all $%v", sum, p.Dollars)
	}
}

func ExampleProject() {
	s3, _ := cost.PricesOf("s3")
	month := cost.Project(s3, cost.Workload{TransactionsPerSecond: 1})
	fmt.Printf("$%.2f for the log, $%.2f for the lease\n", month.Of(cost.LogWrites), month.Of(cost.LeaseRenewals))
	// Output: $13.14 for the log, $2.63 for the lease
}
