package sleepers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// transactionsVariable is the number of transactions of a soak; without it there is none.
const transactionsVariable = "SCHEDULER_STORE_SOAK"

const (
	// clients write at once, each one transaction after another.
	clients = 256
	// cold tasks are written once, of a size that does not compress: beside them what
	// changes is little, so that snapshots go on from each other.
	cold, coldBytes = 4000, 1 << 10
	// soakEvery is the time between two snapshots, and between two collections, and
	// soakWindow how far back every state can be recovered.
	soakEvery  = 2 * time.Second
	soakWindow = 5 * time.Second
)

// work has all clients write until the process ends. Each counts up a task of its own,
// so that the state tells how many transactions of a client there were. One transaction
// before all others writes the cold tasks.
func (h *helper) work(ctx context.Context) string {
	if h.store.Status().Transaction == 0 {
		if err := h.store.Write(ctx, saveCold); err != nil {
			return outcome(err)
		}
	}
	failed := make(chan error, clients)
	for i := range clients {
		id := fmt.Sprintf("client-%03d", i)
		go func() {
			for {
				value, err := h.count(ctx, id)
				if err != nil {
					failed <- err
					return
				}
				h.say(fmt.Sprintf("acked %s %d", id, value))
			}
		}()
	}
	return outcome(<-failed)
}

func (h *helper) count(ctx context.Context, id string) (value int, err error) {
	err = h.store.Write(ctx, func(_ context.Context, tx storage.Mutable) error {
		task := newTask(id)
		if before, ok := tx.Tasks().Fetch(id); ok {
			task.AssignedTask.InstanceID = before.AssignedTask.InstanceID
		}
		task.AssignedTask.InstanceID++
		value = int(task.AssignedTask.InstanceID)
		task.AssignedTask.Task.Owner = &api.Identity{User: api.Some(strings.Repeat(id, 4))}
		return tx.Tasks().Save(task)
	})
	return value, err
}

func saveCold(_ context.Context, tx storage.Mutable) error {
	random := rand.New(rand.NewPCG(1, cold))
	for i := range cold {
		text := make([]byte, coldBytes)
		for j := range text {
			text[j] = byte(' ' + random.IntN(90))
		}
		task := newTask(fmt.Sprintf("cold-%04d", i))
		task.AssignedTask.Task.Owner = &api.Identity{User: api.Some(string(text))}
		if err := tx.Tasks().Save(task); err != nil {
			return err
		}
	}
	return nil
}

// values are what the clients have counted up to, and the number of their transactions.
func values(s *schedulerstore.Store) (map[string]int, int) {
	counted, sum := map[string]int{}, 0
	s.Read(func(v storage.View) {
		for task := range v.Tasks().All() {
			if strings.HasPrefix(task.AssignedTask.TaskID.Value, "cold") {
				continue
			}
			n := int(task.AssignedTask.InstanceID)
			counted[task.AssignedTask.TaskID.Value] = n
			sum += n
		}
	})
	return counted, sum
}

// soak is one run on one store.
type soak struct {
	*cell
	mu    sync.Mutex
	acked map[string]int // by client
	total int
	seen  []int // objects, at each look
}

// TestSoak writes very many transactions, makes snapshots and collects all the while,
// with a follower that reads, and kills the leader now and then: nothing is lost or
// doubled, and the number of objects stays bounded. make million runs it.
func TestSoak(t *testing.T) {
	transactions, _ := strconv.Atoi(os.Getenv(transactionsVariable))
	if transactions == 0 {
		t.Skipf("%s says how many transactions", transactionsVariable)
	}
	stores(t, func(c *cell) {
		s := &soak{cell: c, acked: map[string]int{}}
		s.run(transactions, max(3, transactions/100_000))
	})
}

