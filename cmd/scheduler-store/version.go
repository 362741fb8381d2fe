package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/internal/build"
)

func (c *command) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print what this program is",
		Example: "  scheduler-store version --output json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build.Get()
			if c.output == jsonOutput {
				return c.printJSON(b)
			}
			modified := ""
			if b.Modified {
				modified = ", modified"
			}
			_, err := fmt.Fprintf(c.stdout, "scheduler-store %s (commit %s%s, %s, %s)\n", b.Version, b.Commit, modified, b.Go, b.Platform)
			return err
		},
	}
}
