package storage_test

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// key reads role/environment/name, valid or not.
func key(s string) *api.JobKey {
	parts := strings.SplitN(s, "/", 3)
	return schema.NewJobKey(parts[0], parts[1], parts[2])
}

func updateKey(job, id string) *api.JobUpdateKey {
	return &api.JobUpdateKey{Job: key(job), ID: api.Some(id)}
}

// config returns a configuration for a job; command makes it differ from others.
func config(job, command string) *api.TaskConfig {
	c := &api.TaskConfig{
		Job:            key(job),
		ExecutorConfig: &api.ExecutorConfig{Name: api.Some("thermos"), Data: api.Some(command)},
	}
	c.Canonicalize()
	return c
}

// task returns a canonical task of a job; change makes it special.
func task(id, job string, change ...func(*api.ScheduledTask)) *api.ScheduledTask {
	t := &api.ScheduledTask{
		Status:       api.Some(api.ScheduleStatusPENDING),
		AssignedTask: &api.AssignedTask{TaskID: api.Some(id), Task: config(job, "run")},
	}
	for _, f := range change {
		f(t)
	}
	t.Canonicalize()
	return t
}

func on(host string) func(*api.ScheduledTask) {
	return func(t *api.ScheduledTask) { t.AssignedTask.SlaveHost = api.Some(host) }
}

func in(status api.ScheduleStatus) func(*api.ScheduledTask) {
	return func(t *api.ScheduledTask) { t.Status = api.Some(status) }
}

func instance(n int32) func(*api.ScheduledTask) {
	return func(t *api.ScheduledTask) { t.AssignedTask.InstanceID = n }
}

func runs(command string) func(*api.ScheduledTask) {
	return func(t *api.ScheduledTask) { t.AssignedTask.Task.ExecutorConfig.Data = api.Some(command) }
}

func begin() *storage.Tx { return storage.NewState(storage.Options{}).Begin() }

func with(t *testing.T, tasks ...*api.ScheduledTask) *storage.Tx {
	t.Helper()
	tx := begin()
	must(t, tx.Tasks().Save(tasks...))
	return tx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, kind error, text string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want a %v that says %q", err, kind, text)
	}
}

func idOf(t *api.ScheduledTask) string { return t.AssignedTask.TaskID.Get() }

func ids(tasks iter.Seq[*api.ScheduledTask]) []string {
	all := []string{}
	for t := range tasks {
		all = append(all, idOf(t))
	}
	return all
}

// queried returns the ids of what matches.
func queried(t testing.TB, tasks storage.Tasks, q *api.TaskQuery) []string {
	t.Helper()
	found, err := tasks.Query(q)
	must(t, err)
	return ids(found)
}

func wantSame[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func jobNames(keys []*api.JobKey) []string {
	names := []string{}
	for _, k := range keys {
		names = append(names, schema.JobKeyString(k))
	}
	return names
}

func updateNames[T any](items iter.Seq[T], key func(T) *api.JobUpdateKey) []string {
	names := []string{}
	for item := range items {
		names = append(names, schema.JobKeyString(key(item).Job)+"/"+key(item).ID.Get())
	}
	return names
}

func detailNames(items []*api.JobUpdateDetails) []string {
	return updateNames(slices.Values(items), func(d *api.JobUpdateDetails) *api.JobUpdateKey { return d.Update.Summary.Key })
}

func keyNames(keys []*api.JobUpdateKey) []string {
	return updateNames(slices.Values(keys), func(k *api.JobUpdateKey) *api.JobUpdateKey { return k })
}
