package storage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func update(k *api.JobUpdateKey, change ...func(*api.JobUpdate)) *api.JobUpdate {
	job := k.Job
	u := &api.JobUpdate{
		Summary: &api.JobUpdateSummary{Key: k},
		Instructions: &api.JobUpdateInstructions{
			DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{Job: job}, Instances: []*api.Range{{Last: 4}}},
			Settings:     &api.JobUpdateSettings{UpdateGroupSize: 1},
		},
	}
	for _, f := range change {
		f(u)
	}
	u.Canonicalize()
	return u
}

func by(user string) func(*api.JobUpdate) {
	return func(u *api.JobUpdate) { u.Summary.User = api.Some(user) }
}

func event(status api.JobUpdateStatus, ms int64) *api.JobUpdateEvent {
	return &api.JobUpdateEvent{Status: api.Some(status), TimestampMs: ms}
}

func instanceEvent(message string, ms int64) *api.JobInstanceUpdateEvent {
	return &api.JobInstanceUpdateEvent{Message: api.Some(message), TimestampMs: ms}
}

func TestInstructionsAreCheckedInOrder(t *testing.T) {
	whole := func() *api.InstanceTaskConfig {
		return &api.InstanceTaskConfig{Task: config("r/e/j", "run"), Instances: []*api.Range{{}}}
	}
	taskless, rangeless, bare := whole(), whole(), &api.InstanceTaskConfig{}
	taskless.Task, rangeless.Instances = nil, nil
	list := func(states ...*api.InstanceTaskConfig) []*api.InstanceTaskConfig { return states }
	for i, c := range []struct {
		in   *api.JobUpdateInstructions
		kind error
		text string
	}{
		{nil, storage.ErrNullArgument, "no instructions"},
		{&api.JobUpdateInstructions{}, storage.ErrInvalidArgument, "Missing both initial and desired states. At least one is required."},
		{&api.JobUpdateInstructions{InitialState: list()}, storage.ErrInvalidArgument, "Missing both initial and desired states."},
		{&api.JobUpdateInstructions{InitialState: list(whole(), taskless)}, storage.ErrNullArgument, "Invalid initial instance state."},
		{&api.JobUpdateInstructions{InitialState: list(nil)}, storage.ErrNullArgument, "Invalid initial instance state."},
		{&api.JobUpdateInstructions{InitialState: list(whole(), rangeless)}, storage.ErrInvalidArgument, "Invalid intial instance state ranges."},
		{&api.JobUpdateInstructions{InitialState: list(bare)}, storage.ErrNullArgument, "Invalid initial instance state."},
		{&api.JobUpdateInstructions{InitialState: list(rangeless), DesiredState: bare}, storage.ErrInvalidArgument, "Invalid intial instance state ranges."},
		{&api.JobUpdateInstructions{DesiredState: rangeless}, storage.ErrInvalidArgument, "Argument cannot be blank"},
		{&api.JobUpdateInstructions{DesiredState: bare}, storage.ErrInvalidArgument, "Argument cannot be blank"},
		{&api.JobUpdateInstructions{DesiredState: taskless}, storage.ErrNullArgument, "without task"},
		{&api.JobUpdateInstructions{DesiredState: whole()}, nil, ""},
		{&api.JobUpdateInstructions{InitialState: list(whole(), whole())}, nil, ""},
	} {
		updates := begin().JobUpdates()
		err := updates.Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: updateKey("r/e/j", "u")}, Instructions: c.in})
		if c.kind == nil {
			must(t, err)
			continue
		}
		wantError(t, err, c.kind, c.text)
		if !strings.Contains(err.Error(), "r/e/j/u") || updates.Len() != 0 {
			t.Errorf("%d: error %v, %d saved", i, err, updates.Len())
		}
	}
	updates := begin().JobUpdates()
	wantError(t, updates.Save(nil), storage.ErrNullArgument, "")
	wantError(t, updates.Save(&api.JobUpdate{}), storage.ErrNullArgument, "no key")
	wantError(t, updates.Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{}}), storage.ErrNullArgument, "no key")
}

