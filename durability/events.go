package durability

import (
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// eventsOf tells what a transaction's ops mean to a scheduler, in their order. It
// needs the stores as they were before the transaction, so that leaders and followers
// come to the same:
//
//	saveTasks           for each task that is new or has another status
//	removeTasks         one for all that were there
//	saveHostAttributes  if the record is new or another
//
// Aurora posts what happens to hosts while the work still runs, and leaves it posted
// if the work fails; here there is no event of what is not durable.
func eventsOf(tasks storage.Tasks, hosts storage.Hosts, ops []*api.Op) []Event {
	b := before{tasks: tasks, hosts: hosts}
	if len(ops) > 1 { // else nothing is touched twice: in one op, each id is there once
		b.touchedTasks, b.touchedHosts = map[string]*api.ScheduledTask{}, map[string]*api.HostAttributes{}
	}
	events := []Event{}
	for _, op := range ops {
		switch {
		case op.SaveTasks != nil:
			for _, task := range op.SaveTasks.Tasks {
				if e := b.saved(task); e != nil {
					events = append(events, Event{TaskStateChanged: e})
				}
			}
		case op.RemoveTasks != nil:
			if tasks := b.removed(op.RemoveTasks.TaskIDs); len(tasks) > 0 {
				events = append(events, Event{TasksDeleted: &TasksDeleted{tasks}})
			}
		case op.SaveHostAttributes != nil:
			if a := op.SaveHostAttributes.HostAttributes; b.hostChanged(a) {
				events = append(events, Event{HostAttributesChanged: &HostAttributesChanged{a}})
			}
		}
	}
	return events
}

// before is the state before an op: that before its transaction, and what the ops
// before it in the same transaction have touched. A nil task is one that they removed.
type before struct {
	tasks        storage.Tasks
	hosts        storage.Hosts
	touchedTasks map[string]*api.ScheduledTask
	touchedHosts map[string]*api.HostAttributes
}

func (b *before) task(id string) *api.ScheduledTask {
	if task, ok := b.touchedTasks[id]; ok {
		return task
	}
	task, _ := b.tasks.Fetch(id)
	return task
}

func (b *before) touch(id string, task *api.ScheduledTask) {
	if b.touchedTasks != nil {
		b.touchedTasks[id] = task
	}
}

func (b *before) saved(task *api.ScheduledTask) *TaskStateChanged {
	if task == nil || task.AssignedTask == nil {
		return nil // the store refuses it
	}
	id := task.AssignedTask.TaskID.Value
	old := b.task(id)
	b.touch(id, task)
	switch {
	case old == nil || !old.Status.Set: // unset would mean that it is there from the start
		return &TaskStateChanged{task, api.Some(api.ScheduleStatusINIT)}
	case old.Status != task.Status:
		return &TaskStateChanged{task, old.Status}
	}
	return nil
}

func (b *before) removed(ids []string) (tasks []*api.ScheduledTask) {
	for _, id := range ids {
		if task := b.task(id); task != nil {
			tasks = append(tasks, task)
			b.touch(id, nil)
		}
	}
	return tasks
}

// hostChanged is false for a record without an agent, which a replay drops.
func (b *before) hostChanged(a *api.HostAttributes) bool {
	if a == nil || !a.SlaveID.Set {
		return false
	}
	host := a.Host.Value
	old, ok := b.touchedHosts[host]
	if !ok {
		old, ok = b.hosts.Fetch(host)
	}
	if b.touchedHosts != nil {
		b.touchedHosts[host] = a
	}
	return !ok || !old.Equal(a)
}
