package schedulerstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// EventSink is told what happens while this process leads (Aurora: EventSink, which
// takes PubsubEvents): one call after another, in order.
//
// First there is one *durability.TaskStateChanged without an OldState for each stored
// task, as the tasks are just after the initial work, in ascending order of the time of
// each task's last event; a task without events comes first. Then the events of each
// later transaction follow, each exactly once, when it is durable. In Aurora a host's
// event comes before its transaction is durable.
//
// ctx is that of Leadership: when it ends, at most the call that is under way goes on,
// and should return soon. No call is under way when Close has returned, unless Close's
// own context ended first, nor when Campaign begins to contend for leadership again.
// What was not told by then is not told any more: the next leader tells of all tasks
// anew.
//
// A slow sink delays no writes, but what it has not been told is kept in memory. It
// may read and write the store, but neither close it nor campaign.
type EventSink func(ctx context.Context, event durability.Event)

// post tells the sink what there is at the start and what comes, until ctx ends.
func (s *Store) post(ctx context.Context, start *durability.Start) {
	sink := s.options.Events
	for _, task := range byLastEvent(start.View) {
		if ctx.Err() != nil {
			return
		}
		sink(ctx, durability.Event{TaskStateChanged: &durability.TaskStateChanged{Task: task}})
	}
	start.View = nil // the state as it was need not stay in memory
	for {
		change, err := start.Changes.Next(ctx)
		if err != nil {
			return
		}
		for _, event := range change.Events {
			if ctx.Err() != nil {
				return
			}
			sink(ctx, event)
		}
		s.posted.Store(uint64(change.Transaction))
	}
}

// byLastEvent returns all tasks in the order of when something last happened to them,
// those of one time in the order of their ids.
func byLastEvent(view storage.View) []*api.ScheduledTask {
	tasks := slices.Collect(view.Tasks().All())
	slices.SortStableFunc(tasks, func(a, b *api.ScheduledTask) int { return cmp.Compare(lastEvent(a), lastEvent(b)) })
	return tasks
}

// lastEvent is a time in milliseconds, 0 for a task without events. Aurora's start
// fails for such a task.
func lastEvent(task *api.ScheduledTask) int64 {
	if n := len(task.TaskEvents); n > 0 {
		return task.TaskEvents[n-1].Timestamp
	}
	return 0
}

// attend begins what goes on beside the writes for as long as this process leads. The
// function that it returns waits for what is the store's own when leadership has ended;
// the sink is the caller's, and is waited for by those who must: see noPosting.
func (s *Store) attend(start *durability.Start) (wait func()) {
	ctx := s.Leadership()
	pruned := make(chan struct{})
	go func() {
		defer close(pruned)
		s.pruneHistory(ctx)
	}()
	if s.options.Events != nil {
		posted := make(chan struct{})
		s.posted.Store(uint64(start.Transaction))
		s.mu.Lock()
		s.posting = posted
		s.mu.Unlock()
		go func() {
			defer close(posted)
			s.post(ctx, start)
		}()
	}
	return func() { <-pruned }
}

// noPosting waits until the sink of an earlier leadership has returned.
func (s *Store) noPosting(ctx context.Context) error {
	s.mu.Lock()
	posting := s.posting
	s.mu.Unlock()
	if posting == nil {
		return nil
	}
	select {
	case <-posting:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// unposted is the number of transactions whose events the sink has yet to be told.
func (s *Store) unposted() int {
	if s.options.Events == nil || s.Leadership().Err() != nil {
		return 0
	}
	_, newest := s.storage.Snapshot()
	return max(0, int(newest)-int(s.posted.Load()))
}
