package blob

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// What was sent below the seal's position is in the history: of that nobody may say
// that it is not committed, whatever becomes of the writer.
func TestOnlyWhatLiesAtOrBeyondTheSealIsDeposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader(1)
		// a lands at once, but its answer takes long; b and c are on their way longer.
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 1)), Times: 1, Do: memdriver.DelayReply(time.Hour)})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: memdriver.Delay(time.Minute)})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 3)), Times: 1, Do: memdriver.Delay(time.Hour)})
		results := map[string]*result{}
		for _, record := range []string{"a", "b", "c"} {
			results[record] = old.send(record)
			synctest.Wait()
			time.Sleep(time.Second) // each its own entry
		}
		c.leader(2).write("d")
		for record, want := range map[string]error{"a": persistence.ErrUnknown, "b": persistence.ErrDeposed, "c": persistence.ErrDeposed} {
			if err := results[record].wait(); !errors.Is(err, want) || errors.Is(err, persistence.ErrNotCommitted) != (want != persistence.ErrUnknown) {
				t.Errorf("%s: %v, want %v", record, err, want)
			}
		}
		c.mustRecover("a d")
	})
}

// "Not committed" is said only when all that it rests on was read: the seal, and
// after that the manifests.
func TestNothingIsClaimedWithoutBeingSure(t *testing.T) {
	const key = "log/0000000001/00000000000000000002"
	for name, fault := range map[string]func(c *cell, successor *process) memdriver.Fault{
		"the seal can't be read": func(*cell, *process) memdriver.Fault {
			// The first GET is the bucket's own, to see whether the object is its own.
			return memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Skip: 1, Do: memdriver.Fail}
		},
		"what is there can't be read": func(*cell, *process) memdriver.Fault {
			return memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Do: memdriver.Fail}
		},
		"the seal is gone again": func(c *cell, _ *process) memdriver.Fault {
			return memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Skip: 1, Do: memdriver.Before(c.mem.Remove)}
		},
		"the seal is damaged": func(*cell, *process) memdriver.Fault {
			return memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Skip: 1, Do: memdriver.Corrupt}
		},
		"the manifests can't be listed": func(*cell, *process) memdriver.Fault {
			return memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is("snapshot/"), Do: memdriver.Fail}
		},
		"a snapshot is made as the seal is read": func(_ *cell, successor *process) memdriver.Fault {
			return memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(key), Skip: 1, Times: 1,
				Do: memdriver.After(func(string) { successor.snapshot() })}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				old := c.leader(1).write("a")
				successor := c.leader(2).write("b")
				rule := c.mem.Inject(fault(c, successor))
				if err := old.send("c").wait(); !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) {
					t.Errorf("%v, want unknown", err)
				}
				if rule.Hits() == 0 {
					t.Error("the fault did not happen: this test shows nothing")
				}
			})
		})
	}
}

// An entry of a stranger in this writer's own epoch can't be. If it is, then nobody
// knows what else is wrong.
func TestStrangersEntryIsNoSeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other := newCell(t), newCell(t)
		p := c.leader(1).write("a")
		other.leader(1).write("a", "b")
		c.mem.Put(Key(1, 2), other.mem.Data(Key(1, 2)))
		err := p.send("b").wait()
		if !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) || !strings.Contains(err.Error(), Key(1, 2)) {
			t.Errorf("%v, want unknown and the object's name", err)
		}
	})
}

// Once the writer is done, none of its uploads is on its way any more.
func TestWriterEndsAfterItsUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		var uploads atomic.Int32
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Before(func(string) {
			uploads.Add(1)
			time.Sleep(time.Minute) // whatever the context says
			uploads.Add(-1)
		})})
		p.send("a")
		synctest.Wait()
		p.send("b")
		synctest.Wait()
		p.writer.Stop(errors.New("lease lost"))
		if n := uploads.Load(); n != 0 {
			t.Errorf("%d uploads are on their way behind the writer's back", n)
		}
	})
}

// A writer that is told to stop says why it did, even if the uploads that this cuts
// off have answered before it comes to look. Which it sees first is chance.
func TestStoppedWriterSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			c := newCell(t)
			p := c.leader(1)
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 1)), Do: memdriver.Delay(time.Second)})
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Do: memdriver.Block})
			busy := make(chan struct{})
			if _, err := p.writer.Append([]byte("a"), func(persistence.Ack, error) { <-busy }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			b := p.send("b")
			time.Sleep(time.Minute) // a is being acknowledged, b on its way
			cause := errors.New("lease lost")
			go p.writer.Stop(cause)
			synctest.Wait()
			close(busy)
			if err := b.wait(); !errors.Is(err, persistence.ErrUnknown) || !errors.Is(err, ErrStopped) || !errors.Is(err, cause) {
				t.Fatalf("%v, want unknown, that it was stopped, and why", err)
			}
		}
	})
}
