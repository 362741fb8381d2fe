package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/internal/benchmark"
	"github.com/scheduler-store/scheduler-store/internal/build"
)

// benchFlags say what is measured.
type benchFlags struct {
	benchmark.Options
	only []string
}

// benchReport is the document of a run.
type benchReport struct {
	Store   string `json:"store"`
	Scratch string `json:"scratch"`
	// Prices is the name of the list by which dollars are reckoned.
	Prices  string     `json:"prices"`
	Build   build.Info `json:"build"`
	Started time.Time  `json:"started"`
	Seconds float64    `json:"seconds"`
	benchmark.Report
}

func (c *command) benchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [STORE]",
		Short: "Measure commits, throughput, recovery, fail-over and requests, against the raw store",
		Long: `Measure a store: STORE, or else --store. It works in a prefix of its own, bench-<random>, below
the store's; nothing else is read, written or deleted, so a cell that is there stays as it is. The
prefix is removed at the end, also after an error or an interrupt; what could not be removed is
told.

` + benchList() + `
What is measured against the raw store is measured in the same run, so read the ratios. A profile
is the latencies of a cloud, which come on top of the store's own: so profile and hedging are left
out where the store is in a cloud itself, unless --profile is given. All of it takes two to three
minutes; how many requests it makes is told before it starts.`,
		Example: `  scheduler-store bench mem://x
  scheduler-store bench s3://bucket/scratch?region=us-east-1 --only commit,failover --output json
  scheduler-store bench /var/tmp/bench --only profile --profile s3 --duration 20s`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if cmd.Flags().Changed("store") && args[0] != c.store {
					return usageErrorf("two stores: %q and --store; name one", args[0])
				}
				c.store = args[0]
			}
			return c.bench(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.only, "only", nil, "measure these `parts` only: "+strings.Join(benchNames(), ", "))
	flags.IntSliceVar(&f.Clients, "clients", []int{1, 16, 64, 256, 1000}, "`numbers` of clients that commit to the log at once")
	flags.DurationVar(&f.Duration, "duration", 5*time.Second, "`time` of each measurement")
	flags.IntVar(&f.RecordBytes, "record-bytes", 1024, "`size` of a record; records don't compress")
	flags.IntVar(&f.Options.Transactions, "transactions", 100_000, "`number` of transactions that are recovered, and whose requests are counted, and of the tasks of a large state")
	flags.StringVar(&f.Profile, "profile", "", "`name` of the latencies that are put before the store: "+strings.Join(profileNames(), ", ")+" (default s3, unless the store is in a cloud)")
	return cmd
}

func benchNames() []string {
	names := []string{}
	for _, e := range benchmark.Experiments() {
		names = append(names, e.Name)
	}
	return names
}

func profileNames() []string {
	names := []string{}
	for _, p := range latencydriver.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

// benchList describes the parts, for the help.
func benchList() string {
	var list strings.Builder
	for _, e := range benchmark.Experiments() {
		fmt.Fprintf(&list, "  %-14s%s\n", e.Name, e.What)
	}
	return list.String()
}

// Bounds of what can be asked for, so that a slip does not fill a store.
const (
	maxBenchClients      = 10_000
	maxBenchRecord       = 1 << 20
	maxBenchTransactions = 10_000_000
)

func (f *benchFlags) check() error {
	names := benchNames()
	for _, name := range f.only {
		if !slices.Contains(names, name) {
			return usageErrorf("--only: there is no %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	if f.Profile != "" {
		if _, err := latencydriver.Lookup(f.Profile); err != nil {
			return usageErrorf("--profile: %w", err)
		}
	}
	switch {
	case len(f.Clients) == 0 || slices.Min(f.Clients) < 1 || slices.Max(f.Clients) > maxBenchClients:
		return usageErrorf("--clients must be from 1 to %d each", maxBenchClients)
	case f.Duration <= 0:
		return usageErrorf("--duration must be more than 0")
	case f.RecordBytes < 1 || f.RecordBytes > maxBenchRecord:
		return usageErrorf("--record-bytes must be from 1 to %d", maxBenchRecord)
	case f.Options.Transactions < 1 || f.Options.Transactions > maxBenchTransactions:
		return usageErrorf("--transactions must be from 1 to %d", maxBenchTransactions)
	}
	return nil
}

// experiments are those that are asked for.
func (f *benchFlags) experiments() []benchmark.Experiment {
	return slices.DeleteFunc(benchmark.Experiments(), func(e benchmark.Experiment) bool {
		return len(f.only) > 0 && !slices.Contains(f.only, e.Name) || e.Profiled && f.Profile == ""
	})
}

func (c *command) bench(ctx context.Context, f benchFlags) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	storeURL, err := c.storeURL()
	if err != nil {
		return err
	}
	b, err := openBench(ctx, storeURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	provider := b.location.Provider()
	if f.Profile == "" && provider == "" {
		f.Profile = "s3"
	}
	f.Prices, _ = cost.PricesOf(cmp.Or(provider, "s3"))
	if err := c.announceBench(f, b.scratch); err != nil {
		return err
	}
	start := time.Now()
	report := &benchReport{Store: b.location.String(), Scratch: b.scratch.Name(), Prices: f.Prices.Name, Build: build.Get(), Started: start.UTC().Truncate(time.Second)}
	if err := b.scratch.Use(ctx, func() error { return c.runBench(ctx, f, b.scratch, report) }); err != nil {
		return err
	}
	report.Seconds = time.Since(start).Seconds()
	if c.output == jsonOutput {
		return c.printJSON(report)
	}
	_, err = fmt.Fprintf(c.stdout, "\n%.0f s; the prefix is removed\n", report.Seconds)
	return err
}

// runBench runs what is asked for. As text, each part is printed when it is there.
func (c *command) runBench(ctx context.Context, f benchFlags, scratch *benchmark.Scratch, report *benchReport) error {
	for _, e := range f.experiments() {
		progress := c.newProgress(progressSteps, e.Name)
		f.Progress = func(what string, done float64) { progress.set(int64(done*progressSteps), what) }
		err := e.Run(ctx, scratch, f.Options, &report.Report)
		progress.clear()
		if err != nil {
			return fmt.Errorf("bench %s: %w", e.Name, err)
		}
		if c.output == textOutput {
			if err := c.printBench(e.Name, &report.Report); err != nil {
				return err
			}
		}
	}
	return nil
}

// progressSteps are those of a bar for one measurement.
const progressSteps = 1000
