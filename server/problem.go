package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/wire"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// problem is an RFC 9457 problem document, and the error that becomes one.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"`
	// Outcome is what became of a transaction.
	Outcome string `json:"outcome,omitempty"`
	// Leader is the URL of the leader, if that is somebody else.
	Leader string `json:"leader,omitempty"`
	// Parameter is the query parameter or header that is wrong.
	Parameter string `json:"parameter,omitempty"`
	// Field is the part of the body that is wrong.
	Field string `json:"field,omitempty"`
	// elsewhere tells that the leader could do what was asked.
	elsewhere bool
}

func (p *problem) Error() string { return p.Detail }

// The outcomes of a transaction that was not acknowledged.
const (
	notCommitted = "not committed"
	unknown      = "unknown"
)

// problemType is what all types of problems begin with.
const problemType = "urn:scheduler-store:problem:"

// newProblem's kind is what programs tell problems apart by, its title the same for
// people.
func newProblem(status int, kind, title, detail string, values ...any) *problem {
	return &problem{Type: problemType + kind, Title: title, Status: status, Detail: fmt.Sprintf(detail, values...)}
}

// badParameter is a query parameter or a header that can't be used.
func badParameter(name, detail string, values ...any) *problem {
	p := newProblem(http.StatusBadRequest, "invalid-parameter", "invalid parameter", detail, values...)
	p.Parameter, p.Detail = name, name+": "+p.Detail
	return p
}

func invalid(err error) *problem {
	p := newProblem(http.StatusBadRequest, "invalid-request", "invalid request", "%v", err)
	if at, ok := errors.AsType[*wire.PathError](err); ok {
		p.Field = at.Path
	}
	return p
}

func tooLarge(detail string, values ...any) *problem {
	return newProblem(http.StatusRequestEntityTooLarge, "too-large", "too large", detail, values...)
}

func notFound(what, name string) *problem {
	return newProblem(http.StatusNotFound, "not-found", "not found", "there is no %s %q", what, name)
}

func notLeader(detail string, values ...any) *problem {
	p := newProblem(http.StatusServiceUnavailable, "not-leader", "not the leader", detail, values...)
	p.elsewhere = true
	return p
}

// bucketProblem says of an error that is not about what lies in the bucket that the
// bucket could not be used.
func bucketProblem(err error) error {
	if p := problemOf(err); p.Type != problemType+"internal" || blob.IsNewerFormat(err) {
		return err
	}
	return unavailable("store-unavailable", "%v", err)
}

// outcomeOf is the problem of a request whose error tells what became of a
// transaction. advice is for when that is not known.
func outcomeOf(err error, advice string) *problem {
	p := *problemOf(err)
	p.Outcome = notCommitted
	if errors.Is(err, persistence.ErrUnknown) {
		p.Outcome = unknown
		p.Detail += "; " + advice
	}
	return &p
}

// problemOf tells an error of the store in HTTP's terms. What a client can't be
// blamed for is said to be the server's fault.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	switch {
	// First, as nothing else is sure then.
	case errors.Is(err, persistence.ErrUnknown):
		return newProblem(http.StatusGatewayTimeout, "outcome-unknown", "outcome unknown", "%v", err)
	case errors.Is(err, durability.ErrConflict):
		return newProblem(http.StatusPreconditionFailed, "conflict", "other transactions have come since", "%v", err)
	case errors.Is(err, durability.ErrKeyReused):
		return newProblem(http.StatusUnprocessableEntity, "key-reused", "idempotency key reused", "%v", err)
	case errors.Is(err, blob.ErrTooLarge):
		return tooLarge("%v", err)
	case errors.Is(err, durability.ErrNotLeader), errors.Is(err, persistence.ErrDeposed):
		return notLeader("%v", err)
	case errors.Is(err, garbage.ErrDoubt):
		return newProblem(http.StatusConflict, "garbage-kept", "garbage was kept", "%v", err)
	// Of a restore, before that nothing was committed: what was asked for is not there.
	case errors.Is(err, blob.ErrNotYet):
		return newProblem(http.StatusNotFound, "not-yet", "not there yet", "%v", err)
	case errors.Is(err, blob.ErrCollected):
		return newProblem(http.StatusGone, "collected", "no longer there", "%v", err)
	case errors.Is(err, persistence.ErrNotCommitted) && errors.Is(err, storage.ErrInvalidArgument):
		return invalid(err)
	case errors.Is(err, blob.ErrDamaged):
		return newProblem(http.StatusInternalServerError, "damaged", "damaged", "%v", err)
	case errors.Is(err, persistence.ErrNotCommitted):
		p := newProblem(http.StatusServiceUnavailable, "not-committed", "not committed", "%v", err)
		p.elsewhere = true
		return p
	case errors.Is(err, storage.ErrInvalidArgument), errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrIllegalState):
		return invalid(err)
	case errors.Is(err, schedulerstore.ErrClosed):
		return errEnding
	case errors.Is(err, backup.ErrNotExist):
		return newProblem(http.StatusNotFound, "not-found", "not found", "%v", err)
	case errors.Is(err, backup.ErrExists):
		return newProblem(http.StatusConflict, "exists", "exists already", "%v", err)
	case errors.Is(err, backup.ErrInvalidName):
		return invalid(err)
	case errors.Is(err, backup.ErrNotStaged):
		return newProblem(http.StatusNotFound, "not-staged", "no backup staged", "%v", err)
	case errors.Is(err, backup.ErrAlreadyStaged):
		return newProblem(http.StatusConflict, "already-staged", "a backup is staged already", "%v", err)
	case errors.Is(err, blob.ErrDamaged), errors.Is(err, snapshot.ErrDamaged):
		return newProblem(http.StatusInternalServerError, "damaged", "damaged", "%v", err)
	case errors.Is(err, bucket.ErrNotExist):
		return newProblem(http.StatusNotFound, "not-found", "not found", "%v", err)
	}
	return newProblem(http.StatusInternalServerError, "internal", "internal error", "%v", err)
}

// refuse answers with a problem document.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := *problemOf(err)
	p.Instance = r.URL.EscapedPath()
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
		if leader := s.otherLeader(); leader != "" && p.elsewhere {
			p.Leader = leader
			w.Header().Set("Location", leader+r.URL.RequestURI())
		}
	}
	switch {
	case r.Context().Err() != nil: // nobody hears the answer
		s.Logger.Debug("the client went before it was answered", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	case p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable:
		s.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	}
	body, err := marshal(&p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// otherLeader is the URL of the leader, without a slash at its end, if there is
// another process known to lead.
func (s *server) otherLeader() string {
	status := s.store.Status()
	if status.Role == schedulerstore.Leader || status.Leader == nil {
		return ""
	}
	leader := strings.TrimSuffix(status.Leader.URL, "/")
	u, err := url.Parse(leader)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || leader == strings.TrimSuffix(s.URL, "/") {
		return ""
	}
	return leader
}
