package durability

import (
	"context"
	"errors"
	"sync/atomic"
	"weak"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// ErrOverrun: the changes that come next for a cursor are not in memory any more.
var ErrOverrun = errors.New("the changes that come next are not in memory any more")

// What the feed keeps for those who come with an older number: so many changes, whose
// records have about so many bytes.
const (
	keptChanges     = 4096
	keptChangeBytes = 16 << 20
)

// feed is the durable transactions in their order, for those who watch. It is a list
// that grows at its end:
//
//	oldest ──► … ──► base ──► … ──► newest        (more: open, nothing behind it yet)
//	                            ▲
//	                         a cursor: the last change that it has told
//
// A node never changes once another is behind it, so watchers go along it without a
// lock and whoever publishes never waits for them. What is before oldest is garbage,
// unless a cursor keeps it.
type feed struct {
	newest atomic.Pointer[node]
	// base is the first place from which on no transaction is missing: behind the
	// newest reset.
	base atomic.Pointer[node]

	// The rest belongs to whoever publishes: one goroutine at a time, as the log's
	// writer and its reader never run at once.
	oldest               *node
	changes, bytes       int // behind oldest
	maxChanges, maxBytes int
}

// node is a place in the feed: behind one change, before the next.
type node struct {
	change *Change // nil at the beginning
	number persistence.TransactionNumber
	index  uint64 // counts the changes
	size   int    // of the change's record, and of what its events keep in memory besides
	next   *node  // set before more is closed
	more   chan struct{}
}

func newFeed() *feed {
	f := &feed{oldest: &node{more: make(chan struct{})}, maxChanges: keptChanges, maxBytes: keptChangeBytes}
	f.newest.Store(f.oldest)
	f.base.Store(f.oldest)
	return f
}

// number is that of the newest change.
func (f *feed) number() persistence.TransactionNumber { return f.newest.Load().number }

// publish appends a change whose record has size bytes.
func (f *feed) publish(c *Change, size int) {
	size += kept(c.Events)
	last := f.newest.Load()
	n := &node{change: c, number: c.Transaction, index: last.index + 1, size: size, more: make(chan struct{})}
	last.next = n
	f.newest.Store(n)
	if c.Reset {
		f.base.Store(n)
	}
	close(last.more)
	f.changes++
	f.bytes += size
	for f.changes > f.maxChanges || f.bytes > f.maxBytes {
		f.forget()
	}
}

// kept is about how many bytes of memory events keep that is not in their change's
// record: a removal's is of ids, but its event has the tasks.
func kept(events []Event) (size int) {
	for _, e := range events {
		if e.TasksDeleted == nil {
			continue
		}
		for _, task := range e.TasksDeleted.Tasks {
			size += 1024 + 128*len(task.TaskEvents)
		}
	}
	return size
}

// forget drops the oldest change.
func (f *feed) forget() {
	next := f.oldest.next
	f.base.CompareAndSwap(f.oldest, next)
	f.oldest = next
	f.changes--
	f.bytes -= next.size
}

// at returns the place behind the transaction with a number, nil if what comes next
// there is not in memory.
func (f *feed) at(after persistence.TransactionNumber) *node {
	base, newest := f.base.Load(), f.newest.Load()
	switch {
	case after >= newest.number:
		return newest
	case after < base.number:
		return nil
	}
	for base.next.number <= after {
		base = base.next
	}
	return base
}

// Cursor is a watcher's place among the changes. It is for one goroutine at a time.
type Cursor struct {
	feed  *feed
	after persistence.TransactionNumber // what was told, or is not asked for
	// One of the two: kept keeps in memory all that is not told yet; place keeps
	// nothing, so that a slow watcher costs nothing.
	kept  *node
	place weak.Pointer[node]
}

// Changes returns a cursor before the first change behind the transaction with a
// number, and false if that is not in memory any more. If the transaction has not
// come yet here, nothing is told before it has.
func (s *Storage) Changes(after persistence.TransactionNumber) (*Cursor, bool) {
	at := s.feed.at(after)
	if at == nil {
		return nil, false
	}
	return &Cursor{feed: s.feed, after: after, place: weak.Make(at)}, true
}

// Next returns the next change, and waits for it if it has not come yet. If ctx ends
// before, it returns its cause. It returns ErrOverrun when more changes have come
// since the last call than are kept in memory.
func (c *Cursor) Next(ctx context.Context) (*Change, error) {
	for {
		at := c.at()
		if at == nil {
			return nil, ErrOverrun
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		select {
		case <-at.more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		c.move(at.next)
		if change := at.next.change; change.Transaction > c.after {
			c.after = change.Transaction
			return change, nil
		}
	}
}

// Behind is the number of changes that have come and were not told yet. It is the
// most that are kept in memory, or more, when the next will be ErrOverrun.
func (c *Cursor) Behind() int {
	newest := c.feed.newest.Load()
	if at := c.at(); at != nil {
		return int(newest.index - at.index)
	}
	return max(c.feed.maxChanges, int(newest.number-c.after))
}

func (c *Cursor) at() *node {
	if c.kept != nil {
		return c.kept
	}
	return c.place.Value()
}

func (c *Cursor) move(to *node) {
	if c.kept != nil {
		c.kept = to
		return
	}
	c.place = weak.Make(to)
}
