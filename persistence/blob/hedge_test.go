package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// usual is what a PUT of an entry takes here; one is hedged after twice that.
const usual = 50 * time.Millisecond

// wire keeps what is sent to a store.
type wire struct {
	*memdriver.Bucket
	mu    sync.Mutex
	sent  map[string][][]byte
	onWay atomic.Int64
}

func (w *wire) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	w.mu.Lock()
	w.sent[key] = append(w.sent[key], bytes.Clone(data))
	w.mu.Unlock()
	w.onWay.Add(1)
	defer w.onWay.Add(-1)
	return w.Bucket.Create(ctx, key, data)
}

// hedging makes a process the leader of epoch 1, whose entries are hedged; it has
// written enough to know what they take.
func (c *cell) hedging() (*process, *wire) {
	c.Helper()
	wire := &wire{Bucket: c.mem, sent: map[string][][]byte{}}
	log, err := Open(c.ctx, bucket.New(wire, "mem://test", "", bucket.Options{}), Options{Hedge: bucket.HedgeOn})
	if err != nil {
		c.Fatal(err)
	}
	p := &process{cell: c, log: log, state: &state{}, acked: make(chan string, 10_000)}
	p.reader = p.log.NewReader(p.state)
	p.lead(1)
	c.slow(usual)
	for i := range 100 {
		p.write(fmt.Sprint(i))
	}
	for len(p.acked) > 0 {
		<-p.acked
	}
	return p, wire
}

// tries is what happens to the PUTs of the key at a position of epoch 1, in their turn.
func (c *cell) tries(position persistence.Position, tries ...[]memdriver.Effect) {
	for n := len(tries) - 1; n >= 0; n-- { // an effect that settles a request hides it from those after it
		for _, do := range tries[n] {
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is(Key(1, position)), Skip: n, Times: 1, Do: do})
		}
	}
}

func does(effects ...memdriver.Effect) []memdriver.Effect { return effects }

// next is the position of the next entry: the records have one each, and a seal is
// before them.
func (p *process) next() persistence.Position { return persistence.Position(len(p.state.records)) + 1 }

func TestHedgedEntryIsAcknowledgedOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p, wire := c.hedging()
		at := p.next()
		c.tries(at, does(memdriver.Delay(time.Hour)))
		start := time.Now()
		a := p.send("a")
		synctest.Wait()
		time.Sleep(usual)
		b := p.send("b")
		if a.wait() != nil || b.wait() != nil {
			t.Fatal(a.err, b.err)
		}
		if took := time.Since(start); took != 3*usual {
			t.Errorf("acknowledged after %v, want the time after which it is hedged and that of a PUT", took)
		}
		if a.ack.Position != at || b.ack.Position != at+1 || <-p.acked != "a" || <-p.acked != "b" || len(p.acked) != 0 {
			t.Errorf("not acknowledged once and in order: at %d and %d", a.ack.Position, b.ack.Position)
		}
		if sent := wire.sent[Key(1, at)]; len(sent) != 2 || !bytes.Equal(sent[0], sent[1]) {
			t.Errorf("%d tries of the same bytes, want 2", len(sent))
		}
		if n := len(wire.sent[Key(1, at+1)]); n != 1 {
			t.Errorf("the entry that was not slow was sent %d times", n)
		}
		c.mustRecover(p.state.has())
		if !strings.HasSuffix(p.state.has(), " 99 a b") {
			t.Errorf("the state ends otherwise: %s", p.state.has())
		}
	})
}

// What a writer is told when another leader's seal comes while an entry is hedged.
func TestDeposedWriterIsToldTheOutcomeOfBothTries(t *testing.T) {
	const hour = time.Hour
	const late = memdriver.Delay(time.Minute)
	for name, test := range map[string]struct {
		first, second []memdriver.Effect
		lands         bool // before the successor looks for the log's end
		want          error
	}{
		"the second meets the seal":                         {first: does(memdriver.Delay(hour)), want: persistence.ErrDeposed},
		"the second is denied, the first meets the seal":    {first: does(late), second: does(memdriver.Deny), want: persistence.ErrDeposed},
		"the second is not heard of, the first meets it":    {first: does(late), second: does(memdriver.Fail), want: persistence.ErrDeposed},
		"the first landed unheard of, the second finds it":  {first: does(memdriver.DelayReply(hour)), lands: true},
		"the first landed unheard of, the second is denied": {first: does(memdriver.DelayReply(hour), memdriver.LandAndFail), second: does(memdriver.Deny), lands: true, want: persistence.ErrUnknown},
		"the first landed, and neither is heard of":         {first: does(memdriver.DelayReply(hour), memdriver.LandAndFail), second: does(memdriver.Fail), lands: true, want: persistence.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				old, wire := c.hedging()
				at, want := old.next(), old.state.has()
				if test.lands { // so the seal comes behind it
					c.tries(at, test.first, test.second)
					want += " a"
				} else { // the seal comes between
					c.tries(at, test.first, nil, test.second)
				}
				sent := old.send("a")
				synctest.Wait()
				if test.lands {
					time.Sleep(usual + 1)
				}
				c.leader(2).write("b")
				err := sent.wait()
				if !errors.Is(err, test.want) || errors.Is(err, persistence.ErrNotCommitted) != (test.want == persistence.ErrDeposed) {
					t.Errorf("%v, want %v", err, test.want)
				}
				if n := len(wire.sent[Key(1, at)]); n != 2 {
					t.Errorf("the entry was sent %d times", n)
				}
				c.mustRecover(want + " b")
			})
		})
	}
}

func TestWriterEndsAfterBothTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p, wire := c.hedging()
		c.tries(p.next(), does(memdriver.Delay(time.Hour)), does(memdriver.Delay(time.Hour)))
		a := p.send("a")
		time.Sleep(time.Second)
		if n := wire.onWay.Load(); n != 2 {
			t.Fatalf("%d tries on their way, want 2", n)
		}
		p.writer.Stop(errors.New("lease lost"))
		if n := wire.onWay.Load(); n != 0 {
			t.Errorf("%d tries on their way when the writer had ended", n)
		}
		if err := a.wait(); !errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("%v, want unknown", err)
		}
	})
}

// A recovery does not wait for the slowest of its requests: neither for an entry, nor
// for the answer that there is none.
func TestRecoveryHedgesItsReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p, _ := c.hedging()
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under(logPrefix), Do: memdriver.Delay(usual)})
		for _, at := range []persistence.Position{90, p.next()} {
			c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(Key(1, at)), Times: 1, Do: memdriver.Delay(time.Hour)})
		}
		late := c.process()
		late.log = c.open(Options{Hedge: bucket.HedgeOn})
		late.reader = late.log.NewReader(late.state)
		start := time.Now()
		if err := late.reader.CatchUp(c.ctx); err != nil || late.state.has() != p.state.has() {
			t.Fatalf("recovered %q, %v", late.state.has(), err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v: it waited for a request that was slow", took)
		}
	})
}
