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
// their keys: one, or those of a job or of a role, as these lie together.
func (s jobUpdateReader) candidates(q *api.JobUpdateQuery) iter.Seq[*api.JobUpdateDetails] {
	switch {
	case q.Key != nil:
		return func(yield func(*api.JobUpdateDetails) bool) {
			if update, ok := s.Fetch(q.Key); ok {
				yield(update)
			}
		}
	case q.JobKey != nil:
		return s.from(q.JobKey, func(job *api.JobKey) bool { return compareJobKeys(job, q.JobKey) == 0 })
	case q.Role.Set:
		return s.from(&api.JobKey{Role: q.Role}, func(job *api.JobKey) bool {
			return job != nil && compareStrings(&job.Role, &q.Role) == 0
		})
	}
	return s.All()
}

// from returns the updates whose jobs belong, which must follow each other, the first
// of them not before job.
func (s jobUpdateReader) from(job *api.JobKey, belongs func(job *api.JobKey) bool) iter.Seq[*api.JobUpdateDetails] {
	return details(s.jobUpdates.from(updateProbe(&api.JobUpdateKey{Job: job}), func(r *updateRow) bool {
		return belongs(r.summary().Key.Job)
	}))
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
