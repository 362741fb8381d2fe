package benchmark

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// Snapshots is what making snapshots of a large state does to the writes and reads that
// go on, and what recovering from one takes.
type Snapshots struct {
	Tasks int `json:"tasks"`
	// StateBytes is the heap that the state takes.
	StateBytes float64 `json:"stateBytes"`
	// Without, Full and Incremental are measured in turns: without a snapshot, and while
	// one is made after another, an incremental one each second, as often as a leader ever
	// makes them. A full one is measured as a backup, which is made alike.
	Without     UnderSnapshot `json:"without"`
	Full        UnderSnapshot `json:"full"`
	Incremental UnderSnapshot `json:"incremental"`
	// FullOver and IncrementalOver are the latencies of commits over those without.
	FullOver        Over `json:"fullOver"`
	IncrementalOver Over `json:"incrementalOver"`
	// HeapAbove is the most that was reachable above the state while a full one was made.
	HeapAbove float64 `json:"heapAbove"`
	// Recovery is from a full snapshot, against GETs of its parts, rawStateParallel at
	// once, with unpacking and decoding them.
	Recovery StateRecovery `json:"recovery"`
}

// UnderSnapshot is a load, and the snapshots that were made meanwhile.
type UnderSnapshot struct {
	Commit    Percentiles `json:"commit"`
	PerSecond float64     `json:"perSecond"`
	// LongestReadMs is that of a task by its id, of many in a row.
	LongestReadMs float64 `json:"longestReadMs"`
	// Made is the number of snapshots; Seconds and Bytes are the last one's.
	Made    int     `json:"made"`
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
}

// StateRecovery is how long a state takes to be recovered.
type StateRecovery struct {
	Bytes      int64   `json:"bytes"`
	Seconds    float64 `json:"seconds"`
	RawSeconds float64 `json:"rawSeconds"`
	OverRaw    float64 `json:"overRaw"`
}

const (
	snapshotClients  = 16
	snapshotRounds   = 3
	rawStateParallel = 8
	tasksPerJob      = 200
	tasksPerWrite    = 500
	// betweenIncremental is how often a leader looks whether a snapshot is due.
	betweenIncremental = time.Second
)

// MeasureSnapshots measures Snapshots.
func MeasureSnapshots(ctx context.Context, s *Scratch, o Options) (*Snapshots, error) {
	r := &Snapshots{Tasks: o.Transactions}
	p := s.place("snapshots", nil)
	before := reachable()
	err := withStore(ctx, p, storeOptions(), func(store *schedulerstore.Store) error {
		if err := o.fillState(ctx, store); err != nil {
			return err
		}
		r.StateBytes = reachable() - before
		if _, err := store.Snapshot(ctx, "bench"); err != nil {
			return err
		}
		if err := o.underSnapshots(ctx, store, r); err != nil {
			return err
		}
		return o.heapAbove(ctx, store, r)
	})
	if err != nil {
		return nil, err
	}
	return r, o.recoverState(ctx, p, r)
}

