package durability

import (
	"testing"

	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// A state that is like another shares with it what is equal, and is what it would be
// without: the other is not written to.
func TestReplayBesideAStateThatIsAlike(t *testing.T) {
	for seed := range uint64(20) {
		var records [][]byte
		for _, ops := range randomstate.New(seed).Transactions(30) {
			record, err := (&api.Transaction{Ops: ops, SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
			must(t, err)
			records = append(records, record)
		}
		alone := (&tape{records: records}).replayed(t)
		for _, like := range []*Storage{alone, (&tape{records: records[:15]}).replayed(t)} {
			before := contents(t, like)
			beside := (&tape{records: records}).replayed(t, Options{Alike: like.View()})
			same(t, beside, alone)
			if after := contents(t, like); len(before) != len(after) {
				t.Errorf("the other state has %d records, and had %d", len(after), len(before))
			} else {
				for i := range before {
					if before[i] != after[i] {
						t.Errorf("record %d of the other state was changed", i)
					}
				}
			}
		}
		snapshot := fromCheckpoint(t, alone, Options{Alike: alone.View()})
		same(t, snapshot, alone)
		for task := range snapshot.View().Tasks().All() {
			other, _ := alone.View().Tasks().Fetch(task.AssignedTask.TaskID.Value)
			if other == task || other.AssignedTask.Task != task.AssignedTask.Task ||
				len(task.TaskEvents) > 0 && &other.TaskEvents[0] != &task.TaskEvents[0] {
				t.Errorf("task %s shares nothing, or all", task.AssignedTask.TaskID.Value)
			}
		}
	}
}
