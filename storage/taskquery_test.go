package storage_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func manyTasks(t *testing.T) storage.Tasks {
	return with(t,
		task("t1", "www/prod/web", on("h1"), instance(0), in(api.ScheduleStatusRUNNING)),
		task("t2", "www/prod/web", on("h2"), instance(1), in(api.ScheduleStatusPENDING)),
		task("t3", "www/prod/api", on("h1"), instance(0), in(api.ScheduleStatusRUNNING)),
		task("t4", "www/test/web", instance(0), in(api.ScheduleStatusFAILED)),
		task("t5", "ads/prod/web", on("h3"), instance(2), in(api.ScheduleStatusRUNNING)),
		task("t0", "ads/prod/web", on("h2"), instance(1), in(api.ScheduleStatusPENDING)),
	).Tasks()
}

func jobs(names ...string) []*api.JobKey {
	keys := []*api.JobKey{}
	for _, name := range names {
		keys = append(keys, key(name))
	}
	return keys
}

func TestQueryMatching(t *testing.T) {
	some := api.Some[string]
	all := []string{"t0", "t1", "t2", "t3", "t4", "t5"}
	tasks := manyTasks(t)
	for i, c := range []struct {
		q    api.TaskQuery
		want []string
	}{
		{api.TaskQuery{}, all},
		{api.TaskQuery{TaskIDs: []string{}, Statuses: []api.ScheduleStatus{}, InstanceIDs: []int32{}, SlaveHosts: []string{}, JobKeys: jobs()}, all},
		{api.TaskQuery{Role: some("www")}, []string{"t1", "t2", "t3", "t4"}},
		{api.TaskQuery{Role: some("")}, all},
		{api.TaskQuery{Role: some(" \t")}, all},
		{api.TaskQuery{Role: some(" www")}, []string{}},
		{api.TaskQuery{Environment: some("prod")}, []string{"t0", "t1", "t2", "t3", "t5"}},
		{api.TaskQuery{Environment: some("")}, []string{}},
		{api.TaskQuery{JobName: some("web")}, []string{"t0", "t1", "t2", "t4", "t5"}},
		{api.TaskQuery{JobName: some("")}, []string{}},
		{api.TaskQuery{Role: some("www"), Environment: some("prod"), JobName: some("web")}, []string{"t1", "t2"}},
		{api.TaskQuery{Role: some("www"), Environment: some("prod"), JobName: some("none")}, []string{}},
		{api.TaskQuery{JobKeys: jobs("www/prod/web", "ads/prod/web", "www/prod/web")}, []string{"t0", "t1", "t2", "t5"}},
		{api.TaskQuery{JobKeys: jobs("www/prod/web", "ads/prod/web"), Role: some("ads"), Environment: some("prod"), JobName: some("web")}, []string{"t0", "t5"}},
		{api.TaskQuery{JobKeys: jobs("www/prod/api"), Role: some("ads"), Environment: some("prod"), JobName: some("web")}, []string{}},
		{api.TaskQuery{JobKeys: jobs("www/prod/api"), Role: some("ads")}, []string{}},
		{api.TaskQuery{TaskIDs: []string{"t5", "t1", "zz", "t5"}}, []string{"t1", "t5"}},
		{api.TaskQuery{TaskIDs: []string{"t5", "t1"}, Role: some("www")}, []string{"t1"}},
		{api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusRUNNING}}, []string{"t1", "t3", "t5"}},
		{api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusRUNNING, api.ScheduleStatusFAILED, api.ScheduleStatusRUNNING, api.ScheduleStatusLOST}}, []string{"t1", "t3", "t4", "t5"}},
		{api.TaskQuery{SlaveHosts: []string{"h1"}}, []string{"t1", "t3"}},
		{api.TaskQuery{SlaveHosts: []string{"h3", "h2", "h2", "none", ""}}, []string{"t0", "t2", "t5"}},
		{api.TaskQuery{SlaveHosts: []string{"h1"}, Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING}}, []string{}},
		{api.TaskQuery{InstanceIDs: []int32{1, 2}}, []string{"t0", "t2", "t5"}},
		{api.TaskQuery{JobKeys: jobs("www/prod/web"), InstanceIDs: []int32{1}}, []string{"t2"}},
		{api.TaskQuery{Offset: api.Some(int32(2)), Limit: api.Some(int32(1))}, all},
		// Not a query by job, so nothing about the keys is checked.
		{api.TaskQuery{TaskIDs: []string{"t1"}, JobKeys: jobs("bad role/e/n")}, []string{}},
		{api.TaskQuery{Environment: some("not valid!"), JobName: some("web")}, []string{}},
	} {
		wantSame(t, fmt.Sprintf("%d: %+v", i, c.q), queried(t, tasks, &c.q), c.want)
	}
}

