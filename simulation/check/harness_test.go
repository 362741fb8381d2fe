package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	store "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// tape is a bucket in memory that keeps every change, and takes 10 ms each way.
type tape struct {
	mem   *memdriver.Bucket
	start time.Time

	mu       sync.Mutex
	landings []Landing
	late     map[string]func() // requests that were sent and have not landed
}

func newTape() *tape {
	return &tape{mem: memdriver.New(), start: time.Now(), late: map[string]func(){}}
}

func (t *tape) now() time.Duration { return time.Since(t.start) }

// change makes a change that may land, and keeps it if it does.
func (t *tape) change(process, key string, body []byte, land func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	there := t.mem.Data(key) != nil
	err := land()
	if err == nil && (body != nil || there) {
		t.landings = append(t.landings, Landing{t.now(), key, body, process, body != nil && there})
	}
	return err
}

// wire is how one process reaches the tape.
type wire struct {
	*memdriver.Bucket
	tape    *tape
	process string
	fail    func(op memdriver.Operation, key string) fate // of requests that change; nil is none; guarded by tape.mu
}

type fate int

const (
	_         fate = iota
	loseReply      // it lands, and the caller does not know
	hold           // it has not landed, and the caller does not know
)

var errLost = errors.New("connection reset")

func (w *wire) send(ctx context.Context, op memdriver.Operation, key string, body []byte, land func() error) error {
	time.Sleep(10 * time.Millisecond)
	landing := func() error { return w.tape.change(w.process, key, body, land) }
	w.tape.mu.Lock()
	fail := w.fail
	w.tape.mu.Unlock()
	var f fate
	if fail != nil {
		f = fail(op, key)
	}
	if f == hold {
		w.tape.mu.Lock()
		w.tape.late[key] = func() { _ = landing() }
		w.tape.mu.Unlock()
		return errLost
	}
	err := landing()
	time.Sleep(10 * time.Millisecond)
	if f == loseReply {
		return errLost
	}
	return err
}

// becomes says what becomes of the requests from now on.
func (w *wire) becomes(fail func(op memdriver.Operation, key string) fate) {
	w.tape.mu.Lock()
	defer w.tape.mu.Unlock()
	w.fail = fail
}

func (w *wire) Create(ctx context.Context, key string, data []byte) (v driver.Version, err error) {
	err = w.send(ctx, memdriver.Create, key, data, func() (err error) { v, err = w.Bucket.Create(context.Background(), key, data); return err })
	return v, err
}

func (w *wire) Replace(ctx context.Context, key string, data []byte, old driver.Version) (v driver.Version, err error) {
	err = w.send(ctx, memdriver.Replace, key, data, func() (err error) {
		v, err = w.Bucket.Replace(context.Background(), key, data, old)
		return err
	})
	return v, err
}

func (w *wire) Delete(ctx context.Context, key string) error {
	return w.send(ctx, memdriver.Delete, key, nil, func() error { return w.Bucket.Delete(context.Background(), key) })
}

func (w *wire) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	time.Sleep(10 * time.Millisecond)
	return w.Bucket.Get(ctx, key)
}

// run is a run of real processes: stores, their clients, and what an observer notes.
type run struct {
	*testing.T
	*tape
	h History

	mu     sync.Mutex
	values int
}

// process is one store.
type process struct {
	*run
	*store.Store
	name  string
	wire  *wire
	epoch persistence.Epoch
}

// record runs f in virtual time and returns what happened.
func record(t *testing.T, f func(r *run)) *History {
	t.Helper()
	var h *History
	synctest.Test(t, func(t *testing.T) {
		r := &run{T: t, tape: newTape()}
		f(r)
		r.h.Landings = r.landings
		h = &r.h
	})
	return h
}

func (r *run) open(name string, o store.Options) *process {
	r.Helper()
	p := &process{run: r, name: name, wire: &wire{Bucket: r.mem, tape: r.tape, process: name}}
	o.Lease.TTL, o.Lease.Host, o.GarbageEvery = 15*time.Second, name, -1
	began := r.now()
	s, err := store.OpenBucket(r.Context(), bucket.New(p.wire, "mem://"+name, "", bucket.Options{}), o)
	if err != nil {
		r.Fatal(err)
	}
	p.Store = s
	r.Cleanup(func() { _ = s.Close(context.Background()) })
	if o.ReadOnly {
		if err := s.Recovered(r.Context()); err != nil {
			r.Fatal(err)
		}
		p.show(Opened, began)
	}
	return p
}

// leader opens a process and makes it lead.
func (r *run) leader(name string) *process {
	r.Helper()
	p := r.open(name, store.Options{})
	p.lead()
	return p
}

