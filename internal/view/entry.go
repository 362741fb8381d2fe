// Package view has the JSON forms of what a store's bucket holds, where the HTTP API
// and the command show the same: the log's entries, and snapshots.
package view

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Entry is an entry of the log.
type Entry struct {
	Position persistence.Position `json:"position"`
	Epoch    persistence.Epoch    `json:"epoch"`
	// Kind is empty if the entry could not be read.
	Kind string `json:"kind,omitzero"`
	// NextEpoch is the epoch that a seal names.
	NextEpoch persistence.Epoch `json:"nextEpoch,omitzero"`
	// Host is where a seal says that the leader of that epoch runs.
	Host   string                        `json:"host,omitzero"`
	First  persistence.TransactionNumber `json:"firstTransaction,omitzero"`
	Count  int                           `json:"transactionCount"`
	Time   *time.Time                    `json:"time,omitzero"`
	Writer string                        `json:"writer,omitzero"`
	Prev   string                        `json:"prev,omitzero"`
	Hash   string                        `json:"hash,omitzero"`
	Object string                        `json:"object"`
	// Bytes is the object's size, RawBytes that of what is packed in it.
	Bytes    int64 `json:"bytes"`
	RawBytes int   `json:"rawBytes"`
	// Transactions are those of an entry that was read whole.
	Transactions []Transaction `json:"transactions,omitzero"`
	// Restore is what a restore names.
	Restore *blob.Restore `json:"restore,omitzero"`
	// Orphan tells that the entry lies beyond a seal, so that it is not part of the
	// history.
	Orphan bool `json:"orphan,omitzero"`
	// Problem is why the entry could not be read.
	Problem string `json:"problem,omitzero"`
}

// Transaction is one transaction of an entry.
type Transaction struct {
	Transaction    persistence.TransactionNumber `json:"transaction"`
	IdempotencyKey string                        `json:"idempotencyKey,omitzero"`
	Ops            jsontext.Value                `json:"ops,omitzero"`
	// Problem is why the transaction could not be shown.
	Problem string `json:"problem,omitzero"`
}

// parallel is the number of headers that are asked for at once: latency counts here,
// not bytes.
const parallel = 16

// Headers reads the headers of entries, in the order of their keys. An entry that is
// damaged has its problem; one that was collected meanwhile is left out.
func Headers(ctx context.Context, log *blob.Log, keys []blob.EntryKey) ([]*Entry, error) {
	found := make([]*Entry, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, k := range keys {
		group.Go(func() (err error) {
			found[i], err = header(ctx, log, k)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	entries := make([]*Entry, 0, len(found))
	for _, e := range found {
		if e != nil {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// header is nil for an entry that is not there any more.
func header(ctx context.Context, log *blob.Log, k blob.EntryKey) (*Entry, error) {
	e := &Entry{Position: k.Position, Epoch: k.Epoch, Object: blob.Key(k.Epoch, k.Position), Bytes: k.Size}
	for h, err := range log.Headers(ctx, []blob.EntryKey{k}) {
		switch {
		case errors.Is(err, bucket.ErrNotExist):
			return nil, nil
		case errors.Is(err, blob.ErrDamaged):
			e.Problem = problem(err)
		case err != nil:
			return nil, err
		default:
			e.describe(&h)
		}
	}
	return e, nil
}

// Whole shows an entry with what is in it.
func Whole(from *blob.Entry) *Entry {
	e := &Entry{Position: from.Position, Epoch: from.Epoch, Object: blob.Key(from.Epoch, from.Position), Bytes: from.Size(),
		NextEpoch: from.NextEpoch, Host: strings.ToValidUTF8(from.Host, "\ufffd"), Restore: from.Restore, Hash: from.Hash.String(), Transactions: []Transaction{}}
	e.describe(&from.Header)
	if from.Kind != blob.KindRecords { // what it has is no transaction
		return e
	}
	for i, record := range from.Records {
		e.Transactions = append(e.Transactions, transaction(from.First+persistence.TransactionNumber(i), record))
	}
	return e
}

func (e *Entry) describe(h *blob.Header) {
	e.Kind, e.First, e.Count, e.RawBytes = h.Kind.String(), h.First, h.Count, h.RawSize
	e.Writer, e.Prev, e.Time = h.Writer.String(), h.Prev.String(), &h.Time
}

func transaction(n persistence.TransactionNumber, record []byte) Transaction {
	shown, tx := Transaction{Transaction: n}, new(api.Transaction)
	err := tx.UnmarshalBinary(record)
	if err == nil {
		shown.Ops, err = schema.ToJSON(tx.Ops)
	}
	if err != nil {
		shown.Ops, shown.Problem = nil, problem(err)
	}
	if tx.Idempotency != nil {
		shown.IdempotencyKey = strings.ToValidUTF8(tx.Idempotency.Key.Get(), "\ufffd")
	}
	return shown
}

// problem is an error as it can be shown in JSON, whatever damaged bytes it quotes.
func problem(err error) string { return strings.ToValidUTF8(err.Error(), "\ufffd") }
