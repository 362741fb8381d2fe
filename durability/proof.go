package durability

import (
	"fmt"
	"iter"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Proved yields the records of a whole state, each once it is sure to replay after
// those before it. An error, of the stream or of a record, is the last that is yielded.
// It holds no more than a record and the keys of the job updates. counts, if not nil,
// is told how many rows of each store are written; one that is written again counts
// again.
func Proved(records iter.Seq2[[]byte, error], tiers schema.Tiers, counts map[string]int) iter.Seq2[[]byte, error] {
	if counts == nil {
		counts = map[string]int{}
	}
	return func(yield func([]byte, error) bool) {
		p, backfill, number := newProof(), Backfill{Tiers: tiers, Replay: true}, 0
		for record, err := range records {
			if err == nil {
				err = p.record(record, backfill, counts)
			}
			if err != nil {
				yield(nil, fmt.Errorf("record %d: %w", number, err))
				return
			}
			if !yield(record, nil) {
				return
			}
			number++
		}
	}
}

// proof is where ops are tried before anything rests on them.
type proof struct {
	// scratch keeps what later ops can depend on: that a job update is there.
	scratch *storage.Tx
	// anything is instructions that a job update may have.
	anything *api.JobUpdateInstructions
}

func newProof() *proof {
	return &proof{scratch: storage.NewState(storage.Options{}).Begin(),
		anything: &api.JobUpdateInstructions{DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}}
}

func (p *proof) record(record []byte, backfill Backfill, counts map[string]int) error {
	t, err := decode(record)
	if err == nil {
		err = backfill.transaction(t)
	}
	if err != nil {
		return err
	}
	for i, op := range t.Ops {
		if err := p.try(op); err != nil {
			return fmt.Errorf("op %d: %w", i, err)
		}
		countRows(op, counts)
	}
	if n := len(t.CommittedKeys); n > 0 {
		counts["idempotencyKeys"] += n
	}
	return nil
}

// countRows counts what an op writes, by the names of Checkpoint.Counts.
func countRows(op *api.Op, counts map[string]int) {
	switch {
	case op.SaveTasks != nil:
		counts["tasks"] += len(op.SaveTasks.Tasks)
	case op.SaveHostAttributes != nil:
		counts["hosts"]++
	case op.SaveCronJob != nil:
		counts["cronJobs"]++
	case op.SaveQuota != nil:
		counts["quotas"]++
	case op.SaveJobUpdate != nil:
		counts["jobUpdates"]++
	case op.SaveHostMaintenanceRequest != nil:
		counts["maintenance"]++
	case op.SaveFrameworkID != nil:
		counts["frameworkId"] = 1
	}
}

// try applies an op to the scratch, and then drops what nothing depends on.
func (p *proof) try(op *api.Op) error {
	if err := replayOp(p.scratch, op); err != nil {
		return err
	}
	switch {
	case op.SaveTasks != nil:
		p.scratch.DeleteAllTasks()
	case op.SaveCronJob != nil:
		p.scratch.DeleteAllCronJobs()
	case op.SaveQuota != nil:
		p.scratch.DeleteAllQuotas()
	case op.SaveHostAttributes != nil:
		p.scratch.DeleteAllHosts()
	case op.SaveHostMaintenanceRequest != nil:
		p.scratch.DeleteAllMaintenance()
	case op.SaveJobUpdate != nil:
		return p.keep(op.SaveJobUpdate.JobUpdate.Summary.Key)
	case op.SaveJobUpdateEvent != nil:
		return p.keep(op.SaveJobUpdateEvent.Key)
	case op.SaveJobInstanceUpdateEvent != nil:
		return p.keep(op.SaveJobInstanceUpdateEvent.Key)
	}
	return nil
}

// keep replaces a job update by the least that has its key, without events. By way of
// bytes it gets strings of its own: those of a large record keep their neighbours.
func (p *proof) keep(key *api.JobUpdateKey) error {
	data, err := key.AppendBinary(nil)
	if err != nil {
		return err
	}
	own := new(api.JobUpdateKey)
	if err := own.UnmarshalBinary(data); err != nil {
		return err
	}
	return p.scratch.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: own}, Instructions: p.anything})
}
