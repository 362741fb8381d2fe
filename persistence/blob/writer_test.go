package blob

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestRecordsAreRecoveredInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader(1).write("a", "b", "c")
		c.mustRecover("a b c")
	})
}

func TestOnePutForAGroupAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(10 * time.Millisecond)
		p.write("so that it knows how long a PUT takes")
		before := c.mem.Count(memdriver.Any)
		first := p.send("first") // alone, at once
		synctest.Wait()
		var rest []*result
		for i := range 100 { // these wait for each other
			rest = append(rest, p.send(fmt.Sprint(i)))
		}
		for _, r := range append(rest, first) {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
		}
		if n := c.mem.Count(memdriver.Any) - before; n != 2 {
			t.Errorf("101 records took %d requests, want 2 PUTs", n)
		}
		if first, last := rest[0].ack.Position, rest[99].ack.Position; first != last {
			t.Errorf("records that waited together are at positions %d to %d", first, last)
		}
		before = c.mem.Count(memdriver.Any)
		time.Sleep(time.Hour)
		if n := c.mem.Count(memdriver.Any) - before; n != 0 {
			t.Errorf("an idle writer made %d requests in an hour", n)
		}
	})
}

// The first of two entries takes longer than the second: neither is durable
// before the first is, for a recovery would stop before it.
func TestAcknowledgedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 1)), Do: memdriver.Delay(time.Second)})
		a := p.send("a")
		synctest.Wait()
		b := p.send("b")
		time.Sleep(500 * time.Millisecond)
		if c.mem.Data(Key(1, 2)) == nil {
			t.Fatal("the second entry was not sent while the first was on its way")
		}
		select {
		case <-b.done:
			t.Fatal("the second record was acknowledged before the first")
		default:
		}
		if a.wait() != nil || b.wait() != nil {
			t.Fatal(a.err, b.err)
		}
		if got := <-p.acked + <-p.acked; got != "ab" {
			t.Errorf("acknowledged in the order %s", got)
		}
	})
}

// With position p on its way, nothing is sent at or beyond p + W, however many in
// between have landed: a reader takes an object there for proof that p was there.
func TestWindowIsOfPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 1)), Do: memdriver.Delay(time.Hour)})
		results := []*result{p.send("0")}
		for i := range 3 * Window {
			time.Sleep(time.Second) // each its own entry
			results = append(results, p.send(fmt.Sprint(i+1)))
		}
		time.Sleep(time.Minute)
		keys := c.mem.Keys()
		if last := keys[len(keys)-1]; !strings.HasPrefix(last, logPrefix) || last != Key(1, Window) {
			t.Errorf("with position 1 on its way and a window of %d, the last entry is %s, want %s", Window, last, Key(1, Window))
		}
		for _, r := range results {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestLostReplyIsASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under(logPrefix), Times: 1, Do: memdriver.LoseReply})
		p.write("a", "b")
		c.mustRecover("a b")
	})
}

func TestOutcomes(t *testing.T) {
	faults := map[string]memdriver.Effect{"landed": memdriver.LandAndFail, "did not land": memdriver.Fail}
	for name, effect := range faults {
		t.Run("an answer that is not known, and it "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a")
				c.slow(time.Second)
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Times: 1, Do: effect})
				sent := p.send("b")
				synctest.Wait()
				var waiting []*result
				for i := range 10 * Window {
					waiting = append(waiting, p.send(strings.Repeat("x", p.log.options.EntryBytes/2)+fmt.Sprint(i)))
				}
				<-p.writer.Done()
				if err := sent.wait(); !errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrNotCommitted) {
					t.Errorf("what was sent: %v, want unknown", err)
				}
				last := waiting[len(waiting)-1]
				if err := last.wait(); !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) || errors.Is(err, persistence.ErrDeposed) {
					t.Errorf("what was not sent: %v, want not committed", err)
				}
				if err := p.send("after").wait(); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, memdriver.ErrInjected) {
					t.Errorf("after the end: %v, want not committed and the cause", err)
				}
			})
		})
	}
	t.Run("deposed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			old := c.leader(1).write("a")
			c.leader(2).write("b")
			err := old.send("c").wait()
			if !errors.Is(err, persistence.ErrDeposed) || !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) {
				t.Fatalf("%v, want deposed", err)
			}
			if !strings.Contains(err.Error(), "epoch 2") {
				t.Errorf("%q does not name the epoch that deposed it", err)
			}
			c.mustRecover("a b")
		})
	})
	t.Run("stopped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			p := c.leader(1)
			c.slow(time.Second)
			sent := p.send("a")
			synctest.Wait()
			cause := errors.New("lease lost")
			p.writer.Stop(cause)
			if err := sent.wait(); !errors.Is(err, persistence.ErrUnknown) || !errors.Is(err, cause) {
				t.Errorf("%v, want unknown and its cause", err)
			}
		})
	})
}

// Close loses nothing that was handed over.
func TestCloseWaitsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.slow(time.Second)
		var results []*result
		for i := range 50 {
			results = append(results, p.send(fmt.Sprint(i)))
			time.Sleep(10 * time.Millisecond)
		}
		if err := p.writer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.send("late").wait(); !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestQueueMakesCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.process()
		p.log = c.open(Options{QueueBytes: 10})
		p.reader = p.log.NewReader(p.state)
		p.lead(1)
		c.slow(time.Second)
		p.write("so that it knows how long a PUT takes")
		p.send("sent at once")
		synctest.Wait()
		p.send("0123456789")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.writer.WaitRoom(ctx); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a full queue: %v, want not committed by the deadline", err)
		}
		if err := p.writer.WaitRoom(t.Context()); err != nil {
			t.Errorf("once there is room: %v", err)
		}
	})
}

func TestRecordTooLargeFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1).write("a")
		if err := p.send(strings.Repeat("x", p.log.options.MaxRecordBytes+1)).wait(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v, want too large", err)
		}
		p.write("b")
		c.mustRecover("a b")
	})
}
