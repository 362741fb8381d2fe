package storage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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

// Versions share the events they have in common, and no more than that.
func TestEventsOfOldVersionsStay(t *testing.T) {
	k := updateKey("r/e/j", "u")
	times := func(s *storage.State) []int64 {
		var all []int64
		u, _ := s.JobUpdates().Fetch(k)
		for _, e := range u.UpdateEvents {
			all = append(all, e.TimestampMs)
		}
		for _, e := range u.InstanceEvents {
			all = append(all, e.TimestampMs)
		}
		return all
	}
	add := func(s *storage.State, ms int64) *storage.State {
		tx := s.Begin()
		must(t, tx.JobUpdates().SaveEvent(k, event(api.JobUpdateStatusABORTED, ms)))
		must(t, tx.JobUpdates().SaveInstanceEvent(k, instanceEvent("x", ms)))
		return tx.Commit()
	}
	tx := begin()
	must(t, tx.JobUpdates().Save(update(k)))
	base := add(add(add(tx.Commit(), 10), 20), 30)
	late, one, other := add(base, 5), add(base, 40), add(base, 50)
	wantSame(t, "base", times(base), []int64{10, 20, 30, 10, 20, 30})
	wantSame(t, "late", times(late), []int64{5, 10, 20, 30, 5, 10, 20, 30})
	wantSame(t, "one", times(one), []int64{10, 20, 30, 40, 10, 20, 30, 40})
	wantSame(t, "other", times(other), []int64{10, 20, 30, 50, 10, 20, 30, 50})
}
