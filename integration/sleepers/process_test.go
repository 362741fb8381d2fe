package sleepers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// The tests here start this test binary again, as other processes that use the same
// store. Such a process does what lines on its standard input say, each at once, and
// answers on its standard output; see serve.
const (
	storeVariable = "SLEEPERS_TEST_STORE"
	ttlVariable   = "SLEEPERS_TEST_TTL"
	soakVariable  = "SLEEPERS_TEST_SOAK" // if set, the leader makes snapshots and collects by itself
)

// ttl is long enough that a process which is woken still believes that it holds the
// lease: nothing here may rest on its clock.
const ttl = time.Minute

func TestMain(m *testing.M) {
	url := os.Getenv(storeVariable)
	if url == "" {
		os.Exit(m.Run())
	}
	if err := serve(url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// helper is one of the other processes, as it sees itself.
type helper struct {
	store  *schedulerstore.Store
	driver *holding
	mu     sync.Mutex // of the output
}

func (h *helper) say(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Println(line)
}

// serve is the main function of such a process, until its input ends.
func serve(url string) error {
	ctx := context.Background()
	wake := make(chan os.Signal, 1)
	signal.Notify(wake, syscall.SIGCONT)
	d, location, err := bucketurl.OpenDriver(ctx, url, bucketurl.Options{})
	if err != nil {
		return err
	}
	h := &helper{}
	h.driver = &holding{Bucket: d, say: h.say, wake: wake}
	options := schedulerstore.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	options.Lease.Host = "sleeper"
	if options.Lease.TTL, err = time.ParseDuration(os.Getenv(ttlVariable)); err != nil {
		return err
	}
	options.GarbageEvery = -1
	if os.Getenv(soakVariable) != "" {
		options.Snapshots.Every, options.GarbageEvery = soakEvery, soakEvery
		options.Retention = garbage.Retention{Keep: 2, Window: soakWindow, Grace: -1}
	}
	h.store, err = schedulerstore.OpenBucket(ctx, bucket.New(h.driver, location.String(), location.Prefix, bucket.Options{}), options)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		number, command, _ := strings.Cut(lines.Text(), " ")
		words := strings.Fields(command)
		if words[0] == "arm" {
			p := plan{operation: words[1], part: words[2], do: effect(words[4])}
			_, err = fmt.Sscan(words[3], &p.n)
			h.driver.arm(p)
			h.say(number + " " + outcome(err))
			continue
		}
		go func() { h.say(number + " " + h.do(ctx, words[0], words[1:])) }()
	}
	return lines.Err()
}

// do does what one line says.
func (h *helper) do(ctx context.Context, verb string, arguments []string) string {
	switch verb {
	case "recovered":
		return outcome(h.store.Recovered(ctx))
	case "lead":
		return outcome(h.store.Campaign(ctx))
	case "write":
		return outcome(h.store.Write(ctx, save(arguments...)))
	case "read":
		return ids(h.store)
	case "snapshot":
		_, err := h.store.Snapshot(ctx, "test")
		return outcome(err)
	case "collect":
		return outcome(collect(ctx, h.store))
	case "work":
		return h.work(ctx)
	case "restore":
		_, err := h.store.Restore(ctx, schedulerstore.Restoration{Records: stateOf(arguments...), Reason: "test"})
		return outcome(err)
	}
	return "no such command"
}

// The outcomes. Any other error is told as it is.
const (
	done         = "done"
	deposed      = "deposed, not committed"
	notCommitted = "not committed"
	unknown      = "unknown"
)

func outcome(err error) string {
	switch {
	case err == nil:
		return done
	case errors.Is(err, persistence.ErrDeposed):
		return deposed
	case errors.Is(err, persistence.ErrNotCommitted):
		return notCommitted
	case errors.Is(err, persistence.ErrUnknown):
		return unknown
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
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

func newTask(id string) *api.ScheduledTask {
	return &api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
		Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("role"), Environment: api.Some("prod"), Name: api.Some("job")}}}}
}

func ids(s *schedulerstore.Store) string {
	var all []string
	s.Read(func(v storage.View) {
		for task := range v.Tasks().All() {
			all = append(all, task.AssignedTask.TaskID.Value)
		}
	})
	return strings.Join(all, " ")
}

