package lease_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// referee knows all leases of a test and looks at all of them at once.
type referee struct {
	t     *testing.T
	mu    sync.Mutex
	all   []*lease.Lease
	last  persistence.Epoch
	leads int
}

// enter is called by who has just acquired a lease.
func (r *referee) enter(l *lease.Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := l.Epoch(); e <= r.last {
		r.t.Errorf("epoch %d after %d", e, r.last)
	} else {
		r.last = e
	}
	r.leads++
	r.all = append(r.all, l)
	r.lookLocked()
}

func (r *referee) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookLocked()
}

func (r *referee) lookLocked() {
	held := r.all[:0]
	for _, l := range r.all {
		if l.Held() {
			held = append(held, l)
		}
	}
	if r.all = held; len(held) > 1 { // not held once is not held ever
		r.t.Errorf("epochs %d and %d are held at once", held[0].Epoch(), held[1].Epoch())
	}
}

// contend is one process: it leads again and again, and its leadership ends well
// or badly.
func contend(ctx context.Context, n *node, r *referee, rnd *rand.Rand) {
	for ctx.Err() == nil {
		o := lease.Options{TTL: time.Duration(3+rnd.IntN(4)) * time.Second}
		l, err := lease.Acquire(ctx, n.bucket(), persistence.NewWriterID(), 0, o)
		if err != nil {
			return // only the end of the test can be the reason
		}
		r.enter(l)
		led := time.Duration(rnd.IntN(int(o.TTL)))
		select {
		case <-l.Context().Done():
		case <-time.After(led):
		}
		if rnd.IntN(3) == 0 {
			_ = l.Raise(ctx, l.Epoch()+persistence.Epoch(rnd.IntN(3)))
			r.mu.Lock()
			r.last = max(r.last, l.Epoch())
			r.mu.Unlock()
		}
		if rnd.IntN(2) == 0 { // a crash, for the others; and then a new process
			n.cut.Store(true)
			time.Sleep(time.Duration(rnd.IntN(int(2 * o.TTL))))
			n.cut.Store(false)
		}
		if err := release(l); err != nil {
			_ = release(l) // or the others have to wait
		}
	}
}

func release(l *lease.Lease) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return l.Release(ctx)
}

// Of many contenders at most one holds the lease at any time, through hundreds of
// fail-overs, crashes, and whatever a store may do; no two bodies are the same.
func TestOneHolderAtAnyTime(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memdriver.NewWithETags()
				rnd := rand.New(rand.NewPCG(seed, 1))
				r := &referee{t: t}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				var nodes []*node
				for i := range 5 {
					n := newNode(store)
					nodes = append(nodes, n)
					wg.Go(func() { contend(ctx, n, r, rand.New(rand.NewPCG(seed, uint64(i+2)))) })
				}
				for ctx.Err() == nil {
					trouble(store, rnd)
					for range 20 {
						time.Sleep(time.Duration(rnd.IntN(int(100 * time.Millisecond))))
						r.look()
					}
				}
				store.Heal()
				wg.Wait()
				t.Logf("%d leaderships", r.leads)
				if r.leads < 30 {
					t.Errorf("%d leaderships only", r.leads)
				}
				bodies := map[string]bool{}
				for _, n := range nodes {
					for body, times := range n.bodies {
						if times > 1 || bodies[body] {
							t.Errorf("written twice: %s", body)
						}
						bodies[body] = true
					}
				}
			})
		})
	}
}

// trouble injects one fault, and sometimes lets late requests land.
func trouble(store *memdriver.Bucket, rnd *rand.Rand) {
	slow := time.Duration(rnd.IntN(int(6 * time.Second)))
	effects := []memdriver.Effect{
		memdriver.Fail, memdriver.Block, memdriver.LoseReply, memdriver.LandAndFail, memdriver.LandLater,
		memdriver.Delay(slow), memdriver.DelayReply(slow),
	}
	store.Inject(memdriver.Fault{
		Skip: rnd.IntN(5), Times: 1 + rnd.IntN(3), Do: effects[rnd.IntN(len(effects))],
	})
	if rnd.IntN(3) == 0 {
		store.Release()
	}
}
