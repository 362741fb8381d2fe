package backup

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// primary stands for the store that is restored: it takes records as recovery does.
type primary struct {
	t      *testing.T
	state  *durability.Storage
	reason string
	calls  int
	after  *persistence.TransactionNumber
	block  chan struct{} // if not nil, a restore waits for it
	err    error
}

func (p *primary) restore(_ context.Context, records iter.Seq2[[]byte, error], reason string, after *persistence.TransactionNumber) (persistence.Commit, error) {
	p.calls++
	p.after = after
	if p.block != nil {
		<-p.block
	}
	if p.err != nil {
		return persistence.Commit{}, p.err
	}
	p.reason, p.state = reason, durability.New(durability.Options{})
	var all [][]byte
	for record, err := range records {
		must(p.t, err)
		all = append(all, record)
	}
	must(p.t, p.state.Reset(persistence.Point{Next: 9}))
	apply, err := p.state.Prepare(persistence.Batch{Records: all, Snapshot: true})
	must(p.t, err)
	must(p.t, apply())
	p.state.Loaded(persistence.Point{Next: 9})
	return persistence.Commit{Transaction: 42}, nil
}

// recovery is one over a bucket with two backups, monday of a, b and c, tuesday of d.
func recovery(t *testing.T) (*Recovery, *place, *primary) {
	p := newPlace(t)
	p.create("monday", thisCell, 7, "a", "b", "c")
	p.create("tuesday", thisCell, 8, "d")
	primary := &primary{t: t}
	return NewRecovery(p.Backups, nil, primary.restore), p, primary
}

func staging(t *testing.T, r *Recovery) string {
	t.Helper()
	v, err := r.View()
	if errors.Is(err, ErrNotStaged) {
		return "nothing"
	}
	must(t, err)
	return idsOf(v)
}

// The table of §27, first column: nothing is staged.
func TestNothingStaged(t *testing.T) {
	r, _, primary := recovery(t)
	_, view := r.View()
	_, deleted := r.DeleteTasks(nil)
	_, commit := r.Commit(t.Context(), nil)
	for what, err := range map[string]error{"query": view, "deleteTasks": deleted, "commit": commit} {
		if !errors.Is(err, ErrNotStaged) || err.Error() != "No backup loaded." {
			t.Errorf("%s: %v", what, err)
		}
	}
	if info, ok := r.Staged(); ok || info != nil {
		t.Errorf("%+v is staged", info)
	}
	r.Unload()
	if primary.calls != 0 {
		t.Error("something was restored")
	}
}

// The table's second column, in the order of an operator's session.
func TestStagedRecovery(t *testing.T) {
	r, p, primary := recovery(t)
	objects := len(p.keys())
	info, err := r.Stage(t.Context(), "monday")
	if err != nil || info.Name != "monday" || info.Counts["tasks"] != 3 {
		t.Fatalf("%+v, %v", info, err)
	}
	if now, ok := r.Staged(); !ok || now != info {
		t.Errorf("%+v is staged", now)
	}
	gets := p.mem.Count(memdriver.Any)
	if _, err := r.Stage(t.Context(), "tuesday"); !errors.Is(err, ErrAlreadyStaged) || err.Error() != "Another backup is already loaded." {
		t.Error(err)
	}
	if p.mem.Count(memdriver.Any) != gets || staging(t, r) != "a b c" {
		t.Errorf("%d requests, staged %s", p.mem.Count(memdriver.Any)-gets, staging(t, r))
	}
	before, err := r.View()
	must(t, err)
	byID := &api.TaskQuery{TaskIDs: []string{"b", "x"}}
	if n, err := r.DeleteTasks(byID); n != 1 || err != nil || staging(t, r) != "a c" {
		t.Errorf("%d deleted, %v; staged %s", n, err, staging(t, r))
	}
	if n, err := r.DeleteTasks(byID); n != 0 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	if idsOf(before) != "a b c" {
		t.Error("a view that was held has changed")
	}
	if ids, err := p.loaded(t.Context(), "monday"); ids != "a b c" || err != nil || len(p.keys()) != objects || primary.calls != 0 {
		t.Errorf("before the commit: the backup has %s, %v; %d objects, %d restores", ids, err, len(p.keys()), primary.calls)
	}
	commit, err := r.Commit(t.Context(), nil)
	if err != nil || commit.Transaction != 42 || idsOf(primary.state.View()) != "a c" {
		t.Errorf("%+v, %v; restored %s", commit, err, idsOf(primary.state.View()))
	}
	if id, _ := primary.state.View().FrameworkID(); id != "framework" {
		t.Errorf("framework id %q", id)
	}
	if want := "recovery of backup monday of cell " + thisCell + ", transaction 7, without 1 tasks"; primary.reason != want {
		t.Errorf("reason %q, want %q", primary.reason, want)
	}
	// To repeat it would undo what is written from now on.
	if staging(t, r) != "nothing" {
		t.Errorf("after the commit %s is staged", staging(t, r))
	}
	if _, err := r.Commit(t.Context(), nil); !errors.Is(err, ErrNotStaged) || primary.calls != 1 {
		t.Errorf("a second commit: %v", err)
	}
	_, err = r.Stage(t.Context(), "monday")
	must(t, err)
	if r.Unload(); staging(t, r) != "nothing" {
		t.Errorf("unloaded, %s is staged", staging(t, r))
	}
	if _, err := r.Stage(t.Context(), "tuesday"); err != nil || staging(t, r) != "d" {
		t.Errorf("%v; staged %s", err, staging(t, r))
	}
}

