package server

import (
	"errors"
	"net/http"
	"slices"

	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// byRequest is the reason of a snapshot or a backup whose request names none.
const byRequest = "request"

// postSnapshot makes a snapshot and answers when it is there.
func (s *server) postSnapshot(w http.ResponseWriter, r *http.Request) error {
	request := struct {
		Reason string `json:"reason"`
	}{byRequest}
	if err := readRequest(w, r, &request); err != nil {
		return err
	}
	m, err := s.store.Snapshot(r.Context(), request.Reason)
	if err != nil {
		return bucketProblem(err)
	}
	return writeJSON(w, view.SnapshotOf(m))
}

// getSnapshots lists the snapshots, newest first. One that is damaged does not hide the
// others.
func (s *server) getSnapshots(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	manifests, err := s.store.ListSnapshots(r.Context())
	if err != nil && !unreadable(err) {
		return bucketProblem(err)
	}
	answer := struct {
		Snapshots []*view.Snapshot `json:"snapshots"`
		Total     int              `json:"total"`
		Problems  []string         `json:"problems,omitempty"`
	}{[]*view.Snapshot{}, len(manifests), view.Problems(err)}
	for _, m := range slices.Backward(manifests) {
		answer.Snapshots = append(answer.Snapshots, view.SnapshotOf(m))
	}
	return writeJSON(w, answer)
}

// unreadable tells whether an error of a list is about some of what is in it only.
func unreadable(err error) bool {
	return errors.Is(err, snapshot.ErrDamaged) || blob.IsNewerFormat(err)
}
