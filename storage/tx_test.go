package storage_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// fill saves one thing into every store, named by n.
func fill(t testing.TB, m storage.Mutable, n int) {
	t.Helper()
	name := fmt.Sprintf("%04d", n)
	must(t, m.SaveFrameworkID(name))
	must(t, m.Tasks().Save(task(name, "r/e/"+name, on(name))))
	must(t, m.CronJobs().Save(cron("r/e/"+name, "")))
	must(t, m.Quotas().Save(name, quota(1)))
	_, err := m.Hosts().Save(host(name, api.MaintenanceModeNONE, "s"))
	must(t, err)
	must(t, m.JobUpdates().Save(update(updateKey("r/e/j", name))))
	must(t, m.Maintenance().Save(request(name, 1)))
}

// content lists what fill saved, and checks that all stores agree on it.
func content(t testing.TB, v storage.View) []string {
	t.Helper()
	all := ids(v.Tasks().All())
	var crons, quotas, hosts, updates, requests []string
	for j := range v.CronJobs().All() {
		crons = append(crons, j.Key.Name.Get())
	}
	for role := range v.Quotas().All() {
		quotas = append(quotas, role)
	}
	for h := range v.Hosts().All() {
		hosts = append(hosts, h.Host.Get())
	}
	for u := range v.JobUpdates().All() {
		updates = append(updates, u.Update.Summary.Key.ID.Get())
	}
	for r := range v.Maintenance().All() {
		requests = append(requests, r.Host.Get())
	}
	for _, names := range [][]string{crons, quotas, hosts, updates, requests} {
		wantSame(t, "a store", names, all)
	}
	if id, ok := v.FrameworkID(); ok && id != all[len(all)-1] || ok != (len(all) > 0) {
		t.Fatalf("framework id %q, tasks %v", id, all)
	}
	return all
}

func TestCommitsAndDroppedTransactions(t *testing.T) {
	empty := storage.NewState(storage.Options{})
	tx := empty.Begin()
	fill(t, tx, 1)
	one := tx.Commit()
	fill(t, tx, 2) // goes on after the commit
	two := tx.Commit()
	dropped := one.Begin()
	fill(t, dropped, 9)
	dropped.DeleteAllTasks()
	other := one.Begin()
	fill(t, other, 3)
	three := other.Commit()

	for _, c := range []struct {
		state *storage.State
		want  []string
	}{{empty, nil}, {one, []string{"0001"}}, {two, []string{"0001", "0002"}}, {three, []string{"0001", "0003"}}} {
		wantSame(t, "state", content(t, c.state), c.want)
		n := len(c.want)
		want := storage.Counts{Tasks: n, CronJobs: n, Quotas: n, Hosts: n, JobUpdates: n, Maintenance: n,
			TaskJobs: n, TaskHosts: n, TaskStatuses: n, TaskConfigs: n}
		if got := c.state.Counts(); got != want {
			t.Fatalf("counts %+v, want %+v", got, want)
		}
	}
}

func TestSavepoints(t *testing.T) {
	tx := begin()
	zero := tx.Savepoint()
	fill(t, tx, 1)
	one := tx.Savepoint()
	fill(t, tx, 2)
	two := tx.Savepoint()
	fill(t, tx, 3)

	tx.Rollback(two)
	wantSame(t, "inner", content(t, storage.ReadOnly(tx)), []string{"0001", "0002"})
	fill(t, tx, 4)
	tx.Rollback(two)
	wantSame(t, "inner again", content(t, storage.ReadOnly(tx)), []string{"0001", "0002"})
	fill(t, tx, 5)
	wantSame(t, "going on", content(t, storage.ReadOnly(tx)), []string{"0001", "0002", "0005"})
	committed := tx.Commit()
	tx.Rollback(one)
	wantSame(t, "outer", content(t, storage.ReadOnly(tx)), []string{"0001"})
	tx.Rollback(two)
	wantSame(t, "forth again", content(t, storage.ReadOnly(tx)), []string{"0001", "0002"})
	tx.Rollback(zero)
	wantSame(t, "all", content(t, storage.ReadOnly(tx)), nil)
	wantSame(t, "committed", content(t, committed), []string{"0001", "0002", "0005"})
}

