package storage_test

import (
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

func host(name string, mode api.MaintenanceMode, agent string, attributes ...*api.Attribute) *api.HostAttributes {
	h := &api.HostAttributes{Host: api.Some(name), Mode: api.Some(mode), SlaveID: api.Some(agent), Attributes: attributes}
	h.Canonicalize()
	return h
}

func attribute(name string, values ...string) *api.Attribute {
	return &api.Attribute{Name: api.Some(name), Values: values}
}

func TestHostsSaveTellsWhatChanged(t *testing.T) {
	const none, drained = api.MaintenanceModeNONE, api.MaintenanceModeDRAINED
	hosts := begin().Hosts()
	for _, step := range []struct {
		what    string
		record  *api.HostAttributes
		changed bool
	}{
		{"new", host("h", none, "s1", attribute("rack", "a", "b")), true},
		{"same", host("h", none, "s1", attribute("rack", "a", "b")), false},
		{"same, values in another order", &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(none), SlaveID: api.Some("s1"),
			Attributes: []*api.Attribute{attribute("rack", "b", "a")}}, false},
		{"mode", host("h", drained, "s1", attribute("rack", "a", "b")), true},
		{"another agent on the host", host("h", drained, "s2", attribute("rack", "a", "b")), true},
		{"attributes", host("h", drained, "s2", attribute("rack", "a")), true},
		{"fewer attributes", host("h", drained, "s2"), true},
		{"unset attributes are none", &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(drained), SlaveID: api.Some("s2")}, false},
		{"no agent", &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(drained), Attributes: []*api.Attribute{}}, true},
	} {
		changed, err := hosts.Save(step.record)
		must(t, err)
		got, _ := hosts.Fetch("h")
		if changed != step.changed || !got.Equal(step.record) || hosts.Len() != 1 {
			t.Fatalf("%s: changed %v, stored %v", step.what, changed, got)
		}
	}
	_, err := hosts.Save(host("g", none, "s3"))
	must(t, err)
	var names []string
	for h := range hosts.All() {
		names = append(names, h.Host.Get())
	}
	wantSame(t, "all", names, []string{"g", "h"})
}

func TestHostsRefuse(t *testing.T) {
	tx := begin()
	for _, c := range []struct {
		record *api.HostAttributes
		kind   error
		text   string
	}{
		{nil, storage.ErrNullArgument, ""},
		{&api.HostAttributes{Host: api.Some("h"), Attributes: []*api.Attribute{attribute("ok", "v"), attribute("rack")}},
			storage.ErrInvalidArgument, `attribute "rack" has no values`}, // before the missing mode
		{&api.HostAttributes{Host: api.Some("h"), Attributes: []*api.Attribute{nil}, Mode: api.Some(api.MaintenanceModeNONE)}, storage.ErrNullArgument, ""},
		{&api.HostAttributes{Host: api.Some("h")}, storage.ErrInvalidArgument, "mode"},
		{&api.HostAttributes{Mode: api.Some(api.MaintenanceModeNONE)}, storage.ErrNullArgument, "host name"},
	} {
		changed, err := tx.Hosts().Save(c.record)
		wantError(t, err, c.kind, c.text)
		if changed || tx.Hosts().Len() != 0 {
			t.Fatalf("%v was saved", c.record)
		}
	}
}

