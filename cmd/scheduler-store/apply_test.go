package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

func TestApplyAndState(t *testing.T) {
	for _, store := range []string{newDirectory(t), "mem://" + t.Name()} {
		o := programWith(t, everything(), "--store", store, "apply", "-").wants(exitOK).
			prints("applied 7 transactions in", "transaction 7, position", "epoch 1", " s, ")
		if o.stderr != "" {
			t.Errorf("apply said %s", o.stderr)
		}
		// Once more, as the next leader.
		document := programWith(t, everything(), "--store", store, "apply", "-", "--output", "json").wants(exitOK).json()
		wantAt(t, document, 7, "transactions")
		wantAt(t, document, 8, "committedLine") // one is blank
		wantAt(t, document, 2, "epoch")
		wantAt(t, document, nil, "error")
		recorded, _ := document["transaction"].(json.Number).Int64()
		if unchanged, _ := document["unchanged"].(json.Number).Int64(); unchanged+recorded != 14 {
			t.Errorf("unchanged and recorded don't add up: %v", document)
		}
	}
}

func TestApplyNothing(t *testing.T) {
	store := "mem://" + t.Name()
	programWith(t, "\n \n", "--store", store, "apply", "-").wants(exitOK).prints("applied nothing")
	wantAt(t, programWith(t, "", "--store", store, "apply", "-", "--output", "json").wants(exitOK).json(), 0, "transactions")
}

// Order is kept over many chunks, which are parsed in parallel.
func TestApplyKeepsTheOrder(t *testing.T) {
	var input strings.Builder
	const lines = 3000
	for i := range lines {
		fmt.Fprintf(&input, `{"ops":[{"saveTasks":{"tasks":[%s]}},{"saveFrameworkId":{"id":"after-%d"}}]}`+"\n", taskJSON(fmt.Sprint("task-", i), "PENDING"), i)
	}
	store := "mem://" + t.Name()
	wantAt(t, programWith(t, input.String(), "--store", store, "apply", "-", "--output", "json").wants(exitOK).json(), lines, "transaction")
	document := program(t, "--store", store, "state", "--output", "json").wants(exitOK).json()
	wantAt(t, document, fmt.Sprint("after-", lines-1), "frameworkId")
	wantAt(t, document, lines, "counts", "tasks")
}

func TestApplyStopsAtTheFirstBadLine(t *testing.T) {
	for what, bad := range map[string]struct{ line, says string }{
		"wrong enum":        {strings.Replace(saveTask("x"), "PENDING", "SLEEPING", 1), "ops[0].saveTasks.tasks[0].status"},
		"not JSON":          {"{\"ops\":[\n", "not JSON"},
		"unknown member":    {`{"operations":[]}`, "operations"},
		"no ops":            {`{}`, "ops"},
		"empty ops":         {`{"ops":[]}`, "ops: empty; a transaction has at least one"},
		"refused by stores": {`{"ops":[{"saveTasks":{"tasks":[` + taskJSON("y", "PENDING") + `]}},{"saveTasks":{"tasks":[{"status":"PENDING"}]}}]}`, "ops[1]"},
		"too long":          {strings.Repeat("x", maxLine+1), "longer than"},
	} {
		store := "mem://" + t.Name() + strings.ReplaceAll(what, " ", "-")
		input := saveTask("a") + saveTask("b") + bad.line + "\n" + saveTask("c")
		o := programWith(t, input, "--store", store, "apply", "-").wants(exitError).says("line 3: ", bad.says, "lines 1–2 are committed")
		if o.stdout != "" {
			t.Errorf("%s: printed %s", what, o.stdout)
		}
		tasks := at(t, program(t, "--store", store, "state", "tasks", "--output", "json").wants(exitOK).json(), "tasks").([]any)
		if len(tasks) != 2 {
			t.Errorf("%s: %d tasks, want 2", what, len(tasks))
		}
		program(t, "--store", store, "lease", "show").wants(exitOK).prints("released")
	}
	store := "mem://" + t.Name()
	programWith(t, "{}\n", "--store", store, "apply", "-").wants(exitError).says("line 1: ", "nothing is committed")
	document := programWith(t, saveTask("a")+"{}\n", "--store", store, "apply", "-", "--output", "json").wants(exitError).says("line 1 is committed").json()
	wantAt(t, document, 1, "committedLine")
	if !strings.HasPrefix(fmt.Sprint(document["error"]), "line 2: ") {
		t.Errorf("error is %v", document["error"])
	}
}