func (p *process) lead() {
	p.Helper()
	began := p.now()
	if err := p.Campaign(p.Context()); err != nil {
		p.Fatal(err)
	}
	p.epoch = p.Storage().Checkpoint().At.Epoch
	p.show(Recovered, began)
	p.mu.Lock()
	defer p.mu.Unlock()
	reign := len(p.h.Reigns)
	p.h.Reigns = append(p.h.Reigns, Reign{p.name, p.epoch, p.now(), -1})
	context.AfterFunc(p.Leadership(), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.h.Reigns[reign].To = p.now()
	})
}

// show notes what the process shows.
func (p *process) show(kind StateKind, began time.Duration) {
	c := p.Storage().Checkpoint()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.States = append(p.h.States, State{At: p.now(), Began: began, Process: p.name, Kind: kind, Epoch: p.epoch, Point: c.At, Registers: RegistersOf(c.View())})
}

// value is one that no other has.
func (r *run) value() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values++
	return fmt.Sprint(r.values)
}

// set returns registers with fresh values.
func (r *run) set(registers string) map[string]string {
	wrote := map[string]string{}
	for _, register := range strings.Fields(registers) {
		wrote[register] = r.value()
	}
	return wrote
}

// do makes a call and notes it; it returns its index.
func (p *process) do(op Op, call func() (persistence.Commit, error)) int {
	op.Process, op.Invoked = p.name, p.now()
	if op.Client == "" {
		op.Client = "c"
	}
	commit, err := call()
	op.Commit, op.Outcome, op.Returned = commit, OutcomeOf(err), p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Ops = append(p.h.Ops, op)
	return len(p.h.Ops) - 1
}

// write sets registers, and returns the index of its op.
func (p *process) write(registers string) int { return p.writeAs(Op{Wrote: p.set(registers)}) }

func (p *process) writeAs(op Op) int {
	return p.do(op, func() (persistence.Commit, error) {
		pending, err := p.Apply(p.Context(), Ops(op.Wrote), durability.WriteOptions{Key: op.Key})
		if err != nil {
			return persistence.Commit{}, err
		}
		return pending.Wait(p.Context())
	})
}

func (p *process) read() int {
	op := Op{Kind: Read, Client: "r", Process: p.name, Invoked: p.now()}
	time.Sleep(time.Millisecond)
	view, number, err := p.LinearizableSnapshot()
	op.Outcome, op.Returned = OutcomeOf(err), p.now()
	if err == nil {
		op.Saw, op.Commit.Transaction = RegistersOf(view), number
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Ops = append(p.h.Ops, op)
	return len(p.h.Ops) - 1
}

func (p *process) restore(registers string) int {
	op := Op{Kind: Restore, Wrote: p.set(registers)}
	return p.do(op, func() (persistence.Commit, error) {
		return p.Restore(p.Context(), store.Restoration{Records: Records(op.Wrote), Reason: "test"})
	})
}

func (p *process) snapshot() {
	p.Helper()
	if _, err := p.Snapshot(p.Context(), "test"); err != nil {
		p.Fatal(err)
	}
}

func (p *process) collect() {
	p.Helper()
	if _, err := p.CollectGarbage(p.Context(), garbage.Retention{Keep: 1, Window: -1, Grace: -1}, false); err != nil {
		p.Fatal(err)
	}
}

// close ends a process; what it was told of is noted as ever.
func (p *process) close() {
	_ = p.Store.Close(context.Background())
	synctest.Wait()
}

// copied is a history whose slices can be changed without changing this one's.
func copied(h *History) *History {
	c := *h
	c.Landings = append([]Landing{}, h.Landings...)
	c.Ops = append([]Op{}, h.Ops...)
	for i := range c.Ops {
		c.Ops[i].Wrote, c.Ops[i].Saw = maps.Clone(c.Ops[i].Wrote), maps.Clone(c.Ops[i].Saw)
	}
	c.States = append([]State{}, h.States...)
	for i := range c.States {
		c.States[i].Registers = maps.Clone(c.States[i].Registers)
	}
	c.Reigns = append([]Reign{}, h.Reigns...)
	return &c
}

// wantRight fails if anything is found in a right history.
func wantRight(t *testing.T, h *History) *Result {
	t.Helper()
	r := CheckWith(h, Options{})
	for _, v := range r.Violations {
		t.Errorf("found in a right run: %v", v)
	}
	if r.Undecided {
		t.Error("porcupine did not come to an end")
	}
	return r
}

// wantRule fails if a rule is not said to be broken.
func wantRule(t *testing.T, h *History, rule string) {
	t.Helper()
	found := Check(h)
	for _, v := range found {
		if v.Rule == rule {
			return
		}
	}
	t.Errorf("%q was not noticed; found: %v", rule, found)
}

// landingOf is the index of a key's first landing.
func landingOf(t *testing.T, h *History, key string) int {
	t.Helper()
	for i := range h.Landings {
		if h.Landings[i].Key == key && h.Landings[i].Body != nil {
			return i
		}
	}
	t.Fatalf("%s has not landed", key)
	return 0
}
