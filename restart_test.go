package schedulerstore

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/thriftjson"
	"github.com/scheduler-store/scheduler-store/storage"
)

// The records that Aurora's own tests keep, written to a log as Aurora writes them,
// are replayed by every process that opens the store, by leaders and after restarts.
func TestAurorasRecordsSurviveRestarts(t *testing.T) {
	url := "file://" + t.TempDir()
	appendGoldens(t, url)
	for _, host := range []string{"first", "second"} {
		s, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Campaign(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Read(func(v storage.View) {
			if n := v.Tasks().Len() + v.CronJobs().Len() + v.Quotas().Len() + v.Hosts().Len() + v.JobUpdates().Len(); n < 5 {
				t.Errorf("%s: %d rows", host, n)
			}
			if id, ok := v.FrameworkID(); !ok || id != "string-value" {
				t.Errorf("%s: framework id %q", host, id)
			}
		})
		if err := s.Write(t.Context(), save("written-by-"+host)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), url, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	if err := s.Recovered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ids(s); got != "string-value written-by-first written-by-second" {
		t.Errorf("tasks %q", got)
	}
}

func appendGoldens(t *testing.T, url string) {
	t.Helper()
	b, err := bucketurl.Open(t.Context(), url, bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	log, err := blob.Open(t.Context(), b, blob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	appendRecord(t, log, 1, goldens(t)...)
}

// appendRecord writes records to a log, each a transaction's bytes or not.
func appendRecord(t *testing.T, log *blob.Log, epoch persistence.Epoch, records ...[]byte) {
	t.Helper()
	w, err := log.NewReader(nothing{}).Lead(t.Context(), epoch, persistence.NewWriterID())
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		if _, err := w.Append(record, func(_ persistence.Ack, err error) {
			if err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// goldens are the transactions' bytes, one op each, in the order of their numbers.
func goldens(t *testing.T) (records [][]byte) {
	t.Helper()
	files, err := filepath.Glob("schema/testdata/goldens/[0-9]*")
	if err != nil || len(files) != 17 {
		t.Fatalf("%d goldens, %v; want 17", len(files), err)
	}
	number := func(path string) int {
		n, _ := strconv.Atoi(strings.SplitN(filepath.Base(path), "-", 2)[0])
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(a) - number(b) })
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		op, err := thriftjson.ReadOp(data)
		if err != nil {
			t.Fatal(err)
		}
		record, err := (&api.Transaction{Ops: []*api.Op{op}, SchemaVersion: 1}).AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

// nothing is a consumer that looks at nothing.
type nothing struct{}

func (nothing) Reset(persistence.Point) error { return nil }
func (nothing) Prepare(persistence.Batch) (func() error, error) {
	return func() error { return nil }, nil
}
func (nothing) Loaded(persistence.Point) {}
