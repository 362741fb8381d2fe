package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// How much is done, by environment variable, and what is done if it says nothing: a
// little of everything, for each change of the code.
var (
	kills    = amount{"KILLS", 4}    // of leaders; others are killed besides
	freezes  = amount{"FREEZES", 2}  // for longer than the lease
	cutsDone = amount{"CUTS", 1}     // by which a leader is deposed; as many links are slow, or spoil what goes through
	restarts = amount{"RESTARTS", 1} // of MinIO
)

type amount struct {
	variable string
	usual    int
}

func (a amount) get(t *testing.T) int {
	t.Helper()
	text := os.Getenv(a.variable)
	if text == "" {
		return a.usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q, want a number", a.variable, text)
	}
	return n
}

const (
	daemons = 3
	writers = 12
	probers = 8
	cellURL = "cell" // the prefix in the bucket
)

// chaos is one run.
type chaos struct {
	*testing.T
	began  time.Time
	seed   uint64
	random *rand.Rand // of the test's own goroutine only
	folder string     // logs; it stays if the test fails

	minio    *servers.MinIO
	slots    []*slot
	follower *follower
	archive  *archive
	clients  []*client
	probers  []*client
	keeper   *housekeeper
	sheets   []*watcher

	// hint is the URL of who leads, as far as any client knows.
	hint atomic.Pointer[string]
	// killsLeft are the leaders of the plan that are still to be killed; some are amid other
	// things. leadersKilled and killed are those that were, the latter with all others.
	killsLeft, leadersKilled, killed int

	mu       sync.Mutex // guards what follows
	now      string     // what is being done
	done     map[string]int
	failover map[string][]time.Duration // by what came before
	problems []string
	stopping bool // clients finish what they have begun
}

// TestChaos is described in the package's comment.
func TestChaos(t *testing.T) {
	c := begin(t)
	stop := c.work()
	c.carryOut(c.plan())
	c.quiet()
	stop()
	c.judge()
}

func begin(t *testing.T) *chaos {
	c := &chaos{T: t, began: time.Now(), seed: uint64(time.Now().UnixNano()), done: map[string]int{}, failover: map[string][]time.Duration{}}
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if c.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED is %q, want a number", text)
		}
	}
	c.random = rand.New(rand.NewPCG(c.seed, 0))
	c.keepFolder()
	fmt.Printf("SEED=%d, logs in %s\n", c.seed, c.folder)
	// A leader that stops in the middle of a PUT holds up the next one for so long, which
	// is 30 s otherwise: see TestHalfAPutLocksItsKeyOnMinIO.
	t.Setenv("MINIO_IDLE_TIMEOUT", "5s")
	c.minio = servers.StartMinIO(t)
	c.minio.UseCredentials(t)
	c.minio.MakeBucket(t, "cells")
	network := newNetwork()
	for i := range daemons {
		name := string(rune('a' + i))
		l := network.link(t, name, c.minio.Endpoint)
		s := startSlot(t, name, l, servers.S3URL("http://"+l.address, "cells", cellURL), c.folder)
		t.Cleanup(s.end)
		c.slots = append(c.slots, s)
	}
	c.awaitLeader(nil)
	c.archive = startArchive(c)
	c.follower = startFollower(c, network.link(t, "follower", c.minio.Endpoint))
	return c
}

// keepFolder makes the folder of the logs. If the test fails it stays, with a copy of
// the bucket, which can be looked at as a store.
func (c *chaos) keepFolder() {
	folder, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		c.Fatal(err)
	}
	c.folder = folder
	c.Cleanup(func() {
		if !c.Failed() {
			_ = os.RemoveAll(folder)
			return
		}
		c.Logf("SEED=%d; the daemons' logs are in %s, and the bucket as it was is the store file://%s", c.seed, folder, filepath.Join(folder, "store"))
	})
}

// work has clients write and read, and somebody keep house. The function that it returns
// ends that, when what has begun is finished.
func (c *chaos) work() (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var running sync.WaitGroup
	for i := range writers {
		client := newClient(c, i)
		c.clients = append(c.clients, client)
		running.Go(client.run)
	}
	for i := range probers {
		c.probers = append(c.probers, newClient(c, writers+i))
	}
	c.keeper = &housekeeper{chaos: c, random: rand.New(rand.NewPCG(c.seed, 1000))}
	running.Go(func() { c.keeper.run(ctx) })
	for i, s := range append([]reader{c.follower}, readers(c.slots)...) {
		w := &watcher{chaos: c, of: s, random: rand.New(rand.NewPCG(c.seed, uint64(2000+i)))}
		c.sheets = append(c.sheets, w)
		running.Go(func() { w.run(ctx) })
	}
	running.Go(func() { c.progress(ctx) })
	stop = sync.OnceFunc(func() {
		c.mu.Lock()
		c.stopping = true
		c.mu.Unlock()
		cancel()
		running.Wait()
	})
	c.Cleanup(func() {
		stop()
		if c.Failed() {
			c.copyStore()
		}
	})
	return stop
}