func TestUpdateStateFollowsFromEvents(t *testing.T) {
	k := updateKey("r/e/j", "u")
	forward, paused, aborted := api.JobUpdateStatusROLLING_FORWARD, api.JobUpdateStatusROLL_FORWARD_PAUSED, api.JobUpdateStatusABORTED
	state := func(status api.JobUpdateStatus, created, modified int64) api.JobUpdateState {
		return api.JobUpdateState{Status: api.Some(status), CreatedTimestampMs: created, LastModifiedTimestampMs: modified}
	}
	updates := begin().JobUpdates()
	forged := func(u *api.JobUpdate) {
		s := state(aborted, 1, 2)
		u.Summary.State = &s
	}
	must(t, updates.Save(update(k, forged)))
	step := func(status api.JobUpdateStatus, ms int64) func() error {
		return func() error { return updates.SaveEvent(k, event(status, ms)) }
	}
	instance := func(message string, ms int64) func() error {
		return func() error { return updates.SaveInstanceEvent(k, instanceEvent(message, ms)) }
	}
	for i, c := range []struct {
		do   func() error
		want api.JobUpdateState
	}{
		{func() error { return nil }, api.JobUpdateState{}},
		{instance("a", 5), api.JobUpdateState{LastModifiedTimestampMs: 5}},
		{step(forward, 10), state(forward, 10, 10)},
		{step(paused, 30), state(paused, 10, 30)},
		{step(forward, 20), state(paused, 10, 30)}, // late, and old
		{instance("b", 40), state(paused, 10, 40)},
		{step(aborted, 30), state(aborted, 10, 40)}, // as old as the last: saved later, so it is last
		{step(forward, -3), state(aborted, -3, 40)},
		{instance("c", 40), state(aborted, -3, 40)},
		{instance("d", 5), state(aborted, -3, 40)},
	} {
		must(t, c.do())
		got, ok := updates.Fetch(k)
		if !ok || *got.Update.Summary.State != c.want {
			t.Fatalf("%d: state %+v, want %+v", i, got.Update.Summary.State, c.want)
		}
	}

	got, _ := updates.Fetch(k)
	statuses, messages := []string{}, []string{}
	for _, e := range got.UpdateEvents {
		statuses = append(statuses, fmt.Sprint(e.Status.Value, e.TimestampMs))
	}
	for _, e := range got.InstanceEvents {
		messages = append(messages, fmt.Sprint(e.Message.Value, e.TimestampMs))
	}
	wantSame(t, "events", statuses, []string{"ROLLING_FORWARD -3", "ROLLING_FORWARD 10", "ROLLING_FORWARD 20", "ROLL_FORWARD_PAUSED 30", "ABORTED 30"})
	wantSame(t, "instance events", messages, []string{"a5", "d5", "b40", "c40"})

	must(t, updates.Save(update(k, by("new"))))
	got, _ = updates.Fetch(k)
	if len(got.UpdateEvents)+len(got.InstanceEvents) != 0 || got.UpdateEvents == nil || got.InstanceEvents == nil ||
		*got.Update.Summary.State != (api.JobUpdateState{}) || got.Update.Summary.User.Get() != "new" {
		t.Fatalf("saving again left %+v", got)
	}
}

func TestSaveLeavesTheUpdateGivenAlone(t *testing.T) {
	u := update(updateKey("r/e/j", "u"))
	u.Summary.State = &api.JobUpdateState{CreatedTimestampMs: 7}
	must(t, begin().JobUpdates().Save(u))
	if u.Summary.State.CreatedTimestampMs != 7 {
		t.Fatal("it was changed")
	}
}

