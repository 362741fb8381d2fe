// Command report runs all long tests for a given time, one after another, and writes
// what they tried and found to docs/reliability.md.
//
// Each suite is a target of the Makefile, which leaves its result where the
// environment says (see internal/evidence). A suite that fails does not keep the
// others from running; the report says that it failed, and so does the exit status.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

func main() {
	total := flag.Duration("time", time.Hour, "how long all of it may take; suites of a fixed size are run whole even so")
	root := flag.String("root", ".", "the project's root")
	results := flag.String("results", "", "where results are kept (default .cache/evidence below the root)")
	only := flag.String("only", "", "suites to run, separated by commas; none is run with 'none', what is kept is rendered")
	out := flag.String("out", "", "the report (default docs/reliability.md below the root)")
	flag.Parse()
	if *results == "" {
		*results = filepath.Join(*root, ".cache", "evidence")
	}
	if *out == "" {
		*out = filepath.Join(*root, "docs", "reliability.md")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed, err := report(ctx, *root, *results, *out, *total, *only)
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("failed: %s; the report says more", strings.Join(failed, ", "))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// report runs the suites that are asked for and renders all results that there are.
func report(ctx context.Context, root, results, out string, total time.Duration, only string) (failed []string, err error) {
	folder, err := filepath.Abs(results)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		return nil, err
	}
	chosen, err := choose(only)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(total)
	for i, s := range chosen {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		variables := s.variables(share(chosen[i:], time.Until(end)))
		fmt.Printf("== %s: make %s\n", s.name, strings.Join(append([]string{s.target}, variables...), " "))
		if err := s.run(ctx, root, folder, variables); err != nil {
			fmt.Printf("== %s: %v\n", s.name, err)
			failed = append(failed, s.name)
		}
	}
	text, err := render(folder, failed)
	if err != nil {
		return failed, err
	}
	return failed, os.WriteFile(out, text, 0o644)
}

// choose returns the suites named, in their own order; all if none is.
func choose(only string) (chosen []suite, err error) {
	if only == "" {
		return suites, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		known := name == "none" || slices.ContainsFunc(suites, func(s suite) bool { return s.name == name })
		if !known {
			return nil, fmt.Errorf("no suite is called %q; there are: %s", name, strings.Join(suiteNames(), ", "))
		}
	}
	for _, s := range suites {
		if slices.Contains(names, s.name) {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// run runs the suite's target. A result from before does not count for it.
func (s suite) run(ctx context.Context, root, folder string, variables []string) error {
	if err := os.Remove(filepath.Join(folder, s.name+".json")); err != nil && !os.IsNotExist(err) {
		return err
	}
	make := exec.CommandContext(ctx, "make", append([]string{"-C", root, s.target}, variables...)...)
	make.Env = append(os.Environ(), evidence.Directory+"="+folder)
	make.Stdout, make.Stderr = os.Stdout, os.Stderr
	return make.Run()
}
