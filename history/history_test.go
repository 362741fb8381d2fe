package history

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// cell is a log in memory that is written, with all that its transactions changed.
type cell struct {
	*testing.T
	mem    *memdriver.Bucket
	log    *blob.Log
	reader *blob.Reader
	stores *durability.Storage
	writer *blob.Writer
	// changed is, for each row, what happened to it in which transaction.
	changed map[string][]string
	jobs    map[string]string // of tasks
}

func newCell(t *testing.T) *cell {
	mem := memdriver.New()
	log, err := blob.Open(t.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), blob.Options{Host: "host-1"})
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{T: t, mem: mem, log: log, changed: map[string][]string{}, jobs: map[string]string{}}
	c.lead(1)
	return c
}

func (c *cell) check(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cell) lead(epoch persistence.Epoch) {
	c.Helper()
	if c.writer != nil {
		c.writer.Stop(nil)
	}
	c.stores = durability.New(durability.Options{})
	c.reader = c.log.NewReader(c.stores)
	w, err := c.reader.Lead(c.Context(), epoch, persistence.NewWriterID())
	c.check(err)
	c.writer = w
	c.Cleanup(func() { w.Stop(nil) })
}

// apply writes a transaction and notes what it changed, as the whole states show it.
func (c *cell) apply(ops ...*api.Op) {
	c.Helper()
	record, err := (&api.Transaction{Ops: ops, SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
	c.check(err)
	done := make(chan error, 1)
	number, err := c.writer.Append(record, func(_ persistence.Ack, err error) { done <- err })
	c.check(err)
	c.check(<-done)
	before := c.stores.View()
	apply, err := c.stores.Prepare(persistence.Batch{Records: [][]byte{record}, First: number})
	c.check(err)
	c.check(apply())
	c.stores.Loaded(c.reader.At())
	c.note(number, before)
}

func (c *cell) note(number persistence.TransactionNumber, before storage.View) {
	for d := range storage.Diff(before, c.stores.View()) {
		row := fmt.Sprintf("%s %s", d.Kind, d.Key)
		c.changed[row] = append(c.changed[row], fmt.Sprintf("%d %s %s", number, d.What(), row))
	}
}

// find is what a finder finds, as note writes it.
func (c *cell) find(kind, key string, from blob.Until) (found []string, changes []*Change) {
	c.Helper()
	subject, err := NewSubject(kind, key)
	c.check(err)
	finder := NewFinder(subject)
	_, err = c.log.Between(c.Context(), finder, from, blob.Until{}, nil)
	c.check(err)
	c.check(finder.Err())
	for _, change := range finder.Changes() {
		found = append(found, fmt.Sprintf("%d %s %s %s", change.Transaction, change.What, change.Kind, change.Key))
	}
	return found, finder.Changes()
}

func (c *cell) snapshot() {
	c.Helper()
	checkpoint := c.stores.Checkpoint()
	_, err := snapshot.Write(c.Context(), c.log.Bucket(), c.log.Codec(), snapshot.Source{Cell: c.log.Cell().ID, At: c.reader.At(),
		Records: checkpoint.Records()}, 1)
	c.check(err)
}

// The history of each row of a random life is that which the whole states show, from the
// beginning and from snapshots.
func TestHistoryOfEveryRow(t *testing.T) {
	for seed := range uint64(2) {
		c := newCell(t)
		source := randomstate.New(seed)
		var middle persistence.TransactionNumber
		for i, ops := range source.Transactions(150) {
			c.apply(ops...)
			if i == 70 {
				c.snapshot()
				middle = c.reader.At().Transaction
				c.lead(2)
			}
		}
		for row, want := range c.changed {
			kind, key, _ := strings.Cut(row, " ")
			if got, _ := c.find(kind, key, blob.UntilTransaction(0)); !slices.Equal(got, want) {
				t.Errorf("seed %d: %s: found %q, want %q", seed, row, got, want)
			}
			late := slices.DeleteFunc(slices.Clone(want), func(s string) bool {
				var n persistence.TransactionNumber
				_, _ = fmt.Sscan(s, &n)
				return n <= middle
			})
			if got, _ := c.find(kind, key, blob.UntilTransaction(middle)); !slices.Equal(got, late) {
				t.Errorf("seed %d: %s from a snapshot on: found %q, want %q", seed, row, got, late)
			}
		}
	}
}

func job(name string) *api.JobKey {
	return &api.JobKey{Role: api.Some("r"), Environment: api.Some("e"), Name: api.Some(name)}
}

func task(id, name string, status api.ScheduleStatus) *api.Op {
	return &api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{{Status: api.Some(status), AssignedTask: &api.AssignedTask{
		TaskID: api.Some(id), Task: &api.TaskConfig{Job: job(name), Tier: api.Some("preemptible")}}}}}}
}

