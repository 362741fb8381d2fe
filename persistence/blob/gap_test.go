package blob

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Where the disk is full, say, a store knows that nothing of an entry landed. Neither
// that entry nor any behind it, landed or not, can become history: all of them are "not
// committed". Of those before it that is not known.
func TestWhatSurelyDidNotLandIsNotCommitted(t *testing.T) {
	for name, err := range map[string]error{"no room": bucket.ErrNotLanded, "denied": bucket.ErrDenied} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				p := c.leader(1).write("a")
				// b is on its way for long, c is refused a little after d, which has landed.
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 2)), Do: memdriver.DelayReply(time.Hour)})
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 3)), Do: memdriver.Delay(time.Minute)})
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, 3)), Do: memdriver.Fail, Err: err})
				results := map[string]*result{}
				for _, record := range []string{"b", "c", "d"} {
					results[record] = p.send(record)
					synctest.Wait()
					time.Sleep(time.Second) // each its own entry
				}
				if c.mem.Data(Key(1, 4)) == nil {
					t.Fatal("d has not landed: this test shows less than it should")
				}
				for record, want := range map[string]error{"b": persistence.ErrUnknown, "c": persistence.ErrNotCommitted, "d": persistence.ErrNotCommitted} {
					got := results[record].wait()
					if !errors.Is(got, want) || errors.Is(got, persistence.ErrDeposed) || errors.Is(got, persistence.ErrNotCommitted) != (want != persistence.ErrUnknown) {
						t.Errorf("%s: %v, want %v", record, got, want)
					}
				}
				c.mem.Heal()
				c.leader(2).write("e")
				c.mustRecover("a b e") // b had landed
			})
		})
	}
}

// Two uploads fail, and the writer ends for the one that has answered first: what the
// other came to counts as well.
func TestEveryAnswerCountsForTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		for position, delay := range map[persistence.Position]time.Duration{1: 10 * time.Second, 2: time.Minute, 3: 30 * time.Second} {
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, position)), Do: memdriver.Delay(delay)})
			if position > 1 {
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, position)), Do: memdriver.Fail, Err: bucket.ErrNotLanded})
			}
		}
		busy := make(chan struct{})
		if _, err := p.writer.Append([]byte("a"), func(persistence.Ack, error) { <-busy }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		first := p.send("b")
		time.Sleep(time.Second) // each its own entry
		second := p.send("c")
		time.Sleep(time.Hour) // both have answered, while a is being acknowledged
		close(busy)
		for record, err := range map[string]error{"b": first.wait(), "c": second.wait()} {
			if !errors.Is(err, persistence.ErrNotCommitted) {
				t.Errorf("%s: %v, want not committed", record, err)
			}
		}
	})
}
