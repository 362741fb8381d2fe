package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/view"
)

// retentionFlags are those that say what is kept.
type retentionFlags struct {
	keep          int
	window, grace time.Duration
}

// Names of the flags.
const (
	keepFlag   = "keep-snapshots"
	windowFlag = "window"
	graceFlag  = "grace"
)

func (f *retentionFlags) addFlags(flags *pflag.FlagSet) {
	usual := garbage.Retention{}.WithDefaults()
	flags.IntVar(&f.keep, keepFlag, usual.Keep, "newest snapshots `N` that are kept in any case")
	flags.DurationVar(&f.window, windowFlag, usual.Window, "`time` before now of which every state can be recovered")
	flags.DurationVar(&f.grace, graceFlag, usual.Grace, "`time` for which what recovery needed is kept, to spare slow readers a new start")
}

func (f *retentionFlags) check() error {
	switch {
	case f.keep < 1:
		return usageErrorf("--%s must be 1 at least: the newest snapshot always stays", keepFlag)
	case f.window < 0 || f.grace < 0:
		return usageErrorf("--%s and --%s can't be negative", windowFlag, graceFlag)
	}
	return nil
}

// retention is what the flags say. To the store a 0 is a default.
func (f *retentionFlags) retention() garbage.Retention {
	r := garbage.Retention{Keep: f.keep, Window: f.window, Grace: f.grace}
	if r.Window == 0 {
		r.Window = none
	}
	if r.Grace == 0 {
		r.Grace = none
	}
	return r
}

// request asks a daemon for what the flags say; for those that were not given, what it
// was started with holds.
func (f *retentionFlags) request(flags *pflag.FlagSet) map[string]any {
	request := map[string]any{}
	if flags.Changed(keepFlag) {
		request["keep"] = f.keep
	}
	if flags.Changed(windowFlag) {
		request["window"] = f.window.String()
	}
	if flags.Changed(graceFlag) {
		request["grace"] = f.grace.String()
	}
	return request
}

func (c *command) gcCommand() *cobra.Command {
	var l leaderFlags
	var f retentionFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what neither recovery nor the retention needs any more",
		Long: `Remove what neither recovery nor the retention needs any more: old snapshots, the log's entries
that a kept snapshot covers, the states of restores, parts that no snapshot has, and backups that
have expired. The leader does this by itself; this is for when it is to be done now, or with
another retention. Backups in a bucket of their own are known to the daemon only.

Nothing goes before what stays is proved to be whole. With --dry-run nothing goes at all: it is
only told what would, and what that costs in a month. What can't be told to be garbage is left,
and named. It can be cut off anywhere, and run again.

` + leadingHelp + ` Retention that is not given is then
that of the daemon. A dry run needs no leader.`,
		Example: `  scheduler-store gc --dry-run
  scheduler-store gc --keep-snapshots 1 --window 0 --grace 0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(l.check(), f.check()); err != nil {
				return err
			}
			found, err := c.collectGarbage(cmd.Context(), &l, &f, cmd.Flags(), dryRun)
			if err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(found)
			}
			return c.printGarbage(found)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would be removed")
	f.addFlags(cmd.Flags())
	l.addFlags(cmd.Flags())
	return cmd
}

func (c *command) collectGarbage(ctx context.Context, l *leaderFlags, f *retentionFlags, flags *pflag.FlagSet, dryRun bool) (found *view.Garbage, err error) {
	ask := func(d *client) error {
		request := f.request(flags)
		request["dryRun"] = dryRun
		found = new(view.Garbage)
		return d.ask(ctx, http.MethodPost, "/v1/gc", request, found)
	}
	alone := func() error {
		return c.asLeader(ctx, l.leaseTTL, 0, &l.tiers, func(store *schedulerstore.Store) error {
			progress := c.newProgress(-1, "collecting garbage")
			defer progress.clear()
			report, err := store.CollectGarbage(ctx, f.retention(), false)
			if err == nil {
				found = view.GarbageOf(report, store.Log().Bucket().Provider())
			}
			return err
		})
	}
	if dryRun {
		alone = func() (err error) {
			found, err = c.findGarbage(ctx, f.retention())
			return err
		}
	}
	err = c.byLeader(ctx, l, ask, alone)
	return found, err
}

// findGarbage is a dry run, with no request that writes.
func (c *command) findGarbage(ctx context.Context, r garbage.Retention) (_ *view.Garbage, err error) {
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	expired := func(ctx context.Context, dryRun bool) ([]string, error) {
		return backup.New(log.Bucket(), log.Codec()).Expire(ctx, log.Cell().ID, dryRun)
	}
	progress := c.newProgress(-1, "looking for garbage")
	defer progress.clear()
	report, err := garbage.Collect(ctx, log, r, garbage.Options{DryRun: true, Backups: expired, Progress: func(done, total int) {
		progress.setTotal(int64(total))
		progress.set(int64(done), "looking for garbage")
	}})
	if err != nil {
		return nil, err
	}
	return view.GarbageOf(report, log.Bucket().Provider()), nil
}

func (c *command) printGarbage(g *view.Garbage) error {
	dollars := func(d float64) string { return strconv.FormatFloat(d, 'f', 4, 64) }
	t := c.table("CLASS", "OBJECTS", "BYTES", "$/MONTH", "WHAT")
	row := func(class string, l view.GarbageLine, what string) {
		t.row(class, strconv.Itoa(l.Objects), strconv.FormatInt(l.Bytes, 10), dollars(l.DollarsPerMonth), what)
	}
	did := "removed"
	if g.DryRun {
		did = "would be removed"
	}
	for _, l := range g.Garbage {
		row(string(l.Class), l, did)
	}
	row("total", g.Total, did)
	for _, l := range g.Orphans {
		if l.Objects > 0 {
			row(string(l.Class), l, "mean nothing; go when a kept snapshot has passed them")
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, name := range g.Backups {
		fmt.Fprintf(c.stdout, "backup %s has expired: %s\n", printable(name), did)
	}
	for _, left := range g.Left {
		fmt.Fprintf(c.stdout, "left %s, %d bytes: %s\n", printable(left.Object), left.Bytes, printable(left.Why))
	}
	for _, name := range g.Pinned {
		fmt.Fprintf(c.stdout, "snapshot %s is kept by a pin\n", name)
	}
	since := "its beginning"
	if g.Oldest != nil {
		since = fmt.Sprintf("transaction %d, of which snapshot %s was made %s", g.Oldest.Transaction, g.Oldest.Name, timestamp(g.Oldest.Made))
	}
	_, err := fmt.Fprintf(c.stdout, "every state can be recovered from %s on\n", since)
	return err
}
