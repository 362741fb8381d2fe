package schema_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// TestOldAndNewRecords reads records of other revisions: ids that were retired or are yet to come,
// and ids whose type changed, are skipped, and the rest is read.
func TestOldAndNewRecords(t *testing.T) {
	const text = "0000000161" // "a"
	job := "0b0001" + text + "00"
	tests := []struct {
		name, data string
		got, want  interface {
			UnmarshalBinary([]byte) error
			AppendBinary([]byte) ([]byte, error)
		}
	}{
		{"retired ids of a snapshot", "0a0001000000000000000a" + "0e00090c0000000100" + "0f000b0b00000001" + text + "02000c01" + "00",
			new(api.Snapshot), &api.Snapshot{Timestamp: 10}},
		{"retired ids of metadata", "0b0001" + text + "0b0002" + text + "0c0007" + "0800010000000100" + "00",
			new(api.SchedulerMetadata), &api.SchedulerMetadata{FrameworkID: api.Some("a")}},
		{"retired ids of a config", "0b0001" + text + "04000840000000000000000a00090000000000000001" + "0e00150b00000001" + text + "02000701" + "00",
			new(api.TaskConfig), &api.TaskConfig{IsService: true}},
		{"lock token", "0c00010000" + "00", new(api.SaveJobUpdate), &api.SaveJobUpdate{JobUpdate: &api.JobUpdate{}}},
		{"retired op", "0c000b" + job + "00", new(api.Op), nil},
		{"field to come", "0b7fff" + text + "0bffff" + text + "0b0001" + text + "00", new(api.JobKey), &api.JobKey{Role: api.Some("a")}},
		{"type changed", "0800010000000a" + "0b0002" + text + "00", new(api.JobKey), &api.JobKey{Environment: api.Some("a")}},
		{"list in place of set", "0f00010b00000001" + text + "00", new(api.RemoveTasks), &api.RemoveTasks{}},
		{"elements of another type", "0e00010800000001" + "00000001" + "00", new(api.RemoveTasks), &api.RemoveTasks{}},
		{"empty set of another type", "0e00010800000000" + "00", new(api.RemoveTasks), &api.RemoveTasks{TaskIDs: []string{}}},
		{"map of another type", "0d00050b0b00000001" + text + text + "00", new(api.AssignedTask), &api.AssignedTask{}},
		{"unknown enum number", "08000200000063" + "00", new(api.ScheduledTask), &api.ScheduledTask{}},
		{"unknown enum number in a set", "0e0005080000000200000063" + "00000002" + "00", new(api.TaskQuery),
			&api.TaskQuery{Statuses: []api.ScheduleStatus{api.ScheduleStatusRUNNING}}},
		{"fields out of order, one twice", "0b0003" + text + "0b0001" + text + "0b0001" + "0000000162" + "00", new(api.JobKey),
			&api.JobKey{Role: api.Some("b"), Name: api.Some("a")}},
		{"branch of another type", "0b0001" + text + "00", new(api.Op), nil},
		{"unknown branch", "0c00010c0063" + job + "0000", new(api.SaveQuota), nil},
	}
	for _, tt := range tests {
		data, err := hex.DecodeString(tt.data)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.got.UnmarshalBinary(data); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := tt.want
		switch tt.got.(type) {
		case *api.Op:
			want = &api.Op{}
		case *api.SaveQuota:
			want = &api.SaveQuota{}
		}
		if c, ok := want.(*api.TaskConfig); ok {
			c.Container = &api.Container{Mesos: &api.MesosContainer{}}
		}
		if !deepEqual(tt.got, want) {
			t.Errorf("%s: %+v, want %+v", tt.name, tt.got, want)
		}
	}
}

func TestUnionWithTwoBranchesDoesNotDecode(t *testing.T) {
	data, _ := hex.DecodeString("0a00020000000000000001" + "0a00030000000000000001" + "00")
	if err := new(api.Resource).UnmarshalBinary(data); err == nil {
		t.Error("decoded")
	}
}

