package storage_test

import (
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func TestPrunableJobUpdates(t *testing.T) {
	const hour = int64(time.Hour / time.Millisecond)
	now := time.UnixMilli(100 * hour)
	done, running := api.JobUpdateStatusROLLED_FORWARD, api.JobUpdateStatusROLLING_FORWARD
	type u struct {
		job, id string
		created int64 // in hours
		status  api.JobUpdateStatus
	}
	for _, c := range []struct {
		what    string
		updates []u
		perJob  int
		want    []string
	}{
		{"nothing", nil, 1, []string{}},
		{"too old; at the limit is not too old; running is never too old", []u{
			{"r/e/j", "old", 69, done}, {"r/e/j", "edge", 70, done}, {"r/e/j", "running", 1, running}}, 9, []string{"r/e/j/old"}},
		{"orphans, running ones stay", []u{
			{"x/e/j", "done", 99, done}, {"x/e/j", "running", 99, running}}, 9, []string{"x/e/j/done"}},
		{"over the limit, per job", []u{
			{"r/e/j", "1", 81, done}, {"r/e/j", "3", 83, done}, {"r/e/j", "2", 82, done},
			{"r/e/k", "1", 81, done}, {"r/e/k", "2", 82, done}}, 2, []string{"r/e/j/1"}},
		{"expired ones and running ones do not count for the limit", []u{
			{"r/e/j", "old", 1, done}, {"r/e/j", "1", 81, done}, {"r/e/j", "2", 82, done}, {"r/e/j", "run", 90, running}}, 2, []string{"r/e/j/old"}},
		{"orphans over the limit, once each", []u{
			{"x/e/j", "1", 81, done}, {"x/e/j", "2", 82, done}, {"x/e/j", "old", 1, done}}, 1,
			[]string{"x/e/j/1", "x/e/j/2", "x/e/j/old"}},
		{"none kept", []u{{"r/e/j", "1", 81, done}, {"r/e/j", "run", 81, running}}, 0, []string{"r/e/j/1"}},
		{"every terminal state", []u{
			{"x/e/j", "1", 99, done}, {"x/e/j", "2", 99, api.JobUpdateStatusROLLED_BACK}, {"x/e/j", "3", 99, api.JobUpdateStatusABORTED},
			{"x/e/j", "4", 99, api.JobUpdateStatusFAILED}, {"x/e/j", "5", 99, api.JobUpdateStatusERROR},
			{"x/e/j", "6", 99, api.JobUpdateStatusROLL_BACK_PAUSED}}, 9,
			[]string{"x/e/j/1", "x/e/j/2", "x/e/j/3", "x/e/j/4", "x/e/j/5"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			tx := with(t, task("a", "r/e/j"), task("b", "r/e/k"))
			must(t, tx.JobUpdates().Save(update(updateKey("r/e/j", "no events"))))
			for _, u := range c.updates {
				k := updateKey(u.job, u.id)
				must(t, tx.JobUpdates().Save(update(k)))
				must(t, tx.JobUpdates().SaveEvent(k, event(running, u.created*hour)))
				must(t, tx.JobUpdates().SaveEvent(k, event(u.status, 99*hour)))
			}
			got := storage.PrunableJobUpdates(storage.ReadOnly(tx), now, 30*time.Hour, c.perJob)
			wantSame(t, "pruned", keyNames(got), c.want)
			must(t, tx.JobUpdates().Remove(got...))
			if n := tx.JobUpdates().Len(); n != len(c.updates)+1-len(c.want) {
				t.Fatalf("%d updates left", n)
			}
		})
	}
}

// ended saves an update that ended at once.
func ended(t *testing.T, tx *storage.Tx, job, id string, created int64) {
	t.Helper()
	k := updateKey(job, id)
	must(t, tx.JobUpdates().Save(update(k)))
	must(t, tx.JobUpdates().SaveEvent(k, event(api.JobUpdateStatusROLLED_FORWARD, created)))
}

func TestAnyTaskOfTheJobKeepsItsUpdates(t *testing.T) {
	tx := with(t, task("dead", "r/e/j", in(api.ScheduleStatusFAILED)), task("other role", "s/e/k"), task("other env", "r/f/k"), task("other name", "r/e/l"))
	ended(t, tx, "r/e/j", "kept", 0)
	ended(t, tx, "r/e/k", "orphan", 0)
	wantSame(t, "pruned", keyNames(storage.PrunableJobUpdates(tx.Commit(), time.UnixMilli(1), time.Hour, 5)), []string{"r/e/k/orphan"})
	must(t, tx.Tasks().Delete("dead"))
	wantSame(t, "pruned", keyNames(storage.PrunableJobUpdates(tx.Commit(), time.UnixMilli(1), time.Hour, 5)),
		[]string{"r/e/j/kept", "r/e/k/orphan"})
}

func TestPruningGoesByCreationNotByLastChange(t *testing.T) {
	tx := with(t, task("a", "r/e/j"))
	for id, created := range map[string]int64{"first": 10, "second": 20} {
		ended(t, tx, "r/e/j", id, created)
	}
	must(t, tx.JobUpdates().SaveInstanceEvent(updateKey("r/e/j", "first"), instanceEvent("late", 90)))
	wantSame(t, "over the limit", keyNames(storage.PrunableJobUpdates(tx.Commit(), time.UnixMilli(100), time.Hour, 1)), []string{"r/e/j/first"})
	wantSame(t, "too old", keyNames(storage.PrunableJobUpdates(tx.Commit(), time.UnixMilli(100), 85*time.Millisecond, 9)), []string{"r/e/j/first"})
}

func TestPruningOnlyReads(t *testing.T) {
	tx := begin()
	ended(t, tx, "r/e/j", "orphan", 0)
	state := tx.Commit()
	if n := len(storage.PrunableJobUpdates(state, time.UnixMilli(1), 0, 0)); n != 1 || state.JobUpdates().Len() != 1 {
		t.Fatalf("%d to be pruned, %d left", n, state.JobUpdates().Len())
	}
}
