package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

func (c *command) backupPinCommand(place *backupPlace) *cobra.Command {
	var pin snapshot.Pin
	var expires string
	cmd := &cobra.Command{
		Use:   "pin NAME",
		Short: "Keep a backup, or a snapshot, from being removed",
		Long: `Keep the backup of a name from being removed, by hand or by itself, until that time has passed or it
is unpinned. With --snapshot, keep that snapshot under the name instead, which costs no copy: it can
then be shown and staged like a backup. The snapshot must be in the same bucket.`,
		Example: `  scheduler-store backup pin before-the-upgrade --reason "audit" --expires 365d
  scheduler-store backup pin monday --snapshot 00000000000000004711-0123456789abcdef-01234567`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			until, err := backup.ParseExpires(expires, time.Now())
			if err != nil {
				return usageErrorf("--expires: %w", err)
			}
			pin.Expires = until
			if pin.Snapshot != "" {
				if _, err := snapshot.ParseName(pin.Snapshot); err != nil {
					return usageErrorf("--snapshot: %w", err)
				}
			}
			pin.Name = args[0]
			pin.By, _ = os.Hostname() // it is there for people only
			return c.withBackups(cmd.Context(), *place, func(b *backup.Backups) error {
				if err := b.Pin(cmd.Context(), pin); err != nil {
					return err
				}
				if c.output == jsonOutput {
					return c.printJSON(map[string]any{"pinned": pin.Name})
				}
				_, err := fmt.Fprintf(c.stdout, "pinned %s\n", printable(pin.Name))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&pin.Snapshot, "snapshot", "", "`name` of a snapshot that is to be kept, instead of a backup")
	cmd.Flags().StringVar(&pin.Reason, "reason", byCommand, "`text` that says why it is kept")
	cmd.Flags().StringVar(&expires, "expires", "", expiresHelp)
	return cmd
}

func (c *command) backupUnpinCommand(place *backupPlace) *cobra.Command {
	return &cobra.Command{
		Use:     "unpin NAME",
		Short:   "Keep a backup, or a snapshot, no longer",
		Example: "  scheduler-store backup unpin before-the-upgrade",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withBackups(cmd.Context(), *place, func(b *backup.Backups) error {
				if err := b.Unpin(cmd.Context(), args[0]); err != nil {
					return err
				}
				if c.output == jsonOutput {
					return c.printJSON(map[string]any{"unpinned": args[0]})
				}
				_, err := fmt.Fprintf(c.stdout, "unpinned %s\n", printable(args[0]))
				return err
			})
		},
	}
}
