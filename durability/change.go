package durability

import (
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Change is one durable transaction as those see it who watch the store. It never
// changes, and what it holds is shared.
type Change struct {
	persistence.Commit
	// Time is when the leader took the transaction, or on a follower when the leader
	// made the log's entry with it, by the leader's wall clock; informative.
	Time time.Time
	// Ops are the transaction's, none for one that only has an idempotency key. A
	// change that was read back from the log has no Events: they are nil.
	Ops    []*api.Op
	Events []Event
	// Reset tells that the state was replaced as a whole, by a snapshot or a restore:
	// what came before Transaction may not have been told, and Ops and Events are nil.
	Reset bool
}

// Event is what a transaction means to a scheduler (Aurora: PubsubEvent). Exactly one
// member is set.
type Event struct {
	TaskStateChanged      *TaskStateChanged      `json:"taskStateChanged,omitempty"`
	TasksDeleted          *TasksDeleted          `json:"tasksDeleted,omitempty"`
	HostAttributesChanged *HostAttributesChanged `json:"hostAttributesChanged,omitempty"`
}

// TaskStateChanged: a task is new, or its status is another.
type TaskStateChanged struct {
	Task *api.ScheduledTask `json:"task"`
	// OldState is INIT for a new task, and unset for one that was there when this
	// process began to lead.
	OldState api.Optional[api.ScheduleStatus] `json:"oldState,omitzero"`
}

// TasksDeleted: tasks were removed, each as it last was.
type TasksDeleted struct {
	Tasks []*api.ScheduledTask `json:"tasks"`
}

// HostAttributesChanged: a host's record is new or another.
type HostAttributesChanged struct {
	Attributes *api.HostAttributes `json:"attributes"`
}
