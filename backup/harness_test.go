package backup

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

const thisCell, otherCell = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"

// place is a bucket in memory with its backups.
type place struct {
	*testing.T
	*Backups
	mem *memdriver.Bucket
}

func newPlace(t *testing.T) *place {
	codec, err := packed.NewCodec(2)
	must(t, err)
	mem := memdriver.New()
	return &place{t, New(bucket.New(mem, "mem://test", "", bucket.Options{}), codec), mem}
}

// source is a state with these tasks at a position of a cell's log.
func source(t *testing.T, cell string, position persistence.Position, ids ...string) snapshot.Source {
	t.Helper()
	c := stateOf(t, ids...).Checkpoint()
	at := persistence.Point{Epoch: 2, Next: position + 1, Transaction: persistence.TransactionNumber(position), Hash: persistence.Hash{byte(position)}}
	return snapshot.Source{Cell: cell, At: at, Records: c.Records(), Counts: c.Counts(), By: "host", Reason: "test"}
}

func stateOf(t *testing.T, ids ...string) *durability.Storage {
	t.Helper()
	ops := []*api.Op{{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some("framework")}}}
	for _, id := range ids {
		task := &api.ScheduledTask{Status: api.Some(api.ScheduleStatusRUNNING), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
			Task: &api.TaskConfig{Job: schema.NewJobKey("role", "prod", "job-"+id)}}}
		ops = append(ops, &api.Op{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{task}}})
	}
	return replayed(t, ops...)
}

// create makes a backup that must succeed.
func (p *place) create(name, cell string, position persistence.Position, ids ...string) *Info {
	p.Helper()
	info, err := p.Create(p.Context(), name, source(p.T, cell, position, ids...))
	must(p, err)
	return info
}

// listed are the names of the backups, damaged ones not counted.
func (p *place) listed() string {
	p.Helper()
	infos, _ := p.List(p.Context())
	return namesOf(infos)
}

func namesOf(infos []*Info) string {
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return strings.Join(names, " ")
}

// loaded are the ids of the tasks in a backup.
func (p *place) loaded(ctx context.Context, name string) (string, error) {
	p.Helper()
	s := durability.New(durability.Options{})
	_, err := p.Load(ctx, name, s)
	return idsOf(s.View()), err
}

func idsOf(v storage.View) string {
	var ids []string
	for task := range v.Tasks().All() {
		ids = append(ids, task.AssignedTask.TaskID.Value)
	}
	return strings.Join(ids, " ")
}

// keys are all objects in the bucket.
func (p *place) keys() (keys []string) {
	for info, err := range p.bucket.List(p.Context(), "", "") {
		must(p, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// replayed is the state that ops rebuild, as recovery would have it.
func replayed(t rapid.TB, ops ...*api.Op) *durability.Storage {
	t.Helper()
	var records [][]byte
	for _, op := range ops {
		record, err := (&api.Transaction{Ops: []*api.Op{op}, SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
		must(t, err)
		records = append(records, record)
	}
	s := durability.New(durability.Options{})
	at := persistence.Point{Epoch: 1, Next: 1, Transaction: persistence.TransactionNumber(len(ops))}
	must(t, s.Reset(at))
	apply, err := s.Prepare(persistence.Batch{Object: "test", Records: records, Snapshot: true})
	must(t, err)
	must(t, apply())
	s.Loaded(at)
	return s
}

// contents are the records of a state: equal ones for equal states.
func contents(t rapid.TB, s *durability.Storage) (all []string) {
	t.Helper()
	for record, err := range s.Checkpoint().Records() {
		must(t, err)
		all = append(all, string(record))
	}
	return all
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
