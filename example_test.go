package schedulerstore_test

import (
	"context"
	"fmt"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func Example() {
	ctx := context.Background()
	store, err := schedulerstore.Open(ctx, "mem://example", schedulerstore.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx) // hands leadership over
	if err := store.Campaign(ctx); err != nil {
		panic(err)
	}
	task := &api.ScheduledTask{
		Status: api.Some(api.ScheduleStatusPENDING),
		AssignedTask: &api.AssignedTask{
			TaskID: api.Some("hello-0"),
			Task:   &api.TaskConfig{Job: schema.NewJobKey("www", "prod", "hello")},
		},
	}
	if err := store.Write(ctx, func(_ context.Context, tx storage.Mutable) error { return tx.Tasks().Save(task) }); err != nil {
		panic(err)
	}
	if err := store.Write(ctx, func(_ context.Context, tx storage.Mutable) error {
		_, err := tx.Tasks().Mutate("hello-0", func(task *api.ScheduledTask) error {
			task.Status = api.Some(api.ScheduleStatusRUNNING)
			return nil
		})
		return err
	}); err != nil {
		panic(err)
	}
	store.Read(func(view storage.View) {
		task, ok := view.Tasks().Fetch("hello-0")
		fmt.Println(task.Status, ok)
	})
	// Output: RUNNING true
}