// A job's history has its tasks, also those that are removed by their ids alone, its cron
// job and its updates; nothing of others.
func TestHistoryOfAJob(t *testing.T) {
	c := newCell(t)
	c.apply(task("a", "j", api.ScheduleStatusPENDING), task("x", "other", api.ScheduleStatusPENDING))
	c.apply(task("b", "j", api.ScheduleStatusPENDING))
	c.apply(&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: &api.JobConfiguration{Key: job("j"), TaskConfig: &api.TaskConfig{Job: job("j"), Tier: api.Some("preemptible")}}}})
	c.apply(task("x", "other", api.ScheduleStatusRUNNING))
	c.snapshot()
	c.lead(2)
	c.apply(task("a", "j", api.ScheduleStatusRUNNING))
	c.apply(&api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{"a", "x"}}})
	c.apply(&api.Op{RemoveJob: &api.RemoveJob{JobKey: job("j")}})
	want := []string{"1 added tasks a", "2 added tasks b", "3 added cron-jobs r/e/j", "5 changed tasks a", "6 removed tasks a", "7 removed cron-jobs r/e/j"}
	got, changes := c.find(Jobs, "r/e/j", blob.UntilTransaction(0))
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, _ := c.find(Jobs, "r/e/j", blob.UntilTransaction(4)); !slices.Equal(got, want[3:]) {
		t.Errorf("from the snapshot: %q, want %q", got, want[3:])
	}
	running := changes[3]
	if len(running.Fields) == 0 || running.Fields[len(running.Fields)-1].String() != `status: "PENDING" → "RUNNING"` || !slices.Equal(running.Ops, []string{"saveTasks"}) {
		t.Errorf("%+v", running)
	}
	if l := running.Leader; l.Epoch != 2 || l.Host != "host-1" || l.Writer == (persistence.WriterID{}) || running.Position != 6 {
		t.Errorf("at position %d, led by %+v", running.Position, l)
	}
}

// restore makes a past state the newest, and leads on.
func (c *cell) restore(past storage.View) *snapshot.Manifest {
	c.Helper()
	m, err := snapshot.WriteIn(c.Context(), c.log.Bucket(), c.log.Codec(), blob.RestoreFolder(c.reader.At()), snapshot.Source{
		Cell: c.log.Cell().ID, At: c.reader.At(), Records: durability.RecordsOf(past)}, 1)
	c.check(err)
	done := make(chan error, 1)
	_, err = c.writer.Restore(m, func(_ persistence.Ack, err error) { done <- err })
	c.check(err)
	c.check(<-done)
	<-c.writer.Done()
	c.lead(2)
	return m
}

// A restore changes what it changes, in one transaction.
func TestHistoryAcrossARestore(t *testing.T) {
	c := newCell(t)
	c.apply(task("a", "j", api.ScheduleStatusPENDING), task("b", "j", api.ScheduleStatusPENDING))
	past := c.stores.View()
	c.apply(task("a", "j", api.ScheduleStatusRUNNING))
	c.apply(&api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: []string{"b"}}})
	c.restore(past)
	c.apply(task("b", "j", api.ScheduleStatusRUNNING))
	got, changes := c.find(Jobs, "r/e/j", blob.UntilTransaction(0))
	want := []string{"1 added tasks a", "1 added tasks b", "2 changed tasks a", "3 removed tasks b", "4 changed tasks a", "4 added tasks b", "5 changed tasks b"}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if c := changes[4]; !slices.Equal(c.Ops, []string{"restore"}) || c.Leader.Epoch != 1 {
		t.Errorf("%+v", c)
	}
}

// The state of a restore is collected while the history is read: it begins again behind
// it, and tells nothing twice or as a restore that was none.
func TestHistoryWhoseRestoreIsCollectedMeanwhile(t *testing.T) {
	c := newCell(t)
	c.apply(task("a", "j", api.ScheduleStatusPENDING))
	past := c.stores.View()
	c.apply(task("a", "j", api.ScheduleStatusRUNNING))
	restored := func(key string) bool { return strings.HasPrefix(key, "restore/") }
	c.restore(past)
	c.apply(task("a", "j", api.ScheduleStatusRUNNING))
	c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: restored, Times: 1, Do: memdriver.Before(func(string) {
		c.snapshot()
		c.apply(task("a", "j", api.ScheduleStatusFINISHED))
		for _, key := range slices.DeleteFunc(c.mem.Keys(), func(key string) bool { return !restored(key) }) {
			c.mem.Remove(key)
		}
	})})
	got, _ := c.find(Jobs, "r/e/j", blob.Until{})
	if want := []string{"5 changed tasks a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSubjectsThatAreNone(t *testing.T) {
	for _, s := range [][2]string{{"tasks", ""}, {"jobs", "r/e"}, {"jobs", ""}, {"job-updates", "u"}, {"job-updates", "r/e/u"}, {"framework-id", "x"}, {"cats", "tom"}} {
		if _, err := NewSubject(s[0], s[1]); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	for _, kind := range Kinds() {
		key := map[string]string{"jobs": "r/e/j", "cron-jobs": "r/e/j", "job-updates": "r/e/j/u", "framework-id": ""}[kind]
		if key == "" && kind != "framework-id" {
			key = "x"
		}
		if _, err := NewSubject(kind, key); err != nil {
			t.Errorf("%s %s: %v", kind, key, err)
		}
	}
}
