package storage_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// benchTask is the n-th of many tasks: 20 to a job, 30 to a host, ids as schedulers
// make them.
func benchTask(n int) *api.ScheduledTask {
	job := fmt.Sprintf("role-%d/prod/job-%d", n/20%100, n/20)
	t := task(benchTaskID(n), job,
		on(fmt.Sprintf("host-%d.example.org", n*7919%(n/30+1000))), instance(int32(n%20)), in(api.ScheduleStatusRUNNING))
	if n%10 == 0 {
		t.Status = api.Some(api.ScheduleStatusPENDING)
	}
	return t
}

func benchTaskID(n int) string {
	return fmt.Sprintf("role-prod-job-%d-%d-%08x", n/20, n%20, uint32(n)*2654435761)
}

// load saves n tasks in random order, 1,000 to a transaction.
func load(tb testing.TB, n int) *storage.State {
	state := storage.NewState(storage.Options{})
	order := rand.New(rand.NewPCG(1, 1)).Perm(n)
	for len(order) > 0 {
		tx := state.Begin()
		batch := order[:min(1000, len(order))]
		order = order[len(batch):]
		tasks := make([]*api.ScheduledTask, len(batch))
		for i, n := range batch {
			tasks[i] = benchTask(n)
		}
		must(tb, tx.Tasks().Save(tasks...))
		state = tx.Commit()
	}
	return state
}

const benchTasks = 100_000

// A transaction of one task, the smallest write there is.
func BenchmarkSaveOne(b *testing.B) {
	base := load(b, benchTasks)
	statuses := []api.ScheduleStatus{api.ScheduleStatusASSIGNED, api.ScheduleStatusRUNNING}
	for _, c := range []struct {
		name string
		task func(i int) *api.ScheduledTask
	}{
		{"new", func(i int) *api.ScheduledTask { return benchTask(benchTasks + i%benchTasks) }},
		{"status", func(i int) *api.ScheduledTask {
			t := benchTask(i * 7919 % benchTasks)
			t.Status = api.Some(statuses[i%2])
			return t
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			tasks := make([]*api.ScheduledTask, 10000)
			for i := range tasks {
				tasks[i] = c.task(i)
			}
			state, i := base, 0
			b.ReportAllocs()
			for b.Loop() {
				tx := state.Begin()
				must(b, tx.Tasks().Save(tasks[i%len(tasks)]))
				state = tx.Commit()
				i++
			}
		})
	}
}

func BenchmarkQuery(b *testing.B) {
	state := load(b, benchTasks)
	t := benchTask(benchTasks / 2)
	id, job, host := idOf(t), t.AssignedTask.Task.Job, t.AssignedTask.SlaveHost.Get()
	b.Run("fetch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			state.Tasks().Fetch(id)
		}
	})
	for _, c := range []struct {
		name string
		q    api.TaskQuery
	}{
		{"id", api.TaskQuery{TaskIDs: []string{id}}},
		{"job", api.TaskQuery{JobKeys: []*api.JobKey{job}}},
		{"host", api.TaskQuery{SlaveHosts: []string{host}}},
		{"status", api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING}}},
		{"statuses", api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusRUNNING, api.ScheduleStatusLOST}}},
		{"role", api.TaskQuery{Role: job.Role}},
		{"all", api.TaskQuery{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = len(queried(b, state.Tasks(), &c.q))
			}
			b.ReportMetric(float64(n), "tasks")
		})
	}
}

// A million tasks: how long, and how much memory beyond the values themselves.
func BenchmarkLoadMillion(b *testing.B) {
	const n = 1_000_000
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for _, order := range []struct {
		name string
		of   func() []int
	}{
		{"sorted", func() []int {
			// In the order of ids, as a snapshot has them.
			order := rand.New(rand.NewPCG(1, 1)).Perm(n)
			slices.SortFunc(order, func(a, b int) int { return cmp.Compare(benchTaskID(a), benchTaskID(b)) })
			return order
		}},
		{"random", func() []int { return rand.New(rand.NewPCG(1, 1)).Perm(n) }},
	} {
		b.Run(order.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				before := heap()
				tasks := make([]*api.ScheduledTask, n)
				for i, j := range order.of() {
					tasks[i] = benchTask(j)
				}
				given := heap() - before
				b.StartTimer()
				state := storage.NewState(storage.Options{})
				for at := 0; at < n; at += 1000 {
					tx := state.Begin()
					must(b, tx.Tasks().Save(tasks[at:at+1000]...))
					state = tx.Commit()
				}
				b.StopTimer()
				tasks = nil
				b.ReportMetric(given/n, "given-B/task")
				b.ReportMetric((heap()-before)/n, "held-B/task")
				runtime.KeepAlive(state)
				b.StartTimer()
			}
		})
	}
}

// An update with many events, in one transaction.
func BenchmarkSaveEvents(b *testing.B) {
	const n = 90_000
	k := updateKey("r/e/j", "u")
	for b.Loop() {
		tx := begin()
		must(b, tx.JobUpdates().Save(update(k)))
		for i := range int64(n) {
			must(b, tx.JobUpdates().SaveInstanceEvent(k, instanceEvent("x", i)))
		}
	}
}
