package durability

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// recorded runs a work as one transaction, and returns the kinds of the ops that its
// record has, and the record. Nothing is recorded if there is none.
func (l *tape) recorded(t *testing.T, s *Storage, work func(tx storage.Mutable) error) (string, *api.Transaction) {
	t.Helper()
	before := len(l.records)
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { return work(tx) }))
	switch len(l.records) - before {
	case 0:
		return "no record", nil
	case 1:
	default:
		t.Fatalf("one transaction made %d records", len(l.records)-before)
	}
	record := new(api.Transaction)
	must(t, record.UnmarshalBinary(l.records[before]))
	var kinds []string
	for _, op := range record.Ops {
		kinds = append(kinds, opKind(op))
	}
	return strings.Join(kinds, " "), record
}

// What each mutator records, one step after another on one storage.
func TestWhatMutatorsRecord(t *testing.T) {
	s, l := led(t, true)
	job := schema.NewJobKey("role", "prod", "job")
	update := &api.JobUpdateKey{Job: job, ID: api.Some("u")}
	swallow := func(t *testing.T, err, kind error) {
		t.Helper()
		if !errors.Is(err, kind) {
			t.Errorf("%v, want %v", err, kind)
		}
	}
	changed := func(want bool) func(bool, error) error {
		return func(got bool, err error) error {
			if got != want {
				t.Errorf("the store says changed: %v", got)
			}
			return err
		}
	}
	type tx = storage.Mutable
	for _, step := range []struct {
		what string
		work func(tx) error
		want string
	}{
		{"no op", func(tx tx) error { return nil }, "no record"},
		{"reading", func(tx tx) error { _, _ = tx.Tasks().Fetch("a"); return nil }, "no record"},
		{"an empty set of tasks is an op", func(tx tx) error { return tx.Tasks().Save() }, "saveTasks"},
		{"an empty set of ids too", func(tx tx) error { return tx.Tasks().Delete() }, "removeTasks"},
		{"an empty set of updates too", func(tx tx) error { return tx.JobUpdates().Remove() }, "removeJobUpdate"},
		{"removing an unknown job", func(tx tx) error { return tx.CronJobs().Remove(job) }, "removeJob"},
		{"removing unknown tasks", func(tx tx) error { return tx.Tasks().Delete("x", "y") }, "removeTasks"},
		{"removing an unknown quota", func(tx tx) error { return tx.Quotas().Remove("role") }, "removeQuota"},
		{"removing an unknown request", func(tx tx) error { return tx.Maintenance().Remove("h") }, "removeHostMaintenanceRequest"},
		{"removing an unknown update", func(tx tx) error { return tx.JobUpdates().Remove(update) }, "removeJobUpdate"},
		{"a new host", func(tx tx) error { return changed(true)(tx.Hosts().Save(host("h", api.MaintenanceModeNONE))) }, "saveHostAttributes"},
		{"the same host again", func(tx tx) error { return changed(false)(tx.Hosts().Save(host("h", api.MaintenanceModeNONE))) }, "no record"},
		{"another mode", func(tx tx) error { return changed(true)(tx.Hosts().Save(host("h", api.MaintenanceModeDRAINED))) }, "saveHostAttributes"},
		{"a task", func(tx tx) error { return tx.Tasks().Save(newTask("a", api.ScheduleStatusPENDING)) }, "saveTasks"},
		{"a change that changes nothing", func(tx tx) error {
			_, err := tx.Tasks().Mutate("a", func(*api.ScheduledTask) error { return nil })
			return err
		}, "saveTasks"},
		{"a change of an unknown task", func(tx tx) error {
			_, err := tx.Tasks().Mutate("unknown", func(*api.ScheduledTask) error { t.Error("called for an unknown task"); return nil })
			swallow(t, err, storage.ErrNotFound)
			return nil
		}, "no record"},
		{"a change that fails", func(tx tx) error {
			_, err := tx.Tasks().Mutate("a", func(task *api.ScheduledTask) error {
				task.Status = api.Some(api.ScheduleStatusLOST)
				return errWork
			})
			swallow(t, err, errWork)
			if task, _ := tx.Tasks().Fetch("a"); task.Status.Value != api.ScheduleStatusPENDING {
				t.Errorf("it left %v", task.Status)
			}
			return nil
		}, "no record"},
		{"what fails and is swallowed leaves nothing, what else there is stays", func(tx tx) error {
			must(t, tx.SaveFrameworkID("f"))
			swallow(t, tx.CronJobs().Save(&api.JobConfiguration{Key: schema.NewJobKey("not valid!", "prod", "job"), TaskConfig: &api.TaskConfig{}}), storage.ErrInvalidArgument)
			swallow(t, tx.JobUpdates().SaveEvent(update, &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusABORTED)}), storage.ErrNotFound)
			swallow(t, tx.JobUpdates().SaveInstanceEvent(update, &api.JobInstanceUpdateEvent{Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED)}), storage.ErrNotFound)
			swallow(t, tx.Tasks().Save(newTask("good", api.ScheduleStatusPENDING), &api.ScheduledTask{}), storage.ErrNullArgument)
			swallow(t, tx.Quotas().Save("role", &api.ResourceAggregate{}), storage.ErrInvalidArgument)
			if _, ok := tx.Tasks().Fetch("good"); ok {
				t.Error("half of a set was saved")
			}
			return tx.Tasks().Delete("z")
		}, "saveFrameworkId removeTasks"},
		{"the order of the calls", func(tx tx) error {
			must(t, tx.CronJobs().Save(&api.JobConfiguration{Key: job, TaskConfig: &api.TaskConfig{}}))
			must(t, tx.Tasks().Save(newTask("b", api.ScheduleStatusPENDING)))
			must(t, tx.Maintenance().Save(&api.HostMaintenanceRequest{Host: api.Some("h")}))
			must(t, tx.Tasks().Save(newTask("b", api.ScheduleStatusRUNNING)))
			must(t, tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: update}, Instructions: &api.JobUpdateInstructions{
				DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}))
			must(t, tx.JobUpdates().SaveEvent(update, &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusABORTED)}))
			return tx.JobUpdates().SaveInstanceEvent(update, &api.JobInstanceUpdateEvent{Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED)})
		}, "saveCronJob saveTasks saveHostMaintenanceRequest saveTasks saveJobUpdate saveJobUpdateEvent saveJobInstanceUpdateEvent"},
		{"what never merges", func(tx tx) error {
			must(t, tx.Quotas().Save("role", &api.ResourceAggregate{Resources: resources(1, 1, 1)}))
			must(t, tx.Quotas().Save("role", &api.ResourceAggregate{Resources: resources(2, 1, 1)}))
			must(t, tx.Quotas().Remove("role"))
			must(t, tx.Quotas().Remove("role"))
			must(t, tx.CronJobs().Remove(job))
			must(t, tx.CronJobs().Remove(job))
			must(t, tx.JobUpdates().Remove(update))
			return tx.JobUpdates().Remove(update)
		}, "saveQuota saveQuota removeQuota removeQuota removeJob removeJob removeJobUpdate removeJobUpdate"},
		{"what merges", func(tx tx) error {
			must(t, tx.SaveFrameworkID("f"))
			must(t, tx.SaveFrameworkID("g"))
			must(t, changed(true)(tx.Hosts().Save(host("i", api.MaintenanceModeNONE))))
			return changed(true)(tx.Hosts().Save(host("j", api.MaintenanceModeNONE))) // another host
		}, "saveFrameworkId saveHostAttributes saveHostAttributes"},
	} {
		t.Run(step.what, func(t *testing.T) {
			if got, record := l.recorded(t, s, step.work); got != step.want {
				t.Errorf("recorded %q, want %q: %+v", got, step.want, record)
			}
		})
	}
	same(t, l.replayed(t), s)
}

