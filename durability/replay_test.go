package durability

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/thriftjson"
	"github.com/scheduler-store/scheduler-store/storage"
)

// goldens are one record of each op as Aurora's own tests keep them, in an order
// that can be replayed.
func goldens(t testing.TB) []*api.Op {
	t.Helper()
	files, err := filepath.Glob("../schema/testdata/goldens/[0-9]*")
	must(t, err)
	number := func(path string) int {
		n, _ := strconv.Atoi(strings.SplitN(filepath.Base(path), "-", 2)[0])
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(a) - number(b) })
	var ops []*api.Op
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		op, err := thriftjson.ReadOp(data)
		must(t, err)
		ops = append(ops, op)
	}
	if len(ops) != 17 {
		t.Fatalf("%d goldens, want 17", len(ops))
	}
	return ops
}

func TestAurorasRecordsReplay(t *testing.T) {
	l := &tape{}
	for _, op := range goldens(t) {
		record, err := (&api.Transaction{Ops: []*api.Op{op}, SchemaVersion: 1}).AppendBinary(nil)
		must(t, err)
		l.records = append(l.records, record)
	}
	s := l.replayed(t)
	counts := s.Checkpoint().Counts()
	for kind, want := range map[string]int{"tasks": 1, "cronJobs": 1, "quotas": 1, "hosts": 1, "jobUpdates": 1, "maintenance": 0, "frameworkId": 1} {
		if counts[kind] != want {
			t.Errorf("%d %s, want %d", counts[kind], kind, want)
		}
	}
	for update := range s.View().JobUpdates().All() {
		if len(update.UpdateEvents) != 1 || len(update.InstanceEvents) != 1 {
			t.Errorf("update has %d and %d events, want one of each", len(update.UpdateEvents), len(update.InstanceEvents))
		}
	}
	same(t, fromCheckpoint(t, s), s)
}

func TestReplayRefusesWhatItCantUnderstand(t *testing.T) {
	for name, record := range map[string][]byte{
		"not Thrift":       []byte("hello"),
		"an op of no kind": {0x0f, 0, 1, 0x0c, 0, 0, 0, 1, 0, 0},
		"a hostile length": {0x0f, 0, 1, 0x0c, 0x7f, 0xff, 0xff, 0xff, 0},
	} {
		s := New(Options{})
		apply, err := s.Prepare(persistence.Batch{Records: [][]byte{record}, First: 1, Position: 1})
		if err == nil {
			err = apply()
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// randomOp does one random thing to the stores, now and then a wrong one.
func randomOp(r *rapid.T, ctx context.Context, s *Storage, tx storage.Mutable, depth int) error {
	pick := func(prefix string) string { return prefix + fmt.Sprint(rapid.IntRange(0, 3).Draw(r, prefix)) }
	// Now and then something that must be refused.
	key := &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: api.Some(rapid.SampledFrom([]string{"a", "b", "not valid!", ""}).Draw(r, "name"))}
	update := &api.JobUpdateKey{Job: key, ID: api.Some(pick("update"))}
	task := newTask(pick("task"), rapid.SampledFrom(api.ScheduleStatusValues()).Draw(r, "status"))
	task.AssignedTask.Task.Tier = rapid.SampledFrom([]api.Optional[string]{{}, api.Some("preferred"), api.Some("preemptible"), api.Some("nonsense")}).Draw(r, "tier")
	task.AssignedTask.Task.Job = key
	if rapid.Bool().Draw(r, "placed") {
		task.AssignedTask.SlaveHost = api.Some(pick("host"))
	}
	config := task.AssignedTask.Task
	switch rapid.IntRange(0, 16).Draw(r, "kind") {
	case 0:
		return tx.SaveFrameworkID(pick("framework"))
	case 1, 2:
		return tx.Tasks().Save(task)
	case 3:
		return tx.Tasks().Save(task, task.Clone())
	case 4:
		return tx.Tasks().Delete(pick("task"), pick("task"))
	case 5:
		_, err := tx.Tasks().Mutate(pick("task"), func(task *api.ScheduledTask) error {
			task.Status = api.Some(api.ScheduleStatusRUNNING)
			task.AssignedTask.Task.Tier = config.Tier
			return nil
		})
		return err
	case 6:
		return tx.CronJobs().Save(&api.JobConfiguration{Key: key, TaskConfig: rapid.SampledFrom([]*api.TaskConfig{nil, config}).Draw(r, "config")})
	case 7:
		return tx.CronJobs().Remove(key)
	case 8:
		quota := &api.ResourceAggregate{Resources: []*api.Resource{{NumCpus: api.Some(1.5)}, {RamMb: api.Some[int64](2)}, {DiskMb: api.Some[int64](3)}}}
		quota.Resources = quota.Resources[:rapid.IntRange(0, 3).Draw(r, "resources")]
		return tx.Quotas().Save(pick("role"), quota)
	case 9:
		return tx.Quotas().Remove(pick("role"))
	case 10:
		attributes := &api.HostAttributes{Host: api.Some(pick("host")), Mode: rapid.SampledFrom([]api.Optional[api.MaintenanceMode]{{}, api.Some(api.MaintenanceModeDRAINED)}).Draw(r, "mode"),
			SlaveID: rapid.SampledFrom([]api.Optional[string]{{}, api.Some("agent")}).Draw(r, "agent"), Attributes: []*api.Attribute{{Name: api.Some("rack"), Values: []string{pick("rack")}}}}
		_, err := tx.Hosts().Save(attributes)
		return err
	case 11:
		instructions := &api.JobUpdateInstructions{Settings: &api.JobUpdateSettings{UpdateGroupSize: 3}}
		if rapid.IntRange(0, 3).Draw(r, "desired") > 0 {
			instructions.DesiredState = &api.InstanceTaskConfig{Task: config, Instances: []*api.Range{{Last: 2}}}
		}
		return tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: update}, Instructions: instructions})
	case 12:
		return tx.JobUpdates().SaveEvent(update, &api.JobUpdateEvent{Status: api.Some(api.JobUpdateStatusROLLING_FORWARD), TimestampMs: rapid.Int64Range(0, 3).Draw(r, "time")})
	case 13:
		return tx.JobUpdates().SaveInstanceEvent(update, &api.JobInstanceUpdateEvent{InstanceID: 1, TimestampMs: rapid.Int64Range(0, 3).Draw(r, "time"), Action: api.Some(api.JobUpdateActionINSTANCE_UPDATING)})
	case 14:
		return tx.JobUpdates().Remove(update)
	case 15:
		if rapid.Bool().Draw(r, "remove") {
			return tx.Maintenance().Remove(pick("host"))
		}
		return tx.Maintenance().Save(&api.HostMaintenanceRequest{Host: api.Some(pick("host")), TimeoutSecs: 3})
	default:
		if depth > 2 {
			return nil
		}
		return s.Write(ctx, func(ctx context.Context, tx storage.Mutable) error {
			for range rapid.IntRange(0, 3).Draw(r, "nested") {
				_ = randomOp(r, ctx, s, tx, depth+1)
			}
			return rapid.SampledFrom([]error{nil, errWork}).Draw(r, "outcome")
		})
	}
}

