package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/propagation"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/wire"
)

// postTransaction commits a transaction. Whatever goes wrong, the answer tells what
// became of it.
func (s *server) postTransaction(w http.ResponseWriter, r *http.Request) error {
	commit, err := s.transact(w, r)
	if err != nil {
		advice := "read whether it took effect before you send it again"
		if r.Header.Get("Idempotency-Key") != "" {
			advice = "repeat it with its Idempotency-Key, or read whether it took effect"
		}
		return outcomeOf(err, advice)
	}
	return writeJSON(w, commit)
}

// transact's error matches persistence.ErrUnknown unless nothing was applied.
func (s *server) transact(w http.ResponseWriter, r *http.Request) (c persistence.Commit, err error) {
	if _, err = newParameters(r); err != nil {
		return c, err
	}
	as, err := bodyTypeOf(r.Header)
	if err != nil {
		return c, err
	}
	o, err := conditions(r.Header)
	if err != nil {
		return c, err
	}
	if err = s.inHand.look(); err != nil {
		return c, err
	}
	counted := s.inHand.body(r.Body)
	defer counted.release()
	body, err := readBody(w, r, counted, s.MaxBodyBytes, "split the transaction")
	if err != nil {
		return c, err
	}
	done, err := s.inHand.begin()
	if err != nil {
		return c, err
	}
	defer done()
	if o.Key != "" {
		o.Fingerprint = fingerprint(body)
	}
	traced := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, cancel := context.WithTimeoutCause(traced, s.CommitTimeout, fmt.Errorf("no answer for %v", s.CommitTimeout))
	defer cancel()
	pending, err := s.submit(ctx, as, body, o)
	if err != nil {
		return c, err
	}
	return pending.Wait(ctx)
}

// submit parses a body and hands its transaction over, when not too many large ones
// are in hand.
func (s *server) submit(ctx context.Context, as bodyType, body []byte, o durability.WriteOptions) (*durability.Pending, error) {
	size := int64(len(body))
	if err := s.parsing.Acquire(ctx, size); err != nil {
		return nil, fmt.Errorf("%w: waiting for other large transactions: %w", persistence.ErrNotCommitted, context.Cause(ctx))
	}
	defer s.parsing.Release(size)
	ops, err := parseOps(as, body)
	if err != nil {
		return nil, invalid(err)
	}
	return s.store.Apply(ctx, ops, o)
}

// parseOps reads the ops of a transaction, at least one.
func parseOps(as bodyType, body []byte) ([]*api.Op, error) {
	parse := schema.ParseTransaction
	if as == thriftBody {
		parse = parseThrift
	}
	tx, err := parse(body)
	if err != nil {
		return nil, err
	}
	return tx.Ops, nil
}

// parseThrift reads a Transaction as clients may send it. Fields that the schema
// does not know are skipped, as is Thrift's way, but an op of an unknown kind or an
// unknown enum number is refused: what was sent would not be what is stored.
func parseThrift(data []byte) (*api.Transaction, error) {
	tx := new(api.Transaction)
	if err := tx.UnmarshalStrict(data); err != nil {
		return nil, err
	}
	if err := wholeStruct(data); err != nil {
		return nil, err
	}
	if tx.Idempotency != nil {
		return nil, &wire.PathError{Path: "idempotency", Err: errors.New("not for clients; send the header Idempotency-Key")}
	}
	if tx.CommittedKeys != nil {
		return nil, &wire.PathError{Path: "committedKeys", Err: errors.New("not for clients")}
	}
	if len(tx.Ops) == 0 {
		return nil, &wire.PathError{Path: "ops", Err: schema.ErrNoOps}
	}
	if tx.DeduplicatedTasks != nil {
		return nil, &wire.PathError{Path: "deduplicatedTasks", Err: errors.New("not for clients; send saveTasks")}
	}
	return tx, tx.Validate()
}

// wholeStruct refuses bytes after the struct that data begins with. A struct ends
// with its last byte, so if there is a whole one without the last byte of data,
// that is behind it.
func wholeStruct(data []byte) error {
	r := wire.NewReader(data[:len(data)-1])
	for r.Field() != 0 {
		r.Skip()
	}
	if !r.Failed() {
		return errors.New("there are bytes after the end of the Transaction")
	}
	return nil
}

// writeJSON answers with a value that has json tags of its own; those of package
// api go through schema.ToJSON.
func writeJSON(w http.ResponseWriter, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
	return nil
}

// marshal leaves & and < as they are: the links in answers are for copying.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
