// Package cluster makes up the life of a cluster, as transactions: hosts come up,
// tasks are created, placed, end, and are removed after a while. The same sizes
// give the same life, so that a test knows what a store must hold at the end.
package cluster

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Life is a cluster's life.
type Life struct {
	Hosts, Tasks int
	// Remove tells whether ended tasks are removed.
	Remove bool
}

// Transactions yields the life, one op a transaction.
func (l Life) Transactions() iter.Seq[*api.Transaction] {
	return func(yield func(*api.Transaction) bool) {
		random := rand.New(rand.NewPCG(1, uint64(l.Tasks)))
		for h := range l.Hosts {
			if !yield(transaction(&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: host(h)}})) {
				return
			}
		}
		// At any time some tasks are on their way; each step takes one of them
		// further.
		var open []*life
		for next := 0; next < l.Tasks || len(open) > 0; {
			if next < l.Tasks && (len(open) < 50 || random.IntN(3) == 0) {
				open = append(open, &life{number: next, host: random.IntN(max(l.Hosts, 1)), end: ends[random.IntN(len(ends))]})
				next++
			}
			i := random.IntN(len(open))
			op := open[i].step(l.Remove)
			if op == nil {
				open[i] = open[len(open)-1]
				open = open[:len(open)-1]
				continue
			}
			if !yield(transaction(op)) {
				return
			}
		}
	}
}

var ends = []api.ScheduleStatus{api.ScheduleStatusFINISHED, api.ScheduleStatusFINISHED, api.ScheduleStatusFAILED, api.ScheduleStatusKILLED}

func transaction(op *api.Op) *api.Transaction {
	return &api.Transaction{Ops: []*api.Op{op}, SchemaVersion: api.CurrentSchemaVersion}
}

// HostName is the name of a host.
func HostName(n int) string { return fmt.Sprintf("node-%05d.example.org", n) }

// TaskID is the id of a task.
func TaskID(n int) string { return fmt.Sprintf("task-%07d", n) }

func host(n int) *api.HostAttributes {
	return &api.HostAttributes{Host: api.Some(HostName(n)), SlaveID: api.Some(fmt.Sprintf("agent-%05d", n)), Mode: api.Some(api.MaintenanceModeNONE),
		Attributes: []*api.Attribute{
			{Name: api.Some("host"), Values: []string{HostName(n)}},
			{Name: api.Some("rack"), Values: []string{fmt.Sprintf("rack-%03d", n/40)}},
		}}
}

// life is one task's.
type life struct {
	number, host, steps int
	end                 api.ScheduleStatus
	events              []*api.TaskEvent
}

// step is the next change of the task, nil when there is none.
func (t *life) step(remove bool) *api.Op {
	stages := []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusASSIGNED, api.ScheduleStatusRUNNING, t.end}
	t.steps++
	switch {
	case t.steps <= len(stages):
		return t.save(stages[t.steps-1])
	case t.steps == len(stages)+1 && remove:
		return &api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{TaskID(t.number)}}}
	}
	return nil
}

func (t *life) save(status api.ScheduleStatus) *api.Op {
	t.events = append(t.events, &api.TaskEvent{Timestamp: int64(1_700_000_000_000 + 1000*t.number + t.steps), Status: api.Some(status), Scheduler: api.Some("scheduler-1.example.org")})
	assigned := &api.AssignedTask{TaskID: api.Some(TaskID(t.number)), InstanceID: int32(t.number % 8), Task: &api.TaskConfig{
		Job:       &api.JobKey{Role: api.Some(fmt.Sprintf("team-%d", t.number/400)), Environment: api.Some("prod"), Name: api.Some(fmt.Sprintf("job-%d", t.number/8))},
		IsService: t.number%3 == 0, Priority: int32(t.number % 11), MaxTaskFailures: 1, Owner: &api.Identity{User: api.Some("owner")},
		Resources:      []*api.Resource{{NumCpus: api.Some(float64(t.number%16) / 2)}, {RamMb: api.Some(int64(512 * (1 + t.number%9)))}, {DiskMb: api.Some[int64](1024)}},
		ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"), Data: api.Some(fmt.Sprintf(`{"cmd":"run --shard %d","version":"1.%d"}`, t.number%8, t.number%100))},
		Metadata:       []*api.Metadata{{Key: api.Some("team"), Value: api.Some(fmt.Sprintf("%d", t.number/400))}},
	}}
	if t.steps > 1 {
		assigned.SlaveHost, assigned.SlaveID = api.Some(HostName(t.host)), api.Some(fmt.Sprintf("agent-%05d", t.host))
	}
	task := &api.ScheduledTask{AssignedTask: assigned, Status: api.Some(status), TaskEvents: t.events[:len(t.events):len(t.events)]}
	return &api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}}
}

// State is what a store must hold after some transactions: each task's status and
// each host.
type State struct {
	Tasks map[string]api.ScheduleStatus
	Hosts map[string]bool
}

// Apply makes the changes of a transaction.
func (s *State) Apply(t *api.Transaction) {
	if s.Tasks == nil {
		s.Tasks, s.Hosts = map[string]api.ScheduleStatus{}, map[string]bool{}
	}
	for _, op := range t.Ops {
		switch {
		case op.SaveHostAttributes != nil:
			s.Hosts[op.SaveHostAttributes.HostAttributes.Host.Value] = true
		case op.SaveTasks != nil:
			for _, task := range op.SaveTasks.Tasks {
				s.Tasks[task.AssignedTask.TaskID.Value] = task.Status.Value
			}
		case op.RemoveTasks != nil:
			for _, id := range op.RemoveTasks.TaskIDs {
				delete(s.Tasks, id)
			}
		}
	}
}
