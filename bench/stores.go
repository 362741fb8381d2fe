package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// stores is what the stores in memory do with many tasks. Sizes are in bytes a task.
//
// A row's own bytes are the heap that the decoded task takes before any store has seen
// it: its structs, lists and maps, and the copy of its encoding that its strings are
// parts of. Held is the heap that a state takes when nothing else holds the tasks.
type stores struct {
	Tasks        int `json:"tasks"`
	Jobs         int `json:"jobs"`
	Hosts        int `json:"hosts"`
	EncodedBytes int `json:"encodedBytes"`
	// Tasks that share their job's configuration, as those of a snapshot do.
	OwnShared  float64 `json:"ownBytesSharedConfigs"`
	HeldShared float64 `json:"heldBytesSharedConfigs"`
	// Tasks that came with a configuration each.
	Own  float64 `json:"ownBytes"`
	Held float64 `json:"heldBytes"`

	Loads        []load        `json:"loads"`
	Transactions []transaction `json:"transactions"`
	Queries      []query       `json:"queries"`
	Pauses       []pauses      `json:"readerPauses"`
}

type load struct {
	What           string  `json:"what"`
	Seconds        float64 `json:"seconds"`
	TasksPerSecond float64 `json:"tasksPerSecond"`
}

// transaction is a kind of transaction of one task.
type transaction struct {
	What      string  `json:"what"`
	P50Micros float64 `json:"p50Micros"`
	P99Micros float64 `json:"p99Micros"`
}

type query struct {
	What        string  `json:"what"`
	Rows        int     `json:"rows"`
	Micros      float64 `json:"micros"`
	NanosPerRow float64 `json:"nanosPerRow"`
}

const (
	batch = 1000
	// sample is of how many tasks sizes are taken that need tasks of their own.
	sample = 100_000
)

func measureStores(tasks int) (*stores, error) {
	c := newCluster(tasks)
	s := &stores{Tasks: tasks, Jobs: len(c.configs), Hosts: max(1, tasks/tasksPerHost)}
	if err := s.measureSizes(c); err != nil {
		return nil, err
	}
	shuffled := rand.New(rand.NewPCG(1, 1)).Perm(tasks)
	if _, err := s.load("in random order, 1000 a transaction", c, shuffled, batch); err != nil {
		return nil, err
	}
	if _, err := s.load("in the order of ids, one transaction", c, inOrder(tasks), tasks); err != nil {
		return nil, err
	}
	before := heap()
	state, err := s.load("in the order of ids, 1000 a transaction", c, inOrder(tasks), batch)
	if err != nil {
		return nil, err
	}
	s.HeldShared = (heap() - before) / float64(tasks)
	if err := s.measureTransactions(c, state); err != nil {
		return nil, err
	}
	if err := s.measureQueries(c, state); err != nil {
		return nil, err
	}
	if err := s.measurePauses(c, state); err != nil {
		return nil, err
	}
	return s, nil
}

