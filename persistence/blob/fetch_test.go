package blob

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// fill puts entries of one record each behind what the cell has, as a leader of the
// epoch would have; it returns the point behind them.
func (c *cell) fill(at persistence.Point, records ...string) persistence.Point {
	c.Helper()
	l := c.open(Options{})
	for _, record := range records {
		h := Header{Kind: KindRecords, Position: at.Next, Epoch: at.Epoch, Prev: at.Hash, Committed: at.Next,
			First: at.Transaction + 1, Count: 1, Time: time.Now()}
		object, hash := encode(l.codec, &h, packed.AppendRecord(nil, []byte(record)))
		c.mem.Put(Key(at.Epoch, at.Next), object)
		at.Next, at.Transaction, at.Hash = at.Next+1, at.Transaction+1, hash
	}
	return at
}

func numbers(n int) []string {
	records := make([]string, n)
	for i := range records {
		records[i] = fmt.Sprint(i)
	}
	return records
}

func TestRecoveryFillsThePipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		p := c.leader(1)
		c.leaseSays(c.fill(p.reader.at, numbers(10_000)...).Next)
		c.mem.Inject(memdriver.Fault{Do: memdriver.Delay(20 * time.Millisecond)})
		before, start := c.entryGets(), time.Now()
		f := c.process()
		if err := f.reader.CatchUp(c.ctx); err != nil || len(f.state.records) != 10_000 {
			t.Fatal(len(f.state.records), err)
		}
		took, gets := time.Since(start), c.entryGets()-before
		t.Logf("10,000 entries at 20 ms each: %v, %d requests", took, gets)
		if took > 5*time.Second {
			t.Errorf("10,000 entries at 20 ms each took %v, want 5 s at most (200 s one by one)", took)
		}
		if want := 10_000 + 2; gets > want { // the seal, and one for the end
			t.Errorf("%d requests, want %d", gets, want)
		}
	})
}

// One slow answer does not empty the pipe: those behind it come, and wait.
func TestRecoveryGoesOnBehindASlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.fill(c.leader(1).reader.at, numbers(2000)...)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(20 * time.Millisecond)})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Ending("50"), Do: memdriver.Delay(130 * time.Millisecond)})
		start := time.Now()
		if _, err := c.recovers(); err != nil {
			t.Fatal(err)
		}
		// 64 at once: 2,000 take 0.63 s, and the 20 slow ones as much as 0.04 s more
		// together. One after another they would take 2.6 s.
		if took := time.Since(start); took > 1300*time.Millisecond {
			t.Errorf("2,000 entries, of which 20 take 150 ms, took %v", took)
		}
	})
}

// Where the end is not known no more is asked for in vain than was found, behind each
// seal and at the end.
func TestRequestsInVainAreBounded(t *testing.T) {
	for name, lengths := range map[string][]int{"short epochs": {3, 1, 7, 2, 5}, "long epochs": {100, 300, 200}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				for i, n := range lengths {
					c.leader(persistence.Epoch(i + 1)).writeApart(n)
				}
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(20 * time.Millisecond)})
				there := map[string]bool{}
				for _, key := range c.mem.Keys() {
					there[key] = true
				}
				vain := c.mem.CountOf(memdriver.Get, func(key string) bool { return strings.HasPrefix(key, logPrefix) && !there[key] })
				if _, err := c.recovers(); err != nil {
					t.Fatal(err)
				}
				vain = c.mem.CountOf(memdriver.Get, func(key string) bool { return strings.HasPrefix(key, logPrefix) && !there[key] }) - vain
				want := 0
				for _, n := range lengths {
					want += min(n+1, Options{}.withDefaults().Prefetch)
				}
				t.Logf("%d requests in vain, %d allowed", vain, want)
				if vain > want {
					t.Errorf("%d requests in vain, want %d at most", vain, want)
				}
			})
		})
	}
}

