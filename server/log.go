package server

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// How many entries a page of the log has.
const (
	logPage    = 20
	maxLogPage = 1000
)

// getLog lists the entries of the history, newest first.
func (s *server) getLog(w http.ResponseWriter, r *http.Request) error {
	p, err := newParameters(r, "limit", "before")
	if err != nil {
		return err
	}
	limit, before := p.number("limit"), s.logEnd()
	if limit == 0 {
		limit = logPage
	} else if limit > maxLogPage {
		p.fail("limit", "%d is more than the %d allowed", limit, maxLogPage)
	}
	if text := p.one("before"); text.Set {
		position, err := parsePosition(text.Value)
		if err != nil {
			p.fail("before", "%v", err)
		}
		before = min(before, position)
	}
	if p.err != nil {
		return p.err
	}
	keys, err := s.store.Log().Keys(r.Context())
	if err != nil {
		return bucketProblem(err)
	}
	keys, more := newestFirst(keys, before, limit)
	entries, err := view.Headers(r.Context(), s.store.Log(), keys)
	if err != nil {
		return bucketProblem(err)
	}
	answer := struct {
		Entries []*view.Entry `json:"entries"`
		Next    string        `json:"next,omitempty"`
	}{Entries: entries}
	if more {
		answer.Next = fmt.Sprintf("/v1/log?before=%d&limit=%d", keys[len(keys)-1].Position, limit)
	}
	return writeJSON(w, answer)
}

// logEnd is the position behind the entries that are applied here. What lies from
// there on may not be part of the history.
func (s *server) logEnd() persistence.Position {
	if c := s.store.Storage().Checkpoint(); c != nil {
		return c.At.Next
	}
	return 0
}

func parsePosition(text string) (persistence.Position, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no position in the log", text)
	}
	return persistence.Position(n), nil
}

// newestFirst takes from keys, which are in order, the last limit ones of the history
// before a position.
func newestFirst(keys []blob.EntryKey, before persistence.Position, limit int) (page []blob.EntryKey, more bool) {
	page = slices.DeleteFunc(blob.WithoutOrphans(keys), func(k blob.EntryKey) bool { return k.Position >= before })
	slices.Reverse(page)
	if len(page) > limit {
		return page[:limit], true
	}
	return page, false
}

// getLogEntry shows one entry with its transactions.
func (s *server) getLogEntry(w http.ResponseWriter, r *http.Request) error {
	if _, err := newParameters(r); err != nil {
		return err
	}
	position, err := parsePosition(r.PathValue("position"))
	if err != nil {
		return badParameter("position", "%v", err)
	}
	if position >= s.logEnd() {
		return notFound("entry at position", position.String())
	}
	entry, _, err := s.store.Log().Get(r.Context(), position)
	if err != nil {
		return bucketProblem(err)
	}
	e := view.Whole(entry)
	if len(e.Transactions) == 0 {
		e.Transactions = nil
	}
	return writeJSON(w, e)
}
