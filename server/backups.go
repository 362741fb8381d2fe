package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/internal/view"
)

// postBackup makes a backup of the newest durable state that this process has, and
// answers when it is there.
func (s *server) postBackup(w http.ResponseWriter, r *http.Request) error {
	request := struct {
		Name    string `json:"name"`
		Reason  string `json:"reason"`
		Expires string `json:"expires"`
	}{Reason: byRequest}
	if err := readRequest(w, r, &request); err != nil {
		return err
	}
	expires, err := backup.ParseExpires(request.Expires, time.Now())
	if err != nil {
		p := invalid(err)
		p.Field = "expires"
		return p
	}
	if err := s.recovered(); err != nil {
		return err
	}
	info, err := s.store.BackupUntil(r.Context(), request.Name, request.Reason, expires)
	if errors.Is(err, backup.ErrInvalidName) {
		p := invalid(err)
		p.Field = "name"
		return p
	} else if err != nil {
		return bucketProblem(err)
	}
	body, err := marshal(info)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/backups/"+url.PathEscape(info.Name))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
	return nil
}

// getBackups lists the backups and the pinned snapshots, newest first. One that is damaged does not hide the
// others.
func (s *server) getBackups(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	infos, err := s.store.Backups().List(r.Context())
	if err != nil && !unreadable(err) {
		return bucketProblem(err)
	}
	answer := struct {
		Backups  []*backup.Info `json:"backups"`
		Total    int            `json:"total"`
		Problems []string       `json:"problems,omitempty"`
	}{[]*backup.Info{}, len(infos), view.Problems(err)}
	answer.Backups = append(answer.Backups, infos...)
	slices.Reverse(answer.Backups)
	return writeJSON(w, answer)
}

func (s *server) getBackup(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	info, err := s.store.Backups().Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return bucketProblem(err)
	}
	return writeJSON(w, info)
}

// deleteBackup is for the leader only: the others may be cut off without knowing it,
// and what is deleted is gone.
func (s *server) deleteBackup(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	if err := s.leads(); err != nil {
		return err
	}
	if err := s.store.Backups().Remove(r.Context(), r.PathValue("name")); err != nil {
		return bucketProblem(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// recovered refuses while an empty state may only be not read yet.
func (s *server) recovered() error {
	if !s.store.Status().Recovered {
		return newProblem(http.StatusServiceUnavailable, "not-recovered", "not recovered", "the state is not recovered yet; /v1/status tells how far it is")
	}
	return nil
}

// leads refuses unless this process leads and its lease holds.
func (s *server) leads() error {
	switch status := s.store.Status(); {
	case status.Role != schedulerstore.Leader:
		return notLeader("this process follows")
	case status.Leader.LeaseRemainingMs <= 0:
		return notLeader("the lease has run out")
	}
	return nil
}
