package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// text is an optional value in a table.
func text[T any](o api.Optional[T]) string {
	if !o.Set {
		return ""
	}
	return fmt.Sprint(o.Value)
}

// jobText is a job key in a table.
func jobText(k *api.JobKey) string {
	if k == nil {
		return ""
	}
	return schema.JobKeyString(k)
}

func millis(ms int64) string {
	if ms == 0 {
		return ""
	}
	return timestamp(time.UnixMilli(ms))
}

func (c *command) printTasks(v storage.View) error {
	t := c.taskTable()
	for task := range v.Tasks().All() {
		t.task(task)
	}
	return t.flush()
}

func (c *command) taskTable() *table {
	return c.table("ID", "JOB", "INSTANCE", "STATUS", "HOST", "FAILURES", "SINCE")
}

// task adds a task to its table.
func (t *table) task(task *api.ScheduledTask) {
	var id, job, instance, host, since string
	if a := task.AssignedTask; a != nil {
		id, host, instance = text(a.TaskID), text(a.SlaveHost), strconv.Itoa(int(a.InstanceID))
		if a.Task != nil {
			job = jobText(a.Task.Job)
		}
	}
	if n := len(task.TaskEvents); n > 0 {
		since = millis(task.TaskEvents[n-1].Timestamp)
	}
	t.row(id, job, instance, text(task.Status), host, strconv.Itoa(int(task.FailureCount)), since)
}

func (c *command) printCronJobs(v storage.View) error {
	t := c.table("JOB", "SCHEDULE", "COLLISION POLICY", "INSTANCES")
	for job := range v.CronJobs().All() {
		t.row(jobText(job.Key), text(job.CronSchedule), text(job.CronCollisionPolicy), strconv.Itoa(int(job.InstanceCount)))
	}
	return t.flush()
}

func (c *command) printQuotas(v storage.View) error {
	t := c.table("ROLE", "CPUS", "RAM MIB", "DISK MIB")
	for role, q := range v.Quotas().All() {
		t.row(role, text(q.NumCpus), text(q.RamMb), text(q.DiskMb))
	}
	return t.flush()
}

func (c *command) printHosts(v storage.View) error {
	t := c.table("HOST", "MODE", "AGENT", "ATTRIBUTES")
	for host := range v.Hosts().All() {
		attributes := []string{}
		for _, a := range host.Attributes {
			attributes = append(attributes, text(a.Name)+"="+strings.Join(a.Values, ","))
		}
		t.row(text(host.Host), text(host.Mode), text(host.SlaveID), strings.Join(attributes, " "))
	}
	return t.flush()
}

func (c *command) printJobUpdates(v storage.View) error {
	t := c.table("JOB", "ID", "STATUS", "USER", "CREATED", "MODIFIED")
	for details := range v.JobUpdates().All() {
		if details.Update == nil || details.Update.Summary == nil {
			continue // the store keeps none of these
		}
		s := details.Update.Summary
		var job, id, status, created, modified string
		if s.Key != nil {
			job, id = jobText(s.Key.Job), text(s.Key.ID)
		}
		if s.State != nil {
			status, created, modified = text(s.State.Status), millis(s.State.CreatedTimestampMs), millis(s.State.LastModifiedTimestampMs)
		}
		t.row(job, id, status, text(s.User), created, modified)
	}
	return t.flush()
}

func (c *command) printMaintenance(v storage.View) error {
	t := c.table("HOST", "REQUESTED", "TIMEOUT", "SLA POLICY")
	for request := range v.Maintenance().All() {
		timeout := (time.Duration(request.TimeoutSecs) * time.Second).String()
		t.row(text(request.Host), millis(request.CreatedTimestampMs), timeout, policyText(request.DefaultSlaPolicy))
	}
	return t.flush()
}

func policyText(p *api.SlaPolicy) string {
	switch {
	case p == nil:
		return ""
	case p.PercentageSlaPolicy != nil:
		return fmt.Sprintf("%v%% for %ds", p.PercentageSlaPolicy.Percentage, p.PercentageSlaPolicy.DurationSecs)
	case p.CountSlaPolicy != nil:
		return fmt.Sprintf("%d for %ds", p.CountSlaPolicy.Count, p.CountSlaPolicy.DurationSecs)
	case p.CoordinatorSlaPolicy != nil:
		return "coordinator " + text(p.CoordinatorSlaPolicy.CoordinatorURL)
	}
	return ""
}

func (c *command) printFrameworkID(v storage.View) error {
	id, ok := v.FrameworkID()
	if !ok {
		id = "-"
	}
	_, err := fmt.Fprintln(c.stdout, printable(id))
	return err
}