func TestEventsNeedAnUpdate(t *testing.T) {
	updates := begin().JobUpdates()
	k, e, ie := updateKey("r/e/j", "u"), event(api.JobUpdateStatusERROR, 1), instanceEvent("x", 1)
	wantError(t, updates.SaveEvent(k, e), storage.ErrNotFound, "Update not found: r/e/j/u")
	wantError(t, updates.SaveInstanceEvent(k, ie), storage.ErrNotFound, "Update not found: r/e/j/u")
	must(t, updates.Save(update(k)))
	wantError(t, updates.SaveEvent(updateKey("r/e/j", "v"), e), storage.ErrNotFound, "Update not found: r/e/j/v")
	wantError(t, updates.SaveEvent(nil, e), storage.ErrNullArgument, "")
	wantError(t, updates.SaveInstanceEvent(nil, ie), storage.ErrNullArgument, "")
	wantError(t, updates.SaveEvent(k, nil), storage.ErrNullArgument, "r/e/j/u")
	wantError(t, updates.SaveInstanceEvent(k, nil), storage.ErrNullArgument, "r/e/j/u")
}

func TestRemoveJobUpdates(t *testing.T) {
	updates := begin().JobUpdates()
	for _, id := range []string{"a", "b", "c"} {
		must(t, updates.Save(update(updateKey("r/e/j", id))))
	}
	wantError(t, updates.Remove(updateKey("r/e/j", "a"), nil), storage.ErrNullArgument, "")
	if updates.Len() != 3 {
		t.Fatal("a call that failed removed something")
	}
	must(t, updates.Remove(updateKey("r/e/j", "x"), updateKey("r/e/j", "a"), updateKey("r/e/j", "c")))
	must(t, updates.Remove())
	if _, ok := updates.Fetch(updateKey("r/e/j", "b")); !ok || updates.Len() != 1 {
		t.Fatal("b should be left, alone")
	}
	if _, ok := updates.Fetch(nil); ok {
		t.Fatal("there is an update without a key")
	}
}

func TestJobUpdateQuery(t *testing.T) {
	forward, failed := api.JobUpdateStatusROLLING_FORWARD, api.JobUpdateStatusFAILED
	updates := begin().JobUpdates()
	for _, u := range []struct {
		job, id, user string
		events        []*api.JobUpdateEvent
	}{
		{"r/e/j", "1", "ann", []*api.JobUpdateEvent{event(forward, 10)}},
		{"r/e/j", "2", "bob", []*api.JobUpdateEvent{event(forward, 20), event(failed, 50)}},
		{"r/e/k", "1", "", nil},
		{"r/f/j", "1", "ann", []*api.JobUpdateEvent{event(failed, 10)}},
		{"s/e/j", "1", "bob", []*api.JobUpdateEvent{event(forward, 30)}},
	} {
		k := updateKey(u.job, u.id)
		must(t, updates.Save(update(k, func(x *api.JobUpdate) {
			if u.user != "" {
				x.Summary.User = api.Some(u.user)
			}
		})))
		for _, e := range u.events {
			must(t, updates.SaveEvent(k, e))
		}
	}
	all := []string{"r/e/j/2", "s/e/j/1", "r/e/j/1", "r/f/j/1", "r/e/k/1"} // newest first, ties by key
	some := api.Some[string]
	for i, c := range []struct {
		q    api.JobUpdateQuery
		want []string
	}{
		{api.JobUpdateQuery{}, all},
		{api.JobUpdateQuery{Role: some("r")}, []string{"r/e/j/2", "r/e/j/1", "r/f/j/1", "r/e/k/1"}},
		{api.JobUpdateQuery{Role: some("")}, []string{}},
		{api.JobUpdateQuery{JobKey: key("r/e/j")}, []string{"r/e/j/2", "r/e/j/1"}},
		{api.JobUpdateQuery{JobKey: key("r/e/i")}, []string{}},
		{api.JobUpdateQuery{Key: updateKey("r/e/j", "1")}, []string{"r/e/j/1"}},
		{api.JobUpdateQuery{Key: updateKey("r/e/j", "9")}, []string{}},
		{api.JobUpdateQuery{Key: updateKey("r/e/j", "1"), JobKey: key("r/e/k")}, []string{}},
		{api.JobUpdateQuery{Key: updateKey("r/e/j", "1"), User: some("bob")}, []string{}},
		{api.JobUpdateQuery{User: some("ann")}, []string{"r/e/j/1", "r/f/j/1"}},
		{api.JobUpdateQuery{User: some("")}, []string{}},
		{api.JobUpdateQuery{UpdateStatuses: []api.JobUpdateStatus{}}, all},
		{api.JobUpdateQuery{UpdateStatuses: []api.JobUpdateStatus{forward}}, []string{"s/e/j/1", "r/e/j/1"}},
		{api.JobUpdateQuery{UpdateStatuses: []api.JobUpdateStatus{forward, failed}}, all[:4]},
		{api.JobUpdateQuery{Offset: 1, Limit: 2}, all[1:3]},
		{api.JobUpdateQuery{Offset: 4, Limit: 2}, all[4:]},
		{api.JobUpdateQuery{Offset: 5}, []string{}},
		{api.JobUpdateQuery{Offset: 9}, []string{}},
		{api.JobUpdateQuery{Limit: 1}, all[:1]},
		{api.JobUpdateQuery{Limit: -1}, all},
	} {
		got, err := updates.Query(&c.q)
		must(t, err)
		wantSame(t, fmt.Sprintf("%d: %+v", i, c.q), detailNames(got), c.want)
	}
	_, err := updates.Query(&api.JobUpdateQuery{Offset: -1})
	wantError(t, err, storage.ErrInvalidArgument, "offset -1")
	_, err = updates.Query(nil)
	wantError(t, err, storage.ErrNullArgument, "")
}

