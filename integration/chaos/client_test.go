package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

// registers is the number of those that clients write.
const registers = 8

// client writes and reads, one thing after another, and keeps what it was told.
type client struct {
	*chaos
	name   string
	random *rand.Rand
	only   string // the URL that it asks in any case, if not empty
	wrote  int
	ops    []check.Op // of its own goroutine until it has ended
	tally
}

// tally counts what clients were told.
type tally struct{ committed, refused, unknown, reads atomic.Int64 }

func (t *tally) add(c *client) {
	t.committed.Add(c.committed.Load())
	t.refused.Add(c.refused.Load())
	t.unknown.Add(c.unknown.Load())
	t.reads.Add(c.reads.Load())
}

func newClient(c *chaos, i int) *client {
	return &client{chaos: c, name: fmt.Sprint("client-", i), random: rand.New(rand.NewPCG(c.seed, uint64(1+i)))}
}

func (c *client) run() {
	for !c.isStopping() {
		switch n := c.random.IntN(20); {
		case n < 9:
			c.read()
		case n < 14:
			c.write()
		case n < 19:
			c.writeUntilItIs()
		default:
			c.writeIfNothingChanged()
		}
		// Many have something on its way when something is done to the daemons.
		time.Sleep(time.Duration(c.random.Int64N(int64(120 * time.Millisecond))))
	}
}

// some are registers with a value that nobody else writes.
func (c *client) some() map[string]string {
	c.wrote++
	value, wrote := fmt.Sprintf("%s/%d", c.name, c.wrote), map[string]string{}
	for range 1 + c.random.IntN(3) {
		wrote[fmt.Sprint("register-", c.random.IntN(registers))] = value
	}
	return wrote
}

// write tries to write something new, once.
func (c *client) write() check.Outcome { return c.try(c.some(), nil, nil) }

// writeUntilItIs writes with an idempotency key, and tries until it is told that it is
// done; sometimes it gives up.
func (c *client) writeUntilItIs() {
	wrote := c.some()
	header := map[string]string{"Idempotency-Key": fmt.Sprintf("%s-%d", c.name, c.wrote)}
	gives := c.random.IntN(5) == 0
	for deadline := time.Now().Add(2 * stuck); time.Now().Before(deadline); {
		if c.Context().Err() != nil { // the test has failed
			return
		}
		outcome := c.try(wrote, nil, header)
		if outcome == check.Committed || gives && outcome == check.Unknown {
			return
		}
	}
	c.problem("%s has tried for %v to write %v", c.name, 2*stuck, wrote)
}

// writeIfNothingChanged reads, and writes on the condition that it is still so.
func (c *client) writeIfNothingChanged() {
	saw, number := c.read()
	if saw != nil {
		c.try(c.some(), saw, map[string]string{"If-Match": strconv.Quote(strconv.FormatUint(uint64(number), 10))})
	}
}

// try sends a transaction once, and notes what it was told.
func (c *client) try(wrote, saw map[string]string, header map[string]string) check.Outcome {
	body, err := schema.ToJSON(map[string]any{"ops": check.Ops(wrote)})
	if err != nil {
		c.problem("%v", err)
		return check.Failed
	}
	at := c.choose()
	op := check.Op{Client: c.name, Process: at, Key: header["Idempotency-Key"], Invoked: time.Since(c.began), Wrote: wrote, Saw: saw}
	a := c.send(http.MethodPost, at, "/v1/transactions", body, header)
	op.Returned = time.Since(c.began)
	op.Outcome, op.Commit = a.outcome(c.chaos)
	c.ops = append(c.ops, op)
	c.heard(at, op.Outcome == check.Committed, a)
	switch op.Outcome {
	case check.Committed:
		c.committed.Add(1)
	case check.Unknown:
		c.unknown.Add(1)
	default:
		c.refused.Add(1)
	}
	return op.Outcome
}

// read reads all registers, linearizably; nil if it was not answered.
func (c *client) read() (map[string]string, persistence.TransactionNumber) {
	at := c.choose()
	op := check.Op{Client: c.name, Process: at, Kind: check.Read, Invoked: time.Since(c.began)}
	a := c.send(http.MethodGet, at, "/v1/hosts?consistency=linearizable", nil, nil)
	op.Returned = time.Since(c.began)
	saw, number, ok := a.registers(c.chaos)
	c.heard(at, ok, a)
	if !ok {
		return nil, 0
	}
	op.Outcome, op.Saw, op.Commit.Transaction = check.Committed, saw, number
	c.ops = append(c.ops, op)
	c.reads.Add(1)
	return saw, number
}

