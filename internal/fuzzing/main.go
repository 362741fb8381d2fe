// Command fuzzing runs every fuzzer of the module for some time each, as many at once as
// there are processors (or as GOMAXPROCS says), says how far it is, and keeps the result for the report.
//
//	go run ./internal/fuzzing -time 10m
//
// What a fuzzer finds is a file in its package's testdata/fuzz, which its ordinary test
// runs from then on. New inputs that lead elsewhere, though nowhere wrong, are kept in
// .cache/fuzz, from where the next run goes on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

func main() {
	each := flag.Duration("time", time.Minute, "how long each fuzzer runs")
	match := flag.String("run", "", "only fuzzers whose package and name, such as ./lease.FuzzLease, have this in them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := fuzz(ctx, *each, *match); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzing:", err)
		os.Exit(1)
	}
}

// fuzz runs the fuzzers. Its error tells that something was found, or that some did not run.
func fuzz(ctx context.Context, each time.Duration, match string) error {
	fuzzers, err := find(".", match)
	if err != nil || len(fuzzers) == 0 {
		return errors.Join(err, fmt.Errorf("%d fuzzers are here", len(fuzzers)))
	}
	result := evidence.Result{Suite: "fuzz", Command: fmt.Sprintf("make fuzz FUZZTIME=%v", each), Began: time.Now()}
	atOnce := runtime.GOMAXPROCS(0) // each has one worker
	table := evidence.Table{Title: fmt.Sprintf("Fuzzers, %d at once", atOnce),
		Header: []string{"fuzzer", "time", "executions", "new interesting inputs", "findings"}}
	runs := make([]*progress, len(fuzzers))
	var running errgroup.Group
	running.SetLimit(atOnce)
	for i, f := range fuzzers {
		running.Go(func() error {
			if ctx.Err() == nil {
				fmt.Printf("%d of %d, %v each: %s\n", i+1, len(fuzzers), each, f)
				runs[i] = run(ctx, f, each)
			}
			return nil
		})
	}
	_ = running.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	var failed []error
	for i, f := range fuzzers {
		done, findings := runs[i], 0
		if done.failed() {
			findings = 1
			failed = append(failed, fmt.Errorf("%s: %w", f, done.err))
			result.Found = append(result.Found, fmt.Sprintf("%s: %s", f, done.finding()))
		}
		table.Add(f, done.took.Round(time.Second), done.executions, done.interesting, findings)
	}
	result.Took, result.Tables = time.Since(result.Began), []evidence.Table{table}
	return errors.Join(append(failed, evidence.Save(result))...)
}

// run builds a fuzzer's package, with what guides the fuzzer built in, and runs it.
func run(ctx context.Context, f fuzzer, each time.Duration) *progress {
	done := &progress{name: f.String()}
	binary, err := filepath.Abs(filepath.Join(".cache", "fuzz", f.slug()+f.name+".test"))
	if err != nil {
		done.err = err
		return done
	}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-fuzz=^"+f.name+"$", "-o", binary, f.folder)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		done.last, done.err = "it does not build", err
		return done
	}
	defer os.Remove(binary) // each is large
	test := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.fuzz=^"+f.name+"$", "-test.fuzztime="+each.String(), "-test.parallel=1",
		// By default an input that leads elsewhere is made smaller for a minute, and nothing else is tried meanwhile.
		"-test.fuzzminimizetime=1s",
		"-test.fuzzcachedir="+filepath.Join(filepath.Dir(binary), f.slug()), "-test.timeout=0")
	test.Dir = f.folder
	// A worker that takes more than this is at fault, or about to be.
	test.Env = append(os.Environ(), "GOMEMLIMIT=2GiB")
	test.Cancel = func() error { return test.Process.Signal(os.Interrupt) }
	test.WaitDelay = 10 * time.Second
	done.began = time.Now()
	test.Stdout, test.Stderr = done, done
	done.err = test.Run()
	done.took = time.Since(done.began)
	return done
}
