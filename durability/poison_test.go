package durability

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Whatever is done to the stores, rightly or wrongly, with errors told or swallowed,
// what reaches the log can be replayed and gives the same state: in one process after
// another, and by way of a snapshot. Those who watch are told the same everywhere.
func TestNoOpThatCantBeReplayedReachesTheLog(t *testing.T) {
	const rounds = 30 // of 100 runs each, or what -rapid.checks says
	for range rounds {
		rapid.Check(t, poison)
		if testing.Short() {
			return
		}
	}
}

func poison(r *rapid.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, l := New(Options{}), &tape{auto: true}
	must(r, s.Lead(ctx, l, nil))
	recorded := 0
	// Keys remember the positions of the leader's entries, here of one transaction each.
	keys := rapid.Bool().Draw(r, "keys")
	for range rapid.IntRange(1, 12).Draw(r, "transactions") {
		var p *Pending
		var err error
		if rapid.Bool().Draw(r, "from outside") {
			var ops []*api.Op
			for range rapid.IntRange(0, 4).Draw(r, "ops") {
				ops = append(ops, randomOutsideOp(r))
			}
			p, err = s.Apply(ctx, ops, randomKey(r, keys))
		} else {
			p, err = s.Submit(ctx, randomWork(r, s), randomKey(r, keys))
		}
		if err != nil {
			allowed := false
			for _, kind := range []error{errWork, storage.ErrInvalidArgument, storage.ErrNotFound, storage.ErrIllegalState, ErrKeyReused} {
				allowed = allowed || errors.Is(err, kind)
			}
			if !allowed {
				r.Fatalf("refused for another reason than what was given: %v", err)
			}
			continue
		}
		c, err := p.Wait(ctx)
		must(r, err)
		recorded = max(recorded, int(c.Transaction))
	}
	if recorded != len(l.records) {
		r.Fatalf("%d records, the last transaction is %d", len(l.records), recorded)
	}
	if recorded == 0 {
		return
	}
	again := replayAll(r, l.records, !keys)
	same(r, again, s)
	tellSame(r, again, s)
	snapshot := fromCheckpoint(r, s)
	same(r, snapshot, s)
	same(r, fromCheckpoint(r, snapshot), s)
	goesOn(r, again, l.records, !keys)
}

// goesOn makes sure that whoever has replayed can lead on: a state that replays but
// can't be written any more would be as bad.
func goesOn(r *rapid.T, s *Storage, records [][]byte, group bool) {
	l := &tape{auto: true, records: records[:len(records):len(records)], waiting: make([]func(persistence.Ack, error), len(records)), acked: len(records)}
	must(r, s.Lead(context.Background(), l, nil))
	must(r, s.Write(context.Background(), save("after all")))
	same(r, replayAll(r, l.records, group), s)
}

// replayAll replays records, in entries of several if they are to be grouped.
func replayAll(r *rapid.T, records [][]byte, group bool) *Storage {
	s := New(Options{})
	must(r, s.Reset(persistence.Point{}))
	s.Loaded(persistence.Point{})
	for at := 0; at < len(records); {
		n := 1
		if group {
			n = rapid.IntRange(1, len(records)-at).Draw(r, "entry")
		}
		apply, err := s.Prepare(persistence.Batch{Records: records[at : at+n], First: persistence.TransactionNumber(at + 1), Position: persistence.Position(at + n), Epoch: 1})
		must(r, err)
		must(r, apply())
		at += n
		s.Loaded(persistence.Point{Epoch: 1, Next: persistence.Position(at + 1), Transaction: persistence.TransactionNumber(at)})
	}
	return s
}

func randomKey(r *rapid.T, keys bool) WriteOptions {
	if !keys || rapid.IntRange(0, 9).Draw(r, "keyed") > 0 {
		return WriteOptions{}
	}
	return WriteOptions{Key: rapid.SampledFrom([]string{"k", "l"}).Draw(r, "key"), Fingerprint: []byte(rapid.SampledFrom([]string{"", "x"}).Draw(r, "fingerprint"))}
}

// randomWork does random things, and tells or swallows what the stores refuse.
func randomWork(r *rapid.T, s *Storage) Work {
	return func(ctx context.Context, tx storage.Mutable) error {
		for range rapid.IntRange(0, 5).Draw(r, "ops") {
			err := randomOp(r, ctx, s, tx, 0)
			if err != nil && rapid.IntRange(0, 4).Draw(r, "tell") == 0 {
				return err
			}
		}
		if rapid.IntRange(0, 9).Draw(r, "fails") == 0 {
			return errWork
		}
		return nil
	}
}