// fillState saves the tasks.
func (o *Options) fillState(ctx context.Context, store *schedulerstore.Store) error {
	for at := 0; at < o.Transactions; at += tasksPerWrite {
		o.progress("writing the state", float64(at)/float64(o.Transactions))
		err := store.Write(ctx, func(_ context.Context, tx storage.Mutable) error {
			tasks := make([]*api.ScheduledTask, min(tasksPerWrite, o.Transactions-at))
			for i := range tasks {
				tasks[i] = stateTask(at+i, o.RecordBytes)
			}
			return tx.Tasks().Save(tasks...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stateTask is the n-th of many tasks of about so many bytes: two thirds are its job's
// configuration, the rest is its own, and half of that does not compress.
func stateTask(n, size int) *api.ScheduledTask {
	job := n / tasksPerJob
	task := &api.ScheduledTask{Status: api.Some(api.ScheduleStatusRUNNING), AssignedTask: &api.AssignedTask{
		TaskID: api.Some(stateTaskID(n)), SlaveHost: api.Some(fmt.Sprintf("agent-%04d.cluster.example.org", n*7919%5000)), InstanceID: int32(n % tasksPerJob),
		Task: &api.TaskConfig{Job: schema.NewJobKey("bench", "prod", fmt.Sprintf("job-%05d", job)),
			ExecutorConfig: &api.ExecutorConfig{Name: api.Some("bench"), Data: api.Some(strings.Repeat(fmt.Sprintf(`{"run":%5d},`, job), size*2/3/14+1))}}}}
	own := base64.RawStdEncoding.EncodeToString(Noise(size/8 + 1))
	task.TaskEvents = []*api.TaskEvent{{Timestamp: 1_700_000_000_000, Status: task.Status, Message: api.Some(own)}}
	return task
}

func stateTaskID(n int) string { return fmt.Sprintf("bench-prod-job-%05d-%07d", n/tasksPerJob, n) }

// touch is a transaction that changes a task, as schedulers do most.
func (o *Options) touch(ctx context.Context, store *schedulerstore.Store) error {
	id := stateTaskID(rand.IntN(o.Transactions))
	return store.Write(ctx, func(_ context.Context, tx storage.Mutable) error {
		_, err := tx.Tasks().Mutate(id, func(task *api.ScheduledTask) error {
			next := api.ScheduleStatusRESTARTING
			if task.Status.Value == next {
				next = api.ScheduleStatusRUNNING
			}
			task.Status = api.Some(next)
			task.TaskEvents[0].Timestamp++
			return nil
		})
		return err
	})
}

// underSnapshots measures the load by itself, and under each kind of snapshot, in turns.
func (o *Options) underSnapshots(ctx context.Context, store *schedulerstore.Store, r *Snapshots) error {
	full := func(ctx context.Context) (int64, error) {
		info, err := store.Backup(ctx, fmt.Sprintf("bench-%d", time.Now().UnixNano()), "bench")
		if err != nil {
			return 0, err
		}
		return info.Bytes, nil
	}
	incremental := func(ctx context.Context) (int64, error) {
		m, err := store.Snapshot(ctx, "bench")
		if err != nil {
			return 0, err
		}
		return m.OwnBytes(), nil
	}
	kinds := []struct {
		what  string
		make  func(context.Context) (int64, error)
		pause time.Duration // after each
		into  *UnderSnapshot
		took  []time.Duration
		run   float64
	}{{"no snapshot", nil, 0, &r.Without, nil, 0}, {"full snapshots", full, 0, &r.Full, nil, 0},
		{"incremental snapshots", incremental, betweenIncremental, &r.Incremental, nil, 0}}
	for range snapshotRounds {
		for i := range kinds {
			k := &kinds[i]
			run, err := o.underSnapshot(ctx, store, k.what, k.make, k.pause, k.into)
			if err != nil {
				return err
			}
			k.took, k.run = append(k.took, run.Took...), k.run+run.Seconds
		}
	}
	for i := range kinds {
		k := &kinds[i]
		k.into.PerSecond, k.into.Commit = perSecond(float64(len(k.took)), k.run), PercentilesOf(k.took)
	}
	over := func(u *UnderSnapshot) Over {
		return Over{P50: Ratio(u.Commit.P50, r.Without.Commit.P50), P99: Ratio(u.Commit.P99, r.Without.Commit.P99)}
	}
	r.FullOver, r.IncrementalOver = over(&r.Full), over(&r.Incremental)
	return nil
}

// underSnapshot is one round: the load, a reader, and whoever makes snapshots.
func (o *Options) underSnapshot(ctx context.Context, store *schedulerstore.Store, what string, make func(context.Context) (int64, error), pause time.Duration, into *UnderSnapshot) (*Run, error) {
	var ended atomic.Bool
	var beside sync.WaitGroup
	var failed error
	if make != nil {
		beside.Go(func() {
			for failed == nil && !ended.Load() {
				start := time.Now()
				if into.Bytes, failed = make(ctx); failed == nil {
					into.Made, into.Seconds = into.Made+1, time.Since(start).Seconds()
					failed = sleep.For(ctx, pause)
				}
			}
		})
	}
	beside.Go(func() {
		for !ended.Load() {
			start := time.Now()
			store.Read(func(v storage.View) { v.Tasks().Fetch(stateTaskID(rand.IntN(o.Transactions))) })
			into.LongestReadMs = max(into.LongestReadMs, milliseconds(time.Since(start)))
			time.Sleep(time.Millisecond)
		}
	})
	run, err := o.run(ctx, "commits beside "+what, snapshotClients, nil, func(ctx context.Context, _, _ int) error { return o.touch(ctx, store) })
	ended.Store(true)
	beside.Wait()
	return run, errors.Join(err, failed)
}

// heapAbove measures the heap that making a full snapshot takes: nothing else goes on.
func (o *Options) heapAbove(ctx context.Context, store *schedulerstore.Store, r *Snapshots) (err error) {
	o.progress("memory of a full snapshot", 0)
	before := reachable()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err = store.Backup(ctx, "memory", "bench")
	}()
	for {
		select {
		case <-done:
			return err
		default:
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			r.HeapAbove = max(r.HeapAbove, float64(m.HeapAlloc)-before)
		}
	}
}

// reachable is how many bytes of the heap are.
func reachable() float64 {
	runtime.GC()
	runtime.GC() // the first may have begun before the last garbage
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// recoverState makes a full snapshot the newest thing that there is, and recovers from it
// in turns with reading it raw.
func (o *Options) recoverState(ctx context.Context, p *place, r *Snapshots) error {
	log, err := blob.Open(ctx, p.bucket(), blob.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	m, err := o.wholeSnapshot(ctx, p, log)
	if err != nil {
		return err
	}
	r.Recovery.Bytes = m.Bytes()
	var recovered, raw []float64
	for round := range snapshotRounds {
		o.progress("recovering the state", float64(round)/snapshotRounds)
		start := time.Now()
		store, err := openStore(ctx, p, schedulerstore.Options{ReadOnly: true})
		if err != nil {
			return err
		}
		err = store.Recovered(ctx)
		recovered = append(recovered, time.Since(start).Seconds())
		if n := store.Storage().View().Tasks().Len(); err == nil && n != o.Transactions {
			err = fmt.Errorf("%d tasks were recovered, want %d", n, o.Transactions)
		}
		if err := closeStore(ctx, store, err); err != nil {
			return err
		}
		start = time.Now()
		if err := rawState(ctx, p.bucket(), log, m); err != nil {
			return err
		}
		raw = append(raw, time.Since(start).Seconds())
	}
	r.Recovery.Seconds, r.Recovery.RawSeconds = median(recovered), median(raw)
	r.Recovery.OverRaw = Ratio(r.Recovery.Seconds, r.Recovery.RawSeconds)
	return nil
}

// wholeSnapshot writes a full snapshot of the newest state, which nobody writes to.
func (o *Options) wholeSnapshot(ctx context.Context, p *place, log *blob.Log) (*snapshot.Manifest, error) {
	o.progress("writing a full snapshot", 0)
	state := durability.New(durability.Options{})
	if err := log.NewReader(state).CatchUp(ctx); err != nil {
		return nil, err
	}
	c := state.Checkpoint()
	return snapshot.Write(ctx, p.bucket(), log.Codec(), snapshot.Source{Cell: log.Cell().ID, At: c.At, Records: c.Records(), Counts: c.Counts(), Reason: "bench"}, 1)
}

// rawState reads a snapshot's parts, unpacks and decodes them, and keeps nothing.
func rawState(ctx context.Context, b *bucket.Bucket, log *blob.Log, m *snapshot.Manifest) error {
	return snapshot.Load(ctx, b, log.Codec(), m, decodeOnly{durability.New(durability.Options{})}, rawStateParallel)
}

// decodeOnly is a consumer that decodes and applies nothing.
type decodeOnly struct{ *durability.Storage }

func (d decodeOnly) Prepare(b persistence.Batch) (func() error, error) {
	_, err := d.Storage.Prepare(b)
	return func() error { return nil }, err
}
