package blob

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// takes makes each request of an operation on the log take a while, half of it before
// it has its effect.
func (c *cell) takes(op memdriver.Operation, d time.Duration) {
	c.mem.Inject(memdriver.Fault{Operation: op, Key: memdriver.Under(logPrefix), Do: memdriver.Delay(d / 2)})
	c.mem.Inject(memdriver.Fault{Operation: op, Key: memdriver.Under(logPrefix), Do: memdriver.DelayReply(d - d/2)})
}

// follower is a process that follows, and notes when it applied what.
type follower struct {
	*process
	mu      sync.Mutex
	applied map[string]time.Time
}

func (c *cell) follower(o FollowOptions) *follower {
	f := &follower{process: c.process(), applied: map[string]time.Time{}}
	f.state.fail = func(record string) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.applied[record] = time.Now()
		return nil
	}
	ready := make(chan struct{})
	o.Ready = func() { close(ready) }
	go func() { _ = f.reader.Follow(c.ctx, o) }()
	<-ready
	return f
}

// load has a leader commit a record each so often, and says how long each took and how
// far behind its acknowledgement the follower was. Requests and entries are counted.
func (f *follower) load(leader *process, every time.Duration, n int) (commits, lags []time.Duration, gets, entries int) {
	gets, first := f.entryGets(), leader.reader.at.Next
	sent := make([]time.Time, n)
	acked := make([]time.Time, n)
	name := func(i int) string { return fmt.Sprintf("%d at %v", i, sent[0]) }
	var all sync.WaitGroup
	for i := range n {
		sent[i] = time.Now()
		r := leader.send(name(i))
		all.Go(func() {
			if err := r.wait(); err != nil {
				f.Error(err)
			}
			acked[i] = time.Now()
		})
		time.Sleep(every)
	}
	all.Wait()
	time.Sleep(5 * time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range n {
		at, ok := f.applied[name(i)]
		if !ok {
			f.Fatalf("record %d was not applied", i)
		}
		commits, lags = append(commits, acked[i].Sub(sent[i])), append(lags, at.Sub(acked[i]))
	}
	return commits, lags, f.entryGets() - gets, int(leader.reader.at.Next - first)
}

func (c *cell) entryGets() int { return c.mem.CountOf(memdriver.Get, memdriver.Under(logPrefix)) }

// quantile of durations, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

// Under load a follower is less than two commits behind what the leader acknowledges,
// and asks for each entry three times at most.
func TestFollowerKeepsUpAtLowCost(t *testing.T) {
	for name, l := range map[string]struct{ put, get, every time.Duration }{
		"far":                   {60 * time.Millisecond, 25 * time.Millisecond, 10 * time.Millisecond},
		"near":                  {2 * time.Millisecond, time.Millisecond, 2500 * time.Microsecond},
		"near, slow to read":    {2 * time.Millisecond, 1500 * time.Microsecond, 2500 * time.Microsecond},
		"far, slow to read":     {60 * time.Millisecond, 40 * time.Millisecond, 10 * time.Millisecond},
		"far, an entry a while": {60 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCell(t)
				c.takes(memdriver.Create, l.put)
				c.takes(memdriver.Get, l.get)
				leader := c.leader(1)
				f := c.follower(FollowOptions{})
				time.Sleep(time.Hour)
				commits, lags, gets, entries := f.load(leader, l.every, 3000)
				// Before it asks once more it can't know that it is idle no longer.
				awake := int(DefaultMaxPoll/l.every) + 1
				commits, lags = commits[awake:], lags[awake:]
				commit, p50, p99, most := quantile(commits, 0.5), quantile(lags, 0.5), quantile(lags, 0.99), quantile(lags, 1)
				t.Logf("commit %v; lag p50 %v, p99 %v, most %v; %.2f requests an entry of %d", commit, p50, p99, most, float64(gets)/float64(entries), entries)
				if p99 > 3*commit/2 {
					t.Errorf("lag of %v with commits of %v", p99, commit)
				}
				if gets > 3*entries {
					t.Errorf("%d requests for %d entries", gets, entries)
				}
			})
		})
	}
}

// After a pause the first entry waits for the longest poll at most; from then on the
// follower is fast.
func TestFollowerWakesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const put, get = 60 * time.Millisecond, 25 * time.Millisecond
		c := newCell(t)
		c.takes(memdriver.Create, put)
		c.takes(memdriver.Get, get)
		leader := c.leader(1)
		f := c.follower(FollowOptions{})
		time.Sleep(time.Hour)
		for i := range 20 {
			leader.write(fmt.Sprint(i))
			want := 2 * put
			if i == 0 {
				want = DefaultMaxPoll + 2*get
			}
			if lag := f.lag(fmt.Sprint(i)); lag > want {
				t.Errorf("record %d came after %v, want %v", i, lag, want)
			}
			time.Sleep(time.Duration(i) * time.Millisecond)
		}
	})
}

// lag waits until a record, which is acknowledged now, is applied.
func (f *follower) lag(record string) time.Duration {
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		at, ok := f.applied[record]
		f.mu.Unlock()
		if ok {
			return at.Sub(start)
		}
	}
}

// Idle, a follower costs less than $0.80 a month at S3's list prices.
func TestIdleFollowerIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			perGet, perList = 0.0004 / 1000, 0.005 / 1000 // dollars
			month           = 2_630_000 * time.Second
		)
		c := newCell(t)
		c.takes(memdriver.Get, 25*time.Millisecond)
		c.leader(1).write("a")
		c.follower(FollowOptions{})
		time.Sleep(time.Minute)
		gets, lists, all := c.mem.Count(memdriver.Get), c.mem.Count(memdriver.List), c.mem.Count(memdriver.Any)
		time.Sleep(time.Hour)
		gets, lists, all = c.mem.Count(memdriver.Get)-gets, c.mem.Count(memdriver.List)-lists, c.mem.Count(memdriver.Any)-all
		cost := (float64(gets)*perGet + float64(lists)*perList) * float64(month/time.Hour)
		t.Logf("%d GETs and %d LISTs an hour, $%.2f a month", gets, lists, cost)
		if cost > 0.80 || all != gets+lists {
			t.Errorf("$%.2f a month, %d other requests", cost, all-gets-lists)
		}
	})
}
