package main

import "github.com/spf13/cobra"

func (c *command) exportCommand() *cobra.Command {
	var f transferFlags
	format := auroraFormat
	cmd := &cobra.Command{
		Use:   "export FILE|-",
		Short: "Write the newest state to a file",
		Long: `Write the newest state to a file, or to standard output (-): as a backup that Aurora can read, or as
JSON lines of transactions, which 'apply' and 'import' take back. It reads the bucket only, and
needs no daemon. The file has its name only when it is whole.`,
		Example: `  scheduler-store export scheduler-backup-2019-02-27-10-30
  scheduler-store export --format jsonl - | gzip > state.jsonl.gz`,
		Args: oneFile("export", "output"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := c.storeURL()
			if err != nil {
				return err
			}
			to := end{file: args[0], format: format}
			done, err := c.transfer(cmd.Context(), end{store: store}, to, &f)
			if err != nil {
				return err
			}
			return c.printTransferred(done, to, "exported")
		},
	}
	cmd.Flags().Var(&format, "format", "`form` of the file: aurora or jsonl")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace a file that exists")
	return cmd
}