// Queries are those of the task store. None, or one without conditions, is all tasks.
func TestDeleteTasksFollowsTheQuery(t *testing.T) {
	for _, tt := range []struct {
		query *api.TaskQuery
		left  string
	}{
		{nil, ""}, {&api.TaskQuery{}, ""}, {&api.TaskQuery{Role: api.Some(" ")}, ""}, {&api.TaskQuery{Limit: api.Some(int32(1))}, ""},
		{&api.TaskQuery{JobName: api.Some("job-b"), Role: api.Some("role"), Environment: api.Some("prod")}, "a c"},
		{&api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusPENDING}}, "a b c"},
		{&api.TaskQuery{JobKeys: []*api.JobKey{schema.NewJobKey("role", "prod", "job-a"), schema.NewJobKey("role", "prod", "job-c")}}, "b"},
	} {
		r, _, _ := recovery(t)
		_, err := r.Stage(t.Context(), "monday")
		must(t, err)
		n, err := r.DeleteTasks(tt.query)
		if got := staging(t, r); err != nil || got != tt.left || n != 3-len(strings.Fields(tt.left)) {
			t.Errorf("%+v: %d deleted, %v; left %q, want %q", tt.query, n, err, got, tt.left)
		}
	}
	r, _, _ := recovery(t)
	_, err := r.Stage(t.Context(), "monday")
	must(t, err)
	if _, err := r.DeleteTasks(&api.TaskQuery{JobKeys: []*api.JobKey{{}}}); !errors.Is(err, storage.ErrInvalidArgument) || staging(t, r) != "a b c" {
		t.Errorf("%v; staged %s", err, staging(t, r))
	}
}

// Errors of staging have Aurora's texts, and leave nothing staged.
func TestStageErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*place)
		want  error
		text  string
	}{
		"sunday": {func(*place) {}, ErrNotExist, "Backup sunday does not exist."},
		"monday": {func(p *place) { p.mem.Put("backup/monday/part-00000", []byte("x")) }, ErrDamaged, "Failed to decode backup monday: "},
		"tuesday": {func(p *place) {
			p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Ending("part-00000"), Do: memdriver.Fail})
		}, memdriver.ErrInjected, "Failed to read backup tuesday: "},
		"../monday": {func(*place) {}, ErrInvalidName, "not a backup's name"},
	} {
		r, p, _ := recovery(t)
		tt.spoil(p)
		_, err := r.Stage(t.Context(), name)
		if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %s", name, err, tt.text)
		}
		if tt.want == ErrNotExist && err.Error() != tt.text {
			t.Errorf("%s: %q, want %q", name, err, tt.text)
		}
		if got := staging(t, r); got != "nothing" {
			t.Errorf("%s is staged", got)
		}
		p.mem.Heal()
		if name != "monday" {
			if _, err := r.Stage(t.Context(), "monday"); err != nil {
				t.Errorf("the next stage: %v", err)
			}
		}
	}
}

// A commit that fails leaves what is staged, to be tried again.
func TestCommitThatFailsCanBeRepeated(t *testing.T) {
	r, _, primary := recovery(t)
	_, err := r.Stage(t.Context(), "monday")
	must(t, err)
	primary.err = errors.New("not the leader")
	if _, err := r.Commit(t.Context(), nil); !errors.Is(err, primary.err) || staging(t, r) != "a b c" {
		t.Errorf("%v; staged %s", err, staging(t, r))
	}
	primary.err = nil
	after := persistence.TransactionNumber(9)
	if _, err := r.Commit(t.Context(), &after); err != nil || idsOf(primary.state.View()) != "a b c" || primary.after != &after {
		t.Error(err)
	}
	if strings.Contains(primary.reason, "without") {
		t.Errorf("reason %q", primary.reason)
	}
}

