// Package history finds every change of one row, or of all that belongs to a job, in a
// cell's log.
//
// A Finder is the consumer of blob.Log.Between. It looks into each record for the key as
// bytes, which costs little, and decodes only those that have it; of these it keeps what
// is about the subject, and replays it into stores that hold nothing else. What a
// transaction changed is the difference of the two states. The snapshot that the reading
// begins from gives the rows as they were then.
//
// A task is taken to stay with its job: one that is saved again under another job, which
// no scheduler does, would be missed in the history of the first.
package history

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Change is what one transaction did to one row.
type Change struct {
	// Time is the leader's wall clock.
	Time        time.Time                     `json:"time"`
	Transaction persistence.TransactionNumber `json:"transaction"`
	Position    persistence.Position          `json:"position"`
	Leader      Leader                        `json:"leader"`
	// Ops are those of the transaction that are about the subject, or "restore".
	Ops  []string     `json:"ops"`
	Kind storage.Kind `json:"kind"`
	Key  string       `json:"key,omitzero"`
	// What is "added", "changed" or "removed".
	What   string       `json:"what"`
	Fields []view.Field `json:"fields"`
}

// Leader is who led.
type Leader struct {
	Epoch  persistence.Epoch    `json:"epoch"`
	Writer persistence.WriterID `json:"writer"`
	// Host is empty where the seal is not known or does not say it.
	Host string `json:"host,omitzero"`
}

// Finder finds the changes of a subject.
type Finder struct {
	subject *Subject
	stores  atomic.Pointer[durability.Storage] // of this reading; what is fetched ahead asks for it too
	entry   *blob.Entry                        // the last that was begun
	// restoring: what follows is the state of a restore, not one to begin from.
	restoring bool
	leader    Leader
	before    storage.View // before a restore
	changes   []*Change
	err       error
	begin     persistence.Point
	first     storage.View
	loaded    bool
	records   atomic.Int64 // that were decoded
}

var _ blob.Observer = (*Finder)(nil)

// NewFinder returns a finder for one reading.
func NewFinder(s *Subject) *Finder {
	f := &Finder{subject: s}
	f.stores.Store(durability.New(durability.Options{}))
	return f
}

// Changes are what was found, in order.
func (f *Finder) Changes() []*Change { return f.changes }

// Begin is the point that the reading began from.
func (f *Finder) Begin() persistence.Point { return f.begin }

// First is the subject's rows as they were there.
func (f *Finder) First() storage.View { return f.first }

// Decoded is how many records had the key in them.
func (f *Finder) Decoded() int64 { return f.records.Load() }

// View is the subject's rows as they are at the end.
func (f *Finder) View() storage.View { return f.stores.Load().View() }

// Entry notes whose the transactions are that follow.
func (f *Finder) Entry(e *blob.Entry) {
	f.entry = e
	if e.Kind == blob.KindSeal {
		f.leader = Leader{Epoch: e.NextEpoch, Writer: e.Writer, Host: e.Host}
		return
	}
	if f.leader.Epoch != e.Epoch || f.leader.Writer != e.Writer {
		f.leader = Leader{Epoch: e.Epoch, Writer: e.Writer}
	}
	if e.Kind == blob.KindRestore {
		f.restoring, f.before = true, f.stores.Load().View()
	}
}

// Reset is called where the reading begins, and at a restore.
func (f *Finder) Reset(at persistence.Point) error {
	if !f.restoring || at.Next != f.entry.Position+1 {
		// The reading begins, or begins again as what was still to be read, perhaps the
		// state of a restore, was collected meanwhile: then what was found counts no more.
		f.restoring = false
		f.stores.Store(durability.New(durability.Options{}))
		f.entry, f.leader, f.changes, f.loaded, f.begin = nil, Leader{}, nil, false, at
	}
	return f.stores.Load().Reset(at)
}

// part is what a record has of the subject.
type part struct {
	apply func() error
	at    persistence.Commit
	ops   []string
}

// Prepare looks for the subject in the records.
func (f *Finder) Prepare(batch persistence.Batch) (func() error, error) {
	var parts []part
	for i, record := range batch.Records {
		if !f.subject.maybeIn(record) {
			continue
		}
		f.records.Add(1)
		t := new(api.Transaction)
		if err := t.UnmarshalBinary(record); err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		if !f.subject.only(t) {
			continue
		}
		record, err := t.AppendBinary(nil)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		one := batch
		one.Records, one.First = [][]byte{record}, batch.First+persistence.TransactionNumber(i)
		apply, err := f.stores.Load().Prepare(one)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		parts = append(parts, part{apply, batch.Commit(i), opNames(t.Ops)})
	}
	return func() error { return f.apply(&batch, parts) }, nil
}

// maybeIn tells whether a record may have to do with the subject.
func (s *Subject) maybeIn(record []byte) bool {
	if s.removals != nil && bytes.Contains(record, s.removals) {
		return true
	}
	for _, n := range s.needles {
		if !bytes.Contains(record, n) {
			return false
		}
	}
	return true
}

func (f *Finder) apply(batch *persistence.Batch, parts []part) error {
	for _, p := range parts {
		before := f.stores.Load().View()
		if err := p.apply(); err != nil {
			return err
		}
		if batch.Snapshot {
			continue
		}
		f.stores.Load().Loaded(persistence.Point{Epoch: p.at.Epoch, Next: p.at.Position + 1, Transaction: p.at.Transaction})
		if err := f.tell(before, p.at, p.ops); err != nil {
			return err
		}
	}
	return nil
}

// Loaded is called where a state is whole.
func (f *Finder) Loaded(at persistence.Point) {
	if f.entry != nil && !f.restoring {
		return // what its transactions did is known
	}
	f.stores.Load().Loaded(at)
	if !f.loaded {
		f.loaded, f.first = true, f.stores.Load().View()
	}
	if f.restoring {
		f.restoring = false
		e := f.entry
		f.err = f.tell(f.before, persistence.Commit{Transaction: e.First, Position: e.Position, Epoch: e.Epoch}, []string{"restore"})
	}
}

// Err is what kept the changes of a restore from being told.
func (f *Finder) Err() error { return f.err }

// tell hands out what differs now from what was before.
func (f *Finder) tell(before storage.View, at persistence.Commit, ops []string) error {
	for d := range storage.Diff(before, f.stores.Load().View()) {
		c := &Change{Time: f.entry.Time, Transaction: at.Transaction, Position: at.Position, Leader: f.leader, Ops: ops,
			Kind: d.Kind, Key: d.Key, What: d.What()}
		var err error
		if c.Fields, err = view.Fields(d.Before, d.After); err != nil {
			return err
		}
		f.changes = append(f.changes, c)
	}
	return nil
}

// opNames are the names of ops as they are in JSON, each once.
func opNames(ops []*api.Op) []string {
	names := []string{}
	seen := map[string]bool{}
	for _, op := range ops {
		v := reflect.ValueOf(op).Elem()
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if !v.Field(i).IsNil() && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}
