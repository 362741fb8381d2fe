package server

import "net/http"

func (s *server) getStatus(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	return writeJSON(w, s.store.Status())
}

// The three of health, getLeaderz is in standby.go, take any parameter: those who ask
// have odd habits.

// getHealthz is bad only when it would not help to wait: what asks may restart the
// process.
func (s *server) getHealthz(w http.ResponseWriter, _ *http.Request) error {
	if status := s.store.Status(); status.ProblemLasts {
		return unavailable("unhealthy", "%s", status.Problem)
	}
	return ok(w)
}

// getReadyz is good when reads answer from a state that is kept up to date.
func (s *server) getReadyz(w http.ResponseWriter, _ *http.Request) error {
	switch status := s.store.Status(); {
	case status.Problem != "":
		return unavailable("not-ready", "%s", status.Problem)
	case !status.Recovered:
		return unavailable("not-ready", "the state is not recovered yet")
	}
	return ok(w)
}

func unavailable(kind, detail string, values ...any) error {
	return newProblem(http.StatusServiceUnavailable, kind, "unavailable", detail, values...)
}

func ok(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}
