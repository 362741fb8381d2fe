package blob

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// state is a consumer whose state is the list of its records.
type state struct {
	mu      sync.Mutex
	at      persistence.Point
	records []string
	resets  int
	fail    func(record string) error // if not nil, called before a record is applied
}

func (s *state) Reset(persistence.Point) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = nil
	s.resets++
	return nil
}

func (s *state) Prepare(b persistence.Batch) (func() error, error) {
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, r := range b.Records {
			if s.fail != nil {
				if err := s.fail(string(r)); err != nil {
					return err
				}
			}
			s.records = append(s.records, string(r))
		}
		return nil
	}, nil
}

func (s *state) Loaded(at persistence.Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
}

func (s *state) has() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.records, " ")
}

// cell is one cell in memory.
type cell struct {
	*testing.T
	mem *memdriver.Bucket
	ctx context.Context
}

func newCell(t *testing.T) *cell { return &cell{t, memdriver.New(), t.Context()} }

func (c *cell) bucket() *bucket.Bucket {
	return bucket.New(c.mem, "mem://test", "", bucket.Options{})
}

func (c *cell) open(o Options) *Log {
	c.Helper()
	l, err := Open(c.ctx, c.bucket(), o)
	if err != nil {
		c.Fatal(err)
	}
	return l
}

// process is one process: a reader, perhaps the writer.
type process struct {
	*cell
	log    *Log
	state  *state
	reader *Reader
	writer *Writer
	acked  chan string // records in the order of their acknowledgement
}

func (c *cell) process() *process { return c.processWith(Options{}) }

func (c *cell) processWith(o Options) *process {
	c.Helper()
	p := &process{cell: c, log: c.open(o), state: &state{}, acked: make(chan string, 10_000)}
	p.reader = p.log.NewReader(p.state)
	return p
}

// lead makes the process the leader of an epoch.
func (p *process) lead(epoch persistence.Epoch) *process {
	p.Helper()
	w, err := p.reader.Lead(p.ctx, epoch, persistence.NewWriterID())
	if err != nil {
		p.Fatalf("lead epoch %d: %v", epoch, err)
	}
	p.writer = w
	p.Cleanup(func() { w.Stop(fmt.Errorf("test ended")) })
	return p
}

// leaderWith is a process that leads epoch 1 with options.
func (c *cell) leaderWith(o Options) *process { return c.processWith(o).lead(1) }

// leader is a process that leads.
func (c *cell) leader(epoch persistence.Epoch) *process { return c.process().lead(epoch) }

// result is what became of one record.
type result struct {
	record string
	ack    persistence.Ack
	err    error
	done   chan struct{}
}

// send hands a record over.
func (p *process) send(record string) *result {
	p.Helper()
	r := &result{record: record, done: make(chan struct{})}
	_, err := p.writer.Append([]byte(record), func(ack persistence.Ack, err error) {
		if r.ack, r.err = ack, err; err == nil {
			p.acked <- record
			p.state.mu.Lock()
			p.state.records = append(p.state.records, record)
			p.state.mu.Unlock()
		}
		close(r.done)
	})
	if err != nil {
		r.err = err
		close(r.done)
	}
	return r
}

func (r *result) wait() error { <-r.done; return r.err }

// write hands records over one after another, each when the one before is durable.
func (p *process) write(records ...string) *process {
	p.Helper()
	for _, record := range records {
		if err := p.send(record).wait(); err != nil {
			p.Fatalf("write %s: %v", record, err)
		}
	}
	return p
}

// recovers is what a new process recovers.
func (c *cell) recovers() (string, error) {
	c.Helper()
	p := c.process()
	err := p.reader.CatchUp(c.ctx)
	return p.state.has(), err
}

func (c *cell) mustRecover(want string) {
	c.Helper()
	if got, err := c.recovers(); err != nil || got != want {
		c.Fatalf("recovered %q, %v; want %q", got, err, want)
	}
}

// snapshot writes one of what the process has acknowledged or read.
func (p *process) snapshot() snapshot.Name {
	p.Helper()
	p.state.mu.Lock()
	records := slices.Clone(p.state.records)
	p.state.mu.Unlock()
	return p.writeSnapshot(nil, records)
}

// incremental makes a snapshot that goes on from another with some records.
func (p *process) incremental(base snapshot.Name, since ...string) snapshot.Name {
	p.Helper()
	from, err := snapshot.Read(p.ctx, p.log.bucket, p.log.cell.ID, base)
	if err != nil {
		p.Fatal(err)
	}
	return p.writeSnapshot(from, since)
}

func (p *process) writeSnapshot(base *snapshot.Manifest, records []string) snapshot.Name {
	p.Helper()
	m, err := snapshot.Write(p.ctx, p.log.bucket, p.log.codec, snapshot.Source{Cell: p.log.cell.ID, At: p.reader.at,
		Base: base, Records: each(records), By: "test"}, 2)
	if err != nil {
		p.Fatal(err)
	}
	name, err := snapshot.ParseName(m.Name)
	if err != nil {
		p.Fatal(err)
	}
	return name
}

func each(records []string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield([]byte(r), nil) {
				return
			}
		}
	}
}

// collect deletes the entries at or below a position that are no seals, as a
// collector without a grace period would.
func (c *cell) collect(upTo persistence.Position) {
	c.Helper()
	for _, key := range c.mem.Keys() {
		_, position, err := parseKey(key)
		if err != nil || position > upTo {
			continue
		}
		if h, err := decodeHeader(c.mem.Data(key)); err == nil && h.Kind != KindSeal {
			c.mem.Remove(key)
		}
	}
}

// slow makes every PUT of an entry take a while, in the bubble's time.
func (c *cell) slow(d time.Duration) *memdriver.Rule {
	return c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under(logPrefix), Do: memdriver.Delay(d)})
}
