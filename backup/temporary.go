package backup

import (
	"fmt"
	"iter"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// temporary is a state in memory that no log stands behind (Aurora: TemporaryStorage).
// One goroutine at a time changes it; any may read its view.
type temporary struct {
	*durability.Storage
}

func newTemporary(tiers schema.Tiers) temporary {
	return temporary{durability.New(durability.Options{Tiers: tiers})}
}

// deleteTasks deletes the tasks that match, and says how many. A query without
// conditions, or none, matches all.
func (t temporary) deleteTasks(q *api.TaskQuery) (int, error) {
	if q == nil {
		q = &api.TaskQuery{}
	}
	matching, err := t.View().Tasks().Query(q)
	if err != nil {
		return 0, err
	}
	var ids []string
	for task := range matching {
		ids = append(ids, task.AssignedTask.TaskID.Value)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := t.apply(&api.Op{RemoveTasks: &api.RemoveTasks{TaskIDs: ids}}); err != nil {
		return 0, err
	}
	return len(ids), nil
}

// apply changes the state by replaying one op more: the way that it came to be.
func (t temporary) apply(op *api.Op) error {
	record, err := (&api.Transaction{Ops: []*api.Op{op}, SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
	if err != nil {
		return fmt.Errorf("change the staged state: %w", err)
	}
	apply, err := t.Prepare(persistence.Batch{Object: "the staged state", Records: [][]byte{record}, Snapshot: true})
	if err == nil {
		err = apply()
	}
	if err != nil {
		return fmt.Errorf("change the staged state: %w", err)
	}
	t.Loaded(t.Checkpoint().At)
	return nil
}

// records rebuild the state. The idempotency keys of the backup are not among them: a
// restore keeps those of the store that it goes to.
func (t temporary) records() iter.Seq2[[]byte, error] { return durability.RecordsOf(t.View()) }