// However the sizes of entries are mixed, what is on its way or waits stays within the
// bound on bytes; small ones are still fetched far ahead.
func TestMemoryAheadIsBounded(t *testing.T) {
	const small, large = 1 << 10, 12 << 20
	noise := make([]byte, large)
	rand.NewChaCha8([32]byte{}).Read(noise) // does not compress
	big := string(noise)
	mix := func(n int, isLarge func(int) bool) []string {
		records := make([]string, n)
		for i := range records {
			if records[i] = big[:small]; isLarge(i) {
				records[i] = big
			}
		}
		return records
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, test := range map[string]struct {
		records []string
		deep    int // entries ahead at some time, at least
	}{
		"small":        {mix(2000, func(int) bool { return false }), 100},
		"large":        {mix(20, func(int) bool { return true }), 5},
		"in turn":      {mix(30, func(i int) bool { return i%2 == 0 }), 8},
		"now and then": {mix(150, func(int) bool { return random.IntN(8) == 0 }), 8},
		"rarely":       {mix(400, func(i int) bool { return i%100 == 99 }), 40},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.fill(c.leader(1).reader.at, test.records...)
				sizes := map[string]int{}
				for _, key := range c.mem.Keys() {
					sizes[key] = len(c.mem.Data(key))
				}
				var mu sync.Mutex
				ahead, most, entries, deepest := 0, 0, 0, 0 // bytes and entries asked for and not applied
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under(logPrefix), Do: memdriver.Before(func(key string) {
					mu.Lock()
					defer mu.Unlock()
					ahead += sizes[key]
					entries++
					most, deepest = max(most, ahead), max(deepest, entries)
				})})
				c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(20 * time.Millisecond)})
				f := c.process()
				f.state.fail = func(record string) error {
					synctest.Wait() // all that is fetched ahead has come
					mu.Lock()
					defer mu.Unlock()
					ahead -= len(record)
					entries--
					return nil
				}
				if err := f.reader.CatchUp(c.ctx); err != nil || len(f.state.records) != len(test.records) {
					t.Fatal(len(f.state.records), err)
				}
				t.Logf("at most %.1f MiB and %d entries ahead", float64(most)/(1<<20), deepest)
				// The one that is applied is not ahead any more.
				if want := aheadBytes + large + len(test.records)*2*headerSize; most > want {
					t.Errorf("%d bytes were ahead, want %d at most", most, want)
				}
				if deepest < test.deep {
					t.Errorf("never more than %d entries ahead, want %d", deepest, test.deep)
				}
			})
		})
	}
}

// What is behind an entry that is not there yet is fetched once, however often that
// one is asked for.
func TestWhatIsBehindAMissingEntryIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		at := c.leader(1).reader.at
		end := c.fill(at, numbers(12)...)
		hole := Key(1, end.Next-4)
		c.takes(memdriver.Get, 20*time.Millisecond)
		f := newFetcher(c.open(Options{}), nothing{}, 64, 64)
		defer f.drop()
		object := c.mem.Data(hole)
		c.mem.Remove(hole)
		asked := 0
		for p := at.Next; p < end.Next; p++ {
			got := f.get(c.ctx, 1, p)
			for ; got.missing(); got = f.get(c.ctx, 1, p) {
				if asked++; asked == 5 {
					c.mem.Put(hole, object)
				}
			}
			if got.err != nil {
				t.Fatal(got.err)
			}
		}
		if asked != 5 {
			t.Errorf("the missing one was not there %d times, want 5", asked)
		}
		for p := end.Next - 3; p < end.Next; p++ {
			if n := c.mem.CountOf(memdriver.Get, memdriver.Is(Key(1, p))); n != 1 {
				t.Errorf("position %d was asked for %d times", p, n)
			}
		}
	})
}

// That an entry was not there when those before it were not either says nothing once
// those have come.
func TestOldAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		at := c.leader(1).reader.at
		end := c.fill(at, numbers(10)...)
		last := map[string][]byte{Key(1, end.Next-2): nil, Key(1, end.Next-1): nil}
		for key := range last {
			last[key] = c.mem.Data(key)
			c.mem.Remove(key)
		}
		c.takes(memdriver.Get, 20*time.Millisecond)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Is(Key(1, end.Next-1)), Times: 1, Do: memdriver.DelayReply(time.Second)})
		f := newFetcher(c.open(Options{}), nothing{}, 64, 64)
		defer f.drop()
		for p := at.Next; p < end.Next; p++ {
			got := f.get(c.ctx, 1, p)
			if p == end.Next-2 {
				if !got.missing() {
					t.Fatalf("position %d: %v", p, got.err)
				}
				for key, object := range last {
					c.mem.Put(key, object)
				}
				got = f.get(c.ctx, 1, p)
			}
			if got.err != nil {
				t.Fatalf("position %d: %v", p, got.err)
			}
		}
		if n := c.mem.CountOf(memdriver.Get, memdriver.Is(Key(1, end.Next-1))); n != 2 {
			t.Errorf("the last one was asked for %d times, want twice", n)
		}
	})
}
