package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// Leaders end, by SIGTERM and by SIGKILL, while clients write without idempotency keys.
// Every write that was answered is there, and none is there twice.
func TestLeadersEndUnderLoad(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		const ttl = 3 * time.Second
		c := &clients{t: t}
		hosts := 0
		start := func() *servers.Daemon {
			hosts++
			return servers.StartDaemon(t, store, "--lease-ttl", ttl.String(), "--host", fmt.Sprint("host", hosts))
		}
		leader := start()
		leader.WaitFor("/leaderz", http.StatusOK)
		c.daemons.Store(&[]*servers.Daemon{leader})
		stop := c.begin(8)
		for round, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
			standby := start()
			standby.WaitForLeader()
			time.Sleep(ttl) // until it knows when renewals come
			c.daemons.Store(&[]*servers.Daemon{leader, standby})
			before := time.Now()
			leader.Signal(signal)
			took := c.firstOf(standby).Sub(before)
			<-leader.Ended()
			t.Logf("round %d: %v to the first commit of the next leader: %v; %s", round, signal, took.Round(time.Millisecond), tookOver(standby))
			// Not let go, a lease lasts for two thirds of its TTL at least.
			if most := map[syscall.Signal]time.Duration{syscall.SIGTERM: ttl * 2 / 3, syscall.SIGKILL: 3 * ttl}[signal]; took > most {
				t.Errorf("round %d: it took %v, want %v at most", round, took, most)
			}
			leader = standby
		}
		stop()
		c.check(leader)
	})
}

// tookOver is what a daemon has logged of its fail-over.
func tookOver(d *servers.Daemon) string {
	for line := range strings.Lines(d.Log()) {
		if _, stages, ok := strings.Cut(line, `msg="took over" `); ok {
			return strings.TrimSpace(stages)
		}
	}
	return "no stages logged"
}

// clients write tasks, each once, to whichever daemon takes them.
type clients struct {
	t       *testing.T
	daemons atomic.Pointer[[]*servers.Daemon]
	ids     atomic.Int64

	mu    sync.Mutex
	acked []string
	maybe int // writes without an answer, or with "unknown"
	first map[*servers.Daemon]time.Time
}

// begin starts n of them. The function that it returns ends them.
func (c *clients) begin(n int) (stop func()) {
	c.first = map[*servers.Daemon]time.Time{}
	ended := make(chan struct{})
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					c.write(fmt.Sprint("task-", c.ids.Add(1)))
				}
			}
		})
	}
	return func() {
		close(ended)
		running.Wait()
	}
}

// write tries one task until it is answered, or may be there.
func (c *clients) write(id string) {
	for {
		for _, d := range *c.daemons.Load() {
			status, body, err := d.Save(id)
			switch {
			case err == nil && status == http.StatusOK:
				c.mu.Lock()
				c.acked = append(c.acked, id)
				if c.first[d].IsZero() {
					c.first[d] = time.Now()
				}
				c.mu.Unlock()
				return
			case err == nil && status == http.StatusServiceUnavailable: // it is not committed
				time.Sleep(2 * time.Millisecond)
			case err != nil && strings.Contains(err.Error(), "connection refused"): // nor sent
				time.Sleep(2 * time.Millisecond)
			case err != nil, strings.Contains(body, `"outcome":"unknown"`):
				c.mu.Lock()
				c.maybe++
				c.mu.Unlock()
				return
			default:
				c.t.Errorf("%s: %d %s", id, status, body)
				return
			}
		}
	}
}

// firstOf waits for the first write that a daemon answers.
func (c *clients) firstOf(d *servers.Daemon) time.Time {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		first := c.first[d]
		c.mu.Unlock()
		if !first.IsZero() {
			return first
		}
	}
	c.t.Fatalf("%s answers no write", d.URL)
	return time.Time{}
}

// check compares what is there with what was answered. Each task was saved by one
// transaction: one more would be a double.
func (c *clients) check(d *servers.Daemon) {
	c.t.Helper()
	status, body, err := d.Get("/v1/tasks?consistency=linearizable")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("tasks: %d %v", status, err)
	}
	var got struct {
		Tasks []struct {
			AssignedTask struct{ TaskID string }
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		c.t.Fatal(err)
	}
	have := map[string]bool{}
	for _, task := range got.Tasks {
		have[task.AssignedTask.TaskID] = true
	}
	lost := slices.DeleteFunc(slices.Clone(c.acked), func(id string) bool { return have[id] })
	if len(lost) > 0 {
		c.t.Errorf("%d of %d answered writes are lost: %.100v", len(lost), len(c.acked), lost)
	}
	if len(have) > len(c.acked)+c.maybe {
		c.t.Errorf("%d tasks, %d were answered and %d may be there", len(have), len(c.acked), c.maybe)
	}
	_, body, _ = d.Get("/v1/status")
	var now struct{ Transaction int }
	if err := json.Unmarshal([]byte(body), &now); err != nil || now.Transaction != len(have) {
		c.t.Errorf("%d transactions for %d tasks, %v", now.Transaction, len(have), err)
	}
	c.t.Logf("%d writes answered, %d without an answer, of which %d are there", len(c.acked), c.maybe, len(have)-len(c.acked))
}
