// Bench measures the log and the store beside their peers, in one run on one machine,
// so that what it prints is a ratio and not a machine's; and the stores in memory at a
// million tasks. README.md says what the peers are and what is comparable.
//
//	make bench                              all of it, and the plots
//	go -C bench run . -only log,etcd        two of the peers
//	go -C bench run . -only turns           raw PUTs, commits and transactions of one client, in turn
//	go -C bench run . -only memory          the stores in memory
//	go -C bench run . -json FILE            the raw data, for plots
//
// It prints text, and says on standard error what is measured now. Any error of any
// client ends it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/scheduler-store/scheduler-store/bench/peers"
	"github.com/scheduler-store/scheduler-store/bench/report"
)

// Parts of a run, beside the peers.
const (
	partTurns  = "turns"
	partMemory = "memory"
)

type options struct {
	minio, directory string
	duration         time.Duration
	rounds, tasks    int
	parts            []string
}

func main() {
	all := slices.Concat([]string{partTurns}, report.Peers, []string{partMemory})
	minio := flag.String("minio", "../.cache/bin/minio", "MinIO's binary")
	directory := flag.String("dir", "../.cache", "a directory on the disk to measure: for the drive of MinIO, and the data of etcd and Raft")
	seconds := flag.Int("seconds", 6, "duration of each measurement of throughput")
	rounds := flag.Int("rounds", 1500, "appends of one client to each, in turn")
	tasks := flag.Int("tasks", 1_000_000, "tasks in the stores in memory")
	only := flag.String("only", "", "parts to measure, with commas between; all if empty: "+strings.Join(all, ","))
	file := flag.String("json", "", "a file for the raw data")
	flag.Parse()
	o := options{*minio, *directory, time.Duration(*seconds) * time.Second, *rounds, *tasks, all}
	if *only != "" {
		o.parts = strings.Split(*only, ",")
	}
	for _, part := range o.parts {
		if !slices.Contains(all, part) {
			fmt.Fprintf(os.Stderr, "bench: no part %q; want some of %s\n", part, strings.Join(all, ","))
			os.Exit(2)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, *file); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// result is what one run found. A part that was left out is absent.
type result struct {
	report.Report
	Stores *stores `json:"stores,omitzero"`
}

func run(ctx context.Context, o options, file string) (err error) {
	var r result
	if r.Report, err = measurePeers(ctx, o); err != nil {
		return err
	}
	if slices.Contains(o.parts, partMemory) && o.tasks > 0 {
		progress("stores in memory, %d tasks", o.tasks)
		if r.Stores, err = measureStores(o.tasks); err != nil {
			return err
		}
	}
	if file != "" {
		encoded, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(encoded, '\n'), 0o644); err != nil {
			return err
		}
	}
	if err := r.Report.Print(os.Stdout); err != nil {
		return err
	}
	if r.Stores != nil {
		r.Stores.print()
	}
	return nil
}

// measurePeers takes all peers with the same number of clients one after another, so
// that those that are compared are near each other in time.
func measurePeers(ctx context.Context, o options) (r report.Report, err error) {
	r = report.Report{Started: time.Now().UTC().Truncate(time.Second), RecordBytes: peers.RecordBytes,
		Machine: fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	kinds := slices.DeleteFunc(peers.Kinds(), func(k peers.Kind) bool { return !slices.Contains(o.parts, k.Name) })
	turns := slices.Contains(o.parts, partTurns)
	if len(kinds) == 0 && !turns {
		return r, nil
	}
	bench, err := peers.Start(ctx, o.minio, o.directory)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, bench.Close()) }()
	if turns {
		progress("one client, %d calls of each in turn", o.rounds)
		if r.InTurn, err = bench.InTurn(ctx, o.rounds, report.Raw, report.Log, report.Store); err != nil {
			return r, err
		}
	}
	for _, clients := range []int{1, 16, 64, 256} {
		for _, k := range kinds {
			progress("%s, %d clients", report.Label(k.Name), clients)
			c, err := bench.Cell(ctx, k, clients, o.duration)
			if err != nil {
				return r, err
			}
			r.Cells = append(r.Cells, c)
		}
	}
	return r, nil
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
