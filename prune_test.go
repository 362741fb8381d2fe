package schedulerstore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// loseLease makes a leader lose its lease, as a bucket that can't be reached does.
func (s *Store) loseLease(t *testing.T, c *cell) {
	t.Helper()
	rule := c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
	<-s.Leadership().Done()
	rule.Stop()
}

// complete saves updates that were created and completed at some time.
func (c *cell) complete(s *Store, at time.Time, ids ...string) {
	c.Helper()
	err := s.Write(c.Context(), func(_ context.Context, tx storage.Mutable) error {
		if err := tx.Tasks().Save(newTask("keeps-the-job")); err != nil {
			return err
		}
		for _, id := range ids {
			key := &api.JobUpdateKey{Job: schema.NewJobKey("role", "prod", "job"), ID: api.Some(id)}
			if err := tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}, Instructions: &api.JobUpdateInstructions{
				DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}); err != nil {
				return err
			}
			if err := tx.JobUpdates().SaveEvent(key, &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusROLLED_FORWARD), TimestampMs: at.UnixMilli()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.Fatal(err)
	}
}

func updates(s *Store) string {
	var all []string
	s.Read(func(v storage.View) {
		for update := range v.JobUpdates().All() {
			all = append(all, update.Update.Summary.Key.ID.Value)
		}
	})
	return strings.Join(all, " ")
}

func TestLeaderPrunesJobUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s, follower := c.leader("one"), c.open("two", Options{})
		now := time.Now()
		c.complete(s, now.Add(-31*24*time.Hour), "old")
		c.complete(s, now.Add(-30*24*time.Hour+20*time.Minute), "nearly")
		c.complete(s, now, "new")
		want := func(s *Store, want string) {
			t.Helper()
			if got := updates(s); got != want {
				t.Errorf("updates %q, want %q", got, want)
			}
		}
		time.Sleep(14 * time.Minute)
		want(s, "nearly new old") // the first run is after one interval
		time.Sleep(2 * time.Minute)
		want(s, "nearly new")
		want(follower, "nearly new")
		_, number := s.Storage().Snapshot()
		time.Sleep(10 * time.Minute)
		_, later := s.Storage().Snapshot()
		if later != number {
			t.Errorf("transactions %d to %d remove nothing", number+1, later)
		}
		time.Sleep(5 * time.Minute)
		want(s, "new")
		if got := testutil.ToFloat64(s.metrics.pruned); got != 2 {
			t.Errorf("%v are counted", got)
		}
		if got := testutil.ToFloat64(follower.metrics.pruned); got != 0 {
			t.Errorf("a follower counts %v", got)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(c.leader("three"), "new") // they don't come back
	})
}

func TestHistoryOptions(t *testing.T) {
	for _, test := range []struct {
		history History
		after   time.Duration
		left    int
	}{
		{History{}, time.Hour, 10},
		{History{PerJob: 3}, time.Hour, 3},
		{History{PerJob: -1}, time.Hour, 0},
		{History{OlderThan: time.Minute}, time.Hour, 0},
		{History{Every: 2 * time.Hour}, 119 * time.Minute, 12},
		{History{Every: 2 * time.Hour}, 121 * time.Minute, 10},
		{History{Every: -1}, 24 * time.Hour, 12},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			s := c.open("one", Options{History: test.history})
			if err := s.Campaign(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i := range 12 {
				c.complete(s, time.Now(), fmt.Sprintf("u%02d", i))
				time.Sleep(time.Millisecond)
			}
			time.Sleep(test.after)
			if got := strings.Fields(updates(s)); len(got) != test.left || test.left == 10 && got[0] != "u02" {
				t.Errorf("%+v leaves %v after %v", test.history, got, test.after)
			}
		})
	}
}

// Pruning ends with leadership, also while another work hangs, and begins again with
// the next.
func TestPruningEndsWithLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.complete(s, time.Now().Add(-31*24*time.Hour), "old")
		end := hang(t, s)
		time.Sleep(16 * time.Minute) // it waits for the lock
		s.loseLease(t, c)
		end()
		if got := updates(s); got != "old" {
			t.Errorf("updates %q", got)
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(14 * time.Minute)
		if got := updates(s); got != "old" {
			t.Errorf("updates %q before the first interval of the new leadership is over", got)
		}
		time.Sleep(2 * time.Minute)
		if got := updates(s); got != "" {
			t.Errorf("updates %q", got)
		}
	})
}