// The scalars of old quotas are read, but no canonical form puts zeros there.
func TestScalarsOfOldQuotas(t *testing.T) {
	data, _ := hex.DecodeString("040001" + "4000000000000000" + "0a0002" + "0000000000000001" + "0a0003" + "0000000000000001" + "00")
	got := new(api.ResourceAggregate)
	if err := got.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	want := &api.ResourceAggregate{NumCpus: api.Some(2.0), RamMb: api.Some(int64(1)), DiskMb: api.Some(int64(1))}
	if !deepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	empty := new(api.ResourceAggregate)
	empty.Canonicalize()
	if b, err := empty.AppendBinary(nil); err != nil || hex.EncodeToString(b) != "0e00040c0000000000" {
		t.Errorf("the canonical form of an empty quota is %x (%v)", b, err)
	}
}

// The first task config of a set is found again by its container: nil stands for the default.
func TestDefaultContainer(t *testing.T) {
	unset, explicit := &api.TaskConfig{}, &api.TaskConfig{Container: &api.Container{Mesos: &api.MesosContainer{Volumes: []*api.Volume{}}}}
	if !unset.Equal(explicit) || !explicit.Equal(unset) {
		t.Error("no container differs from the default")
	}
	if unset.Container != nil {
		t.Error("Equal filled the container in")
	}
	unset.Canonicalize()
	if unset.Container == nil || unset.Container.Mesos == nil || unset.Container.Mesos.Volumes == nil {
		t.Errorf("the canonical container is %+v", unset.Container)
	}
}

// What clients send is read strictly: an enum number that would be dropped is refused, however deep,
// while records of a newer schema stay readable.
func TestUnknownEnumNumbersOfClients(t *testing.T) {
	tasks := func(task *api.ScheduledTask) *api.Op {
		return &api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}}
	}
	volume := &api.TaskConfig{Container: &api.Container{Mesos: &api.MesosContainer{Volumes: []*api.Volume{{Mode: api.Some(api.ModeRO)}}}}}
	for name, tt := range map[string]struct {
		op    *api.Op
		known string // the field with a known number
	}{
		"ScheduleStatus": {tasks(&api.ScheduledTask{Status: api.Some(api.ScheduleStatusLOST)}), "08000200000007"},
		"Mode":           {tasks(&api.ScheduledTask{AssignedTask: &api.AssignedTask{Task: volume}}), "08000300000002"},
		"MaintenanceMode": {&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: &api.HostAttributes{
			Mode: api.Some(api.MaintenanceModeDRAINED)}}}, "08000300000004"},
		"JobUpdateStatus": {&api.Op{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Event: &api.JobUpdateEvent{
			Status: api.Some(api.JobUpdateStatusABORTED)}}}, "08000100000006"},
		"JobUpdateAction": {&api.Op{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Event: &api.JobInstanceUpdateEvent{
			Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED)}}}, "08000300000001"},
		"CronCollisionPolicy": {&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: &api.JobConfiguration{
			CronCollisionPolicy: api.Some(api.CronCollisionPolicyRUN_OVERLAP)}}}, "08000500000002"},
	} {
		data, err := (&api.Transaction{Ops: []*api.Op{tt.op}}).AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		tx := new(api.Transaction)
		if err := tx.UnmarshalStrict(data); err != nil || !tx.Ops[0].Equal(tt.op) {
			t.Errorf("%s: a known number: %v", name, err)
		}
		text := hex.EncodeToString(data)
		if strings.Count(text, tt.known) != 1 {
			t.Fatalf("%s: %s is not once in %s", name, tt.known, text)
		}
		data, _ = hex.DecodeString(strings.Replace(text, tt.known, tt.known[:12]+"63", 1))
		if err := tx.UnmarshalBinary(data); err != nil || len(tx.Ops) != 1 {
			t.Errorf("%s: a record with number 99: %v", name, err)
		}
		if err := tx.UnmarshalStrict(data); err == nil || !strings.HasSuffix(err.Error(), ": unknown "+name+" 99") || tx.Ops != nil {
			t.Errorf("%s: number 99 of a client: %v", name, err)
		}
	}
}