// randomOutsideOp is an op as a client may send it: often good, often with a part
// missing or wrong.
func randomOutsideOp(r *rapid.T) *api.Op {
	few := func(prefix string) string { return prefix + fmt.Sprint(rapid.IntRange(0, 2).Draw(r, prefix)) }
	often := func(what string) bool { return rapid.IntRange(0, 7).Draw(r, what) > 0 }
	text := func(prefix string) api.Optional[string] {
		if !often("set") {
			return rapid.SampledFrom([]api.Optional[string]{{}, api.Some(""), api.Some("not valid!"), api.Some("\xff")}).Draw(r, "odd")
		}
		return api.Some(few(prefix))
	}
	job := func() *api.JobKey {
		if !often("job") {
			return nil
		}
		return &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: text("job")}
	}
	update := func() *api.JobUpdateKey {
		if !often("update") {
			return nil
		}
		return &api.JobUpdateKey{Job: &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: api.Some("job")}, ID: text("u")}
	}
	config := func() *api.TaskConfig {
		if !often("config") {
			return nil
		}
		return &api.TaskConfig{Job: job(), Tier: rapid.SampledFrom([]api.Optional[string]{{}, api.Some("preferred"), api.Some("nonsense")}).Draw(r, "tier"),
			Constraints: rapid.SampledFrom([][]*api.Constraint{nil, {}, {nil}, {{Name: api.Some("rack")}}}).Draw(r, "constraints")}
	}
	task := func() *api.ScheduledTask {
		if !often("task") {
			return rapid.SampledFrom([]*api.ScheduledTask{nil, {}, {AssignedTask: &api.AssignedTask{}}}).Draw(r, "no task")
		}
		return &api.ScheduledTask{Status: rapid.SampledFrom([]api.Optional[api.ScheduleStatus]{api.Some(api.ScheduleStatusPENDING), api.Some(api.ScheduleStatusRUNNING), {}, api.Some(api.ScheduleStatus(99))}).Draw(r, "status"),
			AssignedTask: &api.AssignedTask{TaskID: text("task"), SlaveHost: text("host"), Task: config()}}
	}
	several := func(n int) int { return rapid.IntRange(0, n).Draw(r, "several") }
	op := &api.Op{}
	switch rapid.IntRange(0, 16).Draw(r, "kind") {
	case 0:
		return nil
	case 1:
		op.SaveFrameworkID = &api.SaveFrameworkID{ID: text("framework")}
	case 2, 3:
		op.SaveTasks = &api.SaveTasks{}
		for range several(3) {
			op.SaveTasks.Tasks = append(op.SaveTasks.Tasks, task())
		}
	case 4:
		op.RemoveTasks = &api.RemoveTasks{}
		for range several(3) {
			op.RemoveTasks.TaskIDs = append(op.RemoveTasks.TaskIDs, few("task"))
		}
	case 5:
		op.SaveCronJob = &api.SaveCronJob{JobConfig: &api.JobConfiguration{Key: job(), TaskConfig: config()}}
	case 6:
		op.RemoveJob = &api.RemoveJob{JobKey: job()}
	case 7:
		op.SaveQuota = &api.SaveQuota{Role: text("role"), Quota: rapid.SampledFrom([]*api.ResourceAggregate{nil, {NumCpus: api.Some(1.0)},
			{Resources: []*api.Resource{{NumCpus: api.Some(1.5)}, {RamMb: api.Some[int64](2)}, {DiskMb: api.Some[int64](3)}}},
			{Resources: []*api.Resource{{NumCpus: api.Some(1.5)}, nil, {}}}}).Draw(r, "quota").Clone()}
	case 8:
		op.RemoveQuota = &api.RemoveQuota{Role: text("role")}
	case 9:
		op.SaveHostAttributes = &api.SaveHostAttributes{HostAttributes: &api.HostAttributes{Host: text("host"), SlaveID: text("agent"),
			Mode:       rapid.SampledFrom([]api.Optional[api.MaintenanceMode]{api.Some(api.MaintenanceModeNONE), api.Some(api.MaintenanceModeDRAINED), {}}).Draw(r, "mode"),
			Attributes: rapid.SampledFrom([][]*api.Attribute{nil, {{Name: api.Some("rack"), Values: []string{"b", "a"}}}, {{Name: api.Some("rack")}}, {nil}}).Draw(r, "attributes")}}
		op = op.Clone()
	case 10:
		instructions := &api.JobUpdateInstructions{}
		if often("desired") {
			instructions.DesiredState = &api.InstanceTaskConfig{Task: config(), Instances: []*api.Range{{Last: 2}}[:several(1)]}
		}
		for range several(2) {
			instructions.InitialState = append(instructions.InitialState, &api.InstanceTaskConfig{Task: config(), Instances: []*api.Range{{First: 1, Last: 2}}})
		}
		op.SaveJobUpdate = &api.SaveJobUpdate{JobUpdate: &api.JobUpdate{Summary: &api.JobUpdateSummary{Key: update()}, Instructions: instructions}}
	case 11:
		op.SaveJobUpdateEvent = &api.SaveJobUpdateEvent{Key: update(), Event: rapid.SampledFrom([]*api.JobUpdateEvent{nil, {}, {Status: api.Some(api.JobUpdateStatusABORTED), TimestampMs: 3}}).Draw(r, "event").Clone()}
	case 12:
		op.SaveJobInstanceUpdateEvent = &api.SaveJobInstanceUpdateEvent{Key: update(), Event: rapid.SampledFrom([]*api.JobInstanceUpdateEvent{nil, {}, {Action: api.Some(api.JobUpdateActionINSTANCE_UPDATED)}}).Draw(r, "event").Clone()}
	case 13:
		op.RemoveJobUpdate = &api.RemoveJobUpdates{}
		for range several(2) {
			op.RemoveJobUpdate.Keys = append(op.RemoveJobUpdate.Keys, update())
		}
	case 14:
		op.SaveHostMaintenanceRequest = &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: rapid.SampledFrom([]*api.HostMaintenanceRequest{nil, {}, {Host: api.Some("host0"), TimeoutSecs: 3}}).Draw(r, "request").Clone()}
	case 15:
		op.RemoveHostMaintenanceRequest = &api.RemoveHostMaintenanceRequest{Host: text("host")}
	default:
		op.PruneJobUpdateHistory = &api.PruneJobUpdateHistory{}
	}
	if !often("one branch") {
		op.SaveFrameworkID = &api.SaveFrameworkID{ID: api.Some("second branch")}
	}
	return op
}
