package storage_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// diffLines are the differences of two states, a line for each.
func diffLines(a, b storage.View) []string {
	lines := []string{}
	for d := range storage.Diff(a, b) {
		what := "changed"
		if d.Before == nil {
			what = "added"
		} else if d.After == nil {
			what = "removed"
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", what, d.Kind, d.Key)))
	}
	return lines
}

func TestDiffNamesEveryRowThatDiffers(t *testing.T) {
	tx := begin()
	quota := func(cpus float64) *api.ResourceAggregate { return &api.ResourceAggregate{NumCpus: api.Some(cpus)} }
	host := func(name, agent string) *api.HostAttributes {
		return &api.HostAttributes{Host: api.Some(name), SlaveID: api.Some(agent), Mode: api.Some(api.MaintenanceModeNONE)}
	}
	request := func(name string, seconds int64) *api.HostMaintenanceRequest {
		return &api.HostMaintenanceRequest{Host: api.Some(name), TimeoutSecs: seconds}
	}
	cron := func(job, schedule string) *api.JobConfiguration {
		return &api.JobConfiguration{Key: key(job), CronSchedule: api.Some(schedule)}
	}
	update := func(job, id string) *api.JobUpdate {
		return &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: updateKey(job, id)}, Instructions: &api.JobUpdateInstructions{
			DesiredState: &api.InstanceTaskConfig{Task: config(job, "x"), Instances: []*api.Range{{}}}}}
	}
	must(t, tx.Tasks().Save(task("a", "r/e/j"), task("b", "r/e/j"), task("c", "r/e/j")))
	must(t, tx.Quotas().Save("r", quota(1)))
	must(t, tx.Quotas().Save("s", quota(1)))
	for _, h := range []string{"g", "h"} {
		_, err := tx.Hosts().Save(host(h, "1"))
		must(t, err)
		must(t, tx.Maintenance().Save(request(h, 1)))
	}
	must(t, tx.CronJobs().Save(cron("r/e/j", "* * * * *")))
	must(t, tx.CronJobs().Save(cron("r/e/k", "* * * * *")))
	must(t, tx.JobUpdates().Save(update("r/e/j", "u")))
	must(t, tx.JobUpdates().Save(update("r/e/j", "v")))
	a := tx.Commit()
	must(t, tx.Tasks().Save(task("aa", "r/e/j"), task("b", "r/e/j", on("g")), task("z", "r/e/j")))
	must(t, tx.Tasks().Save(task("a", "r/e/j"))) // another row, and equal
	must(t, tx.Tasks().Delete("c"))
	must(t, tx.Quotas().Save("r", quota(2)))
	must(t, tx.Quotas().Save("s", quota(1)))
	_, err := tx.Hosts().Save(host("h", "2"))
	must(t, err)
	must(t, tx.Maintenance().Remove("g"))
	must(t, tx.CronJobs().Remove(key("r/e/j")))
	must(t, tx.CronJobs().Save(cron("r/e/k", "1 * * * *")))
	must(t, tx.JobUpdates().SaveEvent(updateKey("r/e/j", "v"), &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusABORTED), TimestampMs: 1}))
	must(t, tx.SaveFrameworkID("f"))
	b := tx.Commit()
	want := []string{"added tasks aa", "changed tasks b", "removed tasks c", "added tasks z", "removed cron-jobs r/e/j", "changed cron-jobs r/e/k",
		"changed quotas r", "changed hosts h", "changed job-updates r/e/j/v", "removed maintenance g", "added framework-id"}
	wantSame(t, "differences", diffLines(a, b), want)
	wantSame(t, "differences of a transaction", diffLines(a, storage.ReadOnly(tx)), want)
	back := strings.NewReplacer("added", "removed", "removed", "added")
	for i := range want {
		want[i] = back.Replace(want[i])
	}
	wantSame(t, "differences the other way", diffLines(b, a), want)
	wantSame(t, "differences of one state", diffLines(b, b), []string{})
	for range storage.Diff(a, b) { // it may be left at once
		break
	}
	n := 0
	for range storage.Diff(a, b) {
		if n++; n == 7 {
			break
		}
	}
	for d := range storage.Diff(a, b) {
		switch d.Kind {
		case storage.KindQuotas:
			if d.Before.(*api.ResourceAggregate).NumCpus.Value != 1 || d.After.(*api.ResourceAggregate).NumCpus.Value != 2 {
				t.Errorf("%+v", d)
			}
		case storage.KindFrameworkID:
			if d.Before != nil || d.After != "f" {
				t.Errorf("%+v", d)
			}
		case storage.KindTasks:
			if d.Key == "c" && (d.After != nil || d.Before.(*api.ScheduledTask) == nil) {
				t.Errorf("%+v", d)
			}
		}
	}
}

// Whatever the two states are, the differences are those between their rows by key.
func TestDiffAgainstMaps(t *testing.T) {
	versions := []*storage.State{}
	tx := begin()
	for i := range 300 {
		id := fmt.Sprintf("t%d", i*7919%97)
		if i%3 == 0 {
			must(t, tx.Tasks().Delete(id))
		} else {
			must(t, tx.Tasks().Save(task(id, "r/e/j", instance(int32(i%5)))))
		}
		if i%20 == 0 {
			versions = append(versions, tx.Commit())
		}
	}
	byID := func(v storage.View) map[string]*api.ScheduledTask {
		all := map[string]*api.ScheduledTask{}
		for task := range v.Tasks().All() {
			all[idOf(task)] = task
		}
		return all
	}
	for _, a := range versions {
		for _, b := range versions {
			x, y := byID(a), byID(b)
			want := []string{}
			keys := maps.Clone(x)
			maps.Copy(keys, y)
			for _, id := range slices.Sorted(maps.Keys(keys)) {
				if !reflect.DeepEqual(x[id], y[id]) {
					want = append(want, id)
				}
			}
			got := []string{}
			for d := range storage.Diff(a, b) {
				got = append(got, d.Key)
			}
			wantSame(t, "ids", got, want)
		}
	}
}
