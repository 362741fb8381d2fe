package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

const (
	cellKey   = "cell.json"
	logPrefix = "log/"
)

// ghost is the history of the cell: from log/0/0 on, through the seals, over whatever
// landed first at each key, up to the first gap. It can only grow. No process sees it
// whole, as keys are collected and taken anew; an observer does.
//
// It is kept in a bucket of its own, in which the first object of each key stays for
// ever, and read with the log's own decoder and replayed by the stores' own replay.
type ghost struct {
	*sequence
	first  *memdriver.Bucket
	by     map[string]string // of each key in first, the process that landed it
	log    *blob.Log         // over first; nil before there is a cell
	stores *durability.Storage

	// places[p] is the point behind the entry at position p-1, places[0] the origin.
	places []place
	// from says which place each transaction belongs to: that behind its entry.
	from []int
	// leader is the writer that the last seal names.
	leader persistence.WriterID
	broken bool // nothing more can be made of it
	wrong  violations
}

// place is a point of the ghost, with the entry before it.
type place struct {
	persistence.Point
	entry *blob.Entry // nil at the origin
	// at is when the entry became history: it and all before it had landed.
	at time.Duration
	// process landed the entry.
	process string
}

func newGhost() *ghost {
	return &ghost{sequence: newSequence(0, map[string]string{}), first: memdriver.New(), by: map[string]string{}}
}

// land takes a landing. Only the first at a key counts.
func (g *ghost) land(ctx context.Context, l *Landing) error {
	if l.Body == nil || g.landedFirst(l.Key) {
		return nil
	}
	g.by[l.Key] = l.Process
	g.first.Put(l.Key, l.Body)
	switch {
	case l.Key == cellKey:
		return g.begin(ctx, l)
	case strings.HasPrefix(l.Key, logPrefix) && g.log != nil:
		return g.grow(ctx, l)
	}
	return nil
}

// landedFirst tells whether anything has ever landed at a key.
func (g *ghost) landedFirst(key string) bool { _, ok := g.by[key]; return ok }

// begin opens the cell that has just been made.
func (g *ghost) begin(ctx context.Context, l *Landing) (err error) {
	b := bucket.New(g.first, "mem://ghost", "", bucket.Options{})
	if g.log, err = blob.Open(ctx, b, blob.Options{ReadOnly: true}); err != nil {
		return fmt.Errorf("open the ghost: %w", err)
	}
	g.stores = durability.New(durability.Options{})
	origin := persistence.Point{Hash: hashOf(l.Body)}
	g.places = []place{{Point: origin, at: l.At}}
	if err := g.stores.Reset(origin); err != nil {
		return err
	}
	g.stores.Loaded(origin)
	return g.grow(ctx, l)
}

// end is the point behind the last entry.
func (g *ghost) end() *place { return &g.places[len(g.places)-1] }

// grow appends the entries that now follow the end.
func (g *ghost) grow(ctx context.Context, l *Landing) error {
	for !g.broken {
		end := g.end()
		key := blob.Key(end.Epoch, end.Next)
		if !g.landedFirst(key) {
			return nil
		}
		entry, err := g.log.Read(ctx, blob.EntryKey{Epoch: end.Epoch, Position: end.Next})
		if err != nil {
			g.breaks(l.At, "%s: %v", key, err)
			return nil
		}
		if !g.fits(key, entry, l) {
			return nil
		}
		after := pointAfter(entry)
		g.places = append(g.places, place{after, entry, l.At, g.by[key]})
		if err := g.replay(ctx, entry, after); err != nil {
			g.breaks(l.At, "%s can't be replayed: %v", key, err)
		}
	}
	return nil
}

func (g *ghost) breaks(at time.Duration, format string, args ...any) {
	g.broken = true
	g.wrong.add("history", at, format, args...)
}

// fits makes sure that an entry goes on from the end, by the writer that may write there.
func (g *ghost) fits(key string, e *blob.Entry, l *Landing) bool {
	end := g.end()
	switch {
	case e.Prev != end.Hash:
		g.breaks(l.At, "%s, landed by %s, goes on from %s, the history from %s", key, l.Process, e.Prev, end.Hash)
	case e.First != end.Transaction+1:
		g.breaks(l.At, "%s begins with transaction %d, the history goes on with %d", key, e.First, end.Transaction+1)
	case e.Committed > e.Position:
		g.breaks(l.At, "%s says that %d positions are durable", key, e.Committed)
	case e.Kind != blob.KindSeal && e.Writer != g.leader:
		g.breaks(l.At, "%s is by writer %s, the last seal names %s", key, e.Writer, g.leader)
	}
	if !g.broken && e.Kind == blob.KindSeal {
		g.leader = e.Writer
	}
	return !g.broken
}

