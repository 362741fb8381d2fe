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
	}, c.backupCreateCommand(&place), c.backupListCommand(&place), c.backupShowCommand(&place), c.backupRemoveCommand(&place), c.backupPinCommand(&place), c.backupUnpinCommand(&place))
	cmd.PersistentFlags().StringVar((*string)(&place), "backups", "", backupsHelp)
	return cmd
}

func (c *command) backupCreateCommand(place *backupPlace) *cobra.Command {
	var reason, expires string
	cmd := &cobra.Command{
		Use:   "create [NAME]",
		Short: "Make a backup of the newest state",
		Long: `Make a backup of the newest state: read the store to its end, and write it. Without a name it
gets one made from the time, and goes when newer ones come, as those that the leader makes by
itself.

With --expires it goes by itself some time after that, unless it is pinned: when the leader makes
its next backup, or by 'gc'. A version of this program that does not know of this leaves such a
backup alone, and says that it is of a newer one.`,
		Example: `  scheduler-store backup create before-the-upgrade --reason "ticket 4711"
  scheduler-store backup create for-the-test --expires 30d
  scheduler-store backup create --backups s3://other-bucket/backups?region=us-east-1`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				if name = args[0]; name == "" {
					return usageErrorf("the backup's name is empty; leave it out, or give one")
				}
			}
			until, err := backup.ParseExpires(expires, time.Now())
			if err != nil {
				return usageErrorf("--expires: %w", err)
			}
			info, err := c.createBackup(cmd.Context(), *place, name, reason, until)
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
	cmd.Flags().StringVar(&expires, "expires", "", expiresHelp)
	return cmd
}

// expiresHelp is that of the flag --expires.
const expiresHelp = "`time` from now on, such as 720h or 30d, or one such as 2026-11-02T15:04:05Z (default: never)"

func (c *command) createBackup(ctx context.Context, place backupPlace, name, reason string, expires time.Time) (_ *backup.Info, err error) {
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	if keys := log.Codec().Keys(); c.key != "" && keys.Newest() == 0 {
		return nil, fmt.Errorf("--key was given, but %s is not encrypted, so its backup would not be; leave --key out, or open the store with it for writing first, by 'serve' or 'key rotate'", log.Bucket().Name())
	}
	to := log.Bucket()
	if place != "" {
		if to, err = place.open(ctx, bucketurl.Options{}); err != nil {
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
	source.Expires = expires
	progress := c.newProgress(-1, "writing records")
	defer progress.clear()
	source.Records = counted(source.Records, progress, "writing records")
	return backup.New(to, log.Codec()).Create(ctx, name, source)
}

func (p backupPlace) url() (string, error) { return bucketURL("--backups", string(p)) }

// open opens the bucket. Whoever can do without for a while leaves it unchecked.
func (p backupPlace) open(ctx context.Context, o bucketurl.Options) (*bucket.Bucket, error) {
	at, err := p.url()
	if err != nil {
		return nil, err
	}
	b, err := bucketurl.Open(ctx, at, o)
	if err != nil {
		return nil, fmt.Errorf("--backups: %w", err)
	}
	return b, nil
}

// withBackups calls use with the backups there are, to look at them and remove them. No
// store is needed for those in a bucket of their own.
func (c *command) withBackups(ctx context.Context, place backupPlace, use func(*backup.Backups) error) error {
	codec, err := packed.NewCodec(runtime.GOMAXPROCS(0))
	if err != nil {
		return err
	}
	return c.withBackupsBy(ctx, place, codec, use)
}

// withBackupsBy is withBackups for use that reads what is in them: for encrypted ones that
// takes a codec with keys.
func (c *command) withBackupsBy(ctx context.Context, place backupPlace, codec *packed.Codec, use func(*backup.Backups) error) (err error) {
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
		Short: "List the backups and the pinned snapshots, the newest first",
		Long: `List the backups, and the snapshots that are pinned under a name, the newest first: what is there,
of which cell, when it expires, and which pin keeps it until when. What has expired goes some time
later, and not while it is pinned.`,
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
	t := c.table("NAME", "KIND", "CELL", "TRANSACTION", "TASKS", "BYTES", "AGE", "MADE", "EXPIRES", "PINNED", "BY", "REASON")
	for _, i := range infos {
		t.row(i.Name, string(i.Kind), i.Cell, i.Transaction.String(), strconv.Itoa(i.Counts["tasks"]), strconv.FormatInt(i.Bytes, 10),
			age(time.Since(i.Made)), timestamp(i.Made), timestamp(i.Expires), pinText(i.Pin), i.By, i.Reason)
	}
	return t.flush()
}

// pinText says until when a pin keeps something, and why.
func pinText(p *backup.PinInfo) string {
	switch {
	case p == nil:
		return ""
	case p.Expires.IsZero():
		return "for ever: " + p.Reason
	case !time.Now().Before(p.Expires):
		return "no more since " + timestamp(p.Expires) + ": " + p.Reason
	}
	return "until " + timestamp(p.Expires) + ": " + p.Reason
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
	t.row("kind", string(i.Kind))
	if i.Snapshot != "" {
		t.row("snapshot", i.Snapshot)
	}
	t.row("cell", i.Cell)
	t.row("transaction", i.Transaction.String())
	t.row("position", i.Position.String())
	t.row("made", fmt.Sprintf("%s (%s ago by this host's clock)", timestamp(i.Made), age(time.Since(i.Made))))
	t.row("by", i.By)
	t.row("reason", i.Reason)
	t.row("automatic", strconv.FormatBool(i.Automatic))
	t.row("expires", timestamp(i.Expires))
	t.row("pinned", pinText(i.Pin))
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
