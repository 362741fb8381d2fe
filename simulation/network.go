package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

// operation is a kind of request.
type operation string

const (
	get     operation = "get"
	part    operation = "range"
	create  operation = "create"
	replace operation = "replace"
	list    operation = "list" // one page
	remove  operation = "delete"
)

// changes tells whether the operation may change the bucket.
func (o operation) changes() bool { return o == create || o == replace || o == remove }

// request is one try of one request of a process.
type request struct {
	ctx    context.Context // of the caller
	link   *link
	op     operation
	key    string // of a listing: its prefix
	after  string // of a listing
	data   []byte
	old    driver.Version
	offset int64
	length int64

	answer chan answer
	// callers tell apart what parts of one process ask at the same instant.
	callers [24]uintptr
	depth   int
}

// compare is the canonical order of what is sent at one instant.
func (q *request) compare(o *request) int {
	if order := cmp.Or(strings.Compare(q.link.process.name, o.link.process.name), cmp.Compare(q.link.life, o.link.life),
		strings.Compare(string(q.op), string(o.op)), strings.Compare(q.key, o.key), strings.Compare(q.after, o.after),
		cmp.Compare(q.offset, o.offset)); order != 0 {
		return order
	}
	// Two requests that have the same callers in all are the same.
	return strings.Compare(stackOf(q.callers[:q.depth]), stackOf(o.callers[:o.depth]))
}

func (q *request) String() string {
	switch q.op {
	case list:
		return fmt.Sprintf("%s %q after %q", q.op, q.key, q.after)
	case create, replace:
		return fmt.Sprintf("%s %s (%s)", q.op, q.key, digest(q.data))
	}
	return fmt.Sprintf("%s %s", q.op, q.key)
}

// answer is what the store says.
type answer struct {
	data    []byte
	version driver.Version
	page    []driver.Info
	more    bool // there are further pages
	err     error
	// again tells that the HTTP layer of a real driver would send the request once more,
	// nothingLanded that it takes the answer for a proof that this try did nothing.
	again, nothingLanded bool
}

// Errors of the network's and of the store. To a caller they say nothing of whether a
// request took effect.
var (
	errReset     = errors.New("connection reset")
	errStalled   = errors.New("no progress")
	errTruncated = errors.New("unexpected end of the body")
	errServer    = errors.New("500 internal error")
	errConflict  = errors.New("409 conflict")
	errTooMany   = errors.New("429 too many requests")
	errSlowDown  = errors.New("503 slow down")
	errDead      = errors.New("this process is dead")
)

// network is the way from all processes to the bucket, and the bucket.
type network struct {
	run   *run
	store *memdriver.Bucket
	seals map[string]time.Duration // by key: until when one is on its way

	mu   sync.Mutex
	sent []*request // since the driver last looked
}

func newNetwork(r *run) *network {
	n := &network{run: r, store: memdriver.New(), seals: map[string]time.Duration{}}
	if r.profile.etags {
		n.store = memdriver.NewWithETags()
	}
	return n
}

// send gives a request to the driver.
func (n *network) send(q *request) {
	n.mu.Lock()
	n.sent = append(n.sent, q)
	n.mu.Unlock()
	n.run.tell()
}

// take sends what processes have sent on its way, in canonical order.
func (n *network) take() {
	n.mu.Lock()
	sent := n.sent
	n.sent = nil
	n.mu.Unlock()
	slices.SortFunc(sent, (*request).compare)
	for _, q := range sent {
		// Whether it was made before its caller gave up, at one instant, is left to chance.
		if q.ctx.Err() == nil {
			n.depart(q)
		}
	}
}

// depart draws what becomes of a request, and plans it.
func (n *network) depart(q *request) {
	switch p := q.link.process; {
	case q.link.dead():
		return
	case p.frozen:
		p.held = append(p.held, func() { n.depart(q) })
		return
	}
	f := n.run.draw(q)
	if kindOf(q) == sealPut {
		n.seals[q.key] = max(n.seals[q.key], n.run.now()+f.out)
	}
	f.plan(n, q)
}

// awaitsSeal tells whether a seal is on its way to a key.
func (n *network) awaitsSeal(key string) bool { return n.seals[key] > n.run.now() }

// reach lets a request take effect, if the condition of a write holds now.
func (n *network) reach(q *request) answer {
	a := n.perform(q)
	outcome := "ok"
	switch {
	case errors.Is(a.err, driver.ErrExists) || errors.Is(a.err, driver.ErrChanged):
		n.run.count(unmet)
		outcome = a.err.Error()
	case a.err != nil:
		outcome = a.err.Error()
	case q.op == get || q.op == part:
		outcome = digest(a.data)
	case q.op == list:
		outcome = fmt.Sprintf("%d keys", len(a.page))
	}
	n.run.timeline.add(q.link.name, "%s: %s", q, outcome)
	return a
}

func (n *network) perform(q *request) (a answer) {
	ctx := context.Background()
	switch q.op {
	case get:
		a.data, a.version, a.err = n.store.Get(ctx, q.key)
	case part:
		a.data, a.err = n.store.GetRange(ctx, q.key, q.offset, q.length)
	case create:
		if a.version, a.err = n.store.Create(ctx, q.key, q.data); a.err == nil {
			n.landed(q.link.name, q.key, q.data, false)
		}
	case replace:
		if a.version, a.err = n.store.Replace(ctx, q.key, q.data, q.old); a.err == nil {
			n.landed(q.link.name, q.key, q.data, true)
		}
	case list:
		a.page, a.more = n.page(q.key, q.after)
	case remove:
		existed := n.store.Data(q.key) != nil
		if a.err = n.store.Delete(ctx, q.key); existed {
			n.landed(q.link.name, q.key, nil, true)
		}
	}
	return a
}

// page returns what a listing's page has. A store that does not sort has but one page.
func (n *network) page(prefix, after string) (page []driver.Info, more bool) {
	p := &n.run.profile
	for info := range n.store.List(context.Background(), prefix, after) {
		if !p.unsorted && len(page) == p.pageSize && !n.run.healed {
			return page, true
		}
		page = append(page, info)
	}
	if p.unsorted {
		n.run.rand.Shuffle(len(page), func(i, j int) { page[i], page[j] = page[j], page[i] })
	}
	return page, false
}

// landed tells of a change of the bucket; body is nil if the object is gone.
func (n *network) landed(who, key string, body []byte, replaced bool) {
	landing := check.Landing{At: n.run.now(), Key: key, Body: body, Process: who, Replaced: replaced}
	n.run.tellAll(func(h *check.History) { h.Landings = append(h.Landings, landing) })
}

// accident takes an object away that nobody has asked to be deleted.
func (n *network) accident(key string) {
	if n.store.Data(key) == nil {
		return
	}
	n.store.Remove(key)
	n.landed("", key, nil, true)
}

// arrive gives a process an answer, after some time on the way.
func (n *network) arrive(q *request, a answer, back time.Duration) {
	n.run.after(back, func() { n.deliver(q, a) })
}

func (n *network) deliver(q *request, a answer) {
	switch p := q.link.process; {
	case q.link.dead():
	case p.frozen:
		p.held = append(p.held, func() { n.deliver(q, a) })
	case p.deaf:
	default:
		q.answer <- a // has room: a request is answered once
	}
}
