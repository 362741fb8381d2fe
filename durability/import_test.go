package durability

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// streamOf yields copies, then an error if there is one.
func streamOf(ops []*api.Op, end error) iter.Seq2[*api.Op, error] {
	return func(yield func(*api.Op, error) bool) {
		for _, op := range ops {
			if !yield(op.Clone(), nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

func recordsIn(records ...[]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
	}
}

// collect returns what a stream yields before its error, which must be its end.
func collect[T any](t testing.TB, stream iter.Seq2[T, error]) (list []T, failure error) {
	t.Helper()
	for v, err := range stream {
		if failure != nil {
			t.Fatal("something was yielded behind an error")
		}
		if failure = err; err == nil {
			list = append(list, v)
		}
	}
	return list, failure
}

// loadRecords returns a storage with the state that records rebuild.
func loadRecords(records ...[]byte) (*Storage, error) {
	s := New(Options{})
	if err := s.Reset(persistence.Point{}); err != nil {
		return nil, err
	}
	for _, record := range records {
		apply, err := s.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
		if err == nil {
			err = apply()
		}
		if err != nil {
			return nil, err
		}
	}
	s.Loaded(persistence.Point{})
	return s, nil
}

// replayEach replays ops one by one, and returns the number of the first that fails.
func replayEach(ops []*api.Op) (s *Storage, failed int) {
	s = New(Options{})
	_ = s.Reset(persistence.Point{})
	for i, op := range ops {
		record, err := (&api.Transaction{Ops: []*api.Op{op}}).AppendBinary(nil)
		var apply func() error
		if err == nil {
			apply, err = s.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
		}
		if err == nil {
			err = apply()
		}
		if err != nil {
			return nil, i + 1
		}
	}
	s.Loaded(persistence.Point{})
	return s, 0
}

// An import takes what a replay takes, and what it makes of it gives the same state.
func TestImportIsAReplay(t *testing.T) {
	taken, refused := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		ops, updates := make([]*api.Op, rapid.IntRange(0, 30).Draw(r, "ops")), map[string]bool{}
		for i := range ops {
			ops[i] = anyOp(r, updates)
		}
		want, failed := replayEach(ops)
		records, err := collect(t, Import(streamOf(ops, nil), nil, nil))
		if failed > 0 {
			refused++
			if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("op %d (", failed)) {
				r.Fatalf("%v, but op %d can't be replayed: %v", err, failed, ops[failed-1])
			}
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		taken++
		got, err := loadRecords(records...)
		if err != nil {
			r.Fatal(err)
		}
		same(t, got, want)
		// What it is made of can be imported again.
		again, err := collect(t, Import(Ops(RecordsOf(got.View())), nil, nil))
		if err != nil {
			r.Fatal(err)
		}
		copied, err := loadRecords(again...)
		if err != nil {
			r.Fatal(err)
		}
		same(t, copied, want)
	})
	if taken == 0 || refused == 0 {
		t.Errorf("%d streams were taken and %d refused: both should be tried", taken, refused)
	}
}

// anyOp is an op of any kind as an old or strange writer may have written it: not
// canonical, now and then one that no replay takes. updates are those that are there.
func anyOp(r *rapid.T, updates map[string]bool) *api.Op {
	pick := func(prefix string) api.Optional[string] {
		return api.Some(prefix + fmt.Sprint(rapid.IntRange(0, 3).Draw(r, prefix)))
	}
	rarely := func(what string) bool { return rapid.IntRange(0, 60).Draw(r, what) == 0 }
	job := schema.NewJobKey("role", "prod", pick("job").Value)
	config := func() *api.TaskConfig {
		return &api.TaskConfig{Job: job, Priority: rapid.Int32Range(0, 2).Draw(r, "priority"), Production: api.Some(rapid.Bool().Draw(r, "production")),
			Tier:     rapid.SampledFrom([]api.Optional[string]{{}, api.Some("revocable"), api.Some("of old")}).Draw(r, "tier"),
			Metadata: []*api.Metadata{{Key: pick("k")}, {Key: pick("k")}}}
	}
	key := &api.JobUpdateKey{Job: job, ID: pick("u")}
	switch kind := rapid.IntRange(0, 16).Draw(r, "kind"); kind {
	case 0:
		return &api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: pick("framework")}}
	case 1:
		job := &api.JobConfiguration{Key: job, TaskConfig: config()}
		if rarely("no config") {
			job.TaskConfig = nil
		}
		return &api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: job}}
	case 2:
		return &api.Op{RemoveJob: &api.RemoveJob{JobKey: job}}
	case 3, 4, 5:
		var tasks []*api.ScheduledTask
		for i := range rapid.IntRange(0, 5).Draw(r, "tasks") {
			id := api.Some(fmt.Sprint("t", i+rapid.IntRange(0, 5).Draw(r, "task")*10))
			task := &api.ScheduledTask{AssignedTask: &api.AssignedTask{TaskID: id, Task: config()}, Status: api.Some(api.ScheduleStatusRUNNING)}
			if rapid.IntRange(0, 5).Draw(r, "task without config") == 0 {
				task.AssignedTask.Task = nil
			}
			if tasks = append(tasks, task); rapid.Bool().Draw(r, "twice") {
				tasks = append(tasks, task.Clone())
			}
			if rarely("other of the same id") {
				tasks[0] = task.Clone()
				tasks[0].FailureCount++
			}
		}
		return &api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks}}
	case 6:
		return &api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{pick("t").Value, pick("t1").Value}}}
	case 7:
		quota := &api.ResourceAggregate{NumCpus: api.Some(1.5)}
		if rarely("half a quota") {
			quota.Resources = []*api.Resource{{NumCpus: api.Some(2.0)}}
		}
		return &api.Op{SaveQuota: &api.SaveQuota{Role: pick("role"), Quota: quota}}
	case 8:
		return &api.Op{RemoveQuota: &api.RemoveQuota{Role: pick("role")}}
	case 9:
		attributes := &api.HostAttributes{Host: pick("host"), Mode: api.Some(api.MaintenanceModeNONE),
			SlaveID: rapid.SampledFrom([]api.Optional[string]{{}, api.Some(""), api.Some("agent")}).Draw(r, "agent")}
		if rarely("no mode") {
			attributes.Mode = api.Optional[api.MaintenanceMode]{}
		}
		return &api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: attributes}}
	case 10:
		return rapid.SampledFrom([]*api.Op{{SaveLock: &api.SaveLock{}}, {RemoveLock: &api.RemoveLock{}}, {PruneJobUpdateHistory: &api.PruneJobUpdateHistory{}}}).Draw(r, "retired")
	case 11, 12:
		updates[schema.JobKeyString(job)+key.ID.Value] = true
		instructions := &api.JobUpdateInstructions{Settings: &api.JobUpdateSettings{UpdateGroupSize: 3},
			DesiredState: &api.InstanceTaskConfig{Task: config(), Instances: []*api.Range{{Last: 2}, {}, {Last: 2}}}}
		return &api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}, Instructions: instructions}}}
	case 13, 14:
		update := &api.JobUpdateEvent{TimestampMs: rapid.Int64Range(0, 3).Draw(r, "time"), Status: api.Some(api.JobUpdateStatusROLLING_FORWARD)}
		instance := &api.JobInstanceUpdateEvent{TimestampMs: rapid.Int64Range(0, 3).Draw(r, "time"), Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED)}
		if !updates[schema.JobKeyString(job)+key.ID.Value] && !rarely("event of no update") {
			return &api.Op{RemoveHostMaintenanceRequest: &api.RemoveHostMaintenanceRequest{Host: pick("host")}}
		}
		if kind == 13 {
			return &api.Op{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Event: update, Key: key}}
		}
		return &api.Op{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Event: instance, Key: key}}
	case 15:
		delete(updates, schema.JobKeyString(job)+key.ID.Value)
		return &api.Op{RemoveJobUpdate: &api.RemoveJobUpdates{Keys: []*api.JobUpdateKey{key, key}}}
	}
	return &api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: &api.HostMaintenanceRequest{Host: pick("host"), TimeoutSecs: 5}}}
}

