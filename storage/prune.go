package storage

import (
	"cmp"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// PrunableJobUpdates returns the keys of the completed job updates that are to be
// removed, in order: those created more than olderThan before now, those of jobs
// without a task, and of what is younger the oldest of each job until perJob are left.
// An orphan counts among those of its job.
func PrunableJobUpdates(view View, now time.Time, olderThan time.Duration, perJob int) []*api.JobUpdateKey {
	hasTask := set[api.JobKey]{}
	for _, job := range view.Tasks().JobKeys() {
		hasTask[*job] = struct{}{}
	}
	limit := now.Add(-olderThan).UnixMilli()
	pruned := []*api.JobUpdateKey{}
	young := map[api.JobKey][]*api.JobUpdateSummary{}
	for update := range view.JobUpdates().All() {
		summary := update.Update.Summary
		if !summary.State.Status.Set || !schema.IsTerminalUpdate(summary.State.Status.Value) {
			continue
		}
		job := plainJobKey(summary.Key.Job)
		expired := summary.State.CreatedTimestampMs < limit
		_, live := hasTask[job]
		if expired || !live {
			pruned = append(pruned, summary.Key)
		}
		if !expired {
			young[job] = append(young[job], summary)
		}
	}
	for job, updates := range young {
		if _, live := hasTask[job]; !live {
			continue // all of them are pruned already
		}
		slices.SortStableFunc(updates, func(a, b *api.JobUpdateSummary) int {
			return cmp.Compare(a.State.CreatedTimestampMs, b.State.CreatedTimestampMs)
		})
		for _, summary := range updates[:max(0, len(updates)-max(0, perJob))] {
			pruned = append(pruned, summary.Key)
		}
	}
	slices.SortFunc(pruned, compareUpdateKeys)
	return pruned
}
