package storage

import (
	"cmp"
	"iter"
	"slices"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

func (s jobUpdateReader) Query(q *api.JobUpdateQuery) ([]*api.JobUpdateDetails, error) {
	if q == nil {
		return nil, errorf(ErrNullArgument, "no job update query")
	}
	found := []*api.JobUpdateDetails{}
	for update := range s.candidates(q) {
		if updateMatches(q, update.Update.Summary) {
			found = append(found, update)
		}
	}
	modified := func(u *api.JobUpdateDetails) int64 { return u.Update.Summary.State.LastModifiedTimestampMs }
	slices.SortStableFunc(found, func(a, b *api.JobUpdateDetails) int { return cmp.Compare(modified(b), modified(a)) })
	page, err := Page(slices.Values(found), q.Offset, q.Limit)
	if err != nil {
		return nil, err
	}
	return slices.AppendSeq([]*api.JobUpdateDetails{}, page), nil
}

// candidates returns all updates that can match, and perhaps others, in the order of
// their keys.
func (s jobUpdateReader) candidates(q *api.JobUpdateQuery) iter.Seq[*api.JobUpdateDetails] {
	if q.Key != nil {
		return func(yield func(*api.JobUpdateDetails) bool) {
			if update, ok := s.Fetch(q.Key); ok {
				yield(update)
			}
		}
	}
	if q.JobKey != nil {
		return s.jobUpdates.from(updateProbe(&api.JobUpdateKey{Job: q.JobKey}), func(u *api.JobUpdateDetails) bool {
			return compareJobKeys(u.Update.Summary.Key.Job, q.JobKey) == 0
		})
	}
	return s.All()
}

func updateMatches(q *api.JobUpdateQuery, u *api.JobUpdateSummary) bool {
	job := plainJobKey(u.Key.Job)
	switch {
	case q.Role.Set && compareStrings(&job.Role, &q.Role) != 0,
		q.Key != nil && compareUpdateKeys(q.Key, u.Key) != 0,
		q.JobKey != nil && compareJobKeys(q.JobKey, u.Key.Job) != 0,
		q.User.Set && compareStrings(&u.User, &q.User) != 0:
		return false
	}
	if len(q.UpdateStatuses) == 0 {
		return true
	}
	return u.State.Status.Set && slices.Contains(q.UpdateStatuses, u.State.Status.Value)
}
