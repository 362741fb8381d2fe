package durability

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func removeTasks(ids ...string) *api.Op {
	return &api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: ids}}
}

func frameworkOp(id string) *api.Op {
	return &api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some(id)}}
}

func hostOp(host, agent string, mode api.MaintenanceMode, racks ...string) *api.Op {
	return &api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: &api.HostAttributes{Host: api.Some(host), SlaveID: api.Some(agent),
		Mode: api.Some(mode), Attributes: []*api.Attribute{{Name: api.Some("rack"), Values: racks}}}}}
}

// coalesced is what becomes of ops that are recorded one after another.
func coalesced(ops ...*api.Op) []*api.Op {
	var l opList
	for _, op := range ops {
		l.add(op.Clone())
	}
	return l.ops
}

// Neighbours of one kind merge by the rule of their kind, and no others do.
func TestRulesOfMerging(t *testing.T) {
	a1, a2, b := newTask("a", api.ScheduleStatusPENDING), newTask("a", api.ScheduleStatusRUNNING), newTask("b", api.ScheduleStatusPENDING)
	cron := &api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: &api.JobConfiguration{Key: schema.NewJobKey("a", "b", "c")}}}
	quota := &api.Op{SaveQuota: &api.SaveQuota{Role: api.Some("r"), Quota: &api.ResourceAggregate{}}}
	events := eventOps(updateKey("u"), 1)
	maintenance := &api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: &api.HostMaintenanceRequest{Host: api.Some("h")}}}
	for name, tt := range map[string]struct{ ops, want []*api.Op }{
		"framework id: the later one":   {[]*api.Op{frameworkOp("1"), frameworkOp("2"), frameworkOp("3")}, []*api.Op{frameworkOp("3")}},
		"tasks: union":                  {[]*api.Op{saveTask(a1), saveTask(b)}, []*api.Op{saveTask(a1, b)}},
		"tasks: the later one of an id": {[]*api.Op{saveTask(a1, b), saveTask(a2)}, []*api.Op{saveTask(a2, b)}},
		"tasks: unset, then set":        {[]*api.Op{saveTask(), saveTask(b)}, []*api.Op{saveTask(b)}},
		"tasks: set, then unset":        {[]*api.Op{saveTask(b), saveTask()}, []*api.Op{saveTask(b)}},
		"removals: union":               {[]*api.Op{removeTasks("a", "b"), removeTasks("b", "c")}, []*api.Op{removeTasks("a", "b", "c")}},
		"removals: unset, then set":     {[]*api.Op{removeTasks(), removeTasks("a")}, []*api.Op{removeTasks("a")}},
		"removals: set, then unset":     {[]*api.Op{removeTasks("a"), removeTasks()}, []*api.Op{removeTasks("a")}},
		"saves and removals stay":       {[]*api.Op{saveTask(a1), removeTasks("a"), saveTask(a2)}, []*api.Op{saveTask(a1), removeTasks("a"), saveTask(a2)}},
		"host: the later record, whole": {[]*api.Op{hostOp("h", "one", api.MaintenanceModeNONE, "x"), hostOp("h", "two", api.MaintenanceModeDRAINED, "y", "z")},
			[]*api.Op{hostOp("h", "two", api.MaintenanceModeDRAINED, "y", "z")}},
		"hosts of two names": {[]*api.Op{hostOp("h", "one", api.MaintenanceModeNONE, "x"), hostOp("i", "one", api.MaintenanceModeNONE, "x")},
			[]*api.Op{hostOp("h", "one", api.MaintenanceModeNONE, "x"), hostOp("i", "one", api.MaintenanceModeNONE, "x")}},
		"another between": {[]*api.Op{frameworkOp("1"), saveTask(a1), frameworkOp("2"), saveTask(a2)},
			[]*api.Op{frameworkOp("1"), saveTask(a1), frameworkOp("2"), saveTask(a2)}},
		"all others": {[]*api.Op{cron, cron, quota, quota, events[0], events[0], events[1], events[1], maintenance, maintenance},
			[]*api.Op{cron, cron, quota, quota, events[0], events[0], events[1], events[1], maintenance, maintenance}},
		"without a branch": {[]*api.Op{{}, {}, frameworkOp("1"), {}}, []*api.Op{{}, {}, frameworkOp("1"), {}}},
	} {
		got := coalesced(tt.ops...)
		if !slices.EqualFunc(got, tt.want, (*api.Op).Equal) {
			t.Errorf("%s: %d ops\n got %+v\nwant %+v", name, len(got), got, tt.want)
		}
	}
}

// The ops that others were merged into are the list's own: what went before a mark
// stays as it was when the list is cut back.
func TestNothingMergesAcrossAMark(t *testing.T) {
	var l opList
	l.add(saveTask(newTask("a", api.ScheduleStatusPENDING)))
	m := l.begin()
	l.add(saveTask(newTask("a", api.ScheduleStatusRUNNING)))
	l.add(saveTask(newTask("b", api.ScheduleStatusRUNNING)))
	if len(l.ops) != 2 || len(l.ops[1].SaveTasks.Tasks) != 2 {
		t.Fatalf("%+v", l.ops)
	}
	l.cut(m)
	want := saveTask(newTask("a", api.ScheduleStatusPENDING))
	if len(l.ops) != 1 || !l.ops[0].Equal(want) {
		t.Errorf("cut back to %+v, want %+v", l.ops, want)
	}
	l.add(saveTask(newTask("c", api.ScheduleStatusRUNNING)))
	if len(l.ops) != 1 || len(l.ops[0].SaveTasks.Tasks) != 2 {
		t.Errorf("what comes after a cut: %+v", l.ops)
	}
}

// Merging changes what is recorded, never the state: ops merged replay to the same as
// ops one by one, and merging twice is merging once.
func TestMergedOpsReplayToTheSameState(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pick := func(prefix string) string { return prefix + fmt.Sprint(rapid.IntRange(0, 2).Draw(r, prefix)) }
		var ops []*api.Op
		for range rapid.IntRange(0, 20).Draw(r, "ops") {
			switch rapid.IntRange(0, 4).Draw(r, "kind") {
			case 0:
				ops = append(ops, frameworkOp(pick("framework")))
			case 1:
				ops = append(ops, hostOp(pick("h"), pick("agent"), api.MaintenanceModeNONE, pick("rack")))
			case 2:
				ops = append(ops, removeTasks(pick("t"), pick("t")))
			default:
				ops = append(ops, saveTask(newTask(pick("t"), rapid.SampledFrom(api.ScheduleStatusValues()).Draw(r, "status"))))
			}
		}
		merged := coalesced(ops...)
		if again := coalesced(merged...); !slices.EqualFunc(again, merged, (*api.Op).Equal) {
			r.Fatalf("merged again: %+v, want %+v", again, merged)
		}
		one, failedOne := replayEach(ops)
		two, failedTwo := replayEach(merged)
		if failedOne+failedTwo > 0 {
			r.Fatalf("ops %d and %d fail", failedOne, failedTwo)
		}
		same(t, two, one)
	})
}