// Each mutator refuses nil, and records nothing then.
func TestMutatorsRefuseNil(t *testing.T) {
	s, l := led(t, true)
	got, _ := l.recorded(t, s, func(tx storage.Mutable) error {
		_, host := tx.Hosts().Save(nil)
		for what, err := range map[string]error{
			"task": tx.Tasks().Save(nil), "cron job": tx.CronJobs().Save(nil), "job key": tx.CronJobs().Remove(nil),
			"quota": tx.Quotas().Save("role", nil), "host": host, "request": tx.Maintenance().Save(nil),
			"update": tx.JobUpdates().Save(nil), "event's key": tx.JobUpdates().SaveEvent(nil, &api.JobUpdateEvent{}),
			"event": tx.JobUpdates().SaveEvent(&api.JobUpdateKey{}, nil), "instance event's key": tx.JobUpdates().SaveInstanceEvent(nil, &api.JobInstanceUpdateEvent{}),
			"instance event": tx.JobUpdates().SaveInstanceEvent(&api.JobUpdateKey{}, nil), "update's key": tx.JobUpdates().Remove(nil),
		} {
			if !errors.Is(err, storage.ErrNullArgument) {
				t.Errorf("no %s: %v", what, err)
			}
		}
		return nil
	})
	if got != "no record" {
		t.Errorf("recorded %s", got)
	}
}

// A work can't empty a whole store: what Aurora's stores refuse (deleteAllTasks and
// the like) is not there at all.
func TestNoStoreCanBeEmptiedByAWork(t *testing.T) {
	s, _ := led(t, true)
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		for _, store := range []any{tx, tx.Tasks(), tx.CronJobs(), tx.Quotas(), tx.Hosts(), tx.JobUpdates(), tx.Maintenance()} {
			for m := range reflect.TypeOf(store).Methods() {
				if strings.Contains(m.Name, "All") && m.Name != "All" {
					t.Errorf("%T has %s", store, m.Name)
				}
			}
		}
		return nil
	}))
}
