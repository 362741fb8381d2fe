package peers

import (
	"context"
	"errors"
	"os"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bench/report"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/internal/benchmark"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

const minio = "../../.cache/bin/minio"

// Each peer does what it says: so many records are there, with so many requests.
func TestPeersMakeRecordsDurable(t *testing.T) {
	if _, err := os.Stat(minio); err != nil {
		t.Skip("there is no MinIO; run 'make servers'")
	}
	b, err := Start(t.Context(), minio, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	const records, clients = 60, 6
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			p, err := b.open(t.Context(), k, 2)
			if err != nil {
				t.Fatal(err)
			}
			before, err := b.serverUsage(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := (benchmark.Load{Clients: clients, Count: records}).Run(t.Context(), func(ctx context.Context, _, _ int) error {
				return p.Append(ctx, benchmark.Noise(RecordBytes))
			}); err != nil {
				t.Fatal(err)
			}
			after, err := b.serverUsage(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			check(t, p, records, clients, after.requests["PutObject"]-before.requests["PutObject"])
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func check(t *testing.T, p Peer, records, clients, puts int) {
	switch p := p.(type) {
	case *raw, *series:
		if puts != records {
			t.Errorf("%d PUTs for %d records", puts, records)
		}
	case *manifestLog:
		last := p.manifest.Fragments[len(p.manifest.Fragments)-1]
		if last.Limit != records || puts != 2*last.Number || puts < 2*records/clients || puts > 2*records {
			t.Errorf("%d PUTs; the manifest ends with %+v", puts, last)
		}
		// Its requests are conditional, or it would be no log.
		if _, err := create(t.Context(), p.client, last.Path, nil); err == nil {
			t.Error("a fragment could be replaced")
		}
		if _, err := replace(t.Context(), p.client, p.prefix+"/manifest", `"another"`, nil); err == nil {
			t.Error("a manifest of another writer could be replaced")
		}
	case *etcd:
		if found, err := p.clients[0].Get(t.Context(), "record/1"); err != nil || len(found.Kvs) != 1 || found.Header.Revision != int64(records)+1 {
			t.Errorf("%v, %v", found, err)
		}
	case *raftLog:
		if last, err := p.wal.LastIndex(); err != nil || last < uint64(records) {
			t.Errorf("the last index on the disk is %d, %v", last, err)
		}
	case *ourLog, *ourStore:
		if puts < records/clients || puts > records {
			t.Errorf("%d PUTs for %d records", puts, records)
		}
	}
}

// The yardstick is of the same bytes: the log's entry of one record is as large as the
// object of a raw PUT.
func TestRawObjectIsAsLargeAsAnEntry(t *testing.T) {
	registry := prometheus.NewRegistry()
	b, err := bucketurl.Open(t.Context(), "mem://entry", bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := blob.Open(t.Context(), b, blob.Options{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := log.NewReader(ignore{}).Lead(t.Context(), 1, persistence.NewWriterID())
	if err != nil {
		t.Fatal(err)
	}
	ours := &ourLog{b, writer}
	if err := errors.Join(ours.Append(t.Context(), benchmark.Noise(RecordBytes)), ours.Close()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var size float64
	for _, f := range families {
		if f.GetName() == "scheduler_store_log_bytes_written_total" {
			size = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if size != RecordBytes+entryOverhead {
		t.Errorf("the entry has %v bytes, the raw object %d", size, RecordBytes+entryOverhead)
	}
}

// failing is a peer of which the n-th append fails.
type failing struct {
	left   atomic.Int32
	closed bool
}

var errFull = errors.New("the disk is full")

func (f *failing) Append(context.Context, []byte) error {
	if f.left.Add(-1) == 0 {
		return errFull
	}
	time.Sleep(time.Millisecond)
	return nil
}

func (f *failing) Close() error { f.closed = true; return nil }

func TestOneErrorOfOneClientIsTheCells(t *testing.T) {
	for _, after := range []int32{1, 5000} { // while 4 clients warm up, at 1,000 calls a second each, and later
		synctest.Test(t, func(t *testing.T) {
			f := &failing{}
			f.left.Store(after)
			b := &Bench{directory: t.TempDir()}
			_, err := b.Cell(t.Context(), Kind{Name: "failing", open: func(context.Context, place) (Peer, error) { return f, nil }}, 4, time.Hour)
			if !errors.Is(err, errFull) || !f.closed {
				t.Errorf("%v; closed %v", err, f.closed)
			}
		})
	}
}

func TestCellIsOfItsOwnUsage(t *testing.T) {
	run := &benchmark.Run{Count: 2000, Seconds: 4, Took: []time.Duration{time.Millisecond},
		Usage: benchmark.Usage{CPUSeconds: 1, Allocations: 50_000, AllocatedBytes: 8e6}}
	got := cell(report.Log, 16, run, serverUsage{map[string]int{"PutObject": 100, "GetObject": 7}, 3},
		serverUsage{map[string]int{"PutObject": 500, "GetObject": 7, "ListObjectsV2": 4}, 3.5})
	want := report.Cell{Peer: report.Log, Clients: 16, Seconds: 4, Records: 2000, RecordsPerSecond: 500, Latency: report.LatencyOf(run.Took),
		Requests: map[string]int{"PutObject": 400, "ListObjectsV2": 4}, RequestsPerSecond: 101,
		ProcessCPU: 0.5, ServerCPU: 0.25, Allocations: 25, AllocatedBytes: 4000}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
