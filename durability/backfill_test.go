package durability

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func some[T any](v T) api.Optional[T] { return api.Some(v) }

// resources is a quota's, as one of each kind.
func resources(cpus float64, ram, disk int64) []*api.Resource {
	return []*api.Resource{{NumCpus: some(cpus)}, {RamMb: some(ram)}, {DiskMb: some(disk)}}
}

func TestQuotasAreBackfilled(t *testing.T) {
	port, gpu := &api.Resource{NamedPort: some("http")}, &api.Resource{NumGpus: some[int64](1)}
	full := func() []*api.Resource { return resources(1.5, 2, 3) }
	scalars := func(r []*api.Resource) *api.ResourceAggregate {
		return &api.ResourceAggregate{NumCpus: some(1.5), RamMb: some[int64](2), DiskMb: some[int64](3), Resources: r}
	}
	for name, tt := range map[string]struct {
		quota, want *api.ResourceAggregate
		err         string
	}{
		"scalars, resources unset":  {quota: scalars(nil), want: scalars(full())},
		"scalars, resources empty":  {quota: scalars([]*api.Resource{}), want: scalars(full())},
		"resources only":            {quota: &api.ResourceAggregate{Resources: full()}, want: scalars(full())},
		"resources win":             {quota: &api.ResourceAggregate{NumCpus: some(9.0), RamMb: some[int64](9), DiskMb: some[int64](9), Resources: full()}, want: scalars(full())},
		"nothing is three zeros":    {quota: &api.ResourceAggregate{}, want: &api.ResourceAggregate{NumCpus: some(0.0), RamMb: some[int64](0), DiskMb: some[int64](0), Resources: resources(0, 0, 0)}},
		"one kind is missing":       {quota: &api.ResourceAggregate{Resources: full()[:2]}, err: "Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]"},
		"a port in place of one":    {quota: &api.ResourceAggregate{Resources: append(full()[:2], port)}, err: "Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]"},
		"a GPU in place of one":     {quota: &api.ResourceAggregate{Resources: append(full()[:2], gpu)}, err: "Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]"},
		"one kind twice, for one":   {quota: &api.ResourceAggregate{Resources: append(full()[:2], full()[0])}, err: "Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]"},
		"a fourth":                  {quota: &api.ResourceAggregate{Resources: append(full(), port)}, err: "Too many resource values in quota."},
		"scalars, but half of them": {quota: scalars(full()[:1]), err: "Quota resources must be exactly: [CPUS, RAM_MB, DISK_MB]"},
	} {
		for range 2 { // a second time changes nothing
			err := Backfill{}.Quota(tt.quota)
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("%s: %v, want %q", name, err, tt.err)
			} else if err == nil && !tt.quota.Equal(tt.want) {
				t.Errorf("%s: %+v, want %+v", name, tt.quota, tt.want)
			}
		}
	}
}

func TestTasksAreBackfilled(t *testing.T) {
	for name, task := range map[string]*api.ScheduledTask{"nothing": {}, "no config": {AssignedTask: &api.AssignedTask{}}} {
		before := task.Clone()
		if err := (Backfill{}).Task(task); err != nil || !task.Equal(before) {
			t.Errorf("%s: %+v, %v", name, task, err)
		}
	}
	task := newTask("a", 0)
	task.AssignedTask.Task.Tier = some("of old")
	if err := (Backfill{}).Task(task); !errors.Is(err, schema.ErrUnknownTier) || !strings.Contains(err.Error(), `invalid tier "of old" in task config`) {
		t.Errorf("a new task: %v", err)
	}
	if err := (Backfill{Replay: true}).Task(task); err != nil || task.AssignedTask.Task.Tier != some("of old") || task.AssignedTask.Task.Production != some(true) {
		t.Errorf("an old one is left as it is: %+v, %v", task.AssignedTask.Task, err)
	}
	task.AssignedTask.Task.Tier = some("revocable")
	task.AssignedTask.Task.Resources = []*api.Resource{{NumCpus: some(1.0)}}
	if err := (Backfill{}).Task(task); err != nil || task.AssignedTask.Task.Production != some(false) || len(task.AssignedTask.Task.Resources) != 1 {
		t.Errorf("the tier decides, resources stay: %+v, %v", task.AssignedTask.Task, err)
	}
}

func TestCronJobsAreBackfilled(t *testing.T) {
	job := &api.JobConfiguration{TaskConfig: &api.TaskConfig{Production: some(true)}}
	if err := (Backfill{}).CronJob(job); err != nil || job.TaskConfig.Tier != some("preferred") {
		t.Errorf("%+v, %v", job.TaskConfig, err)
	}
	if err := (Backfill{}).CronJob(&api.JobConfiguration{}); err == nil {
		t.Error("a job without a config was taken")
	}
	// The cluster's own tiers are used, not the stock ones.
	job = &api.JobConfiguration{TaskConfig: &api.TaskConfig{}}
	if err := (Backfill{Tiers: schema.Tiers{{Name: "own", Preemptible: true}}}).CronJob(job); err != nil || job.TaskConfig.Tier != some("own") {
		t.Errorf("%+v, %v", job.TaskConfig, err)
	}
}