// pointAfter is the point behind an entry.
func pointAfter(e *blob.Entry) persistence.Point {
	p := persistence.Point{Epoch: e.Epoch, Next: e.Position + 1, Transaction: e.First - 1 + persistence.TransactionNumber(e.Count), Hash: e.Hash}
	if e.Kind == blob.KindSeal {
		p.Epoch = e.NextEpoch
	}
	return p
}

// replay brings the stores and the sequence to the point behind an entry.
func (g *ghost) replay(ctx context.Context, e *blob.Entry, after persistence.Point) error {
	if e.Kind == blob.KindRestore {
		if err := g.restore(ctx, e, after); err != nil {
			return err
		}
		registers := RegistersOf(g.stores.View())
		g.transact(Transaction{Commit: persistence.Commit{Transaction: e.First, Position: e.Position, Epoch: e.Epoch}, Wrote: registers, Restore: true}, registers)
	}
	for i, record := range e.Records {
		if err := g.apply(e, i, record); err != nil {
			return err
		}
	}
	g.stores.Loaded(after)
	return nil
}

func (g *ghost) transact(t Transaction, after map[string]string) {
	g.add(t, after)
	g.from = append(g.from, len(g.places)-1)
}

// apply replays one record alone, so that the state between two of one entry shows too.
func (g *ghost) apply(e *blob.Entry, i int, record []byte) error {
	number := e.First + persistence.TransactionNumber(i)
	apply, err := g.stores.Prepare(persistence.Batch{Object: blob.Key(e.Epoch, e.Position), Records: [][]byte{record}, First: number,
		Position: e.Position, Epoch: e.Epoch, Time: e.Time})
	if err == nil {
		err = apply()
	}
	if err != nil {
		return err
	}
	g.stores.Loaded(persistence.Point{Epoch: e.Epoch, Next: e.Position, Transaction: number, Hash: e.Prev})
	t, err := readTransaction(record)
	if err != nil {
		return err
	}
	t.Commit = persistence.Commit{Transaction: number, Position: e.Position, Epoch: e.Epoch}
	g.transact(t, RegistersOf(g.stores.View()))
	return nil
}

// restore loads the state that an entry names: it was whole before the entry landed.
func (g *ghost) restore(ctx context.Context, e *blob.Entry, after persistence.Point) error {
	m, err := snapshot.ReadIn(ctx, g.log.Bucket(), e.Restore.Folder)
	if err != nil {
		return err
	}
	if m.Hash() != e.Restore.Manifest {
		return fmt.Errorf("%s is not the manifest that is named", m.Key())
	}
	if err := g.stores.Reset(after); err != nil {
		return err
	}
	if err := snapshot.Load(ctx, g.log.Bucket(), g.log.Codec(), m, g.stores, 1); err != nil {
		return err
	}
	g.stores.Loaded(after)
	return nil
}

// readTransaction reads what a record is to the clients.
func readTransaction(record []byte) (Transaction, error) {
	t := new(api.Transaction)
	if err := t.UnmarshalBinary(record); err != nil {
		return Transaction{}, err
	}
	read := Transaction{Wrote: Written(t.Ops)}
	if t.Idempotency != nil {
		read.Key = t.Idempotency.Key.Value
	}
	return read, nil
}

// landed is the number of the last transaction that was durable at a time.
func (g *ghost) landed(at time.Duration) persistence.TransactionNumber {
	return g.placeAt(at).Transaction
}

// placeAt is the end of the ghost as it was at a time, all of that instant included.
func (g *ghost) placeAt(at time.Duration) *place {
	last := 0
	for i := range g.places {
		if g.places[i].at <= at {
			last = i
		}
	}
	return &g.places[last]
}

// before is the end of the ghost as it was before a time.
func (g *ghost) before(at time.Duration) *place {
	last := 0
	for i := range g.places {
		if g.places[i].at < at {
			last = i
		}
	}
	return &g.places[last]
}

// durableAt is when a transaction became durable.
func (g *ghost) durableAt(n persistence.TransactionNumber) time.Duration {
	return g.places[g.from[n-1]].at
}

// sealOf is the position of the seal that ends an epoch, false if none does.
func (g *ghost) sealOf(epoch persistence.Epoch) (persistence.Position, bool) {
	for i := range g.places {
		if e := g.places[i].entry; e != nil && e.Kind == blob.KindSeal && e.Epoch == epoch {
			return e.Position, true
		}
	}
	return 0, false
}
