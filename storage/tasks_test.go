package storage_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func TestSaveReplacesWholeTask(t *testing.T) {
	tx := with(t,
		task("a", "r/e/old", on("h1"), in(api.ScheduleStatusRUNNING)),
		task("b", "r/e/old"))
	must(t, tx.Tasks().Save(task("a", "r/e/new", on("h2"), in(api.ScheduleStatusFAILED))))

	tasks := tx.Tasks()
	for _, c := range []struct {
		what string
		q    *api.TaskQuery
		want []string
	}{
		{"all", &api.TaskQuery{}, []string{"a", "b"}},
		{"old job", &api.TaskQuery{JobKeys: []*api.JobKey{key("r/e/old")}}, []string{"b"}},
		{"new job", &api.TaskQuery{JobKeys: []*api.JobKey{key("r/e/new")}}, []string{"a"}},
		{"old host", &api.TaskQuery{SlaveHosts: []string{"h1"}}, []string{}},
		{"new host", &api.TaskQuery{SlaveHosts: []string{"h2"}}, []string{"a"}},
		{"old status", &api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusRUNNING}}, []string{}},
		{"new status", &api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusFAILED}}, []string{"a"}},
	} {
		wantSame(t, c.what, queried(t, tasks, c.q), c.want)
	}
	got, ok := tasks.Fetch("a")
	if !ok || !got.Equal(task("a", "r/e/new", on("h2"), in(api.ScheduleStatusFAILED))) {
		t.Fatalf("fetched %v", got)
	}
	if n := tx.Counts(); n.TaskJobs != 2 || n.TaskHosts != 1 || n.TaskStatuses != 2 {
		t.Fatalf("index entries %+v: an old one was left", n)
	}
}

func TestIndexEntriesComeAndGoWithTasks(t *testing.T) {
	tx := with(t, task("a", "r/e/j", on("h")))
	before := tx.Counts()
	must(t, tx.Tasks().Save(task("b", "r/e/k", on("h"))))
	_, err := tx.Tasks().Mutate("b", func(b *api.ScheduledTask) error {
		b.AssignedTask.SlaveHost = api.Some("g")
		b.Status = api.Some(api.ScheduleStatusKILLED)
		return nil
	})
	must(t, err)
	must(t, tx.Tasks().Delete("b"))
	if after := tx.Counts(); after != before {
		t.Fatalf("%+v, before %+v", after, before)
	}
	must(t, tx.Tasks().Delete("a"))
	if n := tx.Counts(); n != (storage.Counts{}) {
		t.Fatalf("%+v left", n)
	}
}

// Tasks that lack what an index goes by are found by everything else.
func TestTasksWithoutHostStatusOrJob(t *testing.T) {
	bare := &api.ScheduledTask{AssignedTask: &api.AssignedTask{TaskID: api.Some("bare")}}
	bare.Canonicalize()
	noJob := task("no-job", "r/e/j", func(t *api.ScheduledTask) { t.AssignedTask.Task.Job = nil })
	empty := task("empty-host", "r/e/j", on(""))
	tx := with(t, bare, noJob, empty)
	tasks := tx.Tasks()
	wantSame(t, "all", queried(t, tasks, &api.TaskQuery{}), []string{"bare", "empty-host", "no-job"})
	wantSame(t, "role", queried(t, tasks, &api.TaskQuery{Role: api.Some("r")}), []string{"empty-host"})
	wantSame(t, "host", queried(t, tasks, &api.TaskQuery{SlaveHosts: []string{""}}), []string{"empty-host"})
	wantSame(t, "instances", queried(t, tasks, &api.TaskQuery{InstanceIDs: []int32{0}}), []string{"bare", "empty-host", "no-job"})
	pending := []api.ScheduleStatus{api.ScheduleStatusPENDING}
	wantSame(t, "status", queried(t, tasks, &api.TaskQuery{Statuses: pending}), []string{"empty-host", "no-job"})
	wantSame(t, "status by id", queried(t, tasks, &api.TaskQuery{Statuses: pending, TaskIDs: []string{"bare", "no-job"}}), []string{"no-job"})
	wantSame(t, "host by id", queried(t, tasks, &api.TaskQuery{SlaveHosts: []string{""}, TaskIDs: []string{"bare"}}), []string{})
	wantSame(t, "jobs", jobNames(tasks.JobKeys()), []string{"r/e/j"})
	if n := tx.Counts(); n.TaskJobs != 1 || n.TaskHosts != 1 || n.TaskStatuses != 2 {
		t.Fatalf("index entries %+v", n)
	}
	must(t, tasks.Delete("bare", "no-job", "empty-host"))
	if n := tx.Counts(); n != (storage.Counts{}) {
		t.Fatalf("%+v left", n)
	}
}

func TestSaveRefusesAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		what  string
		tasks []*api.ScheduledTask
		kind  error
		text  string
	}{
		{"collision", []*api.ScheduledTask{task("a", "r/e/j"), task("b", "r/e/j"), task("a", "r/e/k")},
			storage.ErrIllegalState, "Proposed new tasks would create task ID collision."},
		{"nil", []*api.ScheduledTask{task("a", "r/e/j"), nil}, storage.ErrNullArgument, "task 2 of the 2"},
		{"no assigned task", []*api.ScheduledTask{task("a", "r/e/j"), {}}, storage.ErrNullArgument, "has no id"},
		{"no id", []*api.ScheduledTask{task("a", "r/e/j"), {AssignedTask: &api.AssignedTask{}}}, storage.ErrNullArgument, "has no id"},
	} {
		t.Run(c.what, func(t *testing.T) {
			tx := begin()
			wantError(t, tx.Tasks().Save(c.tasks...), c.kind, c.text)
			if n := tx.Counts(); n != (storage.Counts{}) {
				t.Fatalf("%+v was saved", n)
			}
		})
	}
	if !errors.Is(storage.ErrNullArgument, storage.ErrInvalidArgument) {
		t.Fatal("a missing argument is an invalid one")
	}
}

func TestSaveTakesTasksAsASet(t *testing.T) {
	tx := with(t, task("a", "r/e/j"), task("a", "r/e/j"))
	if tx.Tasks().Len() != 1 {
		t.Fatal("equal members are one member")
	}
	must(t, tx.Tasks().Save())
}

func TestSaveLeavesTheValueGivenAlone(t *testing.T) {
	first, second := task("a", "r/e/j"), task("b", "r/e/j")
	own := second.AssignedTask.Task
	tx := with(t, first, second)
	if second.AssignedTask.Task != own {
		t.Fatal("the store wrote to a value that others may read")
	}
	a, _ := tx.Tasks().Fetch("a")
	b, _ := tx.Tasks().Fetch("b")
	if a.AssignedTask.Task != b.AssignedTask.Task {
		t.Fatal("equal configurations are kept twice")
	}
}

func TestDeleteIgnoresUnknownIDs(t *testing.T) {
	tx := with(t, task("a", "r/e/j"), task("b", "r/e/j"))
	must(t, tx.Tasks().Delete("x", "a", "a"))
	must(t, tx.Tasks().Delete())
	wantSame(t, "left", ids(tx.Tasks().All()), []string{"b"})
	if _, ok := tx.Tasks().Fetch("a"); ok {
		t.Fatal("a is there")
	}
}