// Of two that stage at once one wins; if it fails the other has its turn. Readers wait
// for neither.
func TestTwoStagesAtOnce(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, p, _ := recovery(t)
			p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("backup/monday/"), Do: memdriver.Delay(time.Minute)})
			if fails {
				p.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("backup/monday/"), Do: memdriver.Fail})
			}
			var both sync.WaitGroup
			var first, second error
			both.Go(func() { _, first = r.Stage(t.Context(), "monday") })
			synctest.Wait()
			both.Go(func() { _, second = r.Stage(t.Context(), "tuesday") })
			synctest.Wait()
			start := time.Now()
			if got := staging(t, r); got != "nothing" || !time.Now().Equal(start) {
				t.Errorf("while it loads %s is staged", got)
			}
			if _, err := r.DeleteTasks(nil); !errors.Is(err, ErrNotStaged) {
				t.Errorf("while it loads: %v", err)
			}
			r.Unload() // nothing yet
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := r.Stage(ctx, "tuesday"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			both.Wait()
			switch {
			case !fails && (first != nil || !errors.Is(second, ErrAlreadyStaged) || staging(t, r) != "a b c"):
				t.Errorf("%v, %v; staged %s", first, second, staging(t, r))
			case fails && (first == nil || second != nil || staging(t, r) != "d"):
				t.Errorf("%v, %v; staged %s", first, second, staging(t, r))
			}
		})
	}
}

// If nobody knows whether it was committed, a repeat may undo what was written since.
func TestCommitOfUnknownOutcomeIsNotRepeated(t *testing.T) {
	r, _, primary := recovery(t)
	_, err := r.Stage(t.Context(), "monday")
	must(t, err)
	primary.err = persistence.ErrUnknown
	if _, err := r.Commit(t.Context(), nil); !errors.Is(err, persistence.ErrUnknown) || staging(t, r) != "nothing" {
		t.Errorf("%v; staged %s", err, staging(t, r))
	}
}

// While a commit is under way what is staged stays; it can be read.
func TestCommitHoldsOffChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, primary := recovery(t)
		_, err := r.Stage(t.Context(), "monday")
		must(t, err)
		primary.block = make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := r.Commit(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		changed := make(chan string, 2)
		all.Go(func() {
			if _, err := r.DeleteTasks(&api.TaskQuery{TaskIDs: []string{"a"}}); !errors.Is(err, ErrNotStaged) { // once it was committed
				t.Error(err)
			}
			changed <- "not deleted"
		})
		synctest.Wait()
		all.Go(func() { r.Unload(); changed <- "unloaded" })
		synctest.Wait()
		if len(changed) != 0 || staging(t, r) != "a b c" {
			t.Errorf("%d changes; staged %s", len(changed), staging(t, r))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Commit(ctx, nil); !errors.Is(err, context.DeadlineExceeded) || primary.calls != 1 {
			t.Errorf("a second commit: %v", err)
		}
		if _, err := r.Stage(t.Context(), "tuesday"); !errors.Is(err, ErrAlreadyStaged) || len(changed) != 0 { // it need not wait
			t.Error(err)
		}
		close(primary.block)
		all.Wait()
		if idsOf(primary.state.View()) != "a b c" || len(changed) != 2 || staging(t, r) != "nothing" {
			t.Errorf("restored %s; staged %s", idsOf(primary.state.View()), staging(t, r))
		}
	})
}

// Who waited to change one backup does not change another that was staged meanwhile.
func TestDeleteTasksIsOfTheBackupThatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := recovery(t)
		_, err := r.Stage(t.Context(), "monday")
		must(t, err)
		r.changing <- struct{}{} // as a commit does
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := r.DeleteTasks(nil); !errors.Is(err, ErrNotStaged) {
				t.Error(err)
			}
		})
		synctest.Wait()
		r.staged.Store(nil)
		other := &staged{info: &Info{Name: "tuesday"}, state: newTemporary(nil)}
		_, err = r.backups.Load(t.Context(), "tuesday", other.state)
		must(t, err)
		r.staged.Store(other)
		<-r.changing
		waiting.Wait()
		if got := staging(t, r); got != "d" {
			t.Errorf("%q is staged", got)
		}
	})
}

// The tiers of the cluster decide how old tasks are filled up.
func TestStagedStateIsBackfilledWithTheClustersTiers(t *testing.T) {
	_, p, primary := recovery(t)
	task := &api.ScheduledTask{AssignedTask: &api.AssignedTask{TaskID: api.Some("old"), Task: &api.TaskConfig{}}}
	record, err := (&api.Transaction{Ops: []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}}}}).AppendBinary(nil)
	must(t, err)
	s := source(t, thisCell, 1)
	s.Records = func(yield func([]byte, error) bool) { yield(record, nil) }
	_, err = p.Create(t.Context(), "old", s)
	must(t, err)
	r := NewRecovery(p.Backups, schema.Tiers{{Name: "own", Preemptible: true}}, primary.restore)
	_, err = r.Stage(t.Context(), "old")
	must(t, err)
	v, err := r.View()
	must(t, err)
	if task, ok := v.Tasks().Fetch("old"); !ok || task.AssignedTask.Task.Tier != api.Some("own") {
		t.Errorf("%+v", task)
	}
}