func (s *soak) run(transactions, kills int) {
	start := time.Now()
	ctx, stop := context.WithCancel(s.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	for i := range kills + 1 {
		leader := startWith(s, s.url("one"), ttl, s.note, soakVariable+"=1")
		if i == 0 {
			watching.Go(func() { s.watch(ctx, start) })
		} else {
			s.breakLease(s.open(schedulerstore.Options{ReadOnly: true}))
		}
		leader.must(done, "lead")
		ended := leader.tell("work")
		for s.count() < transactions*(i+1)/(kills+1) {
			select {
			case why := <-ended:
				s.Fatalf("the leader ended: %s", why)
			case <-time.After(20 * time.Millisecond):
			}
		}
		leader.Kill()
		<-leader.silent
		s.check()
	}
	stop()
	watching.Wait()
	s.Logf("%d transactions, %d leaders killed, in %v", s.count(), kills+1, time.Since(start).Round(time.Second))
	s.bounded()
	s.finish()
}

// note notes what a client was told.
func (s *soak) note(client string, value int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.acked[client]; value != before+1 {
		s.Errorf("%s was told of %d after %d", client, value, before)
	}
	s.acked[client] = value
	s.total++
}

func (s *soak) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// check makes sure that each client's count is what it was told last, or one more: the
// leader was killed with that on its way.
func (s *soak) check() {
	s.Helper()
	recovered := s.open(schedulerstore.Options{ReadOnly: true})
	if err := recovered.Recovered(s.Context()); err != nil {
		s.Fatal(err)
	}
	counted, sum := values(recovered)
	if n := int(recovered.Status().Transaction); n != sum+1 {
		s.Errorf("%d transactions, one of them of the cold tasks, and the clients have counted %d", n, sum)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for client, told := range s.acked {
		if got := counted[client]; got != told && got != told+1 {
			s.Errorf("%s was told of %d, and the state has %d", client, told, got)
		}
	}
	s.acked, s.total = counted, sum
	if err := recovered.Close(s.Context()); err != nil {
		s.Error(err)
	}
}

// watch follows, makes sure that no count goes back, and tells how many objects there are.
func (s *soak) watch(ctx context.Context, start time.Time) {
	follower := s.open(schedulerstore.Options{ReadOnly: true})
	last := map[string]int{}
	for tick := 0; ctx.Err() == nil; tick++ {
		now, sum := values(follower)
		for client, n := range last {
			if now[client] < n {
				s.Errorf("a follower saw %s go back from %d to %d", client, n, now[client])
			}
		}
		last = now
		if tick%10 == 0 {
			entries, all, snapshots := 0, 0, 0
			for info, err := range follower.Log().Bucket().List(s.Context(), "", "") {
				if err != nil {
					s.Error(err)
					return
				}
				all++
				switch {
				case strings.HasPrefix(info.Key, "log/"):
					entries++
				case strings.HasSuffix(info.Key, "manifest.json"):
					snapshots++
				}
			}
			s.seen = append(s.seen, all)
			fmt.Printf("%6.1f s  %8d acknowledged  %8d followed  %6d objects  %6d of the log  %2d snapshots\n",
				time.Since(start).Seconds(), s.count(), sum, all, entries, snapshots)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// bounded makes sure that the objects do not grow with the transactions: the later half
// has had about as many as the earlier.
func (s *soak) bounded() {
	half := len(s.seen) / 2
	if early, late := most(s.seen[:half]), most(s.seen[half:]); late > early+early/2+300 {
		s.Errorf("%d objects at most in the first half, %d in the second", early, late)
	}
}

func most(all []int) (n int) {
	for _, a := range all {
		n = max(n, a)
	}
	return n
}

// finish leads once more and collects everything: little is left.
func (s *soak) finish() {
	counted, sum := values(s.goOn())
	for client, n := range counted {
		if n != s.acked[client] {
			s.Errorf("%s: %d, want %d", client, n, s.acked[client])
		}
	}
	left := s.open(schedulerstore.Options{ReadOnly: true})
	if n := len(s.objects(left, "")); n > 100 {
		s.Errorf("after %d transactions, and all garbage is gone, %d objects are left", sum, n)
	}
}
