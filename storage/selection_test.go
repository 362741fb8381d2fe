package storage_test

import (
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

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

func TestSelectionByStatusWithoutOneIsAnError(t *testing.T) {
	_, err := storage.Selection{}.ByStatus([]api.ScheduleStatus{}...).Query()
	wantError(t, err, storage.ErrInvalidArgument, "without a status")
	_, err = storage.Selection{}.ByStatus().Active().Query()
	wantError(t, err, storage.ErrInvalidArgument, "without a status") // the first error stays
}

func TestSelectionOfARawQueryIsACopy(t *testing.T) {
	raw := &api.TaskQuery{TaskIDs: []string{"a"}, JobKeys: jobs("r/e/j")}
	selection := storage.SelectionOf(raw)
	raw.TaskIDs[0], raw.JobKeys[0].Role = "x", api.Some("x")
	q, err := selection.Query()
	must(t, err)
	if !q.Equal(&api.TaskQuery{TaskIDs: []string{"a"}, JobKeys: jobs("r/e/j")}) {
		t.Fatalf("%+v", q)
	}
}

func TestSelectionsAreEqualWhenTheirQueriesAre(t *testing.T) {
	one, err := storage.Selection{}.ByInstances(key("r/e/j")).ByID("a", "b").Query()
	must(t, err)
	other, err := storage.SelectionOf(&api.TaskQuery{Statuses: []api.ScheduleStatus{}}).ByID("b", "a").ByInstances(key("r/e/j")).Query()
	must(t, err)
	if !one.Equal(other) {
		t.Fatalf("%+v and %+v", one, other)
	}
}
