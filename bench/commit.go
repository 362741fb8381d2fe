package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/prometheus/client_golang/prometheus"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

const (
	recordBytes = 1024
	// entryOverhead is what the log adds to a lone record: the header and the
	// record's length.
	entryOverhead = 154
)

// measureLatency takes raw PUTs, commits to the log and transactions through the
// store in turn, so that whatever else the machine does hits all alike.
func (r *commits) measureLatency(ctx context.Context, server *minio, rounds int) error {
	writer, err := openLog(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = writer.Close(ctx) }() // everything is acknowledged
	store, err := openStore(ctx, server, "latency", nil)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close(ctx) }()
	var raw, log, whole []time.Duration
	for i := range rounds + 50 {
		steps := []struct {
			took *[]time.Duration
			do   func() error
		}{
			{&raw, func() error { return rawPut(ctx, server, i) }},
			{&log, func() error { return commit(writer) }},
			{&whole, func() error { return store.Write(ctx, saveTask(fmt.Sprintf("task-%d", i))) }},
		}
		for _, step := range steps {
			start := time.Now()
			if err := step.do(); err != nil {
				return err
			}
			if i >= 50 { // the first warm up
				*step.took = append(*step.took, time.Since(start))
			}
		}
	}
	r.RawPut, r.LogCommit, r.StoreCommit = percentiles(raw), percentiles(log), percentiles(whole)
	return nil
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

func rawPut(ctx context.Context, server *minio, i int) error {
	_, err := server.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucketName), Key: aws.String(fmt.Sprintf("raw/%020d", i)),
		Body: bytes.NewReader(noise(recordBytes + entryOverhead)), IfNoneMatch: aws.String("*")})
	return err
}

func openLog(ctx context.Context, server *minio) (*blob.Writer, error) {
	b, err := bucketurl.Open(ctx, server.url("log"), bucketurl.Options{})
	if err != nil {
		return nil, err
	}
	log, err := blob.Open(ctx, b, blob.Options{})
	if err != nil {
		return nil, err
	}
	return log.NewReader(ignore{}).Lead(ctx, 1, persistence.NewWriterID())
}

// ignore is a consumer without a state.
type ignore struct{}

func (ignore) Reset(persistence.Point) error { return nil }
func (ignore) Prepare(persistence.Batch) (func() error, error) {
	return func() error { return nil }, nil
}
func (ignore) Loaded(persistence.Point) {}

func commit(w *blob.Writer) error {
	done := make(chan error, 1)
	if _, err := w.Append(noise(recordBytes), func(_ persistence.Ack, err error) { done <- err }); err != nil {
		return err
	}
	return <-done
}

func openStore(ctx context.Context, server *minio, name string, registry prometheus.Registerer) (*schedulerstore.Store, error) {
	store, err := schedulerstore.Open(ctx, server.url(name), schedulerstore.Options{Registerer: registry})
	if err != nil {
		return nil, err
	}
	return store, store.Campaign(ctx)
}

// saveTask saves a task with about recordBytes of its own, half of which don't
// compress.
func saveTask(id string) func(context.Context, storage.Mutable) error {
	return func(_ context.Context, tx storage.Mutable) error {
		return tx.Tasks().Save(&api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
			Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("bench"), Environment: api.Some("prod"), Name: api.Some("job")},
				ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"), Data: api.Some(hex.EncodeToString(noise(recordBytes * 2 / 5)))}}}})
	}
}

// measureThroughput lets clients write one transaction after another, each.
func measureThroughput(ctx context.Context, server *minio, clients int, duration time.Duration) (t throughput, err error) {
	registry := prometheus.NewRegistry()
	store, err := openStore(ctx, server, fmt.Sprintf("clients-%d", clients), registry)
	if err != nil {
		return t, err
	}
	defer func() { _ = store.Close(ctx) }()
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var running sync.WaitGroup
	start := time.Now()
	for c := range clients {
		running.Go(func() {
			var own []time.Duration
			var failure error
			for i := 0; time.Since(start) < duration && failure == nil; i++ {
				begin := time.Now()
				failure = store.Write(ctx, saveTask(fmt.Sprintf("task-%d-%d", c, i%100)))
				own = append(own, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
			if failure != nil {
				failed = failure
			}
		})
	}
	running.Wait()
	seconds := time.Since(start).Seconds()
	return throughput{Clients: clients, TransactionsPerSecond: float64(len(took)) / seconds,
		PutsPerSecond: counter(registry, "scheduler_store_log_entries_written_total") / seconds, Latency: percentiles(took)}, failed
}

func counter(registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}