// step is one thing of the plan.
type step func()

// plan is all that is to be done, in an order that the seed decides.
func (c *chaos) plan() []step {
	var steps []step
	c.killsLeft = kills.get(c.T)
	for range c.killsLeft {
		steps = append(steps, c.killSome)
	}
	for i := range freezes.get(c.T) {
		// In turn, so that a few are of each kind.
		steps = append(steps, []step{c.freezeLeader, c.freezeSuccessor, c.freezeLeader, c.freezeStandby}[i%4])
	}
	var deposing, other []cut
	for _, i := range c.random.Perm(len(cuts)) {
		if cuts[i].deposes {
			deposing = append(deposing, cuts[i])
		} else {
			other = append(other, cuts[i])
		}
	}
	for i := range cutsDone.get(c.T) {
		steps = append(steps, func() { c.cutOff(deposing[i%len(deposing)]) }, func() { c.cutOff(other[i%len(other)]) })
	}
	for range restarts.get(c.T) {
		steps = append(steps, c.restartMinIO)
	}
	for range (kills.get(c.T) + 9) / 20 {
		steps = append(steps, c.handOver)
	}
	c.random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	return steps
}

func (c *chaos) carryOut(steps []step) {
	for _, do := range steps {
		do()
		c.someWork()
	}
	for c.killsLeft > 0 { // a leader had ended just before it was to be killed
		c.killLeader()
		c.someWork()
	}
}

// someWork waits until a few more transactions are acknowledged, or none, but no longer
// than a moment.
func (c *chaos) someWork() {
	want, most := c.acknowledged()+int64(c.random.IntN(40)), time.Second
	if c.random.IntN(5) == 0 { // enough for a collection
		want, most = want+200, 3*time.Second
	}
	for began := time.Now(); c.acknowledged() < want && time.Since(began) < most; {
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *chaos) acknowledged() int64 {
	var t tally
	for _, client := range c.clients {
		t.add(client)
	}
	return t.committed.Load()
}

// pause waits for a while of chance: nothing in the daemons shall be in step with what
// is done to them.
func (c *chaos) pause(most time.Duration) {
	time.Sleep(time.Duration(c.random.Int64N(int64(most))))
}

// stuck is how long a cell that is healthy may have no leader.
const stuck = 45 * time.Second

// awaitLeader waits until a daemon leads, another than one if that is not nil.
func (c *chaos) awaitLeader(other *slot) *slot {
	c.Helper()
	for began := time.Now(); time.Since(began) < stuck; time.Sleep(15 * time.Millisecond) {
		for _, s := range c.slots {
			if s != other && s.leads() {
				return s
			}
		}
	}
	c.problem("no leader for %v after: %s", stuck, c.doing())
	c.dumpStacks()
	c.FailNow()
	return nil
}

// others are the slots but one.
func (c *chaos) others(s *slot) []*slot {
	return slices.DeleteFunc(slices.Clone(c.slots), func(o *slot) bool { return o == s })
}

// links are all ways to the store.
func (c *chaos) links() []*link {
	links := []*link{c.follower.link}
	for _, s := range c.slots {
		links = append(links, s.link)
	}
	return links
}

// begins notes what is done now, and returns when that was.
func (c *chaos) begins(what string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = what
	c.done[what]++
	return time.Now()
}

func (c *chaos) doing() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// failedOver notes how long it took until another led.
func (c *chaos) failedOver(after string, began time.Time, _ *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failover[after] = append(c.failover[after], time.Since(began))
}

// problem is something that must not happen. The run goes on: more may show.
func (c *chaos) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf("%.1f s: %s", time.Since(c.began).Seconds(), text))
	if len(c.problems) <= 50 {
		c.Errorf("%.1f s, %s: %s", time.Since(c.began).Seconds(), c.now, text)
	}
}

func (c *chaos) isStopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping
}

// progress tells every ten seconds how far everything is.
func (c *chaos) progress(ctx context.Context) {
	before, changed := int64(0), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
		}
		c.mu.Lock()
		total := 0
		for _, n := range c.done {
			total += n
		}
		now, problems := c.now, len(c.problems)
		c.mu.Unlock()
		var t tally
		for _, client := range c.clients {
			t.add(client)
		}
		if n := t.committed.Load(); n > before {
			before, changed = n, time.Now()
		} else if time.Since(changed) > stuck {
			c.problem("no transaction was acknowledged for %v", time.Since(changed))
		}
		fmt.Printf("%5.0f s  %4d things done, now: %-32s %7d acknowledged %6d refused %5d unknown %7d reads  %s  %d problems\n",
			time.Since(c.began).Seconds(), total, now, t.committed.Load(), t.refused.Load(), t.unknown.Load(), t.reads.Load(), c.keeper, problems)
	}
}