func TestQueryByJobNeedsValidKeys(t *testing.T) {
	some := api.Some[string]
	tasks := manyTasks(t)
	for _, q := range []api.TaskQuery{
		{JobKeys: jobs("www/prod/web", "www/prod/")},
		{JobKeys: jobs("w w/prod/web")},
		{JobKeys: []*api.JobKey{nil}},
		{JobKeys: []*api.JobKey{{Role: some("www"), Environment: some("prod")}}},
		{JobKeys: jobs("www/prod/web"), JobName: some("web")},
		{JobKeys: jobs("www/prod/web"), JobName: some("web"), Role: some("www")},
		{Role: some(""), Environment: some("prod"), JobName: some("web")},
		{Role: some("www"), Environment: some(""), JobName: some("web")},
	} {
		_, err := tasks.Query(&q)
		wantError(t, err, storage.ErrInvalidArgument, "is not valid")
	}
	_, err := tasks.Query(nil)
	wantError(t, err, storage.ErrNullArgument, "")
}

func TestBlankRoleMeansAnyRole(t *testing.T) {
	tasks := manyTasks(t)
	for _, blank := range []string{"", " ", "\t\n", "\u2003"} {
		wantSame(t, "all", queried(t, tasks, &api.TaskQuery{Role: api.Some(blank)}), []string{"t0", "t1", "t2", "t3", "t4", "t5"})
		wantSame(t, "test", queried(t, tasks, &api.TaskQuery{Role: api.Some(blank), Environment: api.Some("test")}), []string{"t4"})
	}
}

func TestEmptyEnvironmentAndJobNameAreRestrictions(t *testing.T) {
	tasks := with(t, task("a", "r/e/j"), task("b", "r//j"), task("c", "r/e/")).Tasks()
	for _, role := range []api.Optional[string]{{}, api.Some("r")} {
		wantSame(t, "no environment", queried(t, tasks, &api.TaskQuery{Role: role, Environment: api.Some("")}), []string{"b"})
		wantSame(t, "no name", queried(t, tasks, &api.TaskQuery{Role: role, JobName: api.Some("")}), []string{"c"})
	}
	wantSame(t, "blank environment", queried(t, tasks, &api.TaskQuery{Environment: api.Some(" ")}), []string{})
}

func TestRoleEnvironmentNameAndJobKeysIntersect(t *testing.T) {
	some := api.Some[string]
	triple := api.TaskQuery{Role: some("www"), Environment: some("prod"), JobName: some("web")}
	for want, names := range map[string][]string{"[t1 t2]": {"www/prod/web", "ads/prod/web"}, "[]": {"ads/prod/web"}} {
		triple.JobKeys = jobs(names...)
		if got := fmt.Sprint(queried(t, manyTasks(t), &triple)); got != want {
			t.Errorf("%v: %s, want %s", names, got, want)
		}
	}
}

func TestInvalidJobKeyIsAnErrorThoughNothingCouldMatch(t *testing.T) {
	empty := begin().Tasks()
	for _, q := range []*api.TaskQuery{
		{JobKeys: jobs("not valid!/e/j")},
		{JobKeys: jobs("r/e/j", "r/e/"), SlaveHosts: []string{"none"}, Statuses: []api.ScheduleStatus{api.ScheduleStatusLOST}},
		{Role: api.Some("r"), Environment: api.Some("e"), JobName: api.Some("not valid!"), InstanceIDs: []int32{-1}},
	} {
		_, err := empty.Query(q)
		wantError(t, err, storage.ErrInvalidArgument, "is not valid")
	}
}

