package randomstate

import (
	"fmt"
	"iter"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Diff says what the first difference between two states is, and nothing if they are
// equal.
func Diff(got, want storage.View) string {
	gotID, gotSet := got.FrameworkID()
	if wantID, wantSet := want.FrameworkID(); gotID != wantID || gotSet != wantSet {
		return fmt.Sprintf("framework id is %q (%v), want %q (%v)", gotID, gotSet, wantID, wantSet)
	}
	for _, d := range []string{
		rows("task", got.Tasks().All(), want.Tasks().All()),
		rows("cron job", got.CronJobs().All(), want.CronJobs().All()),
		rows("quota", quotas(got), quotas(want)),
		rows("host", got.Hosts().All(), want.Hosts().All()),
		rows("job update", got.JobUpdates().All(), want.JobUpdates().All()),
		rows("maintenance request", got.Maintenance().All(), want.Maintenance().All()),
	} {
		if d != "" {
			return d
		}
	}
	return ""
}

func quotas(v storage.View) iter.Seq[*api.QuotaConfiguration] {
	return func(yield func(*api.QuotaConfiguration) bool) {
		for role, quota := range v.Quotas().All() {
			if !yield(&api.QuotaConfiguration{Role: api.Some(role), Quota: quota}) {
				return
			}
		}
	}
}

// rows compares two stores, both in the order of their keys.
func rows[T interface{ Equal(T) bool }](what string, got, want iter.Seq[T]) string {
	next, stop := iter.Pull(want)
	defer stop()
	n := 0
	for g := range got {
		w, ok := next()
		if !ok {
			return fmt.Sprintf("%s %d is too many: %s", what, n, text(g))
		}
		if !g.Equal(w) {
			return fmt.Sprintf("%s %d is %s\nwant %s", what, n, text(g), text(w))
		}
		n++
	}
	if w, ok := next(); ok {
		return fmt.Sprintf("%s %d is missing: %s", what, n, text(w))
	}
	return ""
}

func text(v any) string {
	b, err := schema.ToJSON(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