func stateOf(ids ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, id := range ids {
			record, err := (&api.Transaction{Ops: []*api.Op{{SaveTasks: &api.SaveTasks{Tasks: []*api.ScheduledTask{newTask(id)}}}},
				SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
			if !yield(record, err) {
				return
			}
		}
	}
}

// process is one of the other processes, as the test sees it.
type process struct {
	*servers.Process
	t      testing.TB
	input  io.Writer
	asleep chan string
	silent chan struct{}                  // closed when it says nothing any more
	acked  func(client string, value int) // of what it says while it works

	mu      sync.Mutex
	asked   int
	answers map[string]chan string
}

// start starts a process on a store and waits until it has recovered.
func start(t testing.TB, store string, ttl time.Duration) *process {
	t.Helper()
	return startWith(t, store, ttl, nil)
}

// startWith is start with more in the environment, and a function that is told of what
// the process says while it works.
func startWith(t testing.TB, store string, ttl time.Duration, acked func(client string, value int), environment ...string) *process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), environment...), storeVariable+"="+store, ttlVariable+"="+ttl.String())
	servers.KeepLog(t, c)
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, input: input, asleep: make(chan string, 1), silent: make(chan struct{}), acked: acked, answers: map[string]chan string{}}
	p.Process = servers.StartProcess(t, c)
	go p.listen(output)
	p.must(done, "recovered")
	return p
}

// listen hands out what the process says, until it ends.
func (p *process) listen(output io.Reader) {
	defer close(p.silent)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		first, rest, _ := strings.Cut(lines.Text(), " ")
		if first == "asleep" {
			p.asleep <- rest
			continue
		}
		if client, value, ok := strings.Cut(rest, " "); ok && first == "acked" {
			n, _ := strconv.Atoi(value)
			p.acked(client, n)
			continue
		}
		p.mu.Lock()
		answer := p.answers[first]
		p.mu.Unlock()
		if answer != nil {
			answer <- rest
		}
	}
}

// tell has the process do something; its answer comes in time.
func (p *process) tell(command string) <-chan string {
	p.t.Helper()
	p.mu.Lock()
	p.asked++
	number, answer := fmt.Sprint(p.asked), make(chan string, 1)
	p.answers[number] = answer
	p.mu.Unlock()
	if _, err := fmt.Fprintln(p.input, number, command); err != nil {
		p.t.Fatal(err)
	}
	return answer
}

// answer waits for an answer.
func (p *process) answer(answer <-chan string) string {
	p.t.Helper()
	select {
	case a := <-answer:
		return a
	case <-p.Ended():
		p.t.Fatal("the process has ended")
	case <-time.After(time.Minute):
		p.t.Fatal("no answer for a minute")
	}
	return ""
}

// must has the process do something and waits for what it must answer.
func (p *process) must(want, command string) {
	p.t.Helper()
	if got := p.answer(p.tell(command)); got != want {
		p.t.Fatalf("%s: %s, want %s", command, got, want)
	}
}

// stops has the process do something that puts it to sleep, and stops it there. The
// answer comes when it is woken.
func (p *process) stops(command string) <-chan string {
	p.t.Helper()
	answer := p.tell(command)
	p.stop(command, answer)
	return answer
}

// stop stops the process where it goes to sleep.
func (p *process) stop(command string, answer <-chan string) {
	p.t.Helper()
	select {
	case request := <-p.asleep:
		p.t.Logf("%s: stopped at %s", command, request)
	case a := <-answer:
		p.t.Fatalf("%s: %s, it did not stop", command, a)
	case <-time.After(time.Minute):
		p.t.Fatalf("%s: it does not stop", command)
	}
	p.Signal(syscall.SIGSTOP)
}

// arm says what is to be done to the n-th request of an operation whose key has a part.
func (p *process) arm(operation, part string, n int, do effect) {
	p.t.Helper()
	p.must(done, fmt.Sprintf("arm %s %s %d %s", operation, part, n, do))
}

func (p *process) wake() { p.Signal(syscall.SIGCONT) }
