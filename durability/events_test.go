package durability

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func eventText(e Event) string {
	switch {
	case e.TaskStateChanged != nil:
		c := e.TaskStateChanged
		return fmt.Sprintf("%s %v→%v", c.Task.AssignedTask.TaskID, c.OldState, c.Task.Status)
	case e.TasksDeleted != nil:
		var tasks []string
		for _, task := range e.TasksDeleted.Tasks {
			tasks = append(tasks, fmt.Sprintf("%s %v", task.AssignedTask.TaskID, task.Status))
		}
		return "deleted " + strings.Join(tasks, " ")
	}
	return fmt.Sprintf("%s %v", e.HostAttributesChanged.Attributes.Host, e.HostAttributesChanged.Attributes.Mode)
}

func host(name string, mode api.MaintenanceMode) *api.HostAttributes {
	return &api.HostAttributes{Host: api.Some(name), SlaveID: api.Some("agent"), Mode: api.Some(mode)}
}

// Each step is one transaction; leader and follower tell the same of it.
func TestEvents(t *testing.T) {
	const pending, running, lost = api.ScheduleStatusPENDING, api.ScheduleStatusRUNNING, api.ScheduleStatusLOST
	s, l := led(t, true)
	type tx = storage.Mutable
	saveHost := func(tx tx, a *api.HostAttributes) {
		t.Helper()
		_, err := tx.Hosts().Save(a)
		must(t, err)
	}
	steps := []struct {
		what string
		work func(tx)
		want string
	}{
		{"new tasks, by id", func(tx tx) { must(t, tx.Tasks().Save(newTask("b", running), newTask("a", pending))) }, "a INIT→PENDING, b INIT→RUNNING"},
		{"another status", func(tx tx) { must(t, tx.Tasks().Save(newTask("a", running))) }, "a PENDING→RUNNING"},
		{"the same again", func(tx tx) { must(t, tx.Tasks().Save(newTask("a", running))) }, ""},
		{"other fields only", func(tx tx) {
			_, err := tx.Tasks().Mutate("a", func(task *api.ScheduledTask) error { task.FailureCount = 7; return nil })
			must(t, err)
		}, ""},
		{"two changes that merge are one", func(tx tx) {
			must(t, tx.Tasks().Save(newTask("a", pending)))
			must(t, tx.Tasks().Save(newTask("a", lost)))
		}, "a RUNNING→LOST"},
		{"two that don't", func(tx tx) {
			must(t, tx.Tasks().Save(newTask("a", pending)))
			must(t, tx.SaveFrameworkID("f"))
			must(t, tx.Tasks().Save(newTask("a", pending), newTask("c", pending)))
			must(t, tx.SaveFrameworkID("g"))
			must(t, tx.Tasks().Save(newTask("a", running)))
		}, "a LOST→PENDING, c INIT→PENDING, a PENDING→RUNNING"},
		{"deleted as they were, known ones only", func(tx tx) { must(t, tx.Tasks().Delete("c", "a", "unknown")) }, "deleted a RUNNING c PENDING"},
		{"none that is known", func(tx tx) { must(t, tx.Tasks().Delete("a", "unknown")) }, ""},
		{"deleted as the transaction left them, and new again", func(tx tx) {
			must(t, tx.Tasks().Save(newTask("d", pending), newTask("b", lost)))
			must(t, tx.Tasks().Delete("b", "d"))
			must(t, tx.Tasks().Save(newTask("b", pending)))
			must(t, tx.Tasks().Delete("d"))
		}, "b RUNNING→LOST, d INIT→PENDING, deleted b LOST d PENDING, b INIT→PENDING"},
		{"a new host", func(tx tx) { saveHost(tx, host("h", api.MaintenanceModeNONE)) }, "h NONE"},
		{"another record", func(tx tx) { saveHost(tx, host("h", api.MaintenanceModeDRAINED)) }, "h DRAINED"},
		{"there and back", func(tx tx) {
			saveHost(tx, host("h", api.MaintenanceModeNONE))
			saveHost(tx, host("h", api.MaintenanceModeDRAINED))
		}, ""},
		{"there and back by way of another", func(tx tx) {
			saveHost(tx, host("h", api.MaintenanceModeNONE))
			saveHost(tx, host("i", api.MaintenanceModeNONE))
			saveHost(tx, host("h", api.MaintenanceModeDRAINED))
		}, "h NONE, i NONE, h DRAINED"},
		{"what schedulers are not told of", func(tx tx) {
			must(t, tx.Maintenance().Save(&api.HostMaintenanceRequest{Host: api.Some("h")}))
			must(t, tx.CronJobs().Remove(schema.NewJobKey("role", "prod", "job")))
		}, ""},
	}
	for _, step := range steps {
		must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error { step.work(tx); return nil }))
	}
	follower := l.replayed(t)
	for name, s := range map[string]*Storage{"leader": s, "follower": follower} {
		for i, c := range told(t, s.changesAfter(t, 0)) {
			var got []string
			for _, e := range c.Events {
				got = append(got, eventText(e))
			}
			if got := strings.Join(got, ", "); got != steps[i].want {
				t.Errorf("%s, %s: told %q, want %q", name, steps[i].what, got, steps[i].want)
			}
		}
	}
	tellSame(t, follower, s)
}

