// Bench measures commits against the raw store in one run, so that what it prints
// is a ratio and not a machine's, and the stores in memory at a million tasks.
//
//	make bench                     both; commits against a MinIO of its own
//	go -C bench run . -minio PATH  the same
//	go -C bench run . -minio ''    the stores in memory alone
//	go -C bench run . -tasks 0     commits alone
//
// Of commits it prints p50 and p99 of a raw conditional PUT and of a commit of the same
// bytes by one client, taken alternately, and the transactions a second of 1, 16 and 256
// clients through the whole store.
//
// Of the stores it prints how much memory a task takes, how long loading, transactions
// of one task and queries take, and how long a reader waits while another goroutine
// writes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	minio := flag.String("minio", "../.cache/bin/minio", "MinIO's binary; empty leaves commits out")
	seconds := flag.Int("seconds", 5, "duration of each measurement of throughput")
	pairs := flag.Int("pairs", 1500, "raw PUTs and commits of one client")
	tasks := flag.Int("tasks", 1_000_000, "tasks in the stores in memory; 0 leaves these out")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *minio, *pairs, time.Duration(*seconds)*time.Second, *tasks, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// report is what one run found. A part that was left out is absent.
type report struct {
	*commits
	Stores *stores `json:"stores,omitzero"`
}

// commits are durations in milliseconds.
type commits struct {
	RecordBytes int          `json:"recordBytes"`
	RawPut      latency      `json:"rawPut"`
	LogCommit   latency      `json:"logCommit"`
	StoreCommit latency      `json:"storeCommit"`
	Throughput  []throughput `json:"throughput"`
}

type latency struct {
	P50 float64 `json:"p50Ms"`
	P99 float64 `json:"p99Ms"`
}

type throughput struct {
	Clients               int     `json:"clients"`
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	PutsPerSecond         float64 `json:"putsPerSecond"`
	Latency               latency `json:"latency"`
}

func run(ctx context.Context, minio string, pairs int, duration time.Duration, tasks int, asJSON bool) (err error) {
	var r report
	if minio != "" {
		if r.commits, err = measureCommits(ctx, minio, pairs, duration); err != nil {
			return err
		}
	}
	if tasks > 0 {
		if r.Stores, err = measureStores(tasks); err != nil {
			return err
		}
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	if r.commits != nil {
		r.commits.print()
	}
	if r.Stores != nil {
		r.Stores.print()
	}
	return nil
}

func measureCommits(ctx context.Context, minio string, pairs int, duration time.Duration) (*commits, error) {
	server, err := startMinIO(ctx, minio)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	r := &commits{RecordBytes: recordBytes}
	if err := r.measureLatency(ctx, server, pairs); err != nil {
		return nil, err
	}
	for _, clients := range []int{1, 16, 256} {
		t, err := measureThroughput(ctx, server, clients, duration)
		if err != nil {
			return nil, err
		}
		r.Throughput = append(r.Throughput, t)
	}
	return r, nil
}

func (r *commits) print() {
	fmt.Printf("one client, %d-byte records that don't compress    p50 ms   p99 ms   p50 / raw\n", r.RecordBytes)
	line := func(what string, l latency) {
		fmt.Printf("%-48s %8.2f %8.2f %11.2f\n", what, l.P50, l.P99, l.P50/r.RawPut.P50)
	}
	line("raw conditional PUT of the entry's bytes", r.RawPut)
	line("commit of a record to the log", r.LogCommit)
	line("transaction of one task through the store", r.StoreCommit)
	fmt.Printf("\n%-8s %16s %10s %10s %10s\n", "clients", "transactions/s", "PUTs/s", "p50 ms", "p99 ms")
	for _, t := range r.Throughput {
		fmt.Printf("%-8d %16.0f %10.0f %10.2f %10.2f\n", t.Clients, t.TransactionsPerSecond, t.PutsPerSecond, t.Latency.P50, t.Latency.P99)
	}
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

// percentiles of what was measured.
func percentiles(took []time.Duration) latency {
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[min(int(p*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	return latency{at(0.50), at(0.99)}
}
