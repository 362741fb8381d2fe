package benchmark

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// closeTimeout bounds what closing a cell waits for, also after an interrupt.
const closeTimeout = 10 * time.Second

// ignore is a consumer without a state: what it costs is the log's alone.
type ignore struct{}

func (ignore) Reset(persistence.Point) error { return nil }
func (ignore) Prepare(persistence.Batch) (func() error, error) {
	return func() error { return nil }, nil
}
func (ignore) Loaded(persistence.Point) {}

// withLog opens a new log in the place, leads it, and closes it after f.
func withLog(ctx context.Context, p *place, o blob.Options, f func(*blob.Log, *blob.Writer) error) error {
	log, err := blob.Open(ctx, p.bucket(), o)
	if err != nil {
		return err
	}
	writer, err := log.NewReader(ignore{}).Lead(ctx, 1, persistence.NewWriterID())
	if err != nil {
		return err
	}
	err = f(log, writer)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err != nil {
		cancel() // nobody waits for what is under way
	}
	return errors.Join(err, ignoreStopped(writer.Close(closing)))
}

// ignoreStopped leaves out that a writer was stopped on purpose.
func ignoreStopped(err error) error {
	if errors.Is(err, blob.ErrStopped) {
		return nil
	}
	return err
}

// commit appends a record and waits until it is durable.
func commit(ctx context.Context, w *blob.Writer, record []byte) error {
	if err := w.WaitRoom(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	if _, err := w.Append(record, func(_ persistence.Ack, err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// never is longer than any run.
const never = 1000 * time.Hour

// storeOptions are those of a store that does nothing but what it is told: no
// snapshots, backups or pruning.
func storeOptions() schedulerstore.Options {
	return schedulerstore.Options{Snapshots: snapshot.Schedule{Every: never, Replay: never},
		Backups: backup.Schedule{Every: never}, History: schedulerstore.History{Every: never}}
}

// openStore opens the cell in the place, made if need be.
func openStore(ctx context.Context, p *place, o schedulerstore.Options) (*schedulerstore.Store, error) {
	return schedulerstore.OpenBucket(ctx, p.bucket(), o)
}

// closeStore closes a store. If an error has come up before, it waits for nothing.
func closeStore(ctx context.Context, s *schedulerstore.Store, before error) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if before != nil {
		cancel()
	}
	return errors.Join(before, s.Close(closing))
}

// withStore opens a new store in the place, leads it, and closes it after f.
func withStore(ctx context.Context, p *place, o schedulerstore.Options, f func(*schedulerstore.Store) error) error {
	store, err := openStore(ctx, p, o)
	if err != nil {
		return err
	}
	if err = store.Campaign(ctx); err == nil {
		err = f(store)
	}
	return closeStore(ctx, store, err)
}

// saveTask is a transaction that saves one task, in an event of which are as many bytes
// of text that random bytes make. All are tasks of one job and share its configuration,
// as tasks of a job do.
func saveTask(id string, size int) durability.Work {
	data := base64.RawStdEncoding.EncodeToString(Noise(size*3/4 + 1))[:size]
	return func(_ context.Context, tx storage.Mutable) error {
		return tx.Tasks().Save(&api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING), AssignedTask: &api.AssignedTask{TaskID: api.Some(id),
			Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("bench"), Environment: api.Some("prod"), Name: api.Some("job")}}},
			TaskEvents: []*api.TaskEvent{{Timestamp: 1, Status: api.Some(api.ScheduleStatusPENDING), Message: api.Some(data)}}})
	}
}

// dataOf is how much data a task has whose record is to have about so many bytes.
func dataOf(recordBytes int) int {
	const others = 150
	return max(recordBytes-others, 1)
}

// taskID is a client's. They repeat, so that the state does not grow with the speed of
// the store.
func taskID(client, i int) string { return fmt.Sprintf("task-%d-%d", client, i%20) }

// write is one client's transaction, of about so many bytes.
func write(ctx context.Context, s *schedulerstore.Store, client, i, recordBytes int) error {
	return s.Write(ctx, saveTask(taskID(client, i), dataOf(recordBytes)))
}
