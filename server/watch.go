package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// heartbeat is how long nothing is sent at most: whoever watches, and what is between,
// can tell an idle store from a dead connection. It is less than pieceTimeout, which
// with HTTP/2 runs on while nothing is sent.
const heartbeat = 15 * time.Second

// defaultMaxWatches is enough for each host of a cluster's control plane, and few
// enough that all of them can be told of each transaction.
const defaultMaxWatches = 256

// getWatch tells of each transaction, until the client goes or the server ends. It
// answers once it knows that it has the first.
func (s *server) getWatch(w http.ResponseWriter, r *http.Request) error {
	from, err := watchFrom(r)
	if err != nil {
		return err
	}
	if err := s.recovered(); err != nil {
		return err
	}
	if from == 0 {
		_, newest := s.store.Storage().Snapshot()
		from = newest + 1
	}
	select {
	case s.watches <- struct{}{}:
		defer func() { <-s.watches }()
	default:
		return newProblem(http.StatusServiceUnavailable, "too-many-watches", "too many watches",
			"%d clients watch already, which is as many as are allowed; ask another process of the store, or later", cap(s.watches))
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()

	told := make(chan told)
	go func() {
		defer close(told)
		s.watch(ctx, from, told)
	}()
	defer func() {
		cancel()
		for range told { // until it has ended
		}
	}()
	var first *durability.Change
	if _, ok := s.store.Storage().Changes(from - 1); !ok { // the log has to be asked
		t, ok := <-told
		if !ok {
			return errEnding
		}
		if t.err != nil {
			return t.err
		}
		first = t.change
	}
	stream := newStream(w)
	if r.Method != http.MethodHead {
		s.stream(stream, first, told)
	}
	return nil
}

// told is what comes from a watch.
type told struct {
	change *durability.Change
	err    error
}

func (s *server) watch(ctx context.Context, from persistence.TransactionNumber, to chan<- told) {
	for change, err := range s.store.Watch(ctx, from) {
		select {
		case to <- told{change, err}:
		case <-ctx.Done():
			return
		}
	}
}

// stream tells what comes until nothing does any more, or the client does not take it.
func (s *server) stream(out *stream, first *durability.Change, changes <-chan told) {
	err := out.begin()
	if first != nil && err == nil {
		err = out.change(first)
	}
	idle := time.NewTimer(heartbeat)
	defer idle.Stop()
	for err == nil {
		idle.Reset(heartbeat)
		select {
		case t, ok := <-changes:
			if !ok {
				return
			}
			if t.err != nil {
				s.watchEnded(out, t.err)
				return
			}
			err = out.change(t.change)
		case <-idle.C:
			err = out.comment("still here")
		}
	}
	s.Logger.Debug("watch was cut off", "error", err)
}

// watchEnded tells why, for people. A client that comes back, with its Last-Event-ID,
// gets it as a problem if it still holds.
func (s *server) watchEnded(out *stream, err error) {
	if !errors.Is(err, schedulerstore.ErrClosed) {
		s.Logger.Warn("watch ended", "error", err)
	}
	_ = out.comment("ended, come back")
}

// watchFrom reads which transaction is to be the first, 0 for the next that comes.
// Last-Event-ID, which a browser sends by itself when it comes back, is the newer word.
func watchFrom(r *http.Request) (persistence.TransactionNumber, error) {
	p, err := newParameters(r, "from")
	if err != nil {
		return 0, err
	}
	from := p.one("from")
	if p.err != nil {
		return 0, p.err
	}
	var number persistence.TransactionNumber
	if from.Set {
		n, err := strconv.ParseUint(from.Value, 10, 63)
		if err != nil || n == 0 {
			return 0, badParameter("from", "%q is no transaction's number: they begin with 1; leave it out for those that come from now on", from.Value)
		}
		number = persistence.TransactionNumber(n)
	}
	ids := r.Header.Values("Last-Event-ID")
	if len(ids) == 0 {
		return number, nil
	}
	last, err := strconv.ParseUint(ids[0], 10, 63)
	if err != nil || len(ids) > 1 {
		return 0, badParameter("Last-Event-ID", "want it once, with the id of an event of /v1/watch: a transaction's number")
	}
	return persistence.TransactionNumber(last) + 1, nil
}

// errEnding answers a watch that had not begun when the server or the store ended.
var errEnding = newProblem(http.StatusServiceUnavailable, "ending", "ending", "this process is ending; ask another, or later")

// stream is an answer of server-sent events. Each is sent at once, and a client that
// does not take it in time is cut off.
type stream struct {
	out     *bufio.Writer
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	return &stream{newPieces(w), http.NewResponseController(w)}
}

// begin sends the headers, so that the client knows that it watches.
func (s *stream) begin() error { return s.comment("watching") }

func (s *stream) comment(text string) error {
	return s.send(": %s\n\n", text)
}

func (s *stream) change(c *durability.Change) error {
	event := "transaction"
	if c.Reset {
		event = "reset"
	}
	data, err := schema.ToJSON(watched{c.Transaction, c.Position, c.Epoch, c.Time, c.Ops, c.Events})
	if err != nil {
		return err
	}
	return s.send("id: %d\nevent: %s\ndata: %s\n\n", c.Transaction, event, data)
}

func (s *stream) send(format string, values ...any) error {
	fmt.Fprintf(s.out, format, values...)
	if err := s.out.Flush(); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// watched is a change as told. A reset has no ops; events are missing where they are
// not known any more.
type watched struct {
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	Epoch       persistence.Epoch             `json:"epoch"`
	Time        time.Time                     `json:"time,omitzero"`
	Ops         []*api.Op                     `json:"ops,omitzero"`
	Events      []durability.Event            `json:"events,omitzero"`
}
