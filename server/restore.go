package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// postRestore makes the state of a backup, or a past one, the store's.
func (s *server) postRestore(w http.ResponseWriter, r *http.Request) error {
	var request struct {
		Backup string `json:"backup"`
		At     string `json:"at"`
		Reason string `json:"reason"`
	}
	if err := readRequest(w, r, &request); err != nil {
		return outcomeOf(err, "")
	}
	if (request.Backup == "") == (request.At == "") {
		return outcomeOf(invalid(errors.New(`want either {"backup":"name"}, with a name that /v1/backups lists, or {"at":"…"}, with a position, a transaction (transaction:41), a time or an age`)), "")
	}
	var until blob.Until
	if request.At != "" {
		var err error
		if until, err = blob.ParseUntil(request.At, time.Now()); err != nil {
			p := invalid(err)
			p.Field = "at"
			return outcomeOf(p, "")
		}
	}
	if err := s.leads(); err != nil {
		return outcomeOf(err, "")
	}
	var commit persistence.Commit
	var err error
	if request.Backup != "" {
		commit, err = s.store.RestoreBackup(r.Context(), s.store.Backups(), request.Backup, request.Reason)
	} else {
		commit, err = s.store.RestoreAt(r.Context(), until, request.Reason)
	}
	if err != nil {
		return outcomeOf(bucketProblem(err), "look at the log's newest entries before you try again")
	}
	return writeJSON(w, commit)
}
