package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

const testCell = "00112233445566778899aabbccddeeff"

// cell is a bucket in memory with what is needed to put snapshots into it.
type cell struct {
	testing.TB
	mem   *memdriver.Bucket
	b     *bucket.Bucket
	codec *packed.Codec
	ctx   context.Context
}

func newCell(t testing.TB) *cell {
	codec, err := packed.NewCodec(4)
	if err != nil {
		t.Fatal(err)
	}
	mem := memdriver.New()
	return &cell{t, mem, bucketOf(mem), codec, t.Context()}
}

// point is one behind the entry at a position.
func point(position persistence.Position) persistence.Point {
	return persistence.Point{Epoch: 3, Next: position + 1, Transaction: 77, Hash: persistence.Hash{0xab, byte(position), 3, 4, 5, 6, 7, 8, 9}}
}

func source(position persistence.Position, records ...[]byte) Source {
	return Source{Cell: testCell, At: point(position), Records: each(records), Counts: map[string]int{"things": len(records)},
		By: "host", Reason: "test"}
}

func each(records [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// large returns n records of 3 MB, so that two of them fill a part.
func large(n int) [][]byte {
	records := make([][]byte, n)
	for i := range records {
		records[i] = bytes.Repeat(fmt.Appendf(nil, "record %02d ", i), 300_000)
	}
	return records
}

// write makes a snapshot that must succeed.
func (c *cell) write(s Source) (*Manifest, Name) {
	c.Helper()
	m, err := Write(c.ctx, c.b, c.codec, s, 2)
	if err != nil {
		c.Fatal(err)
	}
	name, err := ParseName(m.Name)
	if err != nil {
		c.Fatal(err)
	}
	return m, name
}

// loads is what a reader gets that knows the name only.
func (c *cell) loads(name Name) ([][]byte, error) {
	m, err := Read(c.ctx, c.b, testCell, name)
	if err != nil {
		return nil, err
	}
	var s state
	err = Load(c.ctx, c.b, c.codec, m, &s, 3)
	return s.records, err
}

func (c *cell) mustLoad(name Name, want [][]byte) {
	c.Helper()
	got, err := c.loads(name)
	if err != nil {
		c.Fatal(err)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		c.Fatalf("%d records came back, or others than the %d that were written", len(got), len(want))
	}
}

// listed is what List shows, as names in one line.
func (c *cell) listed(after *Name) string {
	c.Helper()
	names, err := List(c.ctx, c.b, after)
	if err != nil {
		c.Fatal(err)
	}
	return line(names...)
}

func line(names ...Name) string {
	var text []string
	for _, n := range names {
		text = append(text, n.String())
	}
	return strings.Join(text, " ")
}

// state is a consumer whose state is the list of its records.
type state struct {
	prepare func(persistence.Batch) error // if not nil, called in Prepare
	apply   func(object string) error     // if not nil, called before a batch is applied

	mu        sync.Mutex
	preparing int
	records   [][]byte
	objects   []string // in the order in which they were applied
}

func (s *state) Reset(persistence.Point) error { return nil }
func (s *state) Loaded(persistence.Point)      {}

func (s *state) Prepare(b persistence.Batch) (func() error, error) {
	s.count(1)
	defer s.count(-1)
	if s.prepare != nil {
		if err := s.prepare(b); err != nil {
			return nil, err
		}
	}
	return func() error {
		if s.apply != nil {
			if err := s.apply(b.Object); err != nil {
				return err
			}
		}
		if !b.Snapshot {
			return fmt.Errorf("%s is not handed over as a snapshot's", b.Object)
		}
		s.records = append(s.records, b.Records...)
		s.objects = append(s.objects, b.Object)
		return nil
	}, nil
}

func (s *state) count(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.preparing += n
	return s.preparing
}

func bucketOf(mem *memdriver.Bucket) *bucket.Bucket {
	return bucket.New(mem, "mem://test", "", bucket.Options{})
}
