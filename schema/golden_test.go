package schema_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/thriftjson"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/goldens", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGoldensDecode(t *testing.T) {
	files, err := filepath.Glob("testdata/goldens/*-*")
	if err != nil || len(files) != 17 {
		t.Fatalf("%d goldens, want 17 (%v)", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		_, branch, _ := strings.Cut(name, "-")
		data := golden(t, name)
		op, err := thriftjson.ReadOp(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := op.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		v := reflect.ValueOf(op).Elem()
		for f := range v.Type().Fields() {
			if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); (tag == branch) == v.FieldByIndex(f.Index).IsNil() {
				t.Errorf("%s: field %s is not as the name of the file says", name, f.Name)
			}
		}
		binary, err := thriftjson.ToBinary(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := op.AppendBinary(nil)
		if changed := strings.HasPrefix(name, "16-"); err != nil || bytes.Equal(got, binary) == changed {
			// In 16 one field is skipped and another, absent then, is written as zero.
			t.Errorf("%s: written as\n%x, was\n%x (%v)", name, got, binary, err)
		}
	}
}

func TestGoldenWithAFieldOfAnotherType(t *testing.T) {
	op, err := thriftjson.ReadOp(golden(t, "16-saveHostMaintenanceRequest"))
	if err != nil {
		t.Fatal(err)
	}
	want := &api.HostMaintenanceRequest{
		Host:             api.Some("string-value"),
		DefaultSlaPolicy: &api.SlaPolicy{CoordinatorSlaPolicy: &api.CoordinatorSlaPolicy{CoordinatorURL: api.Some("string-value")}},
		TimeoutSecs:      4,
	}
	if got := op.SaveHostMaintenanceRequest.HostMaintenanceRequest; !deepEqual(got, want) {
		t.Errorf("got %+v, want the i64 in place of statusKey skipped", got)
	}
}

func TestGoldenTask(t *testing.T) {
	op, err := thriftjson.ReadOp(golden(t, "15-saveTasks"))
	if err != nil {
		t.Fatal(err)
	}
	text := api.Some("string-value")
	pair := func() *api.Metadata { return &api.Metadata{Key: text, Value: text} }
	four := api.Some(int64(4))
	want := &api.ScheduledTask{
		AssignedTask: &api.AssignedTask{
			TaskID: text, SlaveID: text, SlaveHost: text,
			Task: &api.TaskConfig{
				IsService: true, Priority: 2, MaxTaskFailures: 2, Owner: &api.Identity{User: text}, Production: api.Some(true),
				Constraints: []*api.Constraint{{Name: text, Constraint: &api.TaskConstraint{Limit: &api.LimitConstraint{Limit: 2}}}},
				TaskLinks:   map[string]string{"string-value": "string-value"}, ContactEmail: text,
				ExecutorConfig: &api.ExecutorConfig{Name: text, Data: text}, Metadata: []*api.Metadata{pair()},
				Job: schema.NewJobKey("string-value", "string-value", "string-value"),
				Container: &api.Container{Docker: &api.DockerContainer{Image: text,
					Parameters: []*api.DockerParameter{{Name: text, Value: text}}}},
				Tier: text, Resources: []*api.Resource{{DiskMb: four}},
				MesosFetcherURIs: []*api.MesosFetcherURI{{Value: text, Extract: api.Some(true), Cache: api.Some(true)}},
				PartitionPolicy:  &api.PartitionPolicy{Reschedule: true, DelaySecs: four},
			},
			AssignedPorts: map[string]int32{"string-value": 2}, InstanceID: 2,
		},
		Status: api.Some(api.ScheduleStatusINIT), FailureCount: 2,
		TaskEvents: []*api.TaskEvent{{Timestamp: 4, Status: api.Some(api.ScheduleStatusINIT), Message: text, Scheduler: text}},
		AncestorID: text, TimesPartitioned: 2,
	}
	if got := op.SaveTasks.Tasks; len(got) != 1 || !deepEqual(got[0], want) {
		t.Errorf("got %+v", got)
	}
}
