package schema_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// benchmarkTask returns a task as production has them: 5 events, 3 resources, metadata, links and
// 3 ports, some 1.6 KB encoded.
func benchmarkTask() *api.ScheduledTask {
	task := &api.ScheduledTask{
		AssignedTask: &api.AssignedTask{
			TaskID:  api.Some("www-data-prod-frontend-17-0b7f3d52-98f5-4f0e-8e8c-5f1d7a3f2b61"),
			SlaveID: api.Some("6e5bd1a2-4b6a-4d7d-bb1e-6d8b3c6f4a51-S42"), SlaveHost: api.Some("agent-0042.cluster.example.com"),
			Task: &api.TaskConfig{
				IsService: true, Priority: 10, MaxTaskFailures: 1, Production: api.Some(true), Tier: api.Some("preferred"),
				Job: schema.NewJobKey("www-data", "prod", "frontend"), Owner: &api.Identity{User: api.Some("www-data")},
				ContactEmail: api.Some("frontend-oncall@example.com"),
				Constraints: []*api.Constraint{
					{Name: api.Some("host"), Constraint: &api.TaskConstraint{Limit: &api.LimitConstraint{Limit: 1}}},
					{Name: api.Some("rack"), Constraint: &api.TaskConstraint{Value: &api.ValueConstraint{Values: []string{"a", "b"}}}},
				},
				Resources: []*api.Resource{
					{NumCpus: api.Some(2.5)}, {RamMb: api.Some(int64(4096))}, {DiskMb: api.Some(int64(10240))},
				},
				TaskLinks:      map[string]string{"http": "http://%host%:%port:http%", "admin": "http://%host%:%port:admin%"},
				Metadata:       []*api.Metadata{{Key: api.Some("team"), Value: api.Some("frontend")}, {Key: api.Some("commit"), Value: api.Some("8a1f6e0c")}},
				ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"), Data: api.Some(strings.Repeat(`{"cmd":"run"},`, 30))},
				Container:      &api.Container{Mesos: &api.MesosContainer{Image: &api.Image{Docker: &api.DockerImage{Name: api.Some("frontend"), Tag: api.Some("v17")}}}},
			},
			AssignedPorts: map[string]int32{"http": 31001, "admin": 31002, "health": 31003}, InstanceID: 17,
		},
		Status: api.Some(api.ScheduleStatusRUNNING), FailureCount: 1,
		AncestorID: api.Some("www-data-prod-frontend-17-5d0c9f4e-1f53-4e9b-9c0e-0e4fd2a6b7c9"),
	}
	for i, s := range []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusASSIGNED, api.ScheduleStatusSTARTING, api.ScheduleStatusRUNNING, api.ScheduleStatusRUNNING} {
		task.TaskEvents = append(task.TaskEvents, &api.TaskEvent{
			Timestamp: 1700000000000 + int64(i), Status: api.Some(s), Message: api.Some("message of event " + strconv.Itoa(i)),
			Scheduler: api.Some("scheduler-1.cluster.example.com"),
		})
	}
	return task
}

func Benchmark(b *testing.B) {
	task := benchmarkTask()
	data, err := schema.Encode(task)
	if err != nil {
		b.Fatal(err)
	}
	canonical := task.Clone()
	canonical.Canonicalize()
	buf := make([]byte, 0, 2*len(data))
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(len(data)), "bytes")
		})
	}
	run("Encode", func() { buf, _ = task.AppendBinary(buf[:0]) })
	run("EncodeCanonical", func() { buf = canonical.AppendCanonical(buf[:0]) })
	run("Decode", func() { _ = new(api.ScheduledTask).UnmarshalBinary(data) })
	run("Clone", func() { _ = task.Clone() })
	run("Canonicalize", func() { canonical.Canonicalize() })
	run("Equal", func() { _ = task.Equal(canonical) })
	run("Validate", func() { _ = task.Validate() })

	large := &api.SaveTasks{}
	for i := range 5000 {
		t := task.Clone()
		t.AssignedTask.TaskID = api.Some("task-" + strconv.Itoa(i))
		large.Tasks = append(large.Tasks, t)
	}
	run("Encode5000", func() { buf, _ = large.AppendBinary(buf[:0]) })
	run("Canonical5000", func() { buf = large.AppendCanonical(buf[:0]) })
}
