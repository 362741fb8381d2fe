package durability

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// benchTask is the n-th of many tasks, some 1.5 KB each: 200 to a job, all with its
// configuration.
func benchTask(n int) *api.ScheduledTask {
	job := n / 200
	task := &api.ScheduledTask{
		AssignedTask: &api.AssignedTask{
			TaskID:  api.Some(fmt.Sprintf("www-data-prod-job-%05d-%d-%08x-98f5-4f0e-8e8c-5f1d7a3f2b61", job, n%200, uint32(n)*2654435761)),
			SlaveID: api.Some("6e5bd1a2-4b6a-4d7d-bb1e-6d8b3c6f4a51-S42"), SlaveHost: api.Some(fmt.Sprintf("agent-%04d.cluster.example.com", n*7919%5000)),
			Task: &api.TaskConfig{
				IsService: true, Priority: 10, MaxTaskFailures: 1, Production: api.Some(true), Tier: api.Some("preferred"),
				Job: schema.NewJobKey("www-data", "prod", fmt.Sprintf("job-%05d", job)), Owner: &api.Identity{User: api.Some("www-data")},
				Constraints:    []*api.Constraint{{Name: api.Some("host"), Constraint: &api.TaskConstraint{Limit: &api.LimitConstraint{Limit: 1}}}},
				Resources:      []*api.Resource{{NumCpus: api.Some(2.5)}, {RamMb: api.Some(int64(4096))}, {DiskMb: api.Some(int64(10240))}},
				Metadata:       []*api.Metadata{{Key: api.Some("commit"), Value: api.Some(fmt.Sprintf("%08x", job))}},
				ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"), Data: api.Some(strings.Repeat(fmt.Sprintf(`{"cmd":"run %d"},`, job), 30))},
			},
			AssignedPorts: map[string]int32{"http": int32(31000 + n%1000)}, InstanceID: int32(n % 200),
		},
		Status: api.Some(api.ScheduleStatusRUNNING),
	}
	for i, s := range []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusASSIGNED, api.ScheduleStatusSTARTING, api.ScheduleStatusRUNNING} {
		task.TaskEvents = append(task.TaskEvents, &api.TaskEvent{Timestamp: 1700000000000 + int64(n*7+i), Status: api.Some(s),
			Scheduler: api.Some("scheduler-1.cluster.example.com")})
	}
	return task
}

// A snapshot of 200,000 tasks: made, packed as its parts are, and loaded.
func BenchmarkCheckpoint(b *testing.B) {
	const n, perTransaction = 200_000, 1000
	s := New(Options{})
	tx := storage.NewState(storage.Options{}).Begin()
	for at := 0; at < n; at += perTransaction {
		tasks := make([]*api.ScheduledTask, perTransaction)
		for i := range tasks {
			tasks[i] = benchTask(at + i)
			tasks[i].Canonicalize()
		}
		must(b, tx.Tasks().Save(tasks...))
	}
	c := &Checkpoint{version: &version{stores: tx.Commit(), keys: newKeys()}}
	var records [][]byte
	size := 0
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			records, size = nil, 0
			for record, err := range c.Records() {
				must(b, err)
				records = append(records, bytes.Clone(record)) // they are lent
				size += len(record)
			}
		}
		b.ReportMetric(float64(size), "bytes")
		b.ReportMetric(float64(len(records)), "records")
	})
	var raw []byte
	for _, record := range records {
		raw = packed.AppendRecord(raw, record)
	}
	b.Run("pack", func(b *testing.B) {
		codec, err := packed.NewCodec(1)
		must(b, err)
		packedBytes := 0
		for b.Loop() {
			packedBytes = 0
			for at := 0; at < len(raw); at += 8 << 20 {
				body, _ := codec.Pack(bytes.Clone(raw[at:min(at+8<<20, len(raw))]), 0)
				packedBytes += len(body)
			}
		}
		b.ReportMetric(float64(packedBytes), "bytes")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			must(b, s.Reset(persistence.Point{}))
			for _, record := range records {
				apply, err := s.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
				must(b, err)
				must(b, apply())
			}
			s.replay = nil
		}
	})
}
