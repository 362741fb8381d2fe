package peers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// ourLog is the log alone, for a scheduler with records of its own.
type ourLog struct {
	bucket *bucket.Bucket
	writer *blob.Writer
}

func openLog(ctx context.Context, at place) (Peer, error) {
	b, err := bucketurl.Open(ctx, at.server.url(at.prefix), bucketurl.Options{})
	if err != nil {
		return nil, err
	}
	log, err := blob.Open(ctx, b, blob.Options{})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	writer, err := log.NewReader(ignore{}).Lead(ctx, 1, persistence.NewWriterID())
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &ourLog{b, writer}, nil
}

// ignore is a consumer without a state.
type ignore struct{}

func (ignore) Reset(persistence.Point) error { return nil }
func (ignore) Prepare(persistence.Batch) (func() error, error) {
	return func() error { return nil }, nil
}
func (ignore) Loaded(persistence.Point) {}

func (l *ourLog) Append(ctx context.Context, record []byte) error {
	if err := l.writer.WaitRoom(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	if _, err := l.writer.Append(record, func(_ persistence.Ack, err error) { done <- err }); err != nil {
		return err
	}
	return <-done
}

func (l *ourLog) Close() error {
	return errors.Join(l.writer.Close(context.Background()), l.bucket.Close())
}

// ourStore is the whole store: each record is a transaction that saves a task, in an
// event of which the record is as text, and the state in memory has it when Append
// returns. All are tasks of one job and share its configuration, as tasks of a job do.
type ourStore struct {
	store *schedulerstore.Store
	next  atomic.Uint64
}

func openStore(ctx context.Context, at place) (Peer, error) {
	store, err := schedulerstore.Open(ctx, at.server.url(at.prefix), schedulerstore.Options{})
	if err != nil {
		return nil, err
	}
	if err := store.Campaign(ctx); err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	return &ourStore{store: store}, nil
}

func (s *ourStore) Append(ctx context.Context, record []byte) error {
	task := &api.ScheduledTask{Status: api.Some(api.ScheduleStatusPENDING),
		AssignedTask: &api.AssignedTask{TaskID: api.Some(fmt.Sprintf("task-%d", s.next.Add(1)%keys)),
			Task: &api.TaskConfig{Job: &api.JobKey{Role: api.Some("bench"), Environment: api.Some("prod"), Name: api.Some("job")},
				ExecutorConfig: &api.ExecutorConfig{Name: api.Some("AuroraExecutor"), Data: api.Some("{}")}}},
		TaskEvents: []*api.TaskEvent{{Timestamp: 1, Status: api.Some(api.ScheduleStatusPENDING), Message: api.Some(base64.StdEncoding.EncodeToString(record))}}}
	return s.store.Write(ctx, func(_ context.Context, tx storage.Mutable) error { return tx.Tasks().Save(task) })
}

func (s *ourStore) Close() error { return s.store.Close(context.Background()) }