func TestDeleteAll(t *testing.T) {
	tx := begin()
	fill(t, tx, 1)
	full := tx.Counts()
	start := tx.Savepoint()
	for _, c := range []struct {
		do    func()
		empty func(*storage.Counts)
	}{
		{tx.DeleteAllTasks, func(n *storage.Counts) {
			n.Tasks, n.TaskJobs, n.TaskHosts, n.TaskStatuses, n.TaskConfigs = 0, 0, 0, 0, 0
		}},
		{tx.DeleteAllCronJobs, func(n *storage.Counts) { n.CronJobs = 0 }},
		{tx.DeleteAllQuotas, func(n *storage.Counts) { n.Quotas = 0 }},
		{tx.DeleteAllHosts, func(n *storage.Counts) { n.Hosts = 0 }},
		{tx.DeleteAllJobUpdates, func(n *storage.Counts) { n.JobUpdates = 0 }},
		{tx.DeleteAllMaintenance, func(n *storage.Counts) { n.Maintenance = 0 }},
	} {
		tx.Rollback(start)
		want := full
		c.empty(&want)
		c.do()
		c.do()
		if got := tx.Counts(); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		if id, _ := tx.FrameworkID(); id != "0001" {
			t.Fatal("the framework id went")
		}
	}
	tx.Rollback(start)
	tx.DeleteAll()
	wantSame(t, "content", content(t, storage.ReadOnly(tx)), nil)
	fill(t, tx, 2)
	wantSame(t, "content", content(t, storage.ReadOnly(tx)), []string{"0002"})
	tx.Rollback(start)
	wantSame(t, "content", content(t, storage.ReadOnly(tx)), []string{"0001"})
}

// A sequence shows the store as it was when it was asked for, also to whoever writes
// to that store while ranging over it.
func TestRangingWhileWriting(t *testing.T) {
	const n = 300
	var all []string
	base := begin()
	for i := range n {
		must(t, base.Tasks().Save(task(fmt.Sprintf("%04d", i), fmt.Sprintf("r/e/%d", i%3), on(fmt.Sprint(i%2)))))
		all = append(all, fmt.Sprintf("%04d", i))
	}
	state := base.Commit()
	for _, q := range []*api.TaskQuery{
		{},
		{TaskIDs: all},
		{JobKeys: jobs("r/e/0", "r/e/1", "r/e/2")},
		{SlaveHosts: []string{"0", "1"}},
		{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING}},
	} {
		tx := state.Begin()
		must(t, tx.Tasks().Save(task("0000", "r/e/0", on("0"), instance(1)))) // so that the transaction owns its trees
		found, err := tx.Tasks().Query(q)
		must(t, err)
		must(t, tx.Tasks().Save(task("new", "r/e/0", on("0"))))
		var seen []string
		for x := range found {
			seen = append(seen, idOf(x))
			must(t, tx.Tasks().Delete(idOf(x)))
			must(t, tx.Tasks().Save(task("z"+idOf(x), "r/e/0", on("0"))))
		}
		wantSame(t, "seen", seen, all)
		if tx.Tasks().Len() != n+1 {
			t.Fatalf("%d tasks left", tx.Tasks().Len())
		}
		wantSame(t, "the state", ids(state.Tasks().All()), all)
	}
}

// Readers hold old states and begin transactions of their own on them, while a writer
// makes new ones. To be run with -race.
func TestReadersNeverMeetTheWriter(t *testing.T) {
	const versions, readers = 60, 4
	var newest atomic.Pointer[storage.State]
	newest.Store(storage.NewState(storage.Options{}))
	var done sync.WaitGroup
	for range readers {
		done.Go(func() {
			for {
				state := newest.Load()
				before := content(t, state)
				for _, q := range []*api.TaskQuery{
					{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusLOST}},
					{JobKeys: jobs("r/e/0000", "r/e/0007", "r/e/0019")},
					{SlaveHosts: before},
				} {
					queried(t, state.Tasks(), q)
				}
				state.Tasks().JobKeys()
				branch := state.Begin()
				fill(t, branch, 5000)
				if !slices.Equal(content(t, branch.Commit()), append(before, "5000")) {
					t.Error("a branch has lost something")
				}
				branch.DeleteAll()
				if !slices.Equal(content(t, state), before) {
					t.Error("a state has changed")
				}
				if len(before) == versions {
					return
				}
			}
		})
	}
	for i := range versions {
		tx := newest.Load().Begin()
		fill(t, tx, i)
		for id := range tx.Tasks().All() {
			_, err := tx.Tasks().Mutate(idOf(id), func(x *api.ScheduledTask) error { x.FailureCount++; return nil })
			must(t, err)
		}
		tx.Rollback(tx.Savepoint())
		newest.Store(tx.Commit())
	}
	done.Wait()
}