func saveTask(tasks ...*api.ScheduledTask) *api.Op {
	return &api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks}}
}

func updateOp(key *api.JobUpdateKey) *api.Op {
	return &api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key},
		Instructions: &api.JobUpdateInstructions{DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}}}
}

func eventOps(key *api.JobUpdateKey, at int64) []*api.Op {
	return []*api.Op{
		{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Key: key, Event: &api.JobUpdateEvent{TimestampMs: at, Status: api.Some(api.JobUpdateStatusROLLING_FORWARD)}}},
		{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Key: key, Event: &api.JobInstanceUpdateEvent{TimestampMs: at, Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED)}}},
	}
}

func updateKey(id string) *api.JobUpdateKey {
	return &api.JobUpdateKey{Job: schema.NewJobKey("role", "prod", "job"), ID: api.Some(id)}
}

func TestImportCountsWhatItLeavesOut(t *testing.T) {
	host := func(agent api.Optional[string]) *api.Op {
		return &api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: &api.HostAttributes{Host: api.Some("h"), SlaveID: agent, Mode: api.Some(api.MaintenanceModeNONE)}}}
	}
	ops := []*api.Op{host(api.Optional[string]{}), host(api.Some("agent")), {SaveHostAttributes: &api.SaveHostAttributes{}}, {SaveLock: &api.SaveLock{}},
		{RemoveLock: &api.RemoveLock{}}, {PruneJobUpdateHistory: &api.PruneJobUpdateHistory{}}, saveTask(newTask("a", 0)), saveTask()}
	var count Imported
	stream := Import(streamOf(ops, nil), nil, &count)
	for range 2 { // each time anew
		if _, err := collect(t, stream); err != nil {
			t.Fatal(err)
		}
		if want := (Imported{Ops: 3, HostsWithoutAgent: 2, Retired: 3}); count != want {
			t.Errorf("%+v, want %+v", count, want)
		}
	}
}

