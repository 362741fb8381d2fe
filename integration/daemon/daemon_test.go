package daemon_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/cluster"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/schema"
)

// stores are where the daemon's tests keep their cells.
func stores(t *testing.T, run func(t *testing.T, store string)) {
	servers.Each(t, func(t *testing.T, url func(cell string) string) { run(t, url("one")) })
}

func mustSave(t *testing.T, d *servers.Daemon, id string) {
	t.Helper()
	if status, body, err := d.Save(id); err != nil || status != http.StatusOK {
		t.Fatalf("save %s: %d %s %v", id, status, body, err)
	}
}

func mustHave(t *testing.T, d *servers.Daemon, id string) {
	t.Helper()
	if status, body, err := d.Get("/v1/tasks/" + id); err != nil || status != http.StatusOK {
		t.Fatalf("task %s: %d %s %v", id, status, body, err)
	}
}

func TestTaskSurvivesKill9(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		d := servers.StartDaemon(t, store, "--lease-ttl", "3s")
		d.WaitFor("/leaderz", http.StatusOK)
		mustSave(t, d, "a")
		d.Kill()
		d = servers.StartDaemon(t, store, "--lease-ttl", "3s")
		d.WaitFor("/readyz", http.StatusOK)
		mustHave(t, d, "a") // as a follower, before the dead leader's lease runs out
		d.WaitFor("/leaderz", http.StatusOK)
		mustSave(t, d, "b")
		mustHave(t, d, "b")
	})
}

// A whole life is posted with retries and idempotency keys while the daemon is
// killed again and again: at the end nothing is lost and nothing doubled.
func TestLifeThroughKills(t *testing.T) {
	lines, want := theLife(t)
	stores(t, func(t *testing.T, store string) {
		kills := 10
		if os.Getenv(lifeVariable) == "" && store[0] == 's' {
			kills = 3 // each costs a lease; the directory has ten
		}
		var current atomic.Pointer[servers.Daemon]
		start := func() { current.Store(servers.StartDaemon(t, store, "--lease-ttl", "3s")) }
		start()
		p := &poster{t: t, daemon: &current, lines: lines}
		posted := make(chan struct{})
		go func() {
			defer close(posted)
			p.post()
		}()
		for i := range kills {
			// Some time under load, whatever else the machine does.
			target := int64(len(lines)) * int64(i+1) / int64(kills+1)
			for p.done.Load() < target && !p.failed.Load() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(rand.N(20 * time.Millisecond))
			current.Load().Kill()
			start()
		}
		<-posted
		d := current.Load()
		d.Signal(syscall.SIGTERM)
		<-d.Ended()
		t.Logf("%d transactions, %d kills, %d tries", len(lines), kills, p.tries.Load())
		mustHoldLife(t, store, want, len(lines))
	})
}

// lifeVariable names a file of JSON lines to post in place of a made-up life.
const lifeVariable = "SCHEDULER_STORE_LIFE"

// theLife is a made-up cluster's, or that in the file which the variable names.
func theLife(t *testing.T) ([][]byte, *cluster.State) {
	t.Helper()
	state := &cluster.State{}
	var lines [][]byte
	if path := os.Getenv(lifeVariable); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		scanner := bufio.NewScanner(bytes.NewReader(data))
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			tx, err := schema.ParseTransaction(scanner.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			state.Apply(tx)
			lines = append(lines, bytes.Clone(scanner.Bytes()))
		}
		return lines, state
	}
	for tx := range (cluster.Life{Hosts: 200, Tasks: 1500}).Transactions() {
		state.Apply(tx)
		line, err := schema.ToJSON(map[string]any{"ops": tx.Ops})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines, state
}

// poster posts transactions, those about one thing in their order, each with a key
// and until it is answered with 200.
type poster struct {
	t           *testing.T
	daemon      *atomic.Pointer[servers.Daemon]
	lines       [][]byte
	done, tries atomic.Int64
	failed      atomic.Bool
}

const lanes = 32

func (p *poster) post() {
	var workers sync.WaitGroup
	for lane := range lanes {
		workers.Go(func() {
			for i, line := range p.lines {
				if laneOf(line) != lane {
					continue
				}
				if !p.one(i, line) {
					p.failed.Store(true)
					return
				}
				p.done.Add(1)
			}
		})
	}
	workers.Wait()
}

// laneOf keeps what is about one task or host in one lane.
func laneOf(line []byte) int {
	var tx struct {
		Ops []struct {
			SaveTasks struct {
				Tasks []struct {
					AssignedTask struct{ TaskID string }
				}
			}
			RemoveTasks struct{ TaskIDs []string }
		}
	}
	_ = json.Unmarshal(line, &tx) // the server judges it
	h := fnv.New32a()
	for _, op := range tx.Ops {
		for _, task := range op.SaveTasks.Tasks {
			h.Write([]byte(task.AssignedTask.TaskID))
		}
		for _, id := range op.RemoveTasks.TaskIDs {
			h.Write([]byte(id))
		}
	}
	return int(h.Sum32() % lanes)
}

