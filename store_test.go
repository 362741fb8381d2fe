package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

const ttl = 15 * time.Second

type cell struct {
	*testing.T
	mem *memdriver.Bucket
}

func newCell(t *testing.T) *cell { return &cell{t, memdriver.New()} }

func (c *cell) open(host string, o Options) *Store {
	c.Helper()
	o.Lease.TTL = ttl
	return c.openAs(host, o)
}

// openAs is open with a lease as in the options.
func (c *cell) openAs(host string, o Options) *Store {
	c.Helper()
	o.Lease.Host, o.Lease.URL = host, "http://"+host
	s, err := OpenBucket(c.Context(), bucket.New(c.mem, "mem://"+host, "", bucket.Options{}), o)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func (c *cell) leader(host string) *Store {
	c.Helper()
	s := c.open(host, Options{})
	if err := s.Campaign(c.Context()); err != nil {
		c.Fatal(err)
	}
	return s
}

func newTask(id string) *api.ScheduledTask {
	return &api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
		Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: api.Some("job")}}}}
}

func save(ids ...string) durability.Work {
	return func(_ context.Context, tx storage.Mutable) error {
		for _, id := range ids {
			if err := tx.Tasks().Save(newTask(id)); err != nil {
				return err
			}
		}
		return nil
	}
}

func ids(s *Store) string {
	var all []string
	s.Read(func(v storage.View) {
		for task := range v.Tasks().All() {
			all = append(all, task.AssignedTask.TaskID.Value)
		}
	})
	return strings.Join(all, " ")
}

func (c *cell) write(s *Store, id ...string) {
	c.Helper()
	if err := s.Write(c.Context(), save(id...)); err != nil {
		c.Fatal(err)
	}
}

func (c *cell) want(s *Store, want string) {
	c.Helper()
	if got := ids(s); got != want {
		c.Errorf("state is %q, want %q", got, want)
	}
}

func TestWhatIsWrittenIsThereAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		s := c.leader("one")
		c.write(s, "a")
		c.write(s, "b", "c")
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := c.open("two", Options{})
		if err := again.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want(again, "a b c")
	})
}

func TestFollowerFollowsAndCantWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader, follower := c.leader("one"), c.open("two", Options{})
		c.write(leader, "a")
		time.Sleep(5 * time.Second)
		c.want(follower, "a")
		if err := follower.Write(t.Context(), save("b")); !errors.Is(err, durability.ErrNotLeader) {
			t.Errorf("follower wrote: %v", err)
		}
		if err := follower.ReadLinearizable(func(storage.View) {}); !errors.Is(err, durability.ErrNotLeader) {
			t.Errorf("follower answered a linearizable read: %v", err)
		}
		if err := leader.ReadLinearizable(func(v storage.View) {}); err != nil {
			t.Error(err)
		}
	})
}

// A leader that ends cleanly hands over at once, long before its lease runs out.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two := c.leader("one"), c.open("two", Options{})
		c.write(one, "a")
		led := make(chan error, 1)
		go func() { led <- two.Campaign(t.Context()) }()
		time.Sleep(time.Minute)
		start := time.Now()
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-led; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("hand-over took %v", took)
		}
		c.write(two, "b")
		c.want(two, "a b")
	})
}

// Writes go on while the leader closes: each is either durable or says that it is not.
func TestNoWriteIsLostOrDoubledByAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(10 * time.Millisecond)})
		one := c.leader("one")
		var mu sync.Mutex
		acked := map[string]bool{}
		var writers sync.WaitGroup
		for w := range 20 {
			writers.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d", w, i)
					if err := one.Write(t.Context(), save(id)); err != nil {
						if !errors.Is(err, persistence.ErrNotCommitted) {
							t.Errorf("%s: %v, want not committed", id, err)
						}
						return
					}
					mu.Lock()
					acked[id] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Second)
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		writers.Wait()
		two := c.leader("two")
		found := strings.Fields(ids(two))
		if len(found) != len(acked) || len(acked) < 100 {
			t.Errorf("%d tasks are there, %d were acknowledged", len(found), len(acked))
		}
	})
}