func TestQuotasOfBothSchemasAreRead(t *testing.T) {
	scalars := &api.ResourceAggregate{NumCpus: api.Some(1.5), RamMb: api.Some[int64](2), DiskMb: api.Some[int64](3)}
	resources := &api.ResourceAggregate{Resources: []*api.Resource{{DiskMb: api.Some[int64](3)}, {NumCpus: api.Some(1.5)}, {RamMb: api.Some[int64](2)}}}
	for _, q := range []*api.ResourceAggregate{scalars, resources} {
		must(t, Backfill{}.Quota(q))
	}
	if !scalars.Equal(resources) {
		t.Errorf("%+v and %+v differ", scalars, resources)
	}
	s, _ := led(t, true)
	err := s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		return tx.Quotas().Save("role", &api.ResourceAggregate{NumCpus: api.Some(1.5)})
	})
	if !errors.Is(err, storage.ErrInvalidArgument) {
		t.Errorf("writing is strict: %v", err)
	}
}

func TestNeighboursCoalesce(t *testing.T) {
	s, l := led(t, true)
	must(t, s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
		must(t, save("a", "b")(ctx, tx))
		must(t, tx.Tasks().Save(newTask("a", api.ScheduleStatusRUNNING)))
		for _, agent := range []string{"one", "two"} {
			_, err := tx.Hosts().Save(&api.HostAttributes{Host: api.Some("h"), SlaveID: api.Some(agent), Mode: api.Some(api.MaintenanceModeNONE)})
			must(t, err)
		}
		must(t, tx.Tasks().Delete("x"))
		return tx.Tasks().Delete("b")
	}))
	var record api.Transaction
	must(t, record.UnmarshalBinary(l.records[0]))
	if len(record.Ops) != 3 || len(record.Ops[0].SaveTasks.Tasks) != 2 || len(record.Ops[2].RemoveTasks.TaskIDs) != 2 {
		t.Errorf("recorded %d ops: %+v", len(record.Ops), record.Ops)
	}
	if got := record.Ops[1].SaveHostAttributes.HostAttributes.SlaveID.Value; got != "two" {
		t.Errorf("merged host attributes have agent %q, want that of the later record", got)
	}
	same(t, l.replayed(t), s)
}

// A transaction of many small saves costs what it saves, not its square.
func TestManySmallSavesMergeInLinearTime(t *testing.T) {
	merge := func(n int) float64 {
		return testing.AllocsPerRun(1, func() {
			var l opList
			for i := range n {
				l.add(&api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{newTask(fmt.Sprint(i), api.ScheduleStatusPENDING)}}})
				l.add(&api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{newTask("0", api.ScheduleStatusRUNNING)}}})
			}
			if len(l.ops) != 1 || len(l.ops[0].SaveTasks.Tasks) != n {
				t.Fatalf("%d ops", len(l.ops))
			}
		})
	}
	if few, many := merge(500), merge(5000); many > 15*few {
		t.Errorf("ten times the saves take %.0f allocations instead of %.0f", many, few)
	}
}
