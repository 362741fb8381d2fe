package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/cost"
)

// costFlags are cost's flags.
type costFlags struct {
	of        client
	prices    priceList
	retention retentionFlags
	rates     []string
	columns   []costColumn // what the rates say
	workload  cost.Workload
	backups   backup.Schedule
}

func (f *costFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.of.server, "of", "", "`URL` of a daemon whose requests so far are to be told, instead of a projection")
	f.of.addFlagsFor("of", flags)
	flags.Var(&f.prices, "prices", "`list` of prices: "+strings.Join(priceNames(), ", ")+" (default s3, or those of the daemon's store)")
	f.addWorkload(flags)
}

// addWorkload adds the flags that say what is asked of the cell.
func (f *costFlags) addWorkload(flags *pflag.FlagSet) {
	w := &f.workload
	flags.StringSliceVar(&f.rates, "rates", []string{idleRate, "1", "10", "100", saturatedRate}, "transactions a second, `N` for each column; idle is 0, and saturated "+strconv.Itoa(cost.Saturated))
	flags.IntVar(&w.RecordBytes, "record-bytes", 1<<10, "size `N` of a transaction's record in the bucket")
	flags.Int64Var(&w.StateBytes, "state-bytes", 16<<20, "size `N` of the whole state in the bucket, as a snapshot or a backup")
	flags.DurationVar(&w.PutLatency, "put-latency", 60*time.Millisecond, "median `time` of a PUT")
	flags.DurationVar(&w.Log.Linger, "linger", 0, "`time` that a transaction waits for others")
	flags.Float64Var(&w.Log.MaxPutsPerSecond, "max-puts", 0, "most PUTs `N` of the log in a second; 0 is no cap")
	flags.IntVar(&w.Followers, "followers", 0, "processes `N` that only follow")
	flags.IntVar(&w.Standbys, "standbys", 0, "processes `N` that follow and would lead")
	flags.DurationVar(&w.Lease.TTL, "lease-ttl", 15*time.Second, "how long a leader may hang before another takes over, 3s to 1h")
	flags.DurationVar(&w.Snapshots.Every, "snapshot-every", time.Hour, "`time` between two snapshots")
	flags.DurationVar(&w.Snapshots.Replay, "replay-target", 10*time.Second, "`time` that reading the log may take a recovery; at half of it, by estimate, a snapshot is made in any case")
	f.retention.addFlags(flags)
	flags.DurationVar(&w.GarbageEvery, "gc-every", time.Hour, "`time` between two collections of garbage; 0 is never")
	flags.DurationVar(&f.backups.Every, "backup-every", time.Hour, "`time` between two backups; 0 is never")
	flags.IntVar(&f.backups.Keep, "backup-keep", 48, "backups `N` that are kept")
}

func (f *costFlags) check() error {
	w := &f.workload
	if w.RecordBytes < 1 || w.StateBytes < 1 || w.PutLatency <= 0 {
		return usageErrorf("--record-bytes, --state-bytes and --put-latency must be more than 0")
	}
	if w.Log.Linger < 0 || !(w.Log.MaxPutsPerSecond >= 0) || w.Followers < 0 || w.Standbys < 0 {
		return usageErrorf("--linger, --max-puts, --followers and --standbys can't be negative")
	}
	if w.Snapshots.Every <= 0 || w.Snapshots.Replay <= 0 || f.backups.Every < 0 || f.backups.Keep < 1 {
		return usageErrorf("--snapshot-every, --replay-target and --backup-keep must be more than 0, and --backup-every not negative")
	}
	if err := f.retention.check(); err != nil {
		return err
	}
	if w.GarbageEvery < 0 {
		return usageErrorf("--gc-every can't be negative; 0 is never")
	}
	w.Retention = f.retention.retention()
	if w.GarbageEvery == 0 {
		w.GarbageEvery = never
	}
	if err := w.Lease.Check(); err != nil {
		return usageErrorf("--lease-ttl: %w", err)
	}
	if f.backups.Every == 0 {
		f.backups.Every = never
	}
	w.BackupEvery, w.BackupsKept = f.backups.Interval(), f.backups.Kept()
	for _, text := range f.rates {
		column, err := parseRate(text)
		if err != nil {
			return usageErrorf("--rates: %w", err)
		}
		f.columns = append(f.columns, column)
	}
	if len(f.columns) == 0 {
		return usageErrorf("--rates names none")
	}
	return nil
}

// costColumn is one rate of transactions.
type costColumn struct {
	name string
	rate float64 // a second
}

// Rates that have names.
const (
	idleRate      = "idle"
	saturatedRate = "saturated"
)

func parseRate(text string) (costColumn, error) {
	switch text {
	case idleRate:
		return costColumn{text, 0}, nil
	case saturatedRate:
		return costColumn{text, cost.Saturated}, nil
	}
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !(rate > 0 && rate <= maxRate) {
		return costColumn{}, fmt.Errorf("%.40q is no rate; want idle, saturated, or transactions a second", text)
	}
	return costColumn{text + "/s", rate}, nil
}

// maxRate is more than any log takes, in transactions a second.
const maxRate = 1e9

// priceList is the value of --prices: the name of a list, empty if not given.
type priceList string

func (l *priceList) String() string { return string(*l) }
func (l *priceList) Type() string   { return "list" }

func (l *priceList) Set(s string) error {
	if !slices.Contains(priceNames(), s) {
		return fmt.Errorf("must be one of %s", strings.Join(priceNames(), ", "))
	}
	*l = priceList(s)
	return nil
}

func priceNames() (names []string) {
	for _, p := range cost.Lists() {
		names = append(names, p.Name)
	}
	return names
}

func (c *command) costCommand() *cobra.Command {
	var f costFlags
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Tell what a bucket's requests cost: a projection, or a daemon's so far",
		Long: `Tell what a store costs in a month, by cause: a projection for some rates of transactions, by the
prices of a provider's list, for one leader and those who follow it. It asks for nothing, in no
bucket.

With --of, tell the requests that a daemon has made so far, by cause, what they cost, and what a
month costs at that rate. That a daemon's store costs nothing by request, as in a directory or on
a server of one's own, does not keep --prices from telling what it would cost elsewhere. The flags
that say what is asked of a store have no meaning then.

Prices are list prices, without free tiers, discounts, taxes and transfer out of the region. What
is stored is the log and the snapshots that the retention keeps, and the backups.`,
		Example: `  scheduler-store cost
  scheduler-store cost --prices gcs --rates idle,5,50 --record-bytes 4096 --standbys 2
  scheduler-store cost --of https://host1.example.com:8410 --token-file tokens`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if f.of.server == "" {
				return c.printProjections(&f)
			}
			return c.printReport(cmd.Context(), &f)
		},
	}
	f.addFlags(cmd.Flags())
	return cmd
}
