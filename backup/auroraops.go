package backup

import (
	"errors"
	"fmt"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// What a row lacks: Aurora's restore ends with a NullPointerException there.
func lacks(field string) error { return fmt.Errorf("it has no %s", field) }

func (p *pass) host(row []byte) error {
	host, err := decode[api.HostAttributes](row)
	if err != nil {
		return err
	}
	return p.yield(&api.Op{SaveHostAttributes: &api.SaveHostAttributes{HostAttributes: host}})
}

func (p *pass) task(row []byte) error {
	task, err := decode[api.ScheduledTask](row)
	if err != nil {
		return err
	}
	return p.add(task, len(row))
}

// partialTask puts the task's configuration back.
func (p *pass) partialTask(row []byte) error {
	partial, err := decode[api.DeduplicatedScheduledTask](row)
	if err != nil {
		return err
	}
	id := partial.TaskConfigID
	if id < 0 || int(id) >= len(p.configs) {
		return fmt.Errorf("DeduplicatedScheduledTask referenced invalid task index %d", id)
	}
	task := partial.PartialScheduledTask
	if task == nil || task.AssignedTask == nil {
		return lacks("partialScheduledTask.assignedTask")
	}
	// Each task gets a configuration of its own: the ops belong to the caller.
	config, err := decode[api.TaskConfig](p.configs[id])
	if err != nil {
		return fmt.Errorf("taskConfigs[%d]: %w", id, err)
	}
	task.AssignedTask.Task = config
	return p.add(task, len(row)+len(p.configs[id]))
}

// add puts a task into the current op.
func (p *pass) add(task *api.ScheduledTask, bytes int) error {
	p.tasks, p.bytes = append(p.tasks, task), p.bytes+bytes
	if len(p.tasks) < tasksPerOp && p.bytes < taskBytes {
		return nil
	}
	return p.flush()
}

func (p *pass) flush() error {
	if len(p.tasks) == 0 {
		return nil
	}
	op := &api.Op{SaveTasks: &api.SaveTasks{Tasks: p.tasks}}
	p.tasks, p.bytes = nil, 0
	return p.yield(op)
}

func (p *pass) cronJob(row []byte) error {
	job, err := decode[api.StoredCronJob](row)
	switch {
	case err != nil:
		return err
	case job.JobConfiguration == nil:
		return lacks("jobConfiguration")
	}
	return p.yield(&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: job.JobConfiguration}})
}

func (p *pass) metadata(row []byte) error {
	metadata, err := decode[api.SchedulerMetadata](row)
	if err != nil || !metadata.FrameworkID.Set {
		return err
	}
	return p.yield(&api.Op{SaveFrameworkID: &api.SaveFrameworkID{ID: metadata.FrameworkID}})
}

func (p *pass) quota(row []byte) error {
	quota, err := decode[api.QuotaConfiguration](row)
	switch {
	case err != nil:
		return err
	case !quota.Role.Set:
		return lacks("role")
	case quota.Quota == nil:
		return lacks("quota")
	}
	return p.yield(&api.Op{SaveQuota: &api.SaveQuota{Role: quota.Role, Quota: quota.Quota}})
}

// jobUpdate yields an update, then its events, then those of its instances.
func (p *pass) jobUpdate(row []byte) error {
	stored, err := decode[api.StoredJobUpdateDetails](row)
	if err != nil {
		return err
	}
	details := stored.Details
	switch {
	case details == nil || details.Update == nil:
		return lacks("details.update")
	case details.Update.Summary == nil || details.Update.Summary.Key == nil:
		return lacks("details.update.summary.key")
	}
	key := details.Update.Summary.Key.Clone() // before the op is given away
	if err := p.yield(&api.Op{SaveJobUpdate: &api.SaveJobUpdate{JobUpdate: details.Update}}); err != nil {
		return err
	}
	for _, event := range details.UpdateEvents {
		if err := p.yield(&api.Op{SaveJobUpdateEvent: &api.SaveJobUpdateEvent{Event: event, Key: key.Clone()}}); err != nil {
			return err
		}
	}
	for _, event := range details.InstanceEvents {
		if err := p.yield(&api.Op{SaveJobInstanceUpdateEvent: &api.SaveJobInstanceUpdateEvent{Event: event, Key: key.Clone()}}); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) maintenance(row []byte) error {
	request, err := decode[api.HostMaintenanceRequest](row)
	if err != nil {
		return err
	}
	return p.yield(&api.Op{SaveHostMaintenanceRequest: &api.SaveHostMaintenanceRequest{HostMaintenanceRequest: request}})
}

// decode reads a row. Offsets in its errors are within the row.
func decode[T any, M schema.Message[T]](row []byte) (*T, error) {
	v, err := schema.Decode[T, M](row)
	var coding *schema.CodingError
	if errors.As(err, &coding) {
		return nil, fmt.Errorf("in the row: %w", coding.Err)
	}
	return v, err
}
