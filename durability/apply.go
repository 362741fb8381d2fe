package durability

import (
	"context"
	"fmt"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Apply writes a transaction that came from outside as a list of ops: all or
// nothing. The ops are checked as strictly as writes are, and belong to the storage
// from here on. Errors name the op.
func (s *Storage) Apply(ctx context.Context, ops []*api.Op, o WriteOptions) (*Pending, error) {
	return s.submit(ctx, o, func(r *recorder) error {
		r.owned = true
		defer func() { r.owned = false }()
		for i, op := range ops {
			if op == nil {
				return fmt.Errorf("%w: ops[%d] is empty", storage.ErrNullArgument, i)
			}
			if err := r.apply(op); err != nil {
				return fmt.Errorf("ops[%d]: %w", i, err)
			}
		}
		return nil
	})
}

// apply makes the change that an op describes.
func (r *recorder) apply(op *api.Op) error {
	if err := op.Validate(); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrInvalidArgument, err)
	}
	switch {
	case op.SaveFrameworkID != nil:
		if !op.SaveFrameworkID.ID.Set {
			return missing("saveFrameworkId.id")
		}
		return r.SaveFrameworkID(op.SaveFrameworkID.ID.Value)
	case op.SaveCronJob != nil:
		return r.CronJobs().Save(op.SaveCronJob.JobConfig)
	case op.RemoveJob != nil:
		return r.CronJobs().Remove(op.RemoveJob.JobKey)
	case op.SaveTasks != nil:
		return r.Tasks().Save(op.SaveTasks.Tasks...)
	case op.RemoveTasks != nil:
		return r.Tasks().Delete(op.RemoveTasks.TaskIDs...)
	case op.SaveQuota != nil:
		if !op.SaveQuota.Role.Set {
			return missing("saveQuota.role")
		}
		return r.Quotas().Save(op.SaveQuota.Role.Value, op.SaveQuota.Quota)
	case op.RemoveQuota != nil:
		if !op.RemoveQuota.Role.Set {
			return missing("removeQuota.role")
		}
		return r.Quotas().Remove(op.RemoveQuota.Role.Value)
	case op.SaveHostAttributes != nil:
		_, err := r.Hosts().Save(op.SaveHostAttributes.HostAttributes)
		return err
	}
	return r.applyUpdateOrMaintenance(op)
}

func (r *recorder) applyUpdateOrMaintenance(op *api.Op) error {
	switch {
	case op.SaveJobUpdate != nil:
		return r.JobUpdates().Save(op.SaveJobUpdate.JobUpdate)
	case op.SaveJobUpdateEvent != nil:
		return r.JobUpdates().SaveEvent(op.SaveJobUpdateEvent.Key, op.SaveJobUpdateEvent.Event)
	case op.SaveJobInstanceUpdateEvent != nil:
		return r.JobUpdates().SaveInstanceEvent(op.SaveJobInstanceUpdateEvent.Key, op.SaveJobInstanceUpdateEvent.Event)
	case op.RemoveJobUpdate != nil:
		return r.JobUpdates().Remove(op.RemoveJobUpdate.Keys...)
	case op.SaveHostMaintenanceRequest != nil:
		return r.Maintenance().Save(op.SaveHostMaintenanceRequest.HostMaintenanceRequest)
	case op.RemoveHostMaintenanceRequest != nil:
		if !op.RemoveHostMaintenanceRequest.Host.Set {
			return missing("removeHostMaintenanceRequest.host")
		}
		return r.Maintenance().Remove(op.RemoveHostMaintenanceRequest.Host.Value)
	case op.SaveLock != nil, op.RemoveLock != nil, op.PruneJobUpdateHistory != nil:
		return fmt.Errorf("%w: the op is retired: it is ignored when read and can't be written", storage.ErrInvalidArgument)
	}
	return fmt.Errorf("%w: op of no known kind", storage.ErrInvalidArgument)
}

func missing(field string) error { return fmt.Errorf("%w: %s", storage.ErrNullArgument, field) }
