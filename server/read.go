package server

import (
	"log/slog"
	"net/http"
	"strconv"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/storage"
)

// TransactionHeader says which state a read was answered from: the one after the
// transaction of this number.
const TransactionHeader = "Scheduler-Store-Transaction"

// read is one request for durable state.
type read struct {
	*parameters
	storage.View
	number persistence.TransactionNumber // of the view's last transaction
	staged bool                          // the view is of a staged recovery, and of no transaction
	w      http.ResponseWriter
	r      *http.Request
	logger *slog.Logger
	lists  chan struct{} // of the server
}

// read takes the parameters and the newest state, in this order: the state is to
// be as new as can be.
func (s *server) read(w http.ResponseWriter, r *http.Request, allowed ...string) (*read, error) {
	parameters, err := newParameters(r, append(allowed, "consistency")...)
	if err != nil {
		return nil, err
	}
	linearizable := false
	if consistency := parameters.one("consistency"); consistency.Set {
		if linearizable = consistency.Value == "linearizable"; !linearizable {
			parameters.fail("consistency", "%q is not known; want linearizable, or leave it out to be answered by any process", consistency.Value)
		}
	}
	if parameters.err != nil {
		return nil, parameters.err
	}
	q := &read{parameters: parameters, w: w, r: r, logger: s.Logger, lists: s.lists}
	if linearizable {
		if q.View, q.number, err = s.store.LinearizableSnapshot(); err != nil {
			return nil, notLeader("%v; ask the leader, or without consistency=linearizable", err)
		}
		return q, nil
	}
	// An empty state that is only not read yet must not be taken for an empty store.
	if err := s.recovered(); err != nil {
		return nil, err
	}
	q.View, q.number = s.store.Storage().Snapshot()
	return q, nil
}

// found writes the headers of an answer, and tells whether its body is wanted.
func (q *read) found() bool {
	h := q.w.Header()
	h.Set("Content-Type", "application/json")
	if q.staged {
		return q.r.Method != http.MethodHead
	}
	h.Set(TransactionHeader, strconv.FormatUint(uint64(q.number), 10))
	h.Set("ETag", etag(q.number))
	if n, ok := parseETag(q.r.Header.Get("If-None-Match")); ok && n == q.number {
		h.Del("Content-Type")
		q.w.WriteHeader(http.StatusNotModified)
		return false
	}
	return q.r.Method != http.MethodHead
}

// answer answers with a single value of package api, or 404.
func (q *read) answer(value any, ok bool, what, name string) error {
	if !ok {
		q.w.Header().Set(TransactionHeader, strconv.FormatUint(uint64(q.number), 10))
		return notFound(what, name)
	}
	body, err := schema.ToJSON(value)
	if err != nil {
		return err
	}
	if q.found() {
		_, _ = q.w.Write(append(body, '\n'))
	}
	return nil
}
