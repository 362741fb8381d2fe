package storage_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Saves into an empty store, which are put into the trees at once, leave what they leave
// one by one: for all queries, and for what further transactions make of it.
func TestSavesIntoAnEmptyStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draws{t}
		bulk, each := begin(), begin()
		if err := each.Tasks().Save(task("first", "r/e/j")); err != nil {
			t.Fatal(err)
		}
		each.Commit() // its store is not empty, so that each save goes to the trees
		want := newModel()
		var saves [][]*api.ScheduledTask
		for range rapid.IntRange(1, 30).Draw(t, "saves") {
			tasks := map[string]*api.ScheduledTask{}
			for range rapid.SampledFrom([]int{1, 2, 40}).Draw(t, "tasks") {
				x := d.task()
				tasks[idOf(x)] = x
			}
			one := slices.Collect(maps.Values(tasks))
			if d.chance(70) {
				one = slices.SortedFunc(maps.Values(tasks), compareIDs)
			}
			saves = append(saves, one)
			maps.Copy(want.tasks, tasks)
		}
		for _, tasks := range saves {
			for _, tx := range []*storage.Tx{bulk, each} {
				if err := tx.Tasks().Save(tasks...); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := each.Tasks().Delete("first"); err != nil {
			t.Fatal(err)
		}
		m := &machine{state: bulk.Commit(), committed: want}
		want.check(t, each.Commit(), each.Counts())
		want.check(t, m.state, m.state.Counts())
		m.kept = append(m.kept, keptState{m.state, want.clone()})
		m.begin()
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			m.step(t)
		}
		m.now.check(t, storage.ReadOnly(m.tx), m.tx.Counts())
		for _, k := range m.kept {
			k.model.check(t, k.state, k.state.Counts())
		}
	})
}

// Whatever a transaction does first after saves into an empty store, it sees them.
func TestWhatFollowsSavesIntoAnEmptyStore(t *testing.T) {
	x, y := task("a", "r/e/j", on("h"), in(api.ScheduleStatusRUNNING)), task("b", "r/e/k", on("h"))
	for name, sees := range map[string]func(tx *storage.Tx) bool{
		"len":   func(tx *storage.Tx) bool { return tx.Tasks().Len() == 2 },
		"fetch": func(tx *storage.Tx) bool { got, ok := tx.Tasks().Fetch("a"); return ok && got.Equal(x) },
		"all":   func(tx *storage.Tx) bool { return slices.Equal(ids(tx.Tasks().All()), []string{"a", "b"}) },
		"jobs":  func(tx *storage.Tx) bool { return len(tx.Tasks().JobKeys()) == 2 },
		"by id": func(tx *storage.Tx) bool {
			return len(queried(t, tx.Tasks(), &api.TaskQuery{TaskIDs: []string{"b"}})) == 1
		},
		"by job": func(tx *storage.Tx) bool {
			return len(queried(t, tx.Tasks(), &api.TaskQuery{JobKeys: []*api.JobKey{key("r/e/j")}})) == 1
		},
		"by host": func(tx *storage.Tx) bool {
			return len(queried(t, tx.Tasks(), &api.TaskQuery{SlaveHosts: []string{"h"}})) == 2
		},
		"by role": func(tx *storage.Tx) bool {
			return len(queried(t, tx.Tasks(), &api.TaskQuery{Role: api.Some("r")})) == 2
		},
		"by status": func(tx *storage.Tx) bool {
			return len(queried(t, tx.Tasks(), &api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusRUNNING}})) == 1
		},
		"no query": func(tx *storage.Tx) bool { return len(queried(t, tx.Tasks(), &api.TaskQuery{})) == 2 },
		"counts": func(tx *storage.Tx) bool {
			return tx.Counts() == storage.Counts{Tasks: 2, TaskJobs: 2, TaskHosts: 2, TaskStatuses: 2, TaskConfigs: 2}
		},
		"commit": func(tx *storage.Tx) bool { return tx.Commit().Tasks().Len() == 2 },
		"delete": func(tx *storage.Tx) bool {
			must(t, tx.Tasks().Delete("a"))
			return slices.Equal(ids(tx.Tasks().All()), []string{"b"})
		},
		"mutate": func(tx *storage.Tx) bool {
			_, err := tx.Tasks().Mutate("a", func(*api.ScheduledTask) error { return nil })
			return err == nil
		},
		"delete all": func(tx *storage.Tx) bool { tx.DeleteAllTasks(); return tx.Counts() == storage.Counts{} },
		"roll back": func(tx *storage.Tx) bool {
			to := tx.Savepoint()
			tx.DeleteAllTasks()
			must(t, tx.Tasks().Save(task("c", "r/e/j")))
			tx.Rollback(to)
			return slices.Equal(ids(tx.Tasks().All()), []string{"a", "b"})
		},
		"a save that fails": func(tx *storage.Tx) bool {
			if tx.Tasks().Save(task("c", "r/e/j"), task("c", "r/e/k")) == nil || tx.Tasks().Save(task("c", "r/e/j"), nil) == nil {
				return false
			}
			return slices.Equal(ids(tx.Tasks().All()), []string{"a", "b"})
		},
	} {
		tx := begin()
		tasks := tx.Tasks() // also if it was got before
		before := tasks.All()
		must(t, tasks.Save(x))
		must(t, tasks.Save(y))
		if !sees(tx) {
			t.Errorf("%s: the saves are not seen as they should be", name)
		}
		if got := ids(before); len(got) != 0 {
			t.Errorf("%s: a sequence from before the saves has %v", name, got)
		}
	}
}

func compareIDs(a, b *api.ScheduledTask) int { return cmp.Compare(idOf(a), idOf(b)) }

// A hundred thousand tasks as a snapshot has them, in the order of ids and with one
// configuration for a job, into an empty store, and into one that is not: there each
// save goes to the trees.
func BenchmarkLoad(b *testing.B) {
	order := make([]int, benchTasks)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(benchTaskID(a), benchTaskID(b)) })
	tasks := make([]*api.ScheduledTask, benchTasks)
	for i, n := range order {
		tasks[i] = benchTask(n)
		if i > 0 && tasks[i-1].AssignedTask.Task.Equal(tasks[i].AssignedTask.Task) {
			tasks[i].AssignedTask.Task = tasks[i-1].AssignedTask.Task
		}
	}
	for _, first := range []bool{false, true} {
		b.Run(fmt.Sprintf("empty=%v", !first), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tx := begin()
				if first {
					must(b, tx.Tasks().Save(task("0", "r/e/j")))
					tx.Savepoint()
				}
				for at := 0; at < benchTasks; at += 500 {
					must(b, tx.Tasks().Save(tasks[at:at+500]...))
				}
				tx.Commit()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchTasks, "ns/task")
		})
	}
}
