package blob

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// What was made sure while the lease was being acquired is not asked again: the seal is
// left, and then, at once, the look and the LIST beyond the seal.
func TestPreparedReaderLeadsInTwoRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b")
		p := c.process()
		if err := p.reader.Prepare(c.ctx); err != nil {
			t.Fatal(err)
		}
		before, lists := c.mem.Count(memdriver.Any), c.mem.Count(memdriver.List)
		p.lead(2)
		if all, lists := c.mem.Count(memdriver.Any)-before, c.mem.Count(memdriver.List)-lists; all != 3 || lists != 2 {
			t.Errorf("%d requests, %d of them LISTs; want the seal, a look and what lies beyond the seal", all, lists)
		}
		p.write("c")
		c.mustRecover("a b c")
	})
}

// The old leader goes on after the end was made sure: what it writes is read and kept.
func TestEntriesAfterPrepareAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old, p := c.leader(1).write("a"), c.process()
		if err := p.reader.Prepare(c.ctx); err != nil {
			t.Fatal(err)
		}
		old.write("b", "c")
		p.lead(2).write("d")
		if got := p.state.has(); got != "a b c d" {
			t.Errorf("the new leader has %q", got)
		}
		c.mustRecover("a b c d")
	})
}

// It goes on, a snapshot covers that, and the entries are collected: the seal falls on
// a collected key, and is void.
func TestCollectedAfterPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old, p := c.leader(1).write("a"), c.process()
		if err := p.reader.Prepare(c.ctx); err != nil {
			t.Fatal(err)
		}
		old.write("b", "c")
		old.snapshot()
		c.collect(old.reader.at.Next - 1)
		_, err := p.reader.Lead(c.ctx, 2, persistence.NewWriterID())
		if e, ok := errors.AsType[*EpochError](err); !ok || e.Need != 3 {
			t.Fatalf("%v, want that epoch 3 is needed", err)
		}
		p.lead(3).write("d")
		if got := p.state.has(); got != "a b c d" {
			t.Errorf("the new leader has %q", got)
		}
		c.mustRecover("a b c d")
	})
}

// A proof of the end is for the claim that it was made for, not for a later one: an
// object may have been lost since.
func TestPreparedIsForgotten(t *testing.T) {
	follow := func(t *testing.T, p *process) {
		ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
		defer cancel()
		if err := p.reader.Follow(ctx, FollowOptions{CheckEnd: time.Hour}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	fail := func(t *testing.T, p *process) { // after a seal whose outcome is not known
		p.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: memdriver.Fail})
		if _, err := p.reader.Lead(p.ctx, 2, persistence.NewWriterID()); !errors.Is(err, memdriver.ErrInjected) {
			t.Fatal(err)
		}
	}
	for name, since := range map[string]func(*testing.T, *process){"followed": follow, "failed to lead": fail} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				old, p := c.leader(1).write("a"), c.process()
				if err := p.reader.Prepare(c.ctx); err != nil {
					t.Fatal(err)
				}
				since(t, p)
				old.write("b", "c")
				c.mem.Remove(Key(1, old.reader.at.Next-2))
				if _, err := p.reader.Lead(c.ctx, 3, persistence.NewWriterID()); !errors.Is(err, ErrDamaged) {
					t.Errorf("led over a missing entry: %v", err)
				}
			})
		})
	}
}