func TestImportNamesTheOp(t *testing.T) {
	good := saveTask(newTask("a", api.ScheduleStatusRUNNING))
	config := newTask("x", 0).AssignedTask.Task
	other := newTask("a", api.ScheduleStatusLOST)
	broken := newTask("b", 0)
	broken.AssignedTask.Task.Resources = []*api.Resource{{}}
	removed := []*api.Op{updateOp(updateKey("u")), {RemoveJobUpdate: &api.RemoveJobUpdates{Keys: []*api.JobUpdateKey{updateKey("u")}}}}
	for name, tt := range map[string]struct {
		ops  []*api.Op
		end  error
		want string
	}{
		"none":                 {[]*api.Op{good, nil}, nil, "op 2: invalid argument: missing: it is empty"},
		"of no kind":           {[]*api.Op{good, {}}, nil, "op 2 (of no known kind): invalid argument: Op without a branch that this schema knows"},
		"union without branch": {[]*api.Op{saveTask(broken)}, nil, "op 1 (saveTasks): invalid argument: saveTasks.tasks[0].assignedTask.task.resources[0]: Resource without a branch that this schema knows"},
		"two of one id":        {[]*api.Op{good, saveTask(newTask("a", 0), other)}, nil, "op 2 (saveTasks): Proposed new tasks would create task ID collision"},
		"no update":            {eventOps(updateKey("u"), 1), nil, "op 1 (saveJobUpdateEvent): Update not found: role/prod/job/u"},
		"update removed":       {append(removed, eventOps(updateKey("u"), 1)[1]), nil, "op 3 (saveJobInstanceUpdateEvent): Update not found: role/prod/job/u"},
		"cron job, bad key":    {[]*api.Op{{SaveCronJob: &api.SaveCronJob{JobConfig: &api.JobConfiguration{TaskConfig: config}}}}, nil, "op 1 (saveCronJob): cron job"},
		"half a quota":         {[]*api.Op{{SaveQuota: &api.SaveQuota{Quota: &api.ResourceAggregate{Resources: []*api.Resource{{NumCpus: api.Some(1.0)}}}}}}, nil, "op 1 (saveQuota): Quota resources must be exactly"},
		"stream fails":         {[]*api.Op{good}, errWork, "op 2: work failed"},
	} {
		_, err := collect(t, Import(streamOf(tt.ops, tt.end), nil, nil))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || tt.end != nil && !errors.Is(err, tt.end) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// A tier that is unknown stays, one that is unset is filled in by the tiers given.
func TestImportBackfillsAsAReplayDoes(t *testing.T) {
	unknown, unset := newTask("a", api.ScheduleStatusRUNNING), newTask("b", api.ScheduleStatusRUNNING)
	unknown.AssignedTask.Task.Tier = api.Some("of old")
	records, err := collect(t, Import(streamOf([]*api.Op{saveTask(unknown, unset)}, nil), schema.Tiers{{Name: "only"}}, nil))
	must(t, err)
	s, err := loadRecords(records...)
	must(t, err)
	for id, want := range map[string]string{"a": "of old", "b": "only"} {
		if task, ok := s.View().Tasks().Fetch(id); !ok || task.AssignedTask.Task.Tier.Value != want {
			t.Errorf("task %s has %v, want tier %s", id, task, want)
		}
	}
}

// An import holds a record's worth of ops, and of the job updates no more than keys.
func TestImportHoldsLittle(t *testing.T) {
	i := newImporter(nil, new(Imported))
	i.records.yield = func([]byte, error) bool { return true }
	held := func() int { return len(i.run.ops) + len(i.records.ops) + len(i.records.tasks.partial) }
	for n := range 3000 {
		must(t, i.take(saveTask(newTask(fmt.Sprint(n), 0))))
		if n%100 == 0 {
			key := updateKey(fmt.Sprint(n))
			must(t, i.take(updateOp(key)))
			for at := range 200 {
				for _, op := range eventOps(key, int64(at)) {
					must(t, i.take(op))
				}
			}
			details, ok := i.proof.scratch.JobUpdates().Fetch(key)
			if !ok || len(details.UpdateEvents) > 0 || len(details.InstanceEvents) > 0 {
				t.Fatalf("of an update with events is kept %+v", details)
			}
		}
		if c := i.proof.scratch.Counts(); c.Tasks != 0 || c.TaskConfigs != 0 || c.Hosts != 0 || held() > tasksPerRecord+rowsPerRecord {
			t.Fatalf("after %d ops %+v are kept, %d ops are held", n, c, held())
		}
	}
	for _, op := range []*api.Op{
		{SaveCronJob: &api.SaveCronJob{JobConfig: &api.JobConfiguration{Key: schema.NewJobKey("a", "b", "c"), TaskConfig: &api.TaskConfig{}}}},
		{SaveQuota: &api.SaveQuota{Role: api.Some("r"), Quota: &api.ResourceAggregate{}}},
		{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: &api.HostAttributes{Host: api.Some("h"), SlaveID: api.Some("s"), Mode: api.Some(api.MaintenanceModeNONE)}}},
		{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: &api.HostMaintenanceRequest{Host: api.Some("h")}}},
	} {
		must(t, i.take(op))
	}
	if c := i.proof.scratch.Counts(); c.CronJobs+c.Quotas+c.Hosts+c.Maintenance != 0 {
		t.Errorf("%+v are kept", c)
	}
}

