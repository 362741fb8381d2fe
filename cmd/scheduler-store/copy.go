package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *command) copyCommand() *cobra.Command {
	var f transferFlags
	format := auroraFormat
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a state from a store or a file to another",
		Long: `Copy the newest state of a store, or the state in a file, to a store or a file that has none yet
(Aurora: RecoveryTool). Each of the two is a store's URL, the path of a directory with a store in
it, or the path of a file; a new store in a directory is written as file:///directory. A file is
one of Aurora's backups, or JSON lines of transactions.

All of it is copied, or nothing. It has no use for --store.`,
		Example: `  scheduler-store copy s3://bucket/cells/prod?region=us-east-1 file:///var/lib/copy-of-prod
  scheduler-store copy scheduler-backup-2019-02-27-10-30 gs://bucket/cells/prod
  scheduler-store copy scheduler-backup-2019-02-27-10-30 state.jsonl --format jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("copy takes two stores or files, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			from, err := endOf(args[0])
			if err != nil {
				return err
			}
			to, err := endOf(args[1])
			if err != nil {
				return err
			}
			to.format = format
			done, err := c.transfer(cmd.Context(), from, to, &f)
			if err != nil {
				return err
			}
			return c.printTransferred(done, to, "copied")
		},
	}
	cmd.Flags().Var(&format, "format", "`form` of the file TO: aurora or jsonl; that of FROM is found out")
	f.addStoreFlags(cmd)
	return cmd
}