func (p *poster) one(i int, line []byte) bool {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		p.tries.Add(1)
		status, body, err := p.daemon.Load().Do(http.MethodPost, "/v1/transactions", line,
			map[string]string{"Content-Type": "application/json", "Idempotency-Key": fmt.Sprint("line-", i)})
		switch {
		case err == nil && status == http.StatusOK:
			return true
		case err == nil && status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout,
			time.Now().After(deadline):
			p.t.Errorf("line %d: %d %s %v", i, status, body, err)
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// mustHoldLife compares a store with what it must hold, and its number of transactions
// with that of the posts: one more would be a double.
func mustHoldLife(t *testing.T, store string, want *cluster.State, transactions int) {
	t.Helper()
	stdout, stderr, status := servers.Run(t, nil, "state", "all", "--store", store, "--output", "json")
	if status != 0 {
		t.Fatalf("state: %d %s", status, stderr)
	}
	var got struct {
		Transaction int
		Tasks       []struct {
			Status       string
			AssignedTask struct{ TaskID string }
		}
		Hosts []struct{ Host string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if got.Transaction != transactions {
		t.Errorf("the log has %d transactions, %d were posted", got.Transaction, transactions)
	}
	if len(got.Tasks) != len(want.Tasks) || len(got.Hosts) != len(want.Hosts) {
		t.Errorf("%d tasks and %d hosts, want %d and %d", len(got.Tasks), len(got.Hosts), len(want.Tasks), len(want.Hosts))
	}
	for _, task := range got.Tasks {
		if id := task.AssignedTask.TaskID; want.Tasks[id].String() != task.Status {
			t.Errorf("task %s is %s, want %s", id, task.Status, want.Tasks[id])
		}
	}
	stdout, stderr, status = servers.Run(t, nil, "log", "verify", "--store", store)
	if status != 0 {
		t.Errorf("log verify: %d %s%s", status, stdout, stderr)
	}
}

// Two daemons on one bucket: one leads, the other follows and answers stale reads.
func TestTwoDaemons(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		one := servers.StartDaemon(t, store, "--lease-ttl", "3s", "--host", "one")
		one.WaitFor("/leaderz", http.StatusOK)
		two := servers.StartDaemon(t, store, "--lease-ttl", "3s", "--host", "two")
		two.WaitFor("/readyz", http.StatusOK)
		mustSave(t, one, "a")
		two.WaitFor("/v1/tasks/a", http.StatusOK)
		if status, body, _ := two.Save("b"); status != http.StatusServiceUnavailable {
			t.Errorf("the follower took a write: %d %s", status, body)
		}
		if status, _, _ := two.Get("/v1/tasks/a?consistency=linearizable"); status != http.StatusServiceUnavailable {
			t.Errorf("the follower answered a linearizable read: %d", status)
		}

		one.Signal(syscall.SIGSTOP)
		took := two.WaitFor("/leaderz", http.StatusOK)
		t.Logf("the other led %v after SIGSTOP, the lease is 3s", took)
		mustSave(t, two, "c")
		one.Signal(syscall.SIGCONT)
		// From its first instant on it can commit nothing. A write that it had sent before
		// it noticed has an unknown outcome, to the client.
		for range 5 {
			status, body, _ := one.Save("zombie")
			if unknown := status == http.StatusGatewayTimeout && strings.Contains(body, `"outcome":"unknown"`); status != http.StatusServiceUnavailable && !unknown {
				t.Errorf("the old leader answered a write with %d %s", status, body)
			}
		}
		one.WaitFor("/v1/tasks/c", http.StatusOK) // it follows
		for _, d := range []*servers.Daemon{one, two} {
			if status, _, _ := d.Get("/v1/tasks/zombie"); status != http.StatusNotFound {
				t.Errorf("the old leader's write is there: %d", status)
			}
		}

		// Who has just lost the lease pauses before it contends again: only then it is
		// a hand-over that is measured.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if _, body, _ := one.Get("/v1/status"); strings.Contains(body, `"host":"two"`) {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("it does not contend: %s", body)
			}
		}
		start := time.Now()
		two.Signal(syscall.SIGTERM)
		one.WaitFor("/leaderz", http.StatusOK)
		// A lease that is not let go lasts for 2 seconds more at least: it was renewed in
		// the last second.
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("hand-over took %v: the lease was not let go", took)
		} else {
			t.Logf("hand-over took %v", took)
		}
		mustSave(t, one, "d")
		for _, id := range []string{"a", "c", "d"} {
			mustHave(t, one, id)
		}
	})
}