// However many tasks an op has, and however many ops come, records are neither large
// nor many, and have each configuration once.
func TestImportedRecordsAreOfFairSize(t *testing.T) {
	const n = 2000
	all := make([]*api.ScheduledTask, n)
	for i := range all {
		all[i] = benchTask(i)
	}
	one := []*api.Op{saveTask(all...)}
	each := make([]*api.Op, n)
	for i, task := range all {
		each[i] = saveTask(task)
	}
	for name, ops := range map[string][]*api.Op{"one op": one, "an op each": each} {
		records, err := collect(t, Import(streamOf(ops, nil), nil, nil))
		must(t, err)
		if want := (n + tasksPerRecord - 1) / tasksPerRecord; len(records) != want {
			t.Errorf("%s: %d records, want %d", name, len(records), want)
		}
		for _, record := range records {
			tx, err := decode(record)
			must(t, err)
			if len(record) > recordBytes || len(tx.DeduplicatedTasks.TaskConfigs) > n/200 {
				t.Errorf("%s: a record of %d bytes with %d configurations", name, len(record), len(tx.DeduplicatedTasks.TaskConfigs))
			}
		}
		s, err := loadRecords(records...)
		must(t, err)
		if s.View().Tasks().Len() != n {
			t.Errorf("%s: %d tasks", name, s.View().Tasks().Len())
		}
	}
}