// choose says whom to ask: who leads as far as is known, and now and then anybody.
func (c *client) choose() string {
	if c.only != "" {
		return c.only
	}
	if hint := c.hint.Load(); hint != nil && c.random.IntN(12) > 0 {
		return *hint
	}
	_, url, _ := c.slots[c.random.IntN(daemons)].running()
	return url
}

// heard takes an answer for what it says of who leads, and waits a little if it is bad.
func (c *client) heard(at string, good bool, a *answer) {
	switch {
	case good:
		c.hint.Store(&at)
		return
	case a.problem.Leader != "":
		c.hint.Store(&a.problem.Leader)
	default:
		if hint := c.hint.Load(); hint != nil && *hint == at && a.status != http.StatusPreconditionFailed {
			c.hint.CompareAndSwap(hint, nil)
		}
	}
	time.Sleep(time.Duration(20+c.random.IntN(180)) * time.Millisecond)
}

// answer is what came of a request.
type answer struct {
	err     error
	status  int
	header  http.Header
	body    []byte
	problem struct{ Type, Detail, Outcome, Leader string }
}

var httpClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// send sends a request, and gives up after a time of chance.
func (c *client) send(method, url, path string, body []byte, header map[string]string) *answer {
	patience := 2 * time.Second
	if c.random.IntN(4) == 0 {
		patience = time.Duration(50+c.random.IntN(8000)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	return ask(ctx, method, url, path, body, header)
}

func ask(ctx context.Context, method, url, path string, body []byte, header map[string]string) *answer {
	a := &answer{}
	if url == "" { // it does not listen
		a.err = &net.OpError{Op: "dial", Err: errors.New("it does not run")}
		return a
	}
	request, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	// The HTTP client would send what has an idempotency key again by itself: then an
	// error to connect would not mean that nothing was sent.
	request.GetBody = nil
	for name, value := range header {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := httpClient.Do(request)
	if err != nil {
		a.err = err
		return a
	}
	defer response.Body.Close()
	a.status, a.header = response.StatusCode, response.Header
	if a.body, a.err = io.ReadAll(response.Body); a.err == nil && a.status >= http.StatusBadRequest {
		_ = json.Unmarshal(a.body, &a.problem) // what is none has no outcome
	}
	return a
}

// outcome is what became of a transaction. It is a problem if the answer is none that
// the server's documentation has.
func (a *answer) outcome(c *chaos) (check.Outcome, persistence.Commit) {
	var commit persistence.Commit
	if a.err != nil {
		if dial, ok := errors.AsType[*net.OpError](a.err); ok && dial.Op == "dial" {
			return check.NotCommitted, commit
		}
		return check.Unknown, commit
	}
	switch {
	case a.status == http.StatusOK:
		if err := json.Unmarshal(a.body, &commit); err != nil || commit.Transaction == 0 {
			c.problem("a commit's answer is %s", a.body)
		}
		return check.Committed, commit
	case a.problem.Outcome == "not committed" && (a.status == http.StatusServiceUnavailable || a.status == http.StatusPreconditionFailed):
		return check.NotCommitted, commit
	case a.problem.Outcome == "unknown" && a.status == http.StatusGatewayTimeout:
		return check.Unknown, commit
	}
	c.problem("a transaction was answered with %d %s", a.status, a.body)
	return check.Unknown, commit
}

// registers are what a read saw, and the number of the state; false if it was refused or
// not answered.
func (a *answer) registers(c *chaos) (map[string]string, persistence.TransactionNumber, bool) {
	switch {
	case a.err != nil || a.status == http.StatusServiceUnavailable:
		return nil, 0, false
	case a.status != http.StatusOK:
		c.problem("a read was answered with %d %s", a.status, a.body)
		return nil, 0, false
	}
	saw, err := registersOf(a.body)
	number, err2 := strconv.ParseUint(a.header.Get("Scheduler-Store-Transaction"), 10, 64)
	if err = errors.Join(err, err2); err != nil {
		c.problem("a read was answered with %s: %v", a.body, err)
		return nil, 0, false
	}
	return saw, persistence.TransactionNumber(number), true
}

// registersOf reads a list of hosts.
func registersOf(body []byte) (map[string]string, error) {
	var list struct {
		Hosts []struct{ Host, SlaveID string }
	}
	saw := map[string]string{}
	err := json.Unmarshal(body, &list)
	for _, h := range list.Hosts {
		saw[h.Host] = h.SlaveID
	}
	return saw, err
}