func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// heap is how many bytes are reachable.
func heap() float64 {
	runtime.GC()
	runtime.GC() // the first may have begun before the last garbage
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func (s *stores) measureSizes(c *cluster) error {
	n := min(sample, c.tasks)
	for _, shared := range []bool{true, false} {
		before := heap()
		rows := make([]*api.ScheduledTask, n)
		encoded := 0
		for i := range rows {
			row, size, err := c.decoded(i, shared)
			if err != nil {
				return err
			}
			rows[i] = row
			encoded += size
		}
		own := (heap() - before) / float64(n)
		if shared {
			s.OwnShared = own
			continue
		}
		s.Own, s.EncodedBytes = own, encoded/n
		state := storage.NewState(storage.Options{})
		for some := range slices.Chunk(rows, batch) {
			tx := state.Begin()
			if err := tx.Tasks().Save(some...); err != nil {
				return err
			}
			state = tx.Commit()
		}
		clear(rows)
		s.Held = (heap() - before) / float64(n)
		runtime.KeepAlive(state)
	}
	return nil
}

// load saves tasks that share configurations, a batch in each call. Making the tasks is
// not counted.
func (s *stores) load(what string, c *cluster, order []int, perTransaction int) (*storage.State, error) {
	tx := storage.NewState(storage.Options{}).Begin()
	var took time.Duration
	for at := 0; at < len(order); at += batch {
		some := order[at:min(at+batch, len(order))]
		tasks := make([]*api.ScheduledTask, len(some))
		for i, n := range some {
			task, _, err := c.decoded(n, true)
			if err != nil {
				return nil, err
			}
			tasks[i] = task
		}
		start := time.Now()
		if err := tx.Tasks().Save(tasks...); err != nil {
			return nil, err
		}
		if perTransaction == batch {
			tx = tx.Commit().Begin()
		}
		took += time.Since(start)
	}
	start := time.Now()
	state := tx.Commit() // saves into an empty store may leave work to it
	took += time.Since(start)
	s.Loads = append(s.Loads, load{what, took.Seconds(), float64(len(order)) / took.Seconds()})
	return state, nil
}

// move is the change of a task that schedulers make most.
func move(task *api.ScheduledTask) error {
	next := api.ScheduleStatusRESTARTING
	if task.Status.Value == next {
		next = api.ScheduleStatusRUNNING
	}
	task.Status = api.Some(next)
	task.TaskEvents = append(task.TaskEvents, &api.TaskEvent{Timestamp: 1_800_000_000_000, Status: task.Status})
	return nil
}

// measureTransactions measures those of one task. The state given stays as it is.
func (s *stores) measureTransactions(c *cluster, state *storage.State) error {
	const times = 20_000
	random := rand.New(rand.NewPCG(2, 2))
	for _, kind := range []struct {
		what string
		work func(tx *storage.Tx, task *api.ScheduledTask) error
		of   func(i int) int
	}{
		{"a new task", func(tx *storage.Tx, task *api.ScheduledTask) error { return tx.Tasks().Save(task) },
			func(i int) int { return c.tasks + i }},
		{"a new status and event", func(tx *storage.Tx, task *api.ScheduledTask) error {
			_, err := tx.Tasks().Mutate(task.AssignedTask.TaskID.Value, move)
			return err
		}, func(int) int { return random.IntN(c.tasks) }},
	} {
		took := make([]time.Duration, times)
		now := state
		for i := range took {
			task, _, err := c.decoded(kind.of(i), false)
			if err != nil {
				return err
			}
			start := time.Now()
			tx := now.Begin()
			if err := kind.work(tx, task); err != nil {
				return fmt.Errorf("%s: %w", kind.what, err)
			}
			now = tx.Commit()
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		at := func(p float64) float64 { return float64(took[int(p*times)].Nanoseconds()) / 1000 }
		s.Transactions = append(s.Transactions, transaction{kind.what, at(0.50), at(0.99)})
	}
	return nil
}

// measureQueries runs each query until the figures settle, and takes the mean.
func (s *stores) measureQueries(c *cluster, state *storage.State) error {
	random := rand.New(rand.NewPCG(3, 3))
	job := func() *api.JobKey { return jobKey(random.IntN(len(c.configs))) }
	statuses := func(some ...api.ScheduleStatus) []api.ScheduleStatus { return some }
	for _, kind := range []struct {
		what string
		make func() *api.TaskQuery
	}{
		{"100 ids", func() *api.TaskQuery {
			q := &api.TaskQuery{}
			for range 100 {
				q.TaskIDs = append(q.TaskIDs, taskID(random.IntN(c.tasks)))
			}
			return q
		}},
		{"a job", func() *api.TaskQuery { return &api.TaskQuery{JobKeys: []*api.JobKey{job()}} }},
		{"a host", func() *api.TaskQuery { return &api.TaskQuery{SlaveHosts: []string{c.hostOf(random.IntN(c.tasks))}} }},
		{"status PENDING", func() *api.TaskQuery { return &api.TaskQuery{Statuses: statuses(api.ScheduleStatusPENDING)} }},
		{"status FINISHED", func() *api.TaskQuery { return &api.TaskQuery{Statuses: statuses(api.ScheduleStatusFINISHED)} }},
		{"status RUNNING", func() *api.TaskQuery { return &api.TaskQuery{Statuses: statuses(api.ScheduleStatusRUNNING)} }},
		{"a role", func() *api.TaskQuery { return &api.TaskQuery{Role: job().Role} }},
		{"a role, environment prod", func() *api.TaskQuery {
			return &api.TaskQuery{Role: job().Role, Environment: api.Some("prod")}
		}},
		{"a role, status RUNNING", func() *api.TaskQuery {
			return &api.TaskQuery{Role: job().Role, Statuses: statuses(api.ScheduleStatusRUNNING)}
		}},
		{"all", func() *api.TaskQuery { return &api.TaskQuery{} }},
	} {
		measured, err := measureQuery(state.Tasks(), kind.what, kind.make)
		if err != nil {
			return err
		}
		s.Queries = append(s.Queries, measured)
	}
	return nil
}

func measureQuery(tasks storage.Tasks, what string, make func() *api.TaskQuery) (query, error) {
	const enough = 500 * time.Millisecond
	var took time.Duration
	rows, runs := 0, 0
	for ; took < enough; runs++ {
		q := make()
		start := time.Now()
		found, err := tasks.Query(q)
		if err != nil {
			return query{}, fmt.Errorf("query by %s: %w", what, err)
		}
		rows += count(found)
		took += time.Since(start)
	}
	return query{what, rows / runs, float64(took.Microseconds()) / float64(runs), float64(took.Nanoseconds()) / float64(max(1, rows))}, nil
}

func count[T any](items iter.Seq[T]) (n int) {
	for range items {
		n++
	}
	return n
}

func (s *stores) print() {
	fmt.Printf("\n%d tasks, %d jobs, %d hosts; %d bytes a task encoded\n", s.Tasks, s.Jobs, s.Hosts, s.EncodedBytes)
	fmt.Printf("\n%-40s %10s %10s %10s\n", "bytes a task", "own", "held", "over own")
	size := func(what string, own, held float64) {
		fmt.Printf("%-40s %10.0f %10.0f %10.0f\n", what, own, held, held-own)
	}
	size("tasks that share configurations", s.OwnShared, s.HeldShared)
	size("tasks with a configuration each", s.Own, s.Held)
	fmt.Printf("\n%-40s %10s %10s\n", "loading", "seconds", "tasks/s")
	for _, l := range s.Loads {
		fmt.Printf("%-40s %10.1f %10.0f\n", l.What, l.Seconds, l.TasksPerSecond)
	}
	fmt.Printf("\n%-40s %10s %10s\n", "transaction of one task", "p50 us", "p99 us")
	for _, t := range s.Transactions {
		fmt.Printf("%-40s %10.1f %10.1f\n", t.What, t.P50Micros, t.P99Micros)
	}
	fmt.Printf("\n%-40s %10s %10s %10s\n", "query by", "rows", "us", "ns a row")
	for _, q := range s.Queries {
		fmt.Printf("%-40s %10d %10.1f %10.0f\n", q.What, q.Rows, q.Micros, q.NanosPerRow)
	}
	fmt.Printf("\n%-18s %10s %8s %8s %8s %8s %10s   %s\n", "reads of a task", "reads", "p50 us", "p99", "p99.9", "max", "writes/s", "GC pauses: number, p50 us, max")
	for _, p := range s.Pauses {
		fmt.Printf("%-18s %10d %8.2f %8.2f %8.2f %8.0f %10.0f   %d %.0f %.0f\n", p.What, p.Reads, p.P50, p.P99, p.P999, p.Max, p.TransactionsPerSecond,
			p.GCPauses, p.GCPauseP50, p.GCPauseMax)
	}
}
