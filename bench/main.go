// Bench measures commits against the raw store in one run, so that what it prints
// is a ratio and not a machine's.
//
//	make bench                     against a MinIO of its own
//	go -C bench run . -minio PATH  the same
//
// It prints p50 and p99 of a raw conditional PUT and of a commit of the same bytes
// by one client, taken alternately, and the transactions a second of 1, 16 and 256
// clients through the whole store.
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
	minio := flag.String("minio", "../.cache/bin/minio", "MinIO's binary")
	seconds := flag.Int("seconds", 5, "duration of each measurement of throughput")
	pairs := flag.Int("pairs", 1500, "raw PUTs and commits of one client")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *minio, *pairs, time.Duration(*seconds)*time.Second, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// report is what one run found. Durations are in milliseconds.
type report struct {
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

func run(ctx context.Context, binary string, pairs int, duration time.Duration, asJSON bool) error {
	server, err := startMinIO(ctx, binary)
	if err != nil {
		return err
	}
	defer server.stop()
	r := &report{RecordBytes: recordBytes}
	if err := r.measureLatency(ctx, server, pairs); err != nil {
		return err
	}
	for _, clients := range []int{1, 16, 256} {
		t, err := measureThroughput(ctx, server, clients, duration)
		if err != nil {
			return err
		}
		r.Throughput = append(r.Throughput, t)
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	r.print()
	return nil
}

func (r *report) print() {
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

// percentiles of what was measured.
func percentiles(took []time.Duration) latency {
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[min(int(p*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	return latency{at(0.50), at(0.99)}
}
