package server

import (
	"net/http"

	schedulerstore "github.com/scheduler-store/scheduler-store"
)

// postRehearsal rehearses a restore in this process, and answers when it is done. That
// the state is another, or can't be recovered, is an answer and no error.
func (s *server) postRehearsal(w http.ResponseWriter, r *http.Request) error {
	if err := readRequest(w, r, &struct{}{}); err != nil {
		return err
	}
	rehearsal, err := s.store.Rehearse(r.Context())
	if rehearsal.Result == schedulerstore.RehearsalUnsure {
		return bucketProblem(err)
	}
	return writeJSON(w, rehearsal)
}