func TestApplyWaitsForTheLeaseAndSaysWhoHoldsIt(t *testing.T) {
	url := "mem://" + t.Name()
	holder, err := schedulerstore.Open(t.Context(), url, schedulerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stderr notified
	stderr.waiting = make(chan struct{})
	ended := make(chan int)
	go func() {
		ended <- run(t.Context(), []string{"--store", url, "apply", "-"}, strings.NewReader(saveTask("a")), io.Discard, &stderr)
	}()
	<-stderr.waiting
	if err := holder.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != exitOK {
		t.Errorf("status %d after the lease was released: %s", status, stderr.String())
	}
}

// notified tells when something was written to it.
type notified struct {
	bytes.Buffer
	waiting chan struct{}
}

func (n *notified) Write(b []byte) (int, error) {
	if n.Len() == 0 && strings.Contains(string(b), "waiting for the lease: it is held by") {
		close(n.waiting)
	}
	return n.Buffer.Write(b)
}

func TestApplyDoesNotWaitLongerThanTold(t *testing.T) {
	url := "mem://" + t.Name()
	holder, err := schedulerstore.Open(t.Context(), url, schedulerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(context.Background())
	if err := holder.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := programWith(t, saveTask("a"), "--store", url, "apply", "-", "--wait", "300ms", "--output", "json")
	if o.status != exitError || o.stdout != "" {
		t.Errorf("status %d, printed %s", o.status, o.stdout)
	}
	o.says("waiting for the lease: it is held by", "waited 300ms for the lease", "epoch 1")
}

// leading opens a store over a bucket with faults, and leads it.
func leading(t *testing.T, mem *memdriver.Bucket) *schedulerstore.Store {
	t.Helper()
	store, err := schedulerstore.OpenBucket(t.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), schedulerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = store.Close(ctx)
	})
	if err := store.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

// When the store stops answering, what was sent is of unknown outcome, and that is
// said of these lines and no others.
func TestApplySaysWhichOutcomesAreUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memdriver.New()
		store := leading(t, mem)
		l := &loader{store: store, started: time.Now(), transaction: store.Status().Transaction}
		input := &steps{step: []func() string{
			func() string { return saveTask("a") + saveTask("b") },
			func() string {
				synctest.Wait()
				time.Sleep(time.Second) // the first two are durable
				mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Block})
				return saveTask("c") + saveTask("d")
			},
		}}
		// As an interrupted program: its context ends while the store hangs.
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Second, func() { cancel(errors.New("interrupted")) })
		err := l.load(ctx, input)
		if !errors.Is(err, persistence.ErrUnknown) {
			t.Fatalf("error: %v", err)
		}
		for _, want := range []string{"line 3: ", "lines 1–2 are committed", "the outcome of lines 3–4 is unknown"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		r := l.result(err)
		if r.CommittedLine != 2 || r.UnknownFrom != 3 || r.UnknownTo != 4 || r.Transactions != 2 {
			t.Errorf("result is %+v", r)
		}
		mem.Heal()
	})
}

// A leader that lost the lease says why it stopped.
func TestApplyEndsWhenLeadershipEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memdriver.New()
		store := leading(t, mem)
		l := &loader{store: store, started: time.Now(), transaction: store.Status().Transaction}
		input := &steps{step: []func() string{
			func() string { return saveTask("a") },
			func() string {
				synctest.Wait()
				mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is("lease.json"), Do: memdriver.Fail})
				time.Sleep(time.Minute)
				return saveTask("b")
			},
		}}
		err := l.load(t.Context(), input)
		if err == nil || !strings.Contains(err.Error(), "line 2: ") || !strings.Contains(err.Error(), "lease") || !strings.Contains(err.Error(), "line 1 is committed") {
			t.Errorf("error: %v", err)
		}
		mem.Heal()
	})
}

func TestApplyInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := leading(t, memdriver.New())
		l := &loader{store: store, started: time.Now(), transaction: store.Status().Transaction}
		ctx, cancel := context.WithCancelCause(t.Context())
		release := make(chan struct{})
		input := &steps{step: []func() string{
			func() string { return saveTask("a") },
			func() string { // waits for input that does not come
				cancel(errors.New("interrupted"))
				<-release
				return ""
			},
		}}
		err := l.load(ctx, input)
		if err == nil || !strings.HasPrefix(err.Error(), "interrupted; ") {
			t.Errorf("error: %v", err)
		}
		close(release)
		synctest.Wait()
	})
}

// steps is input that does something before each part of it.
type steps struct {
	step []func() string
	left string
}

func (s *steps) Read(b []byte) (int, error) {
	if s.left == "" {
		if len(s.step) == 0 {
			return 0, io.EOF
		}
		next := s.step[0]
		s.step = s.step[1:]
		s.left = next()
	}
	n := copy(b, s.left)
	s.left = s.left[n:]
	return n, nil
}

func TestLinesComeInOrderWithTheirNumbers(t *testing.T) {
	var input strings.Builder
	const lines = 2000
	want := []int{}
	for i := 1; i <= lines; i++ {
		if i%7 == 0 {
			input.WriteString("  \r\n")
			continue
		}
		want = append(want, i)
		fmt.Fprintf(&input, `{"ops":[{"saveFrameworkId":{"id":"%d%s"}}]}`+"\n", i, strings.Repeat("x", 100))
	}
	got := 0
	err := readLines(t.Context(), strings.NewReader(strings.TrimSuffix(input.String(), "\n")), func(line inputLine) error {
		id := line.ops[0].SaveFrameworkID.ID
		if line.err != nil || line.number != want[got] || !strings.HasPrefix(id.Value, fmt.Sprint(line.number, "x")) {
			t.Fatalf("line %d: %v, number %d, %v", want[got], line.err, line.number, id)
		}
		got++
		return nil
	})
	if err != nil || got != len(want) {
		t.Errorf("%d lines, want %d: %v", got, len(want), err)
	}
	stop := errors.New("stop")
	if err := readLines(t.Context(), strings.NewReader(input.String()), func(inputLine) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of take is not returned: %v", err)
	}
	if err := readLines(cancelled(), strings.NewReader(input.String()), func(inputLine) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	broken := io.MultiReader(strings.NewReader(saveTask("a")), brokenReader{})
	var last inputLine
	if err := readLines(t.Context(), broken, func(line inputLine) error { last = line; return line.err }); !errors.Is(err, errBroken) || last.number != 2 {
		t.Errorf("line %d: %v", last.number, err)
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestALineMayHaveItsFullLength(t *testing.T) {
	line := `{"ops":[{"saveFrameworkId":{"id":"` + strings.Repeat("x", maxLine-40) + `"}}]}`
	line += strings.Repeat(" ", maxLine-len(line))
	for _, end := range []string{"", "\n"} {
		var ops []*api.Op
		err := readLines(t.Context(), strings.NewReader(line+end), func(l inputLine) error { ops = l.ops; return l.err })
		if err != nil || len(ops) != 1 {
			t.Errorf("%d bytes and %q: %v", len(line), end, err)
		}
	}
}
