package garbage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// state is a consumer whose state is the list of its records.
type state struct {
	mu      sync.Mutex
	records []string
}

func (s *state) Reset(persistence.Point) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = nil
	return nil
}

func (s *state) Prepare(b persistence.Batch) (func() error, error) {
	return func() error {
		s.add(b.Records...)
		return nil
	}, nil
}

func (s *state) add(records ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		s.records = append(s.records, string(r))
	}
}

func (s *state) Loaded(persistence.Point) {}

func (s *state) has() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.records, " ")
}

// cell is one cell in memory, in a bubble with its own time.
type cell struct {
	*testing.T
	mem *memdriver.Bucket
}

// inCell runs a test with a cell.
func inCell(t *testing.T, test func(c *cell)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(&cell{t, memdriver.New()}) })
}

func (c *cell) open() *blob.Log { return c.openIn(c.mem) }

func (c *cell) openIn(mem *memdriver.Bucket) *blob.Log {
	c.Helper()
	log, err := blob.Open(c.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), blob.Options{})
	if err != nil {
		c.Fatal(err)
	}
	return log
}

// process leads the cell's log in an epoch.
type process struct {
	*cell
	log    *blob.Log
	state  *state
	reader *blob.Reader
	writer *blob.Writer
}

func (c *cell) leader(epoch persistence.Epoch) *process {
	c.Helper()
	p := &process{cell: c, log: c.open(), state: &state{}}
	p.reader = p.log.NewReader(p.state)
	var err error
	if p.writer, err = p.reader.Lead(c.Context(), epoch, persistence.NewWriterID()); err != nil {
		c.Fatalf("lead epoch %d: %v", epoch, err)
	}
	c.Cleanup(func() { p.writer.Stop(errors.New("test ended")) })
	return p
}

// write writes records, each as an entry.
func (p *process) write(records ...string) *process {
	p.Helper()
	for _, r := range records {
		p.await(func(done func(persistence.Ack, error)) (persistence.TransactionNumber, error) {
			return p.writer.Append([]byte(r), done)
		})
		p.state.add([]byte(r))
	}
	return p
}

func (p *process) await(send func(done func(persistence.Ack, error)) (persistence.TransactionNumber, error)) {
	p.Helper()
	answered := make(chan error, 1)
	if _, err := send(func(_ persistence.Ack, err error) { answered <- err }); err != nil {
		p.Fatal(err)
	}
	if err := <-answered; err != nil {
		p.Fatal(err)
	}
}

func (p *process) source() snapshot.Source {
	return snapshot.Source{Cell: p.log.Cell().ID, At: p.reader.At(), Records: each(strings.Fields(p.state.has())), By: "test"}
}

// snapshot makes a snapshot of what was written.
func (p *process) snapshot() *snapshot.Manifest {
	p.Helper()
	m, err := snapshot.Write(p.Context(), p.log.Bucket(), p.log.Codec(), p.source(), 2)
	if err != nil {
		p.Fatal(err)
	}
	return m
}

// increment makes a snapshot that goes on from another with the records since.
func (p *process) increment(base *snapshot.Manifest, since ...string) *snapshot.Manifest {
	p.Helper()
	source := p.source()
	source.Base, source.Records = base, each(since)
	m, err := snapshot.Write(p.Context(), p.log.Bucket(), p.log.Codec(), source, 2)
	if err != nil {
		p.Fatal(err)
	}
	return m
}

// restore makes records the state. The process leads no longer then.
func (p *process) restore(records ...string) *snapshot.Manifest {
	p.Helper()
	source := p.source()
	source.Records = each(records)
	m, err := snapshot.WriteIn(p.Context(), p.log.Bucket(), p.log.Codec(), blob.RestoreFolder(source.At), source, 2)
	if err != nil {
		p.Fatal(err)
	}
	p.await(func(done func(persistence.Ack, error)) (persistence.TransactionNumber, error) {
		return p.writer.Restore(m, done)
	})
	return m
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

// newest keeps the newest K snapshots and what comes after the oldest of them.
func newest(k int) Retention { return Retention{Keep: k, Window: -1, Grace: -1} }

// collect must succeed.
func (c *cell) collect(r Retention) *Report {
	c.Helper()
	report, err := Collect(c.Context(), c.open(), r, Options{})
	if err != nil {
		c.Fatal(err)
	}
	return report
}

// refuses checks that a collection removes nothing more, and says why.
func (c *cell) refuses(r Retention, why string) {
	c.Helper()
	before := c.mem.Keys()
	_, err := Collect(c.Context(), c.open(), r, Options{})
	if !errors.Is(err, ErrDoubt) || !strings.Contains(err.Error(), why) {
		c.Errorf("%v; want a doubt that says %q", err, why)
	}
	if after := c.mem.Keys(); !slices.Equal(before, after) {
		c.Errorf("removed %q", without(before, after))
	}
}

// without is what of a list is not in another.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(k string) bool { return slices.Contains(others, k) })
}

// removed checks what a collection removes, by parts of the keys.
func (c *cell) removes(r Retention, want ...string) {
	c.Helper()
	before := c.mem.Keys()
	c.collect(r)
	got := without(before, c.mem.Keys())
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		c.Errorf("removed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// recovers checks what a new process recovers.
func (c *cell) recovers(want string) {
	c.Helper()
	if got, err := c.recovered(c.mem); err != nil || got != want {
		c.Errorf("recovered %q, %v; want %q", got, err, want)
	}
}

func (c *cell) recovered(mem *memdriver.Bucket) (string, error) {
	s := &state{}
	err := c.openIn(mem).NewReader(s).CatchUp(context.WithoutCancel(c.Context()))
	return s.has(), err
}

// keysOf are the objects of a snapshot's or restore's folder.
func keysOf(m *snapshot.Manifest) []string {
	keys := []string{string(m.Folder()) + "/manifest.json"}
	for i := range m.Parts {
		keys = append(keys, m.PartKey(i))
	}
	return keys
}

func entry(epoch persistence.Epoch, position persistence.Position) string {
	return blob.Key(epoch, position)
}

func words(prefix string, n int) (words []string) {
	for i := range n {
		words = append(words, fmt.Sprint(prefix, i))
	}
	return words
}

const day = 24 * time.Hour
