package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// How many entries a page of the log has, and how many of their headers are asked
// for at once.
const (
	logPage     = 20
	maxLogPage  = 1000
	logParallel = 16
)

// logEntry is an entry as shown.
type logEntry struct {
	Position persistence.Position `json:"position"`
	Epoch    persistence.Epoch    `json:"epoch"`
	Kind     string               `json:"kind,omitempty"`
	// NextEpoch is the epoch that a seal names.
	NextEpoch persistence.Epoch             `json:"nextEpoch,omitempty"`
	First     persistence.TransactionNumber `json:"firstTransaction,omitempty"`
	Count     int                           `json:"transactionCount"`
	Time      *time.Time                    `json:"time,omitempty"`
	Writer    string                        `json:"writer,omitempty"`
	Prev      string                        `json:"prev,omitempty"`
	Hash      string                        `json:"hash,omitempty"`
	Object    string                        `json:"object"`
	// Bytes is the object's size, RawBytes that of the transactions in it.
	Bytes        int64            `json:"bytes"`
	RawBytes     int              `json:"rawBytes"`
	Transactions []logTransaction `json:"transactions,omitempty"`
	// Problem is what is wrong with it.
	Problem string `json:"problem,omitempty"`
}

type logTransaction struct {
	Transaction    persistence.TransactionNumber `json:"transaction"`
	IdempotencyKey string                        `json:"idempotencyKey,omitempty"`
	Ops            json.RawMessage               `json:"ops,omitempty"`
	Problem        string                        `json:"problem,omitempty"`
}

func (e *logEntry) describe(h *blob.Header) {
	e.Kind, e.First, e.Count, e.RawBytes = h.Kind.String(), h.First, h.Count, h.RawSize
	e.Writer, e.Prev, e.Time = h.Writer.String(), h.Prev.String(), &h.Time
}

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
		return logProblem(err)
	}
	keys, more := newestFirst(keys, before, limit)
	entries, err := s.describe(r.Context(), keys)
	if err != nil {
		return logProblem(err)
	}
	answer := struct {
		Entries []*logEntry `json:"entries"`
		Next    string      `json:"next,omitempty"`
	}{Entries: entries}
	if more {
		answer.Next = fmt.Sprintf("/v1/log?before=%d&limit=%d", keys[len(keys)-1].Position, limit)
	}
	return writeJSON(w, answer)
}

// logProblem says of an error that is not about the log itself that the bucket
// could not be read.
func logProblem(err error) error {
	if errors.Is(err, blob.ErrDamaged) || errors.Is(err, bucket.ErrNotExist) || blob.IsNewerFormat(err) {
		return err
	}
	return unavailable("store-unavailable", "%v", err)
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

// newestFirst takes from keys, which are in order, the last limit ones before a
// position. Of several at one position that of the newest epoch is in the history:
// the others were landed beyond a seal by a writer that was deposed.
func newestFirst(keys []blob.EntryKey, before persistence.Position, limit int) (page []blob.EntryKey, more bool) {
	page = []blob.EntryKey{}
	for i := len(keys) - 1; i >= 0; i-- {
		k := keys[i]
		if k.Position >= before || len(page) > 0 && page[len(page)-1].Position == k.Position {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, k)
	}
	return page, false
}

// describe reads the headers of entries. One that is damaged is shown as such; one
// that was collected meanwhile is left out.
func (s *server) describe(ctx context.Context, keys []blob.EntryKey) ([]*logEntry, error) {
	found := make([]*logEntry, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(logParallel)
	for i, k := range keys {
		group.Go(func() error {
			e := &logEntry{Position: k.Position, Epoch: k.Epoch, Object: blob.Key(k.Epoch, k.Position), Bytes: k.Size}
			for h, err := range s.store.Log().Headers(ctx, keys[i:i+1]) {
				switch {
				case errors.Is(err, bucket.ErrNotExist):
					return nil
				case errors.Is(err, blob.ErrDamaged):
					e.Problem = err.Error()
				case err != nil:
					return err
				default:
					e.describe(&h)
				}
			}
			found[i] = e
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	entries := make([]*logEntry, 0, len(found))
	for _, e := range found {
		if e != nil {
			entries = append(entries, e)
		}
	}
	return entries, nil
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
	entry, key, err := s.store.Log().Get(r.Context(), position)
	if err != nil {
		return logProblem(err)
	}
	e := &logEntry{Position: entry.Position, Epoch: entry.Epoch, NextEpoch: entry.NextEpoch, Object: key, Hash: entry.Hash.String()}
	e.describe(&entry.Header)
	e.Bytes = entry.Size()
	for i, record := range entry.Records {
		e.Transactions = append(e.Transactions, showTransaction(entry.First+persistence.TransactionNumber(i), record))
	}
	return writeJSON(w, e)
}

func showTransaction(n persistence.TransactionNumber, record []byte) logTransaction {
	shown, tx := logTransaction{Transaction: n}, new(api.Transaction)
	err := tx.UnmarshalBinary(record)
	if err == nil {
		shown.Ops, err = schema.ToJSON(tx.Ops)
	}
	if err != nil {
		shown.Problem = err.Error()
	}
	if tx.Idempotency != nil {
		shown.IdempotencyKey = tx.Idempotency.Key.Get()
	}
	return shown
}