func TestRangesOfInitialInstancesAreRefusedInTheWordsThatClientsKnow(t *testing.T) {
	u := update(updateKey("r/e/j", "u"))
	u.Instructions.InitialState = []*api.InstanceTaskConfig{{Task: config("r/e/j", "run")}}
	err := begin().JobUpdates().Save(u)
	wantError(t, err, storage.ErrInvalidArgument, "Invalid intial instance state ranges.")
}

func TestUpdateThatIsRefusedLeavesTheStoredOne(t *testing.T) {
	k := updateKey("r/e/j", "u")
	tx := withUpdate(t, k).Begin()
	saveEvents(t, tx.JobUpdates(), k, 7)
	wantError(t, tx.JobUpdates().Save(update(k, func(u *api.JobUpdate) { u.Instructions = nil })), storage.ErrNullArgument, "")
	wantSame(t, "events", updateTimes(storage.ReadOnly(tx), k), []int64{7, 7})
}

func TestSavingAnUpdateAgainDropsItsEvents(t *testing.T) {
	k := updateKey("r/e/j", "u")
	tx := withUpdate(t, k).Begin()
	for ms := range int64(3) {
		saveEvents(t, tx.JobUpdates(), k, ms)
	}
	must(t, tx.JobUpdates().Save(update(k)))
	wantSame(t, "events", updateTimes(storage.ReadOnly(tx), k), nil)
	saveEvents(t, tx.JobUpdates(), k, 1)
	wantSame(t, "events", updateTimes(storage.ReadOnly(tx), k), []int64{1, 1})
}

func TestLateEventDoesNotChangeTheStatus(t *testing.T) {
	k := updateKey("r/e/j", "u")
	updates := withUpdate(t, k).Begin().JobUpdates()
	must(t, updates.SaveEvent(k, event(api.JobUpdateStatusROLLED_FORWARD, 100)))
	must(t, updates.SaveEvent(k, event(api.JobUpdateStatusROLLING_FORWARD, 50)))
	u, _ := updates.Fetch(k)
	want := api.JobUpdateState{Status: api.Some(api.JobUpdateStatusROLLED_FORWARD), CreatedTimestampMs: 50, LastModifiedTimestampMs: 100}
	if *u.Update.Summary.State != want {
		t.Fatalf("state %+v, want %+v", u.Update.Summary.State, want)
	}
}

