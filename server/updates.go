package server

import (
	"net/http"
	"slices"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func (s *server) getJobUpdate(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r)
	if err != nil {
		return err
	}
	key := &api.JobUpdateKey{Job: pathJob(r), ID: api.Some(r.PathValue("id"))}
	update, ok := q.JobUpdates().Fetch(key)
	return q.answer(update, ok, "job update", schema.JobKeyString(key.Job)+"/"+key.ID.Value)
}

// getJobUpdates lists updates with their events, the one modified last first.
func (s *server) getJobUpdates(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, append([]string{"role", "job", "user", "status", "id"}, listing...)...)
	if err != nil {
		return err
	}
	query := &api.JobUpdateQuery{Role: q.one("role"), User: q.one("user"), UpdateStatuses: enums[api.JobUpdateStatus](q.parameters, "status")}
	jobs := make([]*api.JobKey, 0, 1)
	for _, text := range q.many("job") {
		jobs = append(jobs, q.jobKey("job", text))
	}
	if q.err != nil {
		return q.err
	}
	if len(jobs) == 1 {
		query.JobKey = jobs[0] // has an index
	}
	found, err := q.JobUpdates().Query(query)
	if err != nil {
		return err
	}
	ids := q.many("id")
	found = slices.DeleteFunc(found, func(u *api.JobUpdateDetails) bool {
		key := u.Update.Summary.Key
		return len(jobs) > 1 && !slices.ContainsFunc(jobs, key.Job.Equal) || len(ids) > 0 && !isOneOf(key.ID, ids)
	})
	return list(q, "jobUpdates", slices.Values(found), len(found))
}