func TestHostHelpers(t *testing.T) {
	tx := begin()
	_, err := tx.Hosts().Save(host("h", api.MaintenanceModeDRAINING, "s", attribute("rack", "a")))
	must(t, err)
	if got := storage.AttributesOf(tx.Hosts(), "h"); len(got) != 1 || got[0].Name.Get() != "rack" {
		t.Fatalf("attributes %v", got)
	}
	if got := storage.AttributesOf(tx.Hosts(), "x"); len(got) != 0 {
		t.Fatalf("attributes %v", got)
	}
	got, ok := storage.WithMode(tx.Hosts(), "h", api.MaintenanceModeDRAINED)
	if !ok || !got.Equal(host("h", api.MaintenanceModeDRAINED, "s", attribute("rack", "a"))) {
		t.Fatalf("with mode %v", got)
	}
	if stored, _ := tx.Hosts().Fetch("h"); stored.Mode.Get() != api.MaintenanceModeDRAINING {
		t.Fatal("the stored record was changed")
	}
	if _, ok := storage.WithMode(tx.Hosts(), "x", api.MaintenanceModeDRAINED); ok {
		t.Fatal("a record for an unknown host")
	}
	for name, want := range map[string]api.MaintenanceMode{"h": api.MaintenanceModeDRAINING, "x": api.MaintenanceModeNONE} {
		reported := &api.HostAttributes{Host: api.Some(name)}
		storage.KeepMode(tx.Hosts(), reported)
		if reported.Mode != api.Some(want) {
			t.Fatalf("%s: mode %v, want %v", name, reported.Mode, want)
		}
	}
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

func TestSelection(t *testing.T) {
	some, zero := api.Some[string], storage.Selection{}
	active := []api.ScheduleStatus{api.ScheduleStatusASSIGNED, api.ScheduleStatusDRAINING, api.ScheduleStatusKILLING,
		api.ScheduleStatusPENDING, api.ScheduleStatusPREEMPTING, api.ScheduleStatusRESTARTING, api.ScheduleStatusRUNNING,
		api.ScheduleStatusSTARTING, api.ScheduleStatusPARTITIONED, api.ScheduleStatusTHROTTLED}
	terminal := []api.ScheduleStatus{api.ScheduleStatusFAILED, api.ScheduleStatusFINISHED, api.ScheduleStatusKILLED, api.ScheduleStatusLOST}
	for i, c := range []struct {
		s    storage.Selection
		want *api.TaskQuery
	}{
		{zero, &api.TaskQuery{}},
		{zero.ByID("a").ByID("b", "c"), &api.TaskQuery{TaskIDs: []string{"b", "c"}}},
		{zero.ByRole("r"), &api.TaskQuery{Role: some("r")}},
		{zero.ByEnv("r", "e").BySlave("g", "h"), &api.TaskQuery{Role: some("r"), Environment: some("e"), SlaveHosts: []string{"g", "h"}}},
		{zero.ByJob(key("r/e/j")).ByJob(key("r/e/k")), &api.TaskQuery{JobKeys: jobs("r/e/k")}},
		{zero.ByJobKeys(jobs("r/e/j", "bad key/e/j")...), &api.TaskQuery{JobKeys: jobs("r/e/j", "bad key/e/j")}},
		{zero.ByInstances(key("r/e/j"), 1, 2), &api.TaskQuery{Role: some("r"), Environment: some("e"), JobName: some("j"), InstanceIDs: []int32{1, 2}}},
		{zero.ByInstances(key("r/e/j"), 1).ByInstances(key("r/e/j")), &api.TaskQuery{Role: some("r"), Environment: some("e"), JobName: some("j")}},
		{zero.Terminal().Active(), &api.TaskQuery{Statuses: active}},
		{zero.Active().Terminal(), &api.TaskQuery{Statuses: terminal}},
		{storage.SelectionOf(&api.TaskQuery{Role: some("r"), Limit: api.Some(int32(3))}).ByID("a"),
			&api.TaskQuery{Role: some("r"), Limit: api.Some(int32(3)), TaskIDs: []string{"a"}}},
	} {
		got, err := c.s.Query()
		must(t, err)
		if !got.Equal(c.want) {
			t.Errorf("%d: %+v, want %+v", i, got, c.want)
		}
	}
	for _, c := range []struct {
		s    storage.Selection
		kind error
	}{
		{zero.ByJob(key("r/e/")), storage.ErrInvalidArgument},
		{zero.ByJob(nil), storage.ErrNullArgument},
		{zero.ByInstances(key("r r/e/j"), 1).Active(), storage.ErrInvalidArgument},
		{zero.ByInstances(nil), storage.ErrNullArgument},
		{zero.ByStatus(), storage.ErrInvalidArgument},
		{storage.SelectionOf(nil), storage.ErrNullArgument},
	} {
		_, err := c.s.Query()
		wantError(t, err, c.kind, "")
	}
}

func TestSelectionsShareNothing(t *testing.T) {
	given := []string{"a"}
	base := storage.Selection{}.ByID(given...)
	other := base.ByRole("r")
	given[0] = "x"
	q, _ := base.Query()
	q.TaskIDs[0] = "y"
	again, _ := base.Query()
	if !slices.Equal(again.TaskIDs, []string{"a"}) || again.Role.Set {
		t.Fatalf("%+v", again)
	}
	if q, _ := other.Query(); q.Role.Get() != "r" || q.TaskIDs[0] != "a" {
		t.Fatalf("%+v", q)
	}
}