func TestJobUpdatesAreBackfilled(t *testing.T) {
	config := func() *api.TaskConfig { return &api.TaskConfig{Production: some(true)} }
	batch := func(n int32) *api.JobUpdateStrategy {
		return &api.JobUpdateStrategy{BatchStrategy: &api.BatchJobUpdateStrategy{GroupSize: n}}
	}
	queue := func(n int32) *api.JobUpdateStrategy {
		return &api.JobUpdateStrategy{QueueStrategy: &api.QueueJobUpdateStrategy{GroupSize: n}}
	}
	kept := &api.JobUpdateStrategy{VarBatchStrategy: &api.VariableBatchJobUpdateStrategy{GroupSizes: []int32{1, 2}}}
	for name, tt := range map[string]struct {
		settings *api.JobUpdateSettings
		want     *api.JobUpdateStrategy
	}{
		"batches":     {&api.JobUpdateSettings{UpdateGroupSize: 5, WaitForBatchCompletion: true}, batch(5)},
		"queue":       {&api.JobUpdateSettings{UpdateGroupSize: 5}, queue(5)},
		"no size":     {&api.JobUpdateSettings{}, queue(0)},
		"a strategy":  {&api.JobUpdateSettings{UpdateGroupSize: 5, WaitForBatchCompletion: true, UpdateStrategy: kept.Clone()}, kept},
		"no settings": {nil, nil},
	} {
		update := &api.JobUpdate{Instructions: &api.JobUpdateInstructions{Settings: tt.settings,
			DesiredState: &api.InstanceTaskConfig{Task: config()}, InitialState: []*api.InstanceTaskConfig{{Task: config()}, {}, {Task: config()}}}}
		for range 2 {
			if err := (Backfill{}).JobUpdate(update); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if tt.settings != nil && !tt.settings.UpdateStrategy.Equal(tt.want) {
				t.Errorf("%s: %+v, want %+v", name, tt.settings.UpdateStrategy, tt.want)
			}
			in := update.Instructions
			for i, c := range []*api.TaskConfig{in.DesiredState.Task, in.InitialState[0].Task, in.InitialState[2].Task} {
				if c.Tier != some("preferred") {
					t.Errorf("%s: config %d has tier %v", name, i, c.Tier)
				}
			}
		}
	}
	if err := (Backfill{}).JobUpdate(&api.JobUpdate{}); err == nil {
		t.Error("an update without instructions was taken")
	}
	for name, in := range map[string]*api.JobUpdateInstructions{
		"desired state": {DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{Tier: some("x")}}},
		"initial state": {InitialState: []*api.InstanceTaskConfig{{Task: &api.TaskConfig{Tier: some("x")}}}},
	} {
		if err := (Backfill{}).JobUpdate(&api.JobUpdate{Instructions: in}); !errors.Is(err, schema.ErrUnknownTier) {
			t.Errorf("unknown tier in the %s: %v", name, err)
		}
		if err := (Backfill{Replay: true}).JobUpdate(&api.JobUpdate{Instructions: in}); err != nil {
			t.Errorf("unknown tier in the %s, replayed: %v", name, err)
		}
	}
}

// What is written is backfilled and in canonical form in the log already: the absent
// numbers of the input are present zeros there.
func TestRecordsAreCanonical(t *testing.T) {
	s, l := led(t, true)
	job := schema.NewJobKey("role", "prod", "job")
	must(t, s.Write(t.Context(), func(_ context.Context, tx storage.Mutable) error {
		must(t, tx.Tasks().Save(&api.ScheduledTask{Status: some(api.ScheduleStatusPENDING), AssignedTask: &api.AssignedTask{TaskID: some("a"),
			Task: &api.TaskConfig{Job: job, PartitionPolicy: &api.PartitionPolicy{}, Metadata: []*api.Metadata{{Key: some("b")}, {Key: some("a")}, {Key: some("b")}}}}}))
		must(t, tx.Quotas().Save("role", &api.ResourceAggregate{Resources: resources(1, 2, 3)}))
		return tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: updateKey("u")}, Instructions: &api.JobUpdateInstructions{
			Settings: &api.JobUpdateSettings{}, DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}})
	}))
	var tx api.Transaction
	must(t, tx.UnmarshalBinary(l.records[0]))
	config, settings := tx.Ops[0].SaveTasks.Tasks[0].AssignedTask.Task, tx.Ops[2].SaveJobUpdate.JobUpdate.Instructions.Settings
	if config.Production != some(false) || config.Tier != some("preemptible") || config.TaskLinks == nil || config.PartitionPolicy.DelaySecs != some[int64](0) ||
		len(config.Metadata) != 2 || config.Metadata[0].Key != some("a") {
		t.Errorf("config %+v", config)
	}
	if settings.BlockIfNoPulsesAfterMs != some[int32](0) || settings.SlaAware != some(false) || settings.UpdateStrategy.QueueStrategy == nil {
		t.Errorf("settings %+v", settings)
	}
	if q := tx.Ops[1].SaveQuota.Quota; q.NumCpus != some(1.0) || q.RamMb != some[int64](2) || q.DiskMb != some[int64](3) {
		t.Errorf("quota %+v", q)
	}
	for i, op := range tx.Ops {
		again := op.Clone()
		must(t, Backfill{}.op(again))
		got, err := op.AppendBinary(nil)
		must(t, err)
		want, err := again.AppendBinary(nil)
		must(t, err)
		if string(got) != string(want) {
			t.Errorf("op %d is not canonical", i)
		}
	}
}