// A task saved again goes into another record than before, wherever a run of tasks
// happens to end: two of one id in one record could not be replayed.
func TestTaskSavedAgainIsInAnotherRecord(t *testing.T) {
	odd := newTask("odd", api.ScheduleStatusRUNNING)
	odd.AssignedTask.Task = nil
	ops := []*api.Op{saveTask(odd)}
	for i := range tasksPerRecord - 1 {
		ops = append(ops, saveTask(benchTask(i)))
	}
	again := benchTask(7)
	again.Status = api.Some(api.ScheduleStatusLOST)
	records, err := collect(t, Import(streamOf(append(ops, saveTask(again)), nil), nil, nil))
	must(t, err)
	s, err := loadRecords(records...)
	must(t, err)
	if task, ok := s.View().Tasks().Fetch(again.AssignedTask.TaskID.Value); !ok || !task.Equal(again) || s.View().Tasks().Len() != tasksPerRecord {
		t.Errorf("%d tasks, the one saved again is %v", s.View().Tasks().Len(), task)
	}
}

func TestConsumersMayStop(t *testing.T) {
	var ops []*api.Op
	for i := range 2 * tasksPerRecord {
		ops = append(ops, saveTask(benchTask(i)))
	}
	for range Import(streamOf(ops, errWork), nil, nil) {
		break
	}
	records, err := collect(t, Import(streamOf(ops, nil), nil, nil))
	must(t, err)
	for range Ops(recordsIn(records...)) {
		break
	}
	s, err := loadRecords(records...)
	must(t, err)
	for range RecordsOf(s.View()) {
		break
	}
}

// Ops of deduplicated tasks are like all others, and no larger.
func TestOpsOfRecords(t *testing.T) {
	var tasks []*api.Op
	for i := range 100 {
		tasks = append(tasks, saveTask(benchTask(i)))
	}
	records, err := collect(t, Import(streamOf(tasks, nil), nil, nil))
	must(t, err)
	remove := &api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{"x"}}}
	mixed, err := (&api.Transaction{Ops: []*api.Op{remove}, CommittedKeys: []*api.CommittedKey{{Key: api.Some("k")}}}).AppendBinary(nil)
	must(t, err)
	ops, err := collect(t, Ops(recordsIn(append(records, mixed)...)))
	must(t, err)
	var ids []string
	for _, op := range ops[:len(ops)-1] {
		if len(op.SaveTasks.Tasks) > tasksPerOp {
			t.Errorf("an op of %d tasks", len(op.SaveTasks.Tasks))
		}
		for _, task := range op.SaveTasks.Tasks {
			ids = append(ids, task.AssignedTask.TaskID.Value)
			if want := benchTask(len(ids) - 1); !task.Equal(want) {
				t.Errorf("got %v, want %v", task, want)
			}
		}
	}
	if len(ids) != 100 || len(slices.Compact(ids)) != 100 || !ops[len(ops)-1].Equal(remove) {
		t.Errorf("%d tasks, last %v", len(ids), ops[len(ops)-1])
	}
}

func TestOpsNamesTheRecord(t *testing.T) {
	good, err := (&api.Transaction{Ops: []*api.Op{}}).AppendBinary(nil)
	must(t, err)
	newer, err := (&api.Transaction{SchemaVersion: api.CurrentSchemaVersion + 1}).AppendBinary(nil)
	must(t, err)
	if _, err := collect(t, Ops(recordsIn(good, newer))); !errors.Is(err, persistence.ErrNewerFormat) || !strings.HasPrefix(err.Error(), "record 2: ") {
		t.Errorf("newer: %v", err)
	}
	if _, err := collect(t, Ops(recordsIn(good, badIndex(t, 5)))); err == nil || !strings.HasSuffix(err.Error(), "invalid task index 5") {
		t.Errorf("bad index: %v", err)
	}
	if _, err := collect(t, Ops(recordsIn([]byte("hello")))); err == nil || !strings.HasPrefix(err.Error(), "record 1: decode Transaction") {
		t.Errorf("no Thrift: %v", err)
	}
	fails := func(yield func([]byte, error) bool) { _ = yield(good, nil) && yield(nil, errWork) }
	if _, err := collect(t, Ops(fails)); !errors.Is(err, errWork) || !strings.HasPrefix(err.Error(), "record 2: ") {
		t.Errorf("stream fails: %v", err)
	}
}
