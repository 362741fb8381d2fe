package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/schema"
)

// closeTimeout is how long the last commits may take when a leader ends.
const closeTimeout = 10 * time.Second

// applyCommand's flags.
type applyFlags struct {
	leaseTTL, wait time.Duration
	tiers          tierConfig
}

// leaderOptions are for a command that leads for the time being. What a daemon does by
// interval, with settings of its own, is left to daemons.
func (c *command) leaderOptions(ctx context.Context, leaseTTL time.Duration, tiers schema.Tiers) (schedulerstore.Options, error) {
	key, err := c.openKey(ctx)
	return schedulerstore.Options{Key: key, Lease: lease.Options{TTL: leaseTTL}, Tiers: tiers, Logger: c.logger(slog.LevelWarn),
		GarbageEvery: never, Backups: backup.Schedule{Every: never}, History: schedulerstore.History{Every: never}}, err
}

func (c *command) applyCommand() *cobra.Command {
	var flags applyFlags
	cmd := &cobra.Command{
		Use:   "apply FILE|-",
		Short: "Commit transactions from JSON lines",
		Long: `Commit transactions from a file, or from standard input (-), one on each line:

  {"ops":[{"saveTasks":{"tasks":[…]}}, …]}

It becomes the leader for the time being, and waits for the lease if somebody else holds it.
The lines are committed in their order, each as one transaction. It stops at the first line
that is wrong, and says which lines are committed.`,
		Example: `  scheduler-store apply transactions.jsonl
  generate | scheduler-store apply - --wait 1m --output json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("apply takes one file, or - for standard input, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := (lease.Options{TTL: flags.leaseTTL}).Check(); err != nil {
				return usageErrorf("--lease-ttl: %w", err)
			}
			if flags.wait < 0 {
				return usageErrorf("--wait is negative")
			}
			return c.apply(cmd.Context(), args[0], flags)
		},
	}
	cmd.Flags().DurationVar(&flags.leaseTTL, "lease-ttl", 15*time.Second, "how long others wait before they take over, if this process dies")
	cmd.Flags().DurationVar(&flags.wait, "wait", 0, "how long to wait for the lease; 0 waits for as long as it takes")
	flags.tiers.addFlag(cmd.Flags())
	return cmd
}

func (c *command) apply(ctx context.Context, name string, flags applyFlags) error {
	input, size, err := c.openInput(name)
	if err != nil {
		return err
	}
	defer input.Close()
	return c.asLeader(ctx, flags.leaseTTL, flags.wait, &flags.tiers, func(store *schedulerstore.Store) error {
		loader := &loader{store: store, started: time.Now(), transaction: store.Status().Transaction}
		loader.progress = c.newProgress(size, "applying", progressbar.OptionShowBytes(true))
		err := loader.load(ctx, input)
		loader.progress.clear()
		return errors.Join(err, c.printApplied(loader.result(err)))
	})
}

// openInput opens the file, or standard input, and tells its size, or -1 if that is
// not known.
func (c *command) openInput(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(c.stdin), -1, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory, want a file", name)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}

// lead waits for leadership, at most for wait unless that is 0, and says meanwhile
// who has it.
func (c *command) lead(ctx context.Context, store *schedulerstore.Store, wait time.Duration) error {
	campaign, cancel := context.WithCancel(ctx)
	defer cancel()
	if wait > 0 {
		campaign, cancel = context.WithTimeoutCause(ctx, wait, fmt.Errorf("waited %v for the lease", wait))
		defer cancel()
	}
	led := make(chan error, 1)
	go func() { led <- store.Campaign(campaign) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	progress := c.newProgress(-1, "recovering entries")
	defer progress.clear()
	said := ""
	for {
		select {
		case err := <-led:
			if err != nil && said != "" {
				return fmt.Errorf("%w; it %s", err, said)
			}
			return err
		case <-tick.C:
			if p, ok := store.RecoveryProgress(); ok {
				progress.recovery(p)
			}
			holder := store.Status().Leader
			if holder == nil {
				continue
			}
			is := fmt.Sprintf("is held by %s, epoch %d", printable(holder.Host), holder.Epoch)
			if holder.URL != "" {
				is += ", " + printable(holder.URL)
			}
			if is != said && campaign.Err() == nil {
				said = is
				fmt.Fprintf(c.stderr, "waiting for the lease: it %s\n", said)
			}
		}
	}
}

// printApplied prints what was done. When something went wrong, the error says that
// to people, and only a program is told here as well.
func (c *command) printApplied(r applied) error {
	if c.output == jsonOutput {
		return c.printJSON(r)
	}
	if r.Error != "" {
		return nil
	}
	unchanged := ""
	if r.Unchanged > 0 {
		unchanged = fmt.Sprintf(", %d of them changed nothing", r.Unchanged)
	}
	if r.Transactions == 0 {
		_, err := fmt.Fprintln(c.stdout, "applied nothing: there are no transactions in the input")
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "applied %d transactions%s in %d entries: transaction %d, position %d, epoch %d; %.2f s, %.0f a second\n",
		r.Transactions, unchanged, r.Entries, r.Transaction, r.Position, r.Epoch, r.Seconds, r.Rate)
	return err
}
