package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// backupsHelp is that of the flag --backups.
const backupsHelp = "`URL` of another bucket, or path of a directory, in which the backups lie (default: the store's own)"

// backupPlace is the value of --backups.
type backupPlace string

func (c *command) backupCommand() *cobra.Command {
	var place backupPlace
	cmd := c.group(&cobra.Command{
		Use:   "backup",
		Short: "Make, list and remove backups: whole states under names",
		Long: `Make, list and remove backups: whole states under names, in the store's own bucket or in another.
They need no daemon and disturb none. See 'recovery' for how one becomes the state.`,
		Example: "  scheduler-store backup create before-the-upgrade",
	}, c.backupCreateCommand(&place), c.backupListCommand(&place), c.backupShowCommand(&place), c.backupRemoveCommand(&place))
	cmd.PersistentFlags().StringVar((*string)(&place), "backups", "", backupsHelp)
	return cmd
}

func (c *command) backupCreateCommand(place *backupPlace) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Make a backup of the newest state",
		Long: `Make a backup of the newest state: read the store to its end, and write it. Without a name it
gets one made from the time, and goes when newer ones come, as those that the leader makes by
itself.`,
		Example: `  scheduler-store backup create before-the-upgrade --reason "ticket 4711"
  scheduler-store backup create --backups s3://other-bucket/backups?region=us-east-1`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				if name = args[0]; name == "" {
					return usageErrorf("the backup's name is empty; leave it out, or give one")
				}
			}
			info, err := c.createBackup(cmd.Context(), *place, name, reason)
			if err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(info)
			}
			_, err = fmt.Fprintf(c.stdout, "made backup %s of transaction %d: %d bytes\n", info.Name, info.Transaction, info.Bytes)
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", byCommand, "`text` that says why it was made")
	return cmd
}

func (c *command) createBackup(ctx context.Context, place backupPlace, name, reason string) (_ *backup.Info, err error) {
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	to := log.Bucket()
	if place != "" {
		if to, err = place.open(ctx, false); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, to.Close()) }()
	}
	state, err := c.catchUp(ctx, log)
	if err != nil {
		return nil, err
	}
	source, err := state.source(log, reason)
	if err != nil {
		return nil, err
	}
	progress := c.newProgress(-1, "writing records")
	defer progress.clear()
	source.Records = counted(source.Records, progress, "writing records")
	return backup.New(to, log.Codec()).Create(ctx, name, source)
}

func (p backupPlace) url() (string, error) { return bucketURL("--backups", string(p)) }

// open opens the bucket, and makes a directory where there is none.
// open opens it. Whoever can do without for a while leaves it unchecked.
func (p backupPlace) open(ctx context.Context, unchecked bool) (*bucket.Bucket, error) {
	at, err := p.url()
	if err != nil {
		return nil, err
	}
	b, err := bucketurl.Open(ctx, at, bucketurl.Options{Unchecked: unchecked})
	if err != nil {
		return nil, fmt.Errorf("--backups: %w", err)
	}
	return b, nil
}

// withBackups calls use with the backups there are. No store is needed for those in a
// bucket of their own.
func (c *command) withBackups(ctx context.Context, place backupPlace, use func(*backup.Backups) error) (err error) {
	codec, err := packed.NewCodec(runtime.GOMAXPROCS(0))
	if err != nil {
		return err
	}
	flag, value := "--store", c.store
	if place != "" {
		flag, value = "--backups", string(place)
	}
	at, err := bucketURL(flag, value)
	if err != nil {
		return err
	}
	b, err := openExisting(ctx, at)
	if err != nil {
		if place != "" {
			err = fmt.Errorf("--backups: %w", err)
		}
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return use(backup.New(b, codec))
}

func (c *command) backupListCommand(place *backupPlace) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the backups, the newest first",
		Example: `  scheduler-store backup ls
  scheduler-store backup ls --backups /mnt/backups --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withBackups(cmd.Context(), *place, func(b *backup.Backups) error {
				infos, err := b.List(cmd.Context())
				if err != nil && !errors.Is(err, backup.ErrDamaged) && !blob.IsNewerFormat(err) {
					return err
				}
				infos = append([]*backup.Info{}, infos...)
				slices.Reverse(infos)
				return errors.Join(c.printBackups(infos, view.Problems(err)), err)
			})
		},
	}
}

func (c *command) printBackups(infos []*backup.Info, problems []string) error {
	if c.output == jsonOutput {
		return c.printJSON(struct {
			Backups  []*backup.Info `json:"backups"`
			Problems []string       `json:"problems,omitzero"`
		}{infos, problems})
	}
	t := c.table("NAME", "TRANSACTION", "TASKS", "BYTES", "AGE", "MADE", "BY", "REASON")
	for _, i := range infos {
		t.row(i.Name, i.Transaction.String(), strconv.Itoa(i.Counts["tasks"]), strconv.FormatInt(i.Bytes, 10),
			age(time.Since(i.Made)), timestamp(i.Made), i.By, i.Reason)
	}
	return t.flush()
}

func (c *command) backupShowCommand(place *backupPlace) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Print what a backup says of itself",
		Example: "  scheduler-store backup show before-the-upgrade --output json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withBackups(cmd.Context(), *place, func(b *backup.Backups) error {
				info, err := b.Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.printBackup(info)
			})
		},
	}
}

func (c *command) printBackup(i *backup.Info) error {
	if c.output == jsonOutput {
		return c.printJSON(i)
	}
	t := c.table()
	t.row("name", i.Name)
	t.row("cell", i.Cell)
	t.row("transaction", i.Transaction.String())
	t.row("position", i.Position.String())
	t.row("made", fmt.Sprintf("%s (%s ago by this host's clock)", timestamp(i.Made), age(time.Since(i.Made))))
	t.row("by", i.By)
	t.row("reason", i.Reason)
	t.row("automatic", strconv.FormatBool(i.Automatic))
	t.row("bytes", strconv.FormatInt(i.Bytes, 10))
	for _, what := range slices.Sorted(maps.Keys(i.Counts)) {
		t.row(what, strconv.Itoa(i.Counts[what]))
	}
	return t.flush()
}

func (c *command) backupRemoveCommand(place *backupPlace) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Short:   "Remove backups",
		Example: "  scheduler-store backup rm before-the-upgrade after-the-upgrade",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withBackups(cmd.Context(), *place, func(b *backup.Backups) error {
				removed, err := []string{}, error(nil)
				for _, name := range args {
					bad := b.Remove(cmd.Context(), name)
					if bad == nil {
						removed = append(removed, name)
					}
					err = errors.Join(err, bad)
				}
				return errors.Join(c.printRemoved(removed), err)
			})
		},
	}
}

func (c *command) printRemoved(names []string) error {
	if c.output == jsonOutput {
		return c.printJSON(map[string]any{"removed": names})
	}
	for _, name := range names {
		if _, err := fmt.Fprintf(c.stdout, "removed backup %s\n", printable(name)); err != nil {
			return err
		}
	}
	return nil
}