func TestJobKeysWithANameNeedRoleAndEnvironment(t *testing.T) {
	q := &api.TaskQuery{JobKeys: jobs("www/prod/web"), JobName: api.Some("web")}
	for _, part := range []*api.Optional[string]{&q.Role, &q.Environment} {
		_, err := manyTasks(t).Query(q)
		wantError(t, err, storage.ErrInvalidArgument, "is not valid")
		*part = api.Some(map[bool]string{true: "www", false: "prod"}[part == &q.Role])
	}
	wantSame(t, "whole", queried(t, manyTasks(t), q), []string{"t1", "t2"})
}

func TestTaskQueriesIgnoreOffsetAndLimit(t *testing.T) {
	q := &api.TaskQuery{Role: api.Some("ads"), Offset: api.Some(int32(-5)), Limit: api.Some(int32(1))}
	wantSame(t, "found", queried(t, manyTasks(t), q), []string{"t0", "t5"})
}

// The tasks of a role are found job by job, and come in the order of their ids.
func TestTasksOfARoleComeInTheOrderOfIDs(t *testing.T) {
	tx := begin()
	want := map[string][]string{}
	for n := range 600 {
		id := fmt.Sprintf("%03d", n*7%600)
		job := fmt.Sprintf("%s/%s/j%d", []string{"r", "r.s", "ra", "q"}[n%4], []string{"e", "e2", "f"}[n%3], n%25)
		must(t, tx.Tasks().Save(task(id, job, in([]api.ScheduleStatus{api.ScheduleStatusRUNNING, api.ScheduleStatusLOST}[n%2]))))
		want[key(job).Role.Value] = append(want[key(job).Role.Value], id)
		part := key(job).Role.Value + "/" + key(job).Environment.Value
		want[part] = append(want[part], id)
	}
	state := tx.Commit()
	for _, all := range want {
		slices.Sort(all)
	}
	for _, role := range []string{"r", "r.s", "ra", "q", "none"} {
		wantSame(t, role, queried(t, state.Tasks(), &api.TaskQuery{Role: api.Some(role)}), want[role])
		for _, environment := range []string{"e", "e2", "f", "g"} {
			wantSame(t, role, queried(t, state.Tasks(), &api.TaskQuery{Role: api.Some(role), Environment: api.Some(environment)}), want[role+"/"+environment])
		}
		found, err := state.Tasks().Query(&api.TaskQuery{Role: api.Some(role)})
		must(t, err)
		for first := range found {
			if idOf(first) != want[role][0] {
				t.Fatalf("%s begins with %s", role, idOf(first))
			}
			break
		}
	}
}

