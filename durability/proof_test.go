package durability

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// The records of any state pass, unchanged and counted.
func TestRecordsOfAStateAreProved(t *testing.T) {
	for seed := range uint64(50) {
		s, _ := led(t, true)
		for _, ops := range randomstate.New(seed).Transactions(10) {
			_, err := s.Apply(t.Context(), ops, WriteOptions{})
			must(t, err)
		}
		must(t, s.Write(t.Context(), func(context.Context, storage.Mutable) error { return nil })) // all of it is durable
		counts := map[string]int{}
		records, err := collect(t, Proved(RecordsOf(s.View()), nil, counts))
		must(t, err)
		again, err := loadRecords(records...)
		must(t, err)
		if d := randomstate.Diff(again.View(), s.View()); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		if v := s.View(); counts["tasks"] != v.Tasks().Len() || counts["hosts"] != v.Hosts().Len() || counts["jobUpdates"] != v.JobUpdates().Len() ||
			counts["cronJobs"] != v.CronJobs().Len() || counts["quotas"] != v.Quotas().Len() || counts["maintenance"] != v.Maintenance().Len() {
			t.Fatalf("seed %d: counted %v", seed, counts)
		}
	}
}

// What would keep the state from loading is found before anything rests on it.
func TestRecordsThatWouldNotReplayAreNotProved(t *testing.T) {
	record := func(ops ...*api.Op) []byte {
		data, err := (&api.Transaction{Ops: ops, SchemaVersion: api.CurrentSchemaVersion}).AppendBinary(nil)
		must(t, err)
		return data
	}
	good := record(saveTask(newTask("a", api.ScheduleStatusRUNNING)))
	for name, bad := range map[string][]byte{
		"bytes that are no transaction": {1, 2, 3},
		"an event without its update":   record(eventOps(updateKey("nobody's"), 1)[0]),
		"a cron job without a key":      record(&api.Op{SaveCronJob: &api.SaveCronJob{JobConfig: &api.JobConfiguration{TaskConfig: &api.TaskConfig{}}}}),
	} {
		records, err := collect(t, Proved(streamed(good, bad, good), nil, nil))
		if err == nil || !strings.HasPrefix(err.Error(), "record 1: ") || len(records) != 1 {
			t.Errorf("%s: %d records, %v", name, len(records), err)
		}
	}
	broken := errors.New("the stream broke")
	if _, err := collect(t, Proved(func(yield func([]byte, error) bool) { yield(nil, broken) }, nil, nil)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func streamed(records ...[]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
	}
}