// gate is a process's way to the bucket. While it is shut every request waits, then
// goes on, however late.
type gate struct {
	driver.Bucket
	shut chan struct{} // closed when open
	mu   sync.Mutex
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() { close(g.shut) }

func (g *gate) wait() {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

func (g *gate) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	g.wait()
	return g.Bucket.Get(ctx, key)
}

func (g *gate) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	g.wait()
	return g.Bucket.Create(context.WithoutCancel(ctx), key, data)
}

func (g *gate) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	g.wait()
	return g.Bucket.Replace(context.WithoutCancel(ctx), key, data, old)
}

// A leader that is cut off for longer than its lease is replaced; what it sent
// meanwhile arrives late and changes nothing; then it follows.
func TestLeaderThatHangsIsReplacedAndFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		g := &gate{Bucket: c.mem}
		one, err := OpenBucket(t.Context(), bucket.New(g, "mem://one", "", bucket.Options{}), Options{Lease: lease.Options{TTL: ttl}})
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close(t.Context())
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.write(one, "a")
		two := c.open("two", Options{})
		time.Sleep(time.Second)

		g.close()
		late := make(chan error, 1)
		go func() { late <- one.Write(t.Context(), save("late")) }()
		start := time.Now()
		if err := two.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < ttl-ttl/3 || took > 2*ttl {
			t.Errorf("took over after %v, the lease is %v", took, ttl)
		}
		if one.Leadership().Err() == nil {
			t.Error("both lead")
		}
		c.write(two, "b")
		g.open()
		if err := <-late; !errors.Is(err, persistence.ErrUnknown) && !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("what was sent while cut off: %v", err)
		}
		time.Sleep(5 * time.Second)
		c.want(one, "a b")
		c.want(two, "a b")
	})
}

func TestLeaderIsDeposedByTheSealAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		// An operator breaks the lease of a leader that is alive.
		if _, err := lease.Break(t.Context(), one.bucket); err != nil {
			t.Fatal(err)
		}
		two := c.leader("two")
		c.write(two, "b")
		err := one.Write(t.Context(), save("c"))
		if !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("deposed leader: %v", err)
		}
		time.Sleep(10 * time.Second)
		c.want(one, "a b")
		if cause := context.Cause(one.Leadership()); cause == nil || errors.Is(cause, errNeverLed) {
			t.Errorf("leadership ended with %v", cause)
		}
		if status := one.Status(); status.Role != Follower {
			t.Errorf("status %+v", status)
		}
	})
}

func TestLeaseLostEndsLeadershipByTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
		start := time.Now()
		<-one.Leadership().Done()
		if took := time.Since(start); took > ttl {
			t.Errorf("led for %v without a renewal, the lease is %v", took, ttl)
		}
		if cause := context.Cause(one.Leadership()); !errors.Is(cause, lease.ErrLost) {
			t.Errorf("cause %v", cause)
		}
		if err := one.Write(t.Context(), save("a")); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, lease.ErrLost) {
			t.Errorf("wrote after that: %v; want not committed, and why", err)
		}
		c.mem.Heal()
		if err := one.Campaign(t.Context()); err != nil { // the process need not restart
			t.Fatal(err)
		}
		c.write(one, "b")
	})
}

// A process that loses the lease as it takes over says so, and not only that a request
// was cut off.
func TestLeaseLostWhileTakingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Minute)})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("log/"), Do: memdriver.Delay(time.Second)}) // until it follows again
		if err := one.Campaign(t.Context()); !errors.Is(err, lease.ErrLost) {
			t.Errorf("could not lead: %v; want why", err)
		}
		if problem := one.Status().Problem; !strings.Contains(problem, lease.ErrLost.Error()) {
			t.Errorf("the status tells of %q", problem)
		}
		c.mem.Heal()
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// The lease object is lost: epochs in the lease start again, those in the log don't.
func TestLeaseObjectLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.mem.Remove(lease.Key)
		two := c.leader("two")
		c.write(two, "b")
		c.want(two, "a b")
		if epoch := two.Status().Epoch; epoch < 2 {
			t.Errorf("epoch %d", epoch)
		}
	})
}

func TestIdleLeaderSendsRenewalsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		time.Sleep(time.Minute + time.Second) // the first look for garbage is over
		all, renewals := c.mem.Count(memdriver.Any), c.mem.Count(memdriver.Replace)
		time.Sleep(10 * time.Minute)
		all, renewals = c.mem.Count(memdriver.Any)-all, c.mem.Count(memdriver.Replace)-renewals
		if want := int(10 * time.Minute / (ttl / 3)); all != renewals || renewals < want-1 || renewals > want+1 {
			t.Errorf("%d requests in ten idle minutes, %d of them renewals; want %d renewals and nothing else", all, renewals, want)
		}
		time.Sleep(time.Second) // not together with a renewal
		before := c.mem.Count(memdriver.Any)
		c.write(one, "b")
		if n := c.mem.Count(memdriver.Any) - before; n != 1 {
			t.Errorf("a commit took %d requests, want one PUT", n)
		}
	})
}

func TestInitialWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{Initialize: save("initial")})
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want(one, "initial")
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		failing := errors.New("can't initialize")
		two := c.open("two", Options{Initialize: func(context.Context, storage.Mutable) error { return failing }})
		if err := two.Campaign(t.Context()); !errors.Is(err, failing) {
			t.Errorf("campaign with failing initial work: %v", err)
		}
		c.leader("three") // the lease was released
	})
}

func TestSnapshotsAreMadeAndUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.open("one", Options{Snapshots: snapshot.Schedule{Replay: 9500 * time.Microsecond}})
		if err := one.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 25 {
			c.write(one, fmt.Sprintf("%02d", i))
			time.Sleep(time.Second)
		}
		names, err := snapshot.List(t.Context(), one.bucket, nil)
		if err != nil || len(names) < 2 {
			t.Fatalf("%d snapshots, %v", len(names), err)
		}
		want := ids(one)
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		covered := func(key string) bool {
			return strings.HasPrefix(key, "log/") && key <= blob.Key(1, names[len(names)-1].Position)
		}
		reads := c.mem.CountOf(memdriver.Get, covered)
		two := c.leader("two")
		c.want(two, want)
		if n := c.mem.CountOf(memdriver.Get, covered) - reads; n > 0 {
			t.Errorf("recovery read %d entries that the snapshot covers", n)
		}
	})
}

func TestDamageIsSaidAndNothingIsServedAsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		for i := range 5 {
			c.write(one, fmt.Sprint(i))
		}
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		key := blob.Key(1, 3)
		c.mem.Remove(key)
		two := c.open("two", Options{})
		if err := two.Recovered(t.Context()); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), key) {
			t.Errorf("recovery of a damaged log: %v", err)
		}
		if err := two.Campaign(t.Context()); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("campaign on a damaged log: %v", err)
		}
		if status := two.Status(); !strings.Contains(status.Problem, key) || status.Recovered {
			t.Errorf("status %+v", status)
		}
	})
}

// Nothing in the log shows that its last entries are gone; the lease does.
func TestLossOfTheLastEntriesIsDamage(t *testing.T) {
	for _, alive := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			one := c.leader("one")
			c.write(one, "a")
			c.write(one, "b")
			if alive {
				time.Sleep(ttl) // a renewal
			} else if err := one.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			lost := blob.Key(1, 2)
			c.mem.Remove(lost)
			two := c.open("two", Options{})
			if err := two.Recovered(t.Context()); !errors.Is(err, blob.ErrDamaged) || !strings.Contains(err.Error(), lost) {
				t.Errorf("alive %t: recovery without the last entry: %v", alive, err)
			}
			report, err := two.Log().Verify(t.Context(), nil)
			if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], lost) {
				t.Errorf("alive %t: verify: %+v, %v", alive, report, err)
			}
		})
	}
}

func TestReadOnlyNeverWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		c.write(one, "a")
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.Deny})
		c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.Deny})
		two := c.open("two", Options{ReadOnly: true})
		if err := two.Recovered(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.want(two, "a")
		if err := two.Campaign(t.Context()); err == nil {
			t.Error("a read-only store campaigned")
		}
	})
}

func TestStoreThatIgnoresConditionsIsRefused(t *testing.T) {
	for _, op := range []memdriver.Operation{memdriver.Create, memdriver.Replace} {
		c := newCell(t)
		c.mem.Inject(memdriver.Fault{Operation: op, Do: memdriver.IgnoreConditions})
		if _, err := OpenBucket(t.Context(), bucket.New(c.mem, "mem://x", "", bucket.Options{}), Options{}); !errors.Is(err, bucket.ErrConditionsIgnored) {
			t.Errorf("%s: %v", op, err)
		}
	}
}
