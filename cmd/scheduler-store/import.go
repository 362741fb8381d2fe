package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *command) importCommand() *cobra.Command {
	var f transferFlags
	var format fileFormat
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Make the state in a file that of a new store",
		Long: `Make the state in a file, or on standard input (-), that of a new store: one of Aurora's backups,
or JSON lines of transactions, as 'export' writes both. What is old in it is brought up to date.

The store must not have had any transaction yet. All of the file takes effect, or, if anything is
wrong in it, nothing. It becomes the leader for the time being, and waits for the lease if somebody
else holds it.`,
		Example: `  scheduler-store import scheduler-backup-2019-02-27-10-30 --store s3://bucket/cells/prod?region=us-east-1
  scheduler-store import --format jsonl - --output json < state.jsonl`,
		Args: oneFile("import", "input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			store, err := c.storeURL()
			if err != nil {
				return err
			}
			to := end{store: store}
			done, err := c.transfer(cmd.Context(), end{file: args[0], format: format}, to, &f)
			if err != nil {
				return err
			}
			return c.printTransferred(done, to, "imported")
		},
	}
	cmd.Flags().Var(&format, "format", "`form` of the file: aurora or jsonl (default: the one that it begins like)")
	f.addStoreFlags(cmd)
	return cmd
}

// oneFile checks that there is one argument, a file or a dash.
func oneFile(command, standard string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return fmt.Errorf("%s takes one file, or - for standard %s, not %d", command, standard, len(args))
		}
		return nil
	}
}
