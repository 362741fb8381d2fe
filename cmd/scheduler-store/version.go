package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker, as in -ldflags "-X main.version=v1.2.3 -X main.commit=…";
// without, they come from what the Go tool has noted.
var version, commit string

// build says what this program is.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Modified tells that the sources were not just those of the commit.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision" && b.Commit == "":
			b.Commit = setting.Value
		case setting.Key == "vcs.modified" && commit == "":
			b.Modified = setting.Value == "true"
		}
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

func (c *command) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print what this program is",
		Example: "  scheduler-store version --output json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
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