func TestQueryPathsAreCounted(t *testing.T) {
	some := api.Some[string]
	ids, hosts := []string{"a"}, []string{"h"}
	statuses := []api.ScheduleStatus{api.ScheduleStatusLOST}
	type counts struct{ id, job, host, role, status, all int64 }
	for i, c := range []struct {
		q    api.TaskQuery
		want counts
	}{
		{api.TaskQuery{TaskIDs: ids, JobKeys: jobs("r/e/j"), SlaveHosts: hosts, Statuses: statuses}, counts{id: 1}},
		{api.TaskQuery{JobKeys: jobs("r/e/j"), SlaveHosts: hosts, Statuses: statuses}, counts{job: 1}},
		{api.TaskQuery{Role: some("r"), Environment: some("e"), JobName: some("j")}, counts{job: 1}},
		{api.TaskQuery{Role: some("r"), Environment: some("e"), SlaveHosts: hosts, Statuses: statuses}, counts{host: 1}},
		{api.TaskQuery{Role: some("r"), Environment: some("e"), InstanceIDs: []int32{1}}, counts{role: 1}},
		{api.TaskQuery{Role: some("r"), JobName: some("j")}, counts{role: 1}},
		{api.TaskQuery{Role: some(" "), Statuses: statuses}, counts{status: 1}},
		{api.TaskQuery{Role: some(" "), Environment: some("e")}, counts{all: 1}},
		{api.TaskQuery{Environment: some("e"), JobName: some("j"), InstanceIDs: []int32{1}}, counts{all: 1}},
		// The role r has two tasks, s has one; two are PENDING, one is LOST.
		{api.TaskQuery{Role: some("r"), Statuses: statuses}, counts{status: 1}},
		{api.TaskQuery{Role: some("s"), Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING}}, counts{role: 1}},
		{api.TaskQuery{Role: some("r"), Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusLOST}}, counts{role: 1}},
		{api.TaskQuery{Role: some("r"), Statuses: []api.ScheduleStatus{api.ScheduleStatusLOST, api.ScheduleStatusLOST}}, counts{status: 1}},
		{api.TaskQuery{Role: some("none"), Statuses: statuses}, counts{role: 1}},
		// One task of r is in e, one has the name k.
		{api.TaskQuery{Role: some("r"), Environment: some("e"), Statuses: statuses}, counts{role: 1}},
		{api.TaskQuery{Role: some("r"), JobName: some("k"), Statuses: statuses}, counts{role: 1}},
		{api.TaskQuery{Role: some("r"), Statuses: []api.ScheduleStatus{api.ScheduleStatusFAILED}}, counts{status: 1}},
	} {
		n := &storage.QueryCounters{}
		tx := storage.NewState(storage.Options{Queries: n}).Begin()
		must(t, tx.Tasks().Save(task("a", "r/e/j"), task("b", "r/f/k", in(api.ScheduleStatusLOST)), task("c", "s/e/j")))
		queried(t, tx.Commit().Tasks(), &c.q)
		got := counts{n.ByID.Load(), n.ByJob.Load(), n.ByHost.Load(), n.ByRole.Load(), n.ByStatus.Load(), n.All.Load()}
		if got != c.want {
			t.Errorf("%d: %+v, want %+v", i, got, c.want)
		}
	}
}

// Every path must stop when the reader does, and can be read again.
func TestQueryResultsCanBeReadInPartAndAgain(t *testing.T) {
	tasks := manyTasks(t)
	for _, q := range []*api.TaskQuery{
		{},
		{TaskIDs: []string{"t2", "t0"}},
		{JobKeys: jobs("ads/prod/web")},
		{JobKeys: jobs("ads/prod/web", "www/prod/web")},
		{SlaveHosts: []string{"h1", "h2"}},
		{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING}},
	} {
		whole := queried(t, tasks, q)
		found, err := tasks.Query(q)
		must(t, err)
		for range 2 {
			for first := range found {
				if idOf(first) != whole[0] {
					t.Fatalf("%+v began with %s, want %s", q, idOf(first), whole[0])
				}
				break
			}
			wantSame(t, "whole", ids(found), whole)
		}
	}
}

func TestPage(t *testing.T) {
	all := slices.Values([]int{1, 2, 3, 4, 5})
	for _, c := range []struct {
		offset, limit int32
		want          []int
	}{
		{0, 0, []int{1, 2, 3, 4, 5}},
		{0, -1, []int{1, 2, 3, 4, 5}},
		{2, 2, []int{3, 4}},
		{4, 9, []int{5}},
		{5, 1, nil},
		{9, 0, nil},
		{0, 1, []int{1}},
	} {
		page, err := storage.Page(all, c.offset, c.limit)
		must(t, err)
		for range 2 {
			wantSame(t, fmt.Sprint(c.offset, " ", c.limit), slices.Collect(page), c.want)
		}
		for range page {
			break
		}
	}
	_, err := storage.Page(all, -1, 0)
	wantError(t, err, storage.ErrInvalidArgument, "offset -1")
}
