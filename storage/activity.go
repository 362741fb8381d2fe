package storage

import (
	"cmp"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// CompareActivity orders tasks by their latest activity, the one longest ago first: by
// the timestamp of the last event. Tasks without an event come first.
func CompareActivity(a, b *api.ScheduledTask) int {
	if len(a.TaskEvents) == 0 || len(b.TaskEvents) == 0 {
		return cmp.Compare(len(a.TaskEvents), len(b.TaskEvents))
	}
	last := func(t *api.ScheduledTask) int64 { return t.TaskEvents[len(t.TaskEvents)-1].Timestamp }
	return cmp.Compare(last(a), last(b))
}