func TestMutate(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		what   string
		id     string
		change func(*api.ScheduledTask) error
		kind   error
		want   *api.ScheduledTask // nil: as before
	}{
		{"stores the result, canonical", "a", func(a *api.ScheduledTask) error {
			a.Status, a.TaskEvents, a.AssignedTask.SlaveHost = api.Some(api.ScheduleStatusLOST), nil, api.Some("h")
			a.AssignedTask.Task.Job = key("r/e/k")
			return nil
		}, nil, task("a", "r/e/k", in(api.ScheduleStatusLOST), on("h"))},
		{"no change", "a", func(a *api.ScheduledTask) error { a.TaskEvents = nil; return nil }, nil, nil},
		{"unknown id", "x", func(*api.ScheduledTask) error { t.Error("called"); return nil }, storage.ErrNotFound, nil},
		{"changed id", "a", func(a *api.ScheduledTask) error { a.AssignedTask.TaskID = api.Some("z"); return nil }, storage.ErrIllegalState, nil},
		{"id dropped", "a", func(a *api.ScheduledTask) error { a.AssignedTask = nil; return nil }, storage.ErrIllegalState, nil},
		{"error", "a", func(a *api.ScheduledTask) error { a.FailureCount++; return refused }, refused, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			tx := with(t, task("a", "r/e/j"), task("b", "r/e/j"))
			before, _ := tx.Tasks().Fetch("a")
			got, err := tx.Tasks().Mutate(c.id, c.change)
			after, _ := tx.Tasks().Fetch("a")
			if c.kind != nil {
				wantError(t, err, c.kind, "")
			} else {
				must(t, err)
				if got != after {
					t.Fatal("what Mutate returns is not what is stored")
				}
			}
			if c.want == nil {
				if after != before || !after.Equal(task("a", "r/e/j")) {
					t.Fatalf("stored %+v", after)
				}
				return
			}
			if !after.Equal(c.want) || !before.Equal(task("a", "r/e/j")) {
				t.Fatalf("stored %+v, before it was %+v", after, before)
			}
			if after.TaskEvents == nil {
				t.Fatal("not canonical")
			}
			wantSame(t, "jobs", jobNames(tx.Tasks().JobKeys()), []string{"r/e/j", "r/e/k"})
		})
	}
	_, err := with(t, task("a", "r/e/j")).Tasks().Mutate("a", func(a *api.ScheduledTask) error {
		a.AssignedTask.TaskID = api.Optional[string]{}
		return nil
	})
	wantError(t, err, storage.ErrIllegalState, "A task's ID may not be mutated.")
}

// A callback that uses the store meanwhile leaves no index entry behind.
func TestMutateWhileTheTaskIsSaved(t *testing.T) {
	tx := with(t, task("a", "r/e/j", on("h1")))
	_, err := tx.Tasks().Mutate("a", func(a *api.ScheduledTask) error {
		a.AssignedTask.SlaveHost = api.Some("h3")
		return tx.Tasks().Save(task("a", "r/e/k", on("h2")))
	})
	must(t, err)
	wantSame(t, "h3", queried(t, tx.Tasks(), &api.TaskQuery{SlaveHosts: []string{"h1", "h2", "h3"}}), []string{"a"})
	if n := tx.Counts(); n.TaskHosts != 1 || n.TaskJobs != 1 || n.TaskConfigs != 1 {
		t.Fatalf("%+v", n)
	}
}

func TestJobKeys(t *testing.T) {
	tx := with(t,
		task("1", "b/e/j"), task("2", "a/e/k"), task("3", "a/e/j", runs("one")), task("4", "a/e/j", runs("two")),
		task("5", "a/d/z"), task("6", "b/e/j"), task("", "a/e/j"))
	wantSame(t, "jobs", jobNames(tx.Tasks().JobKeys()), []string{"a/d/z", "a/e/j", "a/e/k", "b/e/j"})
	must(t, tx.Tasks().Delete("2", "3"))
	wantSame(t, "jobs", jobNames(tx.Tasks().JobKeys()), []string{"a/d/z", "a/e/j", "b/e/j"})
	wantSame(t, "none", jobNames(begin().Tasks().JobKeys()), []string{})
}

func TestEqualConfigsAreSharedAndLeaveWithTheirLastTask(t *testing.T) {
	steps := []struct {
		what    string
		do      func(tasks storage.MutableTasks) error
		configs int
	}{
		{"two equal, one other", func(s storage.MutableTasks) error {
			return s.Save(task("a", "r/e/j"), task("b", "r/e/j"), task("c", "r/e/j", runs("other")))
		}, 2},
		{"the same again", func(s storage.MutableTasks) error { return s.Save(task("a", "r/e/j")) }, 2},
		{"a takes a third", func(s storage.MutableTasks) error { return s.Save(task("a", "r/e/j", runs("third"))) }, 3},
		{"b follows, the first goes", func(s storage.MutableTasks) error {
			_, err := s.Mutate("b", func(b *api.ScheduledTask) error {
				b.AssignedTask.Task = config("r/e/j", "third")
				return nil
			})
			return err
		}, 2},
		{"a leaves, b still has it", func(s storage.MutableTasks) error { return s.Delete("a") }, 2},
		{"b leaves", func(s storage.MutableTasks) error { return s.Delete("b", "b") }, 1},
		{"c leaves", func(s storage.MutableTasks) error { return s.Delete("c") }, 0},
	}
	tx := begin()
	for _, step := range steps {
		must(t, step.do(tx.Tasks()))
		if n := tx.Counts().TaskConfigs; n != step.configs {
			t.Fatalf("%s: %d configurations, want %d", step.what, n, step.configs)
		}
	}
}

