package history

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Jobs is a kind of subject beside those of rows: all that belongs to a job, which is its
// tasks, its cron job and its updates.
const Jobs = "jobs"

// Kinds are those of subjects, as they are written on the command line.
func Kinds() []string {
	return []string{string(storage.KindTasks), Jobs, string(storage.KindCronJobs), string(storage.KindQuotas), string(storage.KindHosts),
		string(storage.KindJobUpdates), string(storage.KindMaintenance), string(storage.KindFrameworkID)}
}

// Subject is what a history is of: a row, or a job.
type Subject struct {
	Kind string
	Key  string

	job      *api.JobKey // of a job, a cron job or an update
	updateID string
	// needles are what a record that has to do with the subject has in it; any of
	// removals may stand for all of them.
	needles  [][]byte
	removals []byte
}

// removeTasks is how a RemoveTasks begins in a record: field 7 of an op, a struct, whose
// field 1 is a set of strings. It says nothing of whose tasks they are.
var removeTasks = []byte{12, 0, 7, 14, 0, 1, 11}

// NewSubject reads a subject. The key is a task's id, a job's or cron job's
// role/environment/name, a role, a host, an update's role/environment/name/id, and empty
// for the framework id.
//
// A kind may be in the singular: the history is one row's.
func NewSubject(kind, key string) (*Subject, error) {
	if slices.Contains(Kinds(), kind+"s") {
		kind += "s"
	}
	s := &Subject{Kind: kind, Key: key}
	jobPart := key
	switch kind {
	case string(storage.KindFrameworkID):
		if key != "" {
			return nil, fmt.Errorf("there is one framework id only, it has no key")
		}
		return s, nil
	case string(storage.KindTasks), string(storage.KindQuotas), string(storage.KindHosts), string(storage.KindMaintenance):
		if key == "" {
			return nil, fmt.Errorf("%s: the key is empty", kind)
		}
		s.needles = [][]byte{needle(key)}
		return s, nil
	case string(storage.KindJobUpdates):
		i := strings.LastIndexByte(key, '/')
		if i < 0 {
			return nil, fmt.Errorf("job update %q: want role/environment/name/id", key)
		}
		jobPart, s.updateID = key[:i], key[i+1:]
		s.needles = [][]byte{needle(s.updateID)}
	case Jobs:
		s.removals = removeTasks
	case string(storage.KindCronJobs):
	default:
		return nil, fmt.Errorf("there is no kind %q: want one of %s", kind, strings.Join(Kinds(), ", "))
	}
	var err error
	if s.job, err = schema.ParseJobKey(jobPart); err != nil {
		return nil, err
	}
	s.needles = append(s.needles, needle(s.job.Name.Value), needle(s.job.Role.Value), needle(s.job.Environment.Value))
	return s, nil
}

// needle is a string as a record has it.
func needle(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

// task tells whether a task belongs to the subject.
func (s *Subject) task(id string, job *api.JobKey) bool {
	return s.Kind == string(storage.KindTasks) && id == s.Key || s.Kind == Jobs && job != nil && job.Equal(s.job)
}

func (s *Subject) cronJob(key *api.JobKey) bool {
	return (s.Kind == Jobs || s.Kind == string(storage.KindCronJobs)) && key != nil && key.Equal(s.job)
}

func (s *Subject) update(key *api.JobUpdateKey) bool {
	if key == nil || key.Job == nil || !key.Job.Equal(s.job) {
		return false
	}
	return s.Kind == Jobs || s.Kind == string(storage.KindJobUpdates) && key.ID.Value == s.updateID
}

func (s *Subject) named(kind storage.Kind, key string) bool {
	return s.Kind == string(kind) && s.Key == key
}

// only takes out of a transaction all that does not belong to the subject. It tells
// whether something is left.
func (s *Subject) only(t *api.Transaction) bool {
	t.Ops = slices.DeleteFunc(t.Ops, func(op *api.Op) bool { return !s.onlyOp(op) })
	t.Idempotency, t.CommittedKeys = nil, nil
	if d := t.DeduplicatedTasks; d != nil {
		d.PartialTasks = slices.DeleteFunc(d.PartialTasks, func(p *api.DeduplicatedScheduledTask) bool {
			var job *api.JobKey
			if i := int(p.TaskConfigID); i >= 0 && i < len(d.TaskConfigs) {
				job = d.TaskConfigs[i].Job
			}
			return p.PartialScheduledTask == nil || !s.task(taskID(p.PartialScheduledTask), job)
		})
		if len(d.PartialTasks) == 0 {
			t.DeduplicatedTasks = nil
		}
	}
	return len(t.Ops) > 0 || t.DeduplicatedTasks != nil
}

func (s *Subject) onlyOp(op *api.Op) bool {
	switch {
	case op.SaveFrameworkID != nil:
		return s.Kind == string(storage.KindFrameworkID)
	case op.SaveTasks != nil:
		op.SaveTasks.Tasks = slices.DeleteFunc(op.SaveTasks.Tasks, func(task *api.ScheduledTask) bool { return !s.task(taskID(task), jobOf(task)) })
		return len(op.SaveTasks.Tasks) > 0
	case op.RemoveTasks != nil:
		if s.Kind == Jobs {
			return true // whose they are shows when it is applied
		}
		op.RemoveTasks.TaskIDs = slices.DeleteFunc(op.RemoveTasks.TaskIDs, func(id string) bool { return !s.task(id, nil) })
		return len(op.RemoveTasks.TaskIDs) > 0
	case op.SaveCronJob != nil:
		return op.SaveCronJob.JobConfig != nil && s.cronJob(op.SaveCronJob.JobConfig.Key)
	case op.RemoveJob != nil:
		return s.cronJob(op.RemoveJob.JobKey)
	case op.SaveQuota != nil:
		return s.named(storage.KindQuotas, op.SaveQuota.Role.Value)
	case op.RemoveQuota != nil:
		return s.named(storage.KindQuotas, op.RemoveQuota.Role.Value)
	case op.SaveHostAttributes != nil:
		a := op.SaveHostAttributes.HostAttributes
		return a != nil && s.named(storage.KindHosts, a.Host.Value)
	case op.SaveJobUpdate != nil:
		u := op.SaveJobUpdate.JobUpdate
		return u != nil && u.Summary != nil && s.update(u.Summary.Key)
	case op.SaveJobUpdateEvent != nil:
		return s.update(op.SaveJobUpdateEvent.Key)
	case op.SaveJobInstanceUpdateEvent != nil:
		return s.update(op.SaveJobInstanceUpdateEvent.Key)
	case op.RemoveJobUpdate != nil:
		op.RemoveJobUpdate.Keys = slices.DeleteFunc(op.RemoveJobUpdate.Keys, func(key *api.JobUpdateKey) bool { return !s.update(key) })
		return len(op.RemoveJobUpdate.Keys) > 0
	case op.SaveHostMaintenanceRequest != nil:
		r := op.SaveHostMaintenanceRequest.HostMaintenanceRequest
		return r != nil && s.named(storage.KindMaintenance, r.Host.Value)
	case op.RemoveHostMaintenanceRequest != nil:
		return s.named(storage.KindMaintenance, op.RemoveHostMaintenanceRequest.Host.Value)
	}
	return false
}

func taskID(t *api.ScheduledTask) string {
	if t == nil || t.AssignedTask == nil {
		return ""
	}
	return t.AssignedTask.TaskID.Value
}

func jobOf(t *api.ScheduledTask) *api.JobKey {
	if t == nil || t.AssignedTask == nil || t.AssignedTask.Task == nil {
		return nil
	}
	return t.AssignedTask.Task.Job
}
