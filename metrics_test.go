package schedulerstore

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// samples are all that a registry has of gauges and counters, summed over their labels.
func samples(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			all[family.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

// Alerts compare with what a process was told; an interval of which it was told nothing is
// the default, and 0 is never.
func TestSettingsAreMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			options Options
			want    map[string]float64
		}{
			"defaults": {Options{}, map[string]float64{"snapshot": 3600, "backup": 3600, "garbage": 3600, "rehearsal": 0}},
			"told": {Options{Snapshots: snapshot.Schedule{Every: time.Minute, Replay: 3 * time.Second}, Backups: backup.Schedule{Every: -1}, GarbageEvery: -1, Rehearse: time.Hour},
				map[string]float64{"snapshot": 60, "backup": 0, "garbage": 0, "rehearsal": 3600}},
		} {
			registry := prometheus.NewRegistry()
			c.options.Registerer, c.options.Lease = registry, lease.Options{TTL: 7 * time.Second}
			s := newCell(t).openAs("one", c.options)
			if err := s.Campaign(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := samples(t, registry)
			for what, want := range c.want {
				if got := got["scheduler_store_"+what+"_interval_seconds"]; got != want {
					t.Errorf("%s: the interval of %s is %v s, want %v", name, what, got, want)
				}
			}
			if target := c.options.Snapshots.WithDefaults().Replay.Seconds(); got["scheduler_store_replay_target_seconds"] != target ||
				got["scheduler_store_lease_ttl_seconds"] != 7 || got["scheduler_store_build_info"] != 1 {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

// What alerts and the dashboard ask of who leads: for how long, how much of the lease is
// left, what there is since the last backup, and what it costs.
func TestMetricsOfLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		registry := prometheus.NewRegistry()
		o := Options{Registerer: registry, Lease: lease.Options{TTL: ttl}}
		s, err := OpenBucket(t.Context(), bucket.New(c.mem, "mem://one", "", bucket.Options{Provider: "s3"}), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(t.Context())
		if before := samples(t, registry); before["scheduler_store_leading_since_timestamp_seconds"] != 0 || before["scheduler_store_lease_remaining_seconds"] != 0 {
			t.Errorf("one that does not lead has %v", before)
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := float64(time.Now().UnixMilli()) / 1000
		time.Sleep(time.Second)
		for _, id := range []string{"a", "b", "c"} {
			c.write(s, id)
		}
		got := samples(t, registry)
		if since := got["scheduler_store_leading_since_timestamp_seconds"]; since != began {
			t.Errorf("it leads since %v, want %v", since, began)
		}
		if left := got["scheduler_store_lease_remaining_seconds"]; left < 0.5*ttl.Seconds() || left > 0.9*ttl.Seconds() {
			t.Errorf("%v s are left of a lease of %v", left, ttl)
		}
		if n := got["scheduler_store_unbacked_transactions"]; n != 3 {
			t.Errorf("%v transactions since the last backup, want 3", n)
		}
		if dollars, want := got["scheduler_store_cost_dollars_total"], s.Status().Cost.Dollars; dollars <= 0 || math.Abs(dollars-want) > 1e-12 { // a sum, in any order
			t.Errorf("%v dollars, the status has %v", dollars, want)
		}
		if _, err := s.Backup(t.Context(), "", "test"); err != nil {
			t.Fatal(err)
		}
		c.write(s, "d")
		if n := samples(t, registry)["scheduler_store_unbacked_transactions"]; n != 1 {
			t.Errorf("%v transactions since the last backup, want 1", n)
		}
		if _, err := s.Backup(t.Context(), "named", "test"); err != nil {
			t.Fatal(err)
		}
		if n := samples(t, registry)["scheduler_store_unbacked_transactions"]; n != 1 {
			t.Errorf("a backup with a name counts as an automatic one: %v", n)
		}
	})
}

// A follower that finds everything in a snapshot is where the leader is, and says so: else
// it would look as if it stood still.
func TestPositionAfterASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader := c.leader("leader")
		c.write(leader, "a")
		if _, err := leader.Snapshot(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewRegistry()
		follower := c.open("follower", Options{Registerer: registry})
		if err := follower.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, want := samples(t, registry), leader.Status()
		if got["scheduler_store_log_entries_read_total"] != 0 || got["scheduler_store_log_position"] != float64(want.Position) || got["scheduler_store_log_transaction"] != float64(want.Transaction) {
			t.Errorf("read %v entries, and is at position %v, transaction %v; the leader at %d, %d", got["scheduler_store_log_entries_read_total"],
				got["scheduler_store_log_position"], got["scheduler_store_log_transaction"], want.Position, want.Transaction)
		}
	})
}