func TestTaskSavedAgainIsNotFoundUnderItsOldKeys(t *testing.T) {
	tx := with(t, task("a", "r/e/old", on("old")), task("b", "r/e/old", on("old")))
	must(t, tx.Tasks().Save(task("a", "r/e/new")))
	for want, q := range map[string]*api.TaskQuery{
		"old job": {JobKeys: jobs("r/e/old")}, "old host": {SlaveHosts: []string{"old"}}} {
		wantSame(t, want, queried(t, tx.Tasks(), q), []string{"b"})
	}
	wantSame(t, "jobs", jobNames(tx.Tasks().JobKeys()), []string{"r/e/new", "r/e/old"})
}

// A configuration that many tasks of a call share is encoded and hashed once, not once
// for each: that would make garbage of a copy for each.
func TestSharedConfigurationsAreHashedOnce(t *testing.T) {
	const size, tasks = 1 << 20, 2000
	shared := []*api.TaskConfig{config("r/e/j", strings.Repeat("x", size)), config("r/e/j", strings.Repeat("y", size))}
	given := make([]*api.ScheduledTask, tasks)
	for i := range given {
		given[i] = task(fmt.Sprintf("%04d", i), "r/e/j", func(t *api.ScheduledTask) { t.AssignedTask.Task = shared[i%2] })
	}
	var before, after runtime.MemStats
	tx := begin()
	runtime.ReadMemStats(&before)
	must(t, tx.Tasks().Save(given...))
	runtime.ReadMemStats(&after)
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 20*size {
		t.Fatalf("saving %d tasks took %d bytes", tasks, bytes)
	}
	if n := tx.Counts(); n.TaskConfigs != 2 {
		t.Fatalf("%+v", n)
	}
}

// One call may take and leave a configuration many times, and meet it as several equal
// copies.
func TestConfigurationsAreCountedOverACall(t *testing.T) {
	tx := with(t, task("a", "r/e/j"), task("b", "r/e/j", runs("b")), task("c", "r/e/j", runs("c")))
	pooled, _ := tx.Tasks().Fetch("b")
	// a and c take b's and the other way round; c's is left by all, a's by one and taken by one.
	must(t, tx.Tasks().Save(task("a", "r/e/j", runs("b")), task("b", "r/e/j"), task("c", "r/e/j", runs("b")), task("d", "r/e/j", runs("b"))))
	if n := tx.Counts().TaskConfigs; n != 2 {
		t.Fatalf("%d configurations, want 2", n)
	}
	for _, id := range []string{"a", "c", "d"} {
		if got, _ := tx.Tasks().Fetch(id); got.AssignedTask.Task != pooled.AssignedTask.Task {
			t.Fatalf("%s does not share", id)
		}
	}
	must(t, tx.Tasks().Delete("a", "b", "c", "d", "d"))
	if n := tx.Counts(); n != (storage.Counts{}) {
		t.Fatalf("%+v left", n)
	}
}

func TestLatestActivityOrder(t *testing.T) {
	at := func(id string, times ...int64) *api.ScheduledTask {
		return task(id, "r/e/j", func(t *api.ScheduledTask) {
			for _, ms := range times {
				t.TaskEvents = append(t.TaskEvents, &api.TaskEvent{Timestamp: ms})
			}
		})
	}
	tasks := []*api.ScheduledTask{at("last", 1, 9), at("none"), at("first", 50, 2), at("middle", 5), at("also none")}
	slices.SortStableFunc(tasks, storage.CompareActivity)
	wantSame(t, "order", ids(slices.Values(tasks)), []string{"none", "also none", "first", "middle", "last"})
}
