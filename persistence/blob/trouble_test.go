package blob

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Whichever request of a claim is refused, nobody leads by it, nothing is lost, and the
// next claim goes well, with the seal that may be there or without it.
func TestLeadWhoseRequestIsRefused(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			for skip := 0; ; skip++ {
				c := newCell(t)
				c.leader(1).write("a", "b").snapshot()
				p := c.process()
				if prepared {
					if err := p.reader.Prepare(c.ctx); err != nil {
						t.Fatal(err)
					}
				}
				rule := c.mem.Inject(memdriver.Fault{Skip: skip, Times: 1, Do: memdriver.Deny})
				var err error
				if !prepared {
					err = p.reader.Prepare(c.ctx)
				}
				if err == nil {
					p.writer, err = p.reader.Lead(c.ctx, 2, persistence.NewWriterID())
				}
				c.mem.Heal()
				if err == nil {
					p.writer.Stop(errors.New("enough"))
				} else if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), "mem://test") || p.writer != nil {
					t.Errorf("request %d refused: %v", skip, err)
				}
				c.leader(3).write("c")
				c.mustRecover("a b c")
				if rule.Hits() == 0 {
					if err != nil || skip < 2 {
						t.Errorf("%v, after %d requests", err, skip)
					}
					break
				}
			}
		})
	}
}

// An epoch that is too small says which one would do.
func TestEpochErrorSaysWhatIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(7)
		_, err := c.process().reader.Lead(c.ctx, 7, persistence.NewWriterID())
		if needed, ok := errors.AsType[*EpochError](err); !ok || needed.Need != 8 || !strings.Contains(err.Error(), "an epoch of at least 8") {
			t.Errorf("%v", err)
		}
	})
}

// A close that is given up leaves what was sent unknown, and does not say that all is
// well; nor does one after an end that was none.
func TestCloseThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		blocked := c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under(logPrefix), Do: memdriver.Block})
		sent := p.send("b")
		synctest.Wait()
		gone := errors.New("the operator can't wait")
		ctx, cancel := context.WithCancelCause(c.ctx)
		cancel(gone)
		if err := p.writer.Close(ctx); !errors.Is(err, ErrStopped) || !errors.Is(err, gone) {
			t.Errorf("close: %v", err)
		}
		if err := sent.wait(); !errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("the record that was sent: %v", err)
		}
		if err := p.writer.Close(c.ctx); !errors.Is(err, ErrStopped) {
			t.Errorf("again: %v", err)
		}
		if err := p.send("c").wait(); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, gone) {
			t.Errorf("one that came after it: %v", err)
		}
		blocked.Stop()
		c.mustRecover("a")
	})
}

// What lies in the log and is no entry is named, by whoever lists the log, and is never
// taken for nothing: it may be an entry that was renamed.
func TestStrayInTheLogIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		const stray = "log/0000000001/00000000000000000002.bak"
		c.mem.Put(stray, []byte("x"))
		for what, read := range map[string]func() error{
			"keys":         func() error { _, err := p.log.Keys(c.ctx); return err },
			"verification": func() error { _, err := p.log.Verify(c.ctx, nil); return err },
			"recovery":     func() error { _, err := c.recovers(); return err },
		} {
			if err := read(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), stray) {
				t.Errorf("%s: %v", what, err)
			}
		}
		c.mem.Remove(stray)
		c.mustRecover("a")
	})
}

// A cell of which no object of the log can be listed is not taken for a new one.
func TestOpenThatCantListIsNoNewCell(t *testing.T) {
	c := newCell(t)
	c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Deny})
	if _, err := Open(c.ctx, c.bucket(), Options{}); !errors.Is(err, bucket.ErrDenied) || len(c.mem.Keys()) != 0 {
		t.Errorf("%v, made %q", err, c.mem.Keys())
	}
}