func TestEventsOfOneTimestampKeepTheOrderOfSaving(t *testing.T) {
	k := updateKey("r/e/j", "u")
	updates := withUpdate(t, k).Begin().JobUpdates()
	want := []string{}
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
		must(t, updates.SaveInstanceEvent(k, instanceEvent(want[i], 5)))
	}
	must(t, updates.SaveInstanceEvent(k, instanceEvent("later", 6)))
	must(t, updates.SaveInstanceEvent(k, instanceEvent("20", 5)))
	u, _ := updates.Fetch(k)
	got := []string{}
	for _, e := range u.InstanceEvents {
		got = append(got, e.Message.Value)
	}
	wantSame(t, "messages", got, append(want, "20", "later"))
}

func TestRemovedUpdateStartsOverWithoutEvents(t *testing.T) {
	k := updateKey("r/e/j", "u")
	tx := withUpdate(t, k).Begin()
	saveEvents(t, tx.JobUpdates(), k, 7)
	must(t, tx.JobUpdates().Remove(k))
	wantError(t, tx.JobUpdates().SaveEvent(k, event(api.JobUpdateStatusERROR, 1)), storage.ErrNotFound, "")
	must(t, tx.JobUpdates().Save(update(k)))
	wantSame(t, "events", updateTimes(storage.ReadOnly(tx), k), nil)
}

func TestNegativeOffsetIsAnErrorThoughNothingMatches(t *testing.T) {
	_, err := begin().JobUpdates().Query(&api.JobUpdateQuery{Offset: -1, Key: updateKey("r/e/j", "u")})
	wantError(t, err, storage.ErrInvalidArgument, "offset -1")
}

func TestLimitZeroIsNoLimit(t *testing.T) {
	tx := withUpdate(t, updateKey("r/e/j", "a")).Begin()
	must(t, tx.JobUpdates().Save(update(updateKey("r/e/j", "b"))))
	for limit, want := range map[int32]int{-1: 2, 0: 2, 1: 1, 2: 2, 3: 2} {
		if found, err := tx.JobUpdates().Query(&api.JobUpdateQuery{Limit: limit}); err != nil || len(found) != want {
			t.Errorf("limit %d: %d updates, %v", limit, len(found), err)
		}
	}
}

func TestUpdateWithoutAStatusMatchesNoStatus(t *testing.T) {
	found, err := withUpdate(t, updateKey("r/e/j", "u")).JobUpdates().Query(&api.JobUpdateQuery{UpdateStatuses: []api.JobUpdateStatus{0}})
	must(t, err)
	wantSame(t, "found", detailNames(found), nil)
}

// Updates lie in the order of roles; those of one role are found among its neighbours.
func TestUpdatesOfARoleAreFoundAmongItsNeighbours(t *testing.T) {
	tx := begin()
	for _, job := range []string{"//", "a/e/j", "b//", "b/e/j", "b/e/k", "b/f/j", "b.c/e/j", "ba/e/j", "c/e/j"} {
		must(t, tx.JobUpdates().Save(update(updateKey(job, "u"))))
	}
	unset := &api.JobUpdateKey{Job: &api.JobKey{Name: api.Some("n")}, ID: api.Some("u")}
	must(t, tx.JobUpdates().Save(update(unset)))
	must(t, tx.JobUpdates().Save(update(&api.JobUpdateKey{ID: api.Some("u")})))
	for role, want := range map[string][]string{
		"b": {"b///u", "b/e/j/u", "b/e/k/u", "b/f/j/u"}, "a": {"a/e/j/u"}, "ba": {"ba/e/j/u"}, "c": {"c/e/j/u"}, "": {"///u"}, "B": nil, "d": nil, " b": nil} {
		found, err := tx.JobUpdates().Query(&api.JobUpdateQuery{Role: api.Some(role)})
		must(t, err)
		wantSame(t, "role "+role, detailNames(found), want)
	}
}
