package server

import (
	"errors"
	"net/http"
	"slices"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// A backup is staged in the memory of one process: the leader, which alone can make
// it the state. So a process that has none staged, and does not lead, sends those who
// ask to the leader.

// postRecovery stages a backup.
func (s *server) postRecovery(w http.ResponseWriter, r *http.Request) error {
	var request struct {
		Backup string `json:"backup"`
	}
	if err := readRequest(w, r, &request); err != nil {
		return err
	}
	if request.Backup == "" {
		p := invalid(errors.New(`backup: missing; want {"backup":"name"}, with a name that /v1/backups lists`))
		p.Field = "backup"
		return p
	}
	if err := s.leads(); err != nil {
		return err
	}
	info, err := s.store.Recovery().Stage(r.Context(), request.Backup)
	if err != nil {
		return bucketProblem(err)
	}
	return writeJSON(w, info)
}

// getRecovery tells what is staged.
func (s *server) getRecovery(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	info, err := s.staged()
	if err != nil {
		return err
	}
	return writeJSON(w, info)
}

// staged is what is staged here. If it is nothing, the leader may know more.
func (s *server) staged() (*backup.Info, error) {
	if info, ok := s.store.Recovery().Staged(); ok {
		return info, nil
	}
	if err := s.leads(); err != nil {
		return nil, err
	}
	return nil, backup.ErrNotStaged
}

// readStaged is read for the staged state, which is that of no transaction.
func (s *server) readStaged(w http.ResponseWriter, r *http.Request, allowed ...string) (*read, error) {
	parameters, err := newParameters(r, allowed...)
	if err != nil {
		return nil, err
	}
	if _, err := s.staged(); err != nil {
		return nil, err
	}
	view, err := s.store.Recovery().View()
	if err != nil {
		return nil, err
	}
	return &read{parameters: parameters, View: view, staged: true, w: w, r: r, logger: s.Logger, lists: s.lists}, nil
}

// getStagedTasks lists tasks of the staged state (Aurora: queryRecovery).
func (s *server) getStagedTasks(w http.ResponseWriter, r *http.Request) error {
	q, err := s.readStaged(w, r, slices.Concat(taskFilters, listing)...)
	if err != nil {
		return err
	}
	return q.listTasks()
}

// deleteStagedTasks deletes tasks from the staged state (Aurora: deleteRecoveryTasks).
// All are deleted only when it is said in so many words.
func (s *server) deleteStagedTasks(w http.ResponseWriter, r *http.Request) error {
	q, err := s.readStaged(w, r, append([]string{"all"}, taskFilters...)...)
	if err != nil {
		return err
	}
	query, err := q.deletion()
	if err != nil {
		return err
	}
	answer := struct {
		Deleted int `json:"deleted"`
	}{}
	if query != nil {
		if answer.Deleted, err = s.store.Recovery().DeleteTasks(query); err != nil {
			return err
		}
	}
	return writeJSON(w, answer)
}

// deletion is a query for what is to be deleted, nil if that is nothing.
func (q *read) deletion() (*api.TaskQuery, error) {
	all := q.one("all")
	switch filtered := q.given(taskFilters...); {
	case q.err != nil:
		return nil, q.err
	case all.Set && all.Value != "true":
		return nil, badParameter("all", "%q is not known; want all=true, or leave it out", all.Value)
	case all.Set && filtered:
		return nil, badParameter("all", "all tasks, or those that filters match, not both")
	case all.Set:
		return &api.TaskQuery{}, nil
	case !filtered:
		return nil, newProblem(http.StatusBadRequest, "invalid-request", "invalid request",
			"no filter is given; want one of role, environment, job, id, instance, status, host, slave, or all=true to delete every task")
	}
	query, err := q.taskQuery()
	if err != nil || !q.given("slave") {
		return query, err
	}
	// The stores do not know this filter, so the tasks are named one by one.
	tasks, err := q.tasks()
	if err != nil {
		return nil, err
	}
	var ids []string
	for task := range tasks {
		ids = append(ids, task.AssignedTask.TaskID.Value)
	}
	if len(ids) == 0 {
		return nil, nil // a query without ids would match everything
	}
	return &api.TaskQuery{TaskIDs: ids}, nil
}

// commitRecovery makes the staged state that of the store.
func (s *server) commitRecovery(w http.ResponseWriter, r *http.Request) error {
	err := readRequest(w, r, &struct{}{})
	if err == nil {
		_, err = s.staged()
	}
	o, bad := conditions(r.Header)
	if err == nil {
		err = bad
	}
	if err == nil && o.Key != "" {
		err = badParameter("Idempotency-Key", "not for a recovery: a commit that is repeated finds nothing staged; If-Match makes it conditional")
	}
	if err != nil {
		return outcomeOf(err, "")
	}
	commit, err := s.store.Recovery().Commit(r.Context(), o.After)
	if err != nil {
		return outcomeOf(bucketProblem(err), "read the state once a leader is there, before you stage the backup again")
	}
	return writeJSON(w, commit)
}

// deleteRecovery forgets what is staged.
func (s *server) deleteRecovery(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	if _, err := s.staged(); err != nil && !errors.Is(err, backup.ErrNotStaged) {
		return err
	}
	s.store.Recovery().Unload()
	w.WriteHeader(http.StatusNoContent)
	return nil
}
