package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

const (
	tasksPerJob  = 200
	jobsPerRole  = 50
	tasksPerHost = 100
	// Of this many tasks one is PENDING, without a host, and one in 20 is FINISHED; the
	// others are RUNNING.
	tasksPerPending = 1000
)

// cluster makes the tasks of a large cluster: those of a job share their configuration,
// the rest is each task's own. Encoded, a task has about 1.5 KB, more than a half of
// which is its configuration.
type cluster struct {
	tasks   int
	configs []*api.TaskConfig // of each job
}

func newCluster(tasks int) *cluster {
	c := &cluster{tasks: tasks}
	for job := range (tasks + tasksPerJob - 1) / tasksPerJob {
		c.configs = append(c.configs, taskConfig(job))
	}
	return c
}

func jobKey(job int) *api.JobKey {
	return &api.JobKey{Role: api.Some(fmt.Sprintf("team-%03d", job/jobsPerRole)),
		Environment: api.Some([]string{"devel", "prod"}[job%2]), Name: api.Some(fmt.Sprintf("service-%04d", job))}
}

// hostOf spreads the tasks of a job over hosts.
func (c *cluster) hostOf(n int) string {
	hosts := max(1, c.tasks/tasksPerHost)
	return fmt.Sprintf("agent-%05d.rack-%03d.example.org", n*7919%hosts, n*7919%hosts/40)
}

func taskID(n int) string {
	job, random := jobKey(n/tasksPerJob), rand.New(rand.NewPCG(1, uint64(n)))
	return fmt.Sprintf("%s-%s-%s-%d-%08x-%04x-4%03x-a%03x-%012x", job.Role.Value, job.Environment.Value, job.Name.Value, n%tasksPerJob,
		random.Uint32(), random.Uint32N(1<<16), random.Uint32N(1<<12), random.Uint32N(1<<12), random.Uint64N(1<<48))
}

func taskConfig(job int) *api.TaskConfig {
	key := jobKey(job)
	process := fmt.Sprintf(`{"name":"%s","cmdline":"./%s --port {{thermos.ports[http]}} --zone local --verbosity 2"}`, key.Name.Value, key.Name.Value)
	c := &api.TaskConfig{
		Job: key, IsService: true, MaxTaskFailures: 1, Tier: api.Some("preemptible"),
		Owner:        &api.Identity{User: key.Role},
		ContactEmail: api.Some(key.Role.Value + "@example.org"),
		Constraints: []*api.Constraint{{Name: api.Some("host"),
			Constraint: &api.TaskConstraint{Limit: &api.LimitConstraint{Limit: 1}}}},
		ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"),
			Data: api.Some(fmt.Sprintf(`{"environment":"prod","task":{"processes":[%s],"finalization_wait":30}}`, strings.Repeat(process+",", 3)+process))},
		Metadata: []*api.Metadata{{Key: api.Some("build"), Value: api.Some(fmt.Sprintf("2.%d.0-%07x", job, job*7919))}},
		Resources: []*api.Resource{{NumCpus: api.Some(0.5)}, {RamMb: api.Some(int64(512))}, {DiskMb: api.Some(int64(1024))},
			{NamedPort: api.Some("http")}, {NamedPort: api.Some("health")}},
		Container: &api.Container{Mesos: &api.MesosContainer{}},
	}
	c.Canonicalize()
	return c
}

// task is the n-th task, in canonical form, with the configuration of its job.
func (c *cluster) task(n int) *api.ScheduledTask {
	job := n / tasksPerJob
	t := &api.ScheduledTask{Status: api.Some(api.ScheduleStatusRUNNING), AssignedTask: &api.AssignedTask{
		TaskID: api.Some(taskID(n)), Task: c.configs[job%len(c.configs)], InstanceID: int32(n % tasksPerJob)}}
	lives := []api.ScheduleStatus{api.ScheduleStatusPENDING, api.ScheduleStatusASSIGNED, api.ScheduleStatusSTARTING, api.ScheduleStatusRUNNING,
		api.ScheduleStatusPARTITIONED, api.ScheduleStatusRUNNING}
	switch {
	case n%tasksPerPending == 1:
		t.Status, lives = api.Some(api.ScheduleStatusPENDING), lives[:1]
	case n%20 == 2:
		t.Status, lives = api.Some(api.ScheduleStatusFINISHED), append(lives[:4:4], api.ScheduleStatusFINISHED)
	}
	if len(lives) > 1 {
		t.AssignedTask.SlaveHost = api.Some(c.hostOf(n))
		t.AssignedTask.SlaveID = api.Some(fmt.Sprintf("a54ed2cc-8d83-4a3f-9d23-62e1a6a5a6bd-S%d", n*7919%max(1, c.tasks/tasksPerHost)))
		t.AssignedTask.AssignedPorts = map[string]int32{"http": 31000 + int32(n%1000), "health": 32000 + int32(n%1000)}
	}
	for i, status := range lives {
		t.TaskEvents = append(t.TaskEvents, &api.TaskEvent{Timestamp: 1_700_000_000_000 + int64(n)*1000 + int64(i), Status: api.Some(status),
			Message: api.Some(fmt.Sprintf("Task moved on at step %d", i)), Scheduler: api.Some("scheduler-1.example.org")})
	}
	t.Canonicalize()
	return t
}

// decoded returns the n-th task as it comes from its encoding, and the length of that.
// Its strings are parts of one copy of the encoding. If shared, the configuration is
// not in the encoding: it is that of the job, which its tasks share.
func (c *cluster) decoded(n int, shared bool) (*api.ScheduledTask, int, error) {
	t := c.task(n)
	config := t.AssignedTask.Task
	if shared {
		t.AssignedTask.Task = nil
	}
	row, err := t.AppendBinary(nil)
	if err != nil {
		return nil, 0, err
	}
	t = new(api.ScheduledTask)
	if err := t.UnmarshalBinary(row); err != nil {
		return nil, 0, err
	}
	if shared {
		t.AssignedTask.Task = config
	}
	t.Canonicalize()
	return t, len(row), nil
}
