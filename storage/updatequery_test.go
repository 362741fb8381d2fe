package storage

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// A query looks at no more updates than its key, its job or its role has.
func TestUpdateQueriesLookAtNoMoreThanTheyMust(t *testing.T) {
	tx := NewState(Options{}).Begin()
	for _, role := range []string{"a", "b", "c"} {
		for n := range 6 {
			job := schema.NewJobKey(role, "e", fmt.Sprint(n%2))
			key := &api.JobUpdateKey{Job: job, ID: api.Some(fmt.Sprint(n))}
			err := tx.JobUpdates().Save(&api.JobUpdate{Summary: &api.JobUpdateSummary{Key: key}, Instructions: &api.JobUpdateInstructions{
				DesiredState: &api.InstanceTaskConfig{Task: &api.TaskConfig{}, Instances: []*api.Range{{}}}}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	job := schema.NewJobKey("b", "e", "1")
	for _, c := range []struct {
		q    api.JobUpdateQuery
		want int
	}{
		{api.JobUpdateQuery{}, 18},
		{api.JobUpdateQuery{Role: api.Some("b")}, 6},
		{api.JobUpdateQuery{Role: api.Some("none")}, 0},
		{api.JobUpdateQuery{JobKey: job, Role: api.Some("c")}, 3},
		{api.JobUpdateQuery{Key: &api.JobUpdateKey{Job: job, ID: api.Some("3")}, Role: api.Some("c")}, 1},
	} {
		if n := len(slices.Collect(jobUpdateReader{&tx.stores}.candidates(&c.q))); n != c.want {
			t.Errorf("%+v looks at %d, want %d", c.q, n, c.want)
		}
	}
}
