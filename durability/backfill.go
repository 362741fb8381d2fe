package durability

import (
	"errors"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Backfill fills fields of records that were written under older schemas (Aurora:
// ThriftBackfill; tasks and quotas as in its base revision). The same is done to
// what is written now, so that a state is the same whether it was written or
// recovered. All functions change the given value, before it is made canonical;
// doing it twice changes nothing.
type Backfill struct {
	// Tiers of the cluster; nil means schema.DefaultTiers.
	Tiers schema.Tiers
	// Replay leaves a tier that the cluster does not have as it is. Writing one is
	// refused, but what was written once can be read after a change of the tiers.
	Replay bool
}

func (b Backfill) config(config *api.TaskConfig) error {
	tiers := b.Tiers
	if tiers == nil {
		tiers = schema.DefaultTiers()
	}
	err := tiers.Backfill(config)
	if b.Replay && errors.Is(err, schema.ErrUnknownTier) {
		return nil
	}
	return err
}

// Task backfills a task's config. A task without one is left as it is.
func (b Backfill) Task(task *api.ScheduledTask) error {
	if task.AssignedTask == nil || task.AssignedTask.Task == nil {
		return nil
	}
	return b.config(task.AssignedTask.Task)
}

// CronJob backfills a cron job's task config.
func (b Backfill) CronJob(job *api.JobConfiguration) error {
	if job.TaskConfig == nil {
		return errors.New("job configuration without a task config")
	}
	return b.config(job.TaskConfig)
}

// Quota makes a quota's resources and its older scalar fields agree: resources win
// where there are any.
func (b Backfill) Quota(q *api.ResourceAggregate) error {
	if len(q.Resources) == 0 {
		q.Resources = []*api.Resource{{NumCpus: api.Some(q.NumCpus.Value)}, {RamMb: api.Some(q.RamMb.Value)}, {DiskMb: api.Some(q.DiskMb.Value)}}
	}
	if err := schema.CheckQuota(q.Resources); err != nil {
		return err
	}
	for _, r := range q.Resources {
		switch {
		case r.NumCpus.Set:
			q.NumCpus = r.NumCpus
		case r.RamMb.Set:
			q.RamMb = r.RamMb
		case r.DiskMb.Set:
			q.DiskMb = r.DiskMb
		}
	}
	return nil
}

// JobUpdate backfills the task configs of an update, and its strategy from the
// older settings that it replaced.
func (b Backfill) JobUpdate(update *api.JobUpdate) error {
	in := update.Instructions
	if in == nil {
		return errors.New("job update without instructions")
	}
	if in.DesiredState != nil && in.DesiredState.Task != nil {
		if err := b.config(in.DesiredState.Task); err != nil {
			return err
		}
	}
	if s := in.Settings; s != nil && s.UpdateStrategy == nil {
		if s.WaitForBatchCompletion {
			s.UpdateStrategy = &api.JobUpdateStrategy{BatchStrategy: &api.BatchJobUpdateStrategy{GroupSize: s.UpdateGroupSize}}
		} else {
			s.UpdateStrategy = &api.JobUpdateStrategy{QueueStrategy: &api.QueueJobUpdateStrategy{GroupSize: s.UpdateGroupSize}}
		}
	}
	for _, initial := range in.InitialState {
		if initial.Task == nil {
			continue // the store refuses it
		}
		if err := b.config(initial.Task); err != nil {
			return err
		}
	}
	return nil
}