// Old records of hosts without an agent are dropped by a replay, and not told either.
func TestNoEventOfWhatAReplayDrops(t *testing.T) {
	record, err := (&api.Transaction{SchemaVersion: 1, Ops: []*api.Op{{SaveHostAttributes: &api.SaveHostAttributes{
		HostAttributes: &api.HostAttributes{Host: api.Some("h"), Mode: api.Some(api.MaintenanceModeNONE)}}}}}).AppendBinary(nil)
	must(t, err)
	s := (&tape{records: [][]byte{record}}).replayed(t)
	if c := told(t, s.changesAfter(t, 0)); len(c) != 1 || len(c[0].Events) != 0 {
		t.Errorf("told %+v", c)
	}
}

// What happened to job updates is counted by whoever wrote it, when it is durable.
func TestJobUpdateStatistics(t *testing.T) {
	r := prometheus.NewRegistry()
	s, l := New(Options{Registerer: r}), &tape{}
	must(t, s.Lead(t.Context(), l, nil))
	key := &api.JobUpdateKey{Job: schema.NewJobKey("role", "prod", "job"), ID: api.Some("u")}
	p, err := s.Submit(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		must(t, tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}, Instructions: &api.JobUpdateInstructions{
			DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}))
		for range 2 {
			must(t, tx.JobUpdates().SaveEvent(key, &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusROLLING_FORWARD)}))
		}
		return tx.JobUpdates().SaveInstanceEvent(key, &api.JobInstanceUpdateEvent{Action: api.Some(api.JobUpdateActionINSTANCE_UPDATING)})
	}, WriteOptions{})
	must(t, err)
	count := func(s *Storage) string {
		return fmt.Sprint(testutil.ToFloat64(s.metrics.transitions.WithLabelValues("ROLLING_FORWARD")),
			testutil.ToFloat64(s.metrics.instanceActions.WithLabelValues("INSTANCE_UPDATING")))
	}
	if got := count(s); got != "0 0" {
		t.Errorf("before it is durable %s are counted", got)
	}
	l.ack(1)
	<-p.Done()
	if got := count(s); got != "2 1" {
		t.Errorf("%s are counted, want 2 1", got)
	}
	if got := count(l.replayed(t)); got != "0 0" {
		t.Errorf("a replay counts %s", got)
	}
	if got := testutil.ToFloat64(s.metrics.ops.WithLabelValues("saveJobUpdateEvent")); got != 2 {
		t.Errorf("%v events were handed over, want 2", got)
	}
}

// Queries are counted on all versions of the state, those after a restart included.
func TestTaskQueriesAreCounted(t *testing.T) {
	r := prometheus.NewRegistry()
	s := New(Options{Registerer: r})
	query := func() {
		t.Helper()
		_, err := s.View().Tasks().Query(&api.TaskQuery{TaskIDs: []string{"a"}})
		must(t, err)
	}
	query()
	_, l := led(t, true)
	must(t, s.Lead(t.Context(), l, nil))
	must(t, s.Write(t.Context(), save("a")))
	query()
	s.StepDown()
	s.load(t, s)
	query()
	families, err := r.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != "scheduler_store_storage_task_queries_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			want := 0.0
			if m.GetLabel()[0].GetValue() == "id" {
				want = 3
			}
			if got := m.GetCounter().GetValue(); got != want {
				t.Errorf("%v is %v, want %v", m.GetLabel(), got, want)
			}
		}
		return
	}
	t.Error("task queries are not exported")
}
