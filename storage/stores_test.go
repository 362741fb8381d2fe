package storage_test

import (
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func TestFrameworkID(t *testing.T) {
	tx := begin()
	if _, ok := tx.FrameworkID(); ok {
		t.Fatal("there is one in an empty state")
	}
	must(t, tx.SaveFrameworkID("one"))
	must(t, tx.SaveFrameworkID("two"))
	if id, ok := tx.Commit().FrameworkID(); id != "two" || !ok {
		t.Fatalf("got %q, %v", id, ok)
	}
}

func cron(job, schedule string) *api.JobConfiguration {
	j := &api.JobConfiguration{Key: key(job), CronSchedule: api.Some(schedule), TaskConfig: config(job, "run")}
	j.Canonicalize()
	return j
}

func TestCronJobs(t *testing.T) {
	tx := begin()
	jobs := tx.CronJobs()
	must(t, jobs.Save(cron("r/e/b", "old")))
	must(t, jobs.Save(cron("r/e/a", "a")))
	must(t, jobs.Save(cron("r/e/b", "new")))
	got, ok := jobs.Fetch(key("r/e/b"))
	if !ok || !got.Equal(cron("r/e/b", "new")) {
		t.Fatalf("got %v", got)
	}
	if _, ok := jobs.Fetch(nil); ok {
		t.Fatal("there is a job without a key")
	}
	var names []*api.JobKey
	for j := range jobs.All() {
		names = append(names, j.Key)
	}
	wantSame(t, "all", jobNames(names), []string{"r/e/a", "r/e/b"})
	must(t, jobs.Remove(key("r/e/x")))
	must(t, jobs.Remove(key("r/e/b")))
	if _, ok := jobs.Fetch(key("r/e/b")); ok || jobs.Len() != 1 {
		t.Fatal("not removed")
	}
}

func TestCronJobsNeedValidKeys(t *testing.T) {
	jobs := begin().CronJobs()
	for _, name := range []string{"/e/n", "r//n", "r/e/", "r r/e/n", "r/ü/n", "r/e/n/x", "r/e/" + strings.Repeat("x", 256)} {
		wantError(t, jobs.Save(cron(name, "")), storage.ErrInvalidArgument, name)
	}
	wantError(t, jobs.Save(&api.JobConfiguration{}), storage.ErrInvalidArgument, "")
	wantError(t, jobs.Save(nil), storage.ErrNullArgument, "")
	wantError(t, jobs.Remove(nil), storage.ErrNullArgument, "")
	if jobs.Len() != 0 {
		t.Fatal("something was saved")
	}
	must(t, jobs.Save(cron("A-z_0.9/e/"+strings.Repeat("x", 255), "")))
}

func quota(cpus float64) *api.ResourceAggregate {
	q := &api.ResourceAggregate{NumCpus: api.Some(cpus)}
	q.Canonicalize()
	return q
}

func TestQuotas(t *testing.T) {
	quotas := begin().Quotas()
	must(t, quotas.Save("b", quota(1)))
	must(t, quotas.Save("a", quota(2)))
	must(t, quotas.Save("b", quota(3)))
	if got, ok := quotas.Fetch("b"); !ok || !got.Equal(quota(3)) {
		t.Fatalf("got %v", got)
	}
	var roles []string
	for role, q := range quotas.All() {
		if stored, _ := quotas.Fetch(role); stored != q {
			t.Fatalf("%s has another quota", role)
		}
		roles = append(roles, role)
	}
	wantSame(t, "roles", roles, []string{"a", "b"})
	for range quotas.All() {
		break
	}
	must(t, quotas.Remove("x"))
	must(t, quotas.Remove("b"))
	if _, ok := quotas.Fetch("b"); ok || quotas.Len() != 1 {
		t.Fatal("not removed")
	}
	wantError(t, quotas.Save("r", nil), storage.ErrNullArgument, `"r"`)
}

func request(host string, secs int64) *api.HostMaintenanceRequest {
	return &api.HostMaintenanceRequest{Host: api.Some(host), TimeoutSecs: secs}
}

func TestMaintenance(t *testing.T) {
	requests := begin().Maintenance()
	must(t, requests.Save(request("b", 1)))
	must(t, requests.Save(request("a", 2)))
	must(t, requests.Save(request("b", 3)))
	if got, ok := requests.Fetch("b"); !ok || !got.Equal(request("b", 3)) {
		t.Fatalf("got %v", got)
	}
	hosts := []string{}
	for r := range requests.All() {
		hosts = append(hosts, r.Host.Get())
	}
	wantSame(t, "all", hosts, []string{"a", "b"})
	must(t, requests.Remove("x"))
	must(t, requests.Remove("b"))
	if _, ok := requests.Fetch("b"); ok || requests.Len() != 1 {
		t.Fatal("not removed")
	}
	wantError(t, requests.Save(nil), storage.ErrNullArgument, "")
	wantError(t, requests.Save(&api.HostMaintenanceRequest{}), storage.ErrNullArgument, "")
}

func TestQuotasAreNotLookedInto(t *testing.T) {
	quotas := begin().Quotas()
	for role, q := range map[string]*api.ResourceAggregate{"": quota(1), "not valid!": quota(-1), "odd": quota(math.Inf(1)), "empty": {}} {
		must(t, quotas.Save(role, q))
		if stored, ok := quotas.Fetch(role); !ok || !stored.Equal(q) {
			t.Fatalf("role %q: %v", role, stored)
		}
	}
}

// keys returns the first values.
func keys[K, V any](items iter.Seq2[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range items {
			if !yield(k) {
				return
			}
		}
	}
}

// Lists are fixed copies: what is written after they were asked for is not in them.
func TestListsDoNotFollowLaterWrites(t *testing.T) {
	tx := begin()
	for n := range 200 {
		fill(t, tx, n)
	}
	taskJobs := tx.Tasks().JobKeys()
	updates, err := tx.JobUpdates().Query(&api.JobUpdateQuery{})
	must(t, err)
	lists := map[string]func() int{
		"tasks":       lengthOf(tx.Tasks().All()),
		"cron jobs":   lengthOf(tx.CronJobs().All()),
		"quotas":      lengthOf(keys(tx.Quotas().All())),
		"hosts":       lengthOf(tx.Hosts().All()),
		"job updates": lengthOf(tx.JobUpdates().All()),
		"maintenance": lengthOf(tx.Maintenance().All()),
		"job keys":    lengthOf(slices.Values(taskJobs)),
		"updates":     lengthOf(slices.Values(updates)),
	}
	fill(t, tx, 1000)
	must(t, tx.Tasks().Delete("0000", "0001"))
	must(t, tx.CronJobs().Remove(key("r/e/0000")))
	must(t, tx.Quotas().Remove("0000"))
	must(t, tx.JobUpdates().Remove(updateKey("r/e/j", "0000")))
	must(t, tx.Maintenance().Remove("0000"))
	for range 2 {
		for what, length := range lists {
			if n := length(); n != 200 {
				t.Errorf("%s: %d, want 200", what, n)
			}
		}
		tx.DeleteAll()
	}
}

func lengthOf[T any](items iter.Seq[T]) func() int {
	return func() int { return len(slices.Collect(items)) }
}
