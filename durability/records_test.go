package durability

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/internal/hostile"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// stateOf is a state with tasks, which need not be such as are written today.
func stateOf(t testing.TB, tasks ...*api.ScheduledTask) *storage.State {
	t.Helper()
	tx := storage.NewState(storage.Options{}).Begin()
	for _, task := range tasks {
		must(t, Backfill{}.Task(task))
		task.Canonicalize()
	}
	must(t, tx.Tasks().Save(tasks...))
	return tx.Commit()
}

// However tasks, jobs and configurations go together: each task is in the records
// once, and each configuration once in a record.
func TestEachTaskIsInTheRecordsOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var tasks []*api.ScheduledTask
		for i := range rapid.IntRange(0, 2*tasksPerRecord).Draw(r, "tasks") {
			task := newTask(fmt.Sprintf("%x", (i*7919)%1000003), api.ScheduleStatusRUNNING)
			config := task.AssignedTask.Task
			config.Priority = rapid.Int32Range(0, 3).Draw(r, "priority")
			config.Job = rapid.SampledFrom([]*api.JobKey{nil, {}, {Name: api.Some("not a valid key!")}, schema.NewJobKey("a", "b", "c"), schema.NewJobKey("a", "b", "d")}).Draw(r, "job")
			if rapid.IntRange(0, 40).Draw(r, "without config") == 0 {
				task.AssignedTask.Task = nil
			}
			tasks = append(tasks, task)
		}
		state := stateOf(t, tasks...)
		records, err := collect(t, RecordsOf(state))
		must(t, err)
		seen := map[string]bool{}
		for _, record := range records {
			tx, err := decode(record)
			must(t, err)
			if d := tx.DeduplicatedTasks; d != nil {
				distinct := map[string]bool{}
				for _, config := range d.TaskConfigs {
					distinct[string(config.AppendCanonical(nil))] = true
				}
				if len(distinct) != len(d.TaskConfigs) {
					r.Fatalf("%d different configurations, %d in the record", len(distinct), len(d.TaskConfigs))
				}
			}
			ops, err := opsOf(record)
			must(t, err)
			for _, op := range ops {
				for _, task := range op.SaveTasks.Tasks {
					id := task.AssignedTask.TaskID.Value
					if stored, ok := state.Tasks().Fetch(id); !ok || !stored.Equal(task) || seen[id] {
						r.Fatalf("task %s is there twice, or differs: %v", id, task)
					}
					seen[id] = true
				}
			}
		}
		if len(seen) != len(tasks) {
			r.Fatalf("%d tasks in the records, want %d", len(seen), len(tasks))
		}
	})
}

// Tasks of a job are neighbours, whatever their ids and configurations are.
func TestTasksOfAJobAreTogether(t *testing.T) {
	var tasks []*api.ScheduledTask
	for i := range 300 {
		task := newTask(fmt.Sprint(i), api.ScheduleStatusRUNNING)
		task.AssignedTask.Task.Job = schema.NewJobKey("role", "prod", fmt.Sprint("job", i%7))
		task.AssignedTask.Task.Priority = int32(i % 3)
		tasks = append(tasks, task)
	}
	jobs, last := 0, ""
	for op, err := range Ops(RecordsOf(stateOf(t, tasks...))) {
		must(t, err)
		for _, task := range op.SaveTasks.Tasks {
			if job := schema.JobKeyString(task.AssignedTask.Task.Job); job != last {
				jobs, last = jobs+1, job
			}
		}
	}
	if jobs != 7 {
		t.Errorf("7 jobs come in %d pieces", jobs)
	}
}

// Tasks that are large without their configurations are split, and nothing is lost.
func TestRecordsOfLargeTasksAreSplit(t *testing.T) {
	var tasks []*api.ScheduledTask
	for i := range 40 {
		task := newTask(fmt.Sprintf("%02d", i), api.ScheduleStatusRUNNING)
		task.AssignedTask.Task.Priority = int32(i % 3)
		task.TaskEvents = []*api.TaskEvent{{Message: api.Some(strings.Repeat("x", 100<<10))}}
		tasks = append(tasks, task)
	}
	state := stateOf(t, tasks...)
	records, err := collect(t, RecordsOf(state))
	must(t, err)
	for _, record := range records {
		tx, err := decode(record)
		must(t, err)
		if n := len(tx.DeduplicatedTasks.TaskConfigs); len(record) > recordBytes || n > 3 {
			t.Errorf("a record of %d bytes with %d configurations, of which there are 3", len(record), n)
		}
	}
	s, err := loadRecords(records...)
	must(t, err)
	if s.View().Tasks().Len() != 40 || len(records) > 16 {
		t.Errorf("%d tasks in %d records", s.View().Tasks().Len(), len(records))
	}
	for task := range state.Tasks().All() {
		if got, ok := s.View().Tasks().Fetch(task.AssignedTask.TaskID.Value); !ok || !got.Equal(task) {
			t.Errorf("task %s differs", task.AssignedTask.TaskID.Value)
		}
	}
}

// Large configurations are counted before they are encoded: it takes little more memory
// than a record has.
func TestRecordsOfLargeConfigurationsAreMadeInLittleMemory(t *testing.T) {
	var tasks []*api.ScheduledTask
	for i := range 100 {
		task := newTask(fmt.Sprint(i), api.ScheduleStatusRUNNING)
		task.AssignedTask.Task.ExecutorConfig = &api.ExecutorConfig{Name: api.Some(fmt.Sprint(i)), Data: api.Some(strings.Repeat("x", 200<<10))}
		tasks = append(tasks, task)
	}
	records := 0
	w := &recordWriter{yield: func(record []byte, err error) bool {
		must(t, err)
		records++
		return true
	}}
	w.state(stateOf(t, tasks...))
	if cap(w.buf) > 4*recordBytes || records > 50 {
		t.Errorf("%d records were made in %d bytes", records, cap(w.buf))
	}
}

// badIndex is a record whose second task refers to a configuration that is not there.
func badIndex(t testing.TB, index int32) []byte {
	t.Helper()
	partial, config := schema.WithoutConfig(newTask("a", api.ScheduleStatusRUNNING))
	record, err := (&api.Transaction{Ops: []*api.Op{}, DeduplicatedTasks: &api.DeduplicatedTasks{TaskConfigs: []*api.TaskConfig{config},
		PartialTasks: []*api.DeduplicatedScheduledTask{{PartialScheduledTask: partial}, {TaskConfigID: index}}}}).AppendBinary(nil)
	must(t, err)
	return record
}

func TestReplayChecksTheIndexOfAConfiguration(t *testing.T) {
	for _, index := range []int32{1, -1, 1 << 30} {
		_, err := loadRecords(badIndex(t, index))
		if want := fmt.Sprintf("record 0: deduplicatedTasks: DeduplicatedScheduledTask referenced invalid task index %d", index); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := loadRecords(badIndex(t, 0)); err == nil || !strings.Contains(err.Error(), "partial task 1 has no assigned task") {
		t.Errorf("a task without anything: %v", err)
	}
}

// Deduplicated tasks are backfilled and made canonical as all others are, each
// configuration once, and share it.
func TestDeduplicatedTasksAreBackfilled(t *testing.T) {
	config := &api.TaskConfig{Job: schema.NewJobKey("a", "b", "c"), Production: api.Some(true), Metadata: []*api.Metadata{{Key: api.Some("b")}, {Key: api.Some("a")}}}
	tx := &api.Transaction{DeduplicatedTasks: &api.DeduplicatedTasks{TaskConfigs: []*api.TaskConfig{config}}}
	for _, id := range []string{"a", "b"} {
		tx.DeduplicatedTasks.PartialTasks = append(tx.DeduplicatedTasks.PartialTasks, &api.DeduplicatedScheduledTask{
			PartialScheduledTask: &api.ScheduledTask{AssignedTask: &api.AssignedTask{TaskID: api.Some(id)}}})
	}
	want := &api.ScheduledTask{AssignedTask: &api.AssignedTask{TaskID: api.Some("a"), Task: config.Clone()}}
	must(t, Backfill{}.Task(want))
	want.Canonicalize()
	must(t, Backfill{}.transaction(tx))
	tasks := tx.Ops[0].SaveTasks.Tasks
	got, err := tasks[0].AppendBinary(nil)
	must(t, err)
	wantBytes, err := want.AppendBinary(nil)
	must(t, err)
	if string(got) != string(wantBytes) || want.AssignedTask.Task.Tier.Value != "preferred" {
		t.Errorf("got %q, want %q", got, wantBytes)
	}
	if tasks[0].AssignedTask.Task != tasks[1].AssignedTask.Task || tx.DeduplicatedTasks != nil {
		t.Error("the tasks do not share their configuration")
	}
	// With tiers that have none for it, it can't be read.
	tx = &api.Transaction{DeduplicatedTasks: &api.DeduplicatedTasks{TaskConfigs: []*api.TaskConfig{{}}}}
	if err := (Backfill{Tiers: schema.Tiers{{Name: "a"}}, Replay: true}).transaction(tx); err == nil || !strings.HasPrefix(err.Error(), "deduplicatedTasks.taskConfigs[0]: no tier") {
		t.Error(err)
	}
}

// Snapshots from before had tasks as plain ops, and still load.
func TestOldSnapshotsLoad(t *testing.T) {
	var tasks []*api.ScheduledTask
	for i := range 70 {
		tasks = append(tasks, benchTask(i*50))
	}
	state := stateOf(t, tasks...)
	var records [][]byte
	for at := 0; at < len(tasks); at += 32 {
		record, err := (&api.Transaction{Ops: []*api.Op{saveTask(tasks[at:min(at+32, len(tasks))]...)}, SchemaVersion: 1}).AppendBinary(nil)
		must(t, err)
		records = append(records, record)
	}
	old, err := loadRecords(records...)
	must(t, err)
	records, err = collect(t, RecordsOf(state))
	must(t, err)
	now, err := loadRecords(records...)
	must(t, err)
	same(t, now, old)
	if now.View().Tasks().Len() != len(tasks) {
		t.Errorf("%d tasks", now.View().Tasks().Len())
	}
}

// Whatever bytes a record has: it is prepared and applied, or refused, in memory that
// its size bounds.
func FuzzPrepare(f *testing.F) {
	records, err := collect(f, RecordsOf(stateOf(f, benchTask(1), benchTask(2), benchTask(300))))
	must(f, err)
	for _, op := range goldens(f) {
		record, err := (&api.Transaction{Ops: []*api.Op{op}, SchemaVersion: 1}).AppendBinary(nil)
		must(f, err)
		records = append(records, record)
	}
	for _, record := range append(records, badIndex(f, 1), badIndex(f, 0), []byte{}, []byte("hello")) {
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		s := New(Options{})
		must(t, s.Reset(persistence.Point{}))
		var err error
		got := hostile.Allocated(func() {
			var apply func() error
			if apply, err = s.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true}); err == nil {
				err = apply()
			}
		})
		if got > uint64(1<<20+1000*len(record)) {
			t.Errorf("%d bytes allocated for %d", got, len(record))
		}
		if err != nil {
			return
		}
		s.Loaded(persistence.Point{})
		_, _ = collect(t, s.Checkpoint().Records())
	})
}
