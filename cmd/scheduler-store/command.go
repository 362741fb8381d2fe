package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// command is one run of the program: what all subcommands share.
type command struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	store    string
	key      string // a URL, empty for none
	output   outputFormat
	logLevel logLevel
	// begun tells that flags, variables and arguments were all right, so that an
	// error is not one of usage any more.
	begun bool
}

// run is the program. It returns the exit status. When ctx ends, it ends in an
// orderly way.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	used, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	usage, isUsage := errors.AsType[*usageError](err)
	if !c.begun && !isUsage {
		usage, isUsage = &usageError{err}, true
	}
	if isUsage {
		fmt.Fprintf(stderr, "scheduler-store: %s (see '%s --help')\n", oneLine(usage), used.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(stderr, "scheduler-store: %s\n", oneLine(err))
	return exitError
}

// usageError is a wrong use that shows only when a subcommand looks at its flags
// together.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usageErrorf(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// oneLine joins the lines of an error: scripts and log collectors take one line as
// one message.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

const rootHelp = `Durable state for a scheduler on nothing but a bucket: S3, GCS, MinIO, or a directory.

A store is a URL:

  /var/lib/scheduler-store, file:///var/lib/scheduler-store   a directory
  s3://bucket/cells/prod?region=us-east-1                     S3
  s3://bucket/cells/prod?endpoint=http://127.0.0.1:9000&use_path_style=true&region=us-east-1
                                                              MinIO and other S3 servers
  gs://bucket/cells/prod                                      Google Cloud Storage
  mem://name                                                  memory of this process

Credentials come from where the AWS and Google tools look for them, never from the URL.

A store is encrypted if it was opened with --key once; see 'key'.

Every flag is also an environment variable, but for those that choose tasks to be deleted; a
flag wins over its variable. The exit status is
0, or 1 after an error, or 2 for wrong usage. With --output json, standard output is one JSON
document and nothing else.`

func (c *command) root() *cobra.Command {
	root := c.group(&cobra.Command{
		Use:   "scheduler-store",
		Short: "Durable state for a scheduler on nothing but a bucket",
		Long:  rootHelp,
		Example: `  scheduler-store serve --store s3://bucket/cells/prod?region=us-east-1
  scheduler-store apply transactions.jsonl
  scheduler-store state tasks --output json`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}, c.serveCommand(), c.applyCommand(), c.stateCommand(), c.historyCommand(), c.diffCommand(), c.restoreCommand(), c.logCommand(), c.snapshotCommand(), c.gcCommand(), c.backupCommand(),
		c.recoveryCommand(), c.importCommand(), c.exportCommand(), c.copyCommand(), c.leaseCommand(), c.costCommand(), c.keyCommand(), c.doctorCommand(),
		c.benchCommand(), c.versionCommand())
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)

	flags := root.PersistentFlags()
	flags.StringVar(&c.store, "store", "./scheduler-store-data", "`URL` of the store, or the path of a directory")
	flags.StringVar(&c.key, "key", "", "`URL` of the key that encrypts the store: file:///path, awskms://…, gcpkms://… or hashivault://…; empty for one that is not encrypted")
	flags.Var(&c.output, "output", "`form` of what is printed: text or json")
	flags.Var(&c.logLevel, "log-level", "least `level` that is logged: debug, info, warn or error (default info for serve, else warn)")
	c.addCobrasOwn(root)
	describeVariables(root)

	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := applyVariables(cmd.Flags()); err != nil {
			return err
		}
		c.begun = true
		return nil
	}
	return root
}

// group makes a command that only has subcommands. Naming none, or one that there
// isn't, is wrong usage.
func (c *command) group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subcommands...)
	return c.strict(cmd)
}

func (c *command) strict(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			message := fmt.Sprintf("unknown command %q", args[0])
			if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
				message += fmt.Sprintf(", did you mean %q?", similar[0])
			}
			return errors.New(message)
		}
		names := []string{}
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		return fmt.Errorf("a command is missing: one of %s", strings.Join(names, ", "))
	}
	cmd.RunE = func(*cobra.Command, []string) error { return nil } // Args never lets it
	cmd.SuggestionsMinimumDistance = 2
	return cmd
}

// addCobrasOwn adds the commands that cobra brings, help and completion, and gives
// them what ours have.
func (c *command) addCobrasOwn(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  scheduler-store help log show"
		case "completion":
			c.strict(cmd)
			cmd.Example = "  source <(scheduler-store completion bash)"
			for _, shell := range cmd.Commands() {
				shell.Example = fmt.Sprintf("  scheduler-store completion %s", shell.Name())
			}
		}
	}
}

// noVariable marks a flag that has no environment variable: what is deleted must not
// depend on what nobody looks at.
const noVariable = "no environment variable"

func withoutVariables(flags *pflag.FlagSet) {
	flags.VisitAll(func(flag *pflag.Flag) { flag.Annotations = map[string][]string{noVariable: {}} })
}

// variable is the environment variable of a flag, empty if it has none.
func variable(flag *pflag.Flag) string {
	if _, none := flag.Annotations[noVariable]; none || flag.Name == "help" {
		return ""
	}
	if flag.Name == "store" {
		return "SCHEDULER_STORE_URL"
	}
	return "SCHEDULER_STORE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// describeVariables puts the name of each flag's variable into the help.
func describeVariables(cmd *cobra.Command) {
	describe := func(flag *pflag.Flag) {
		if name := variable(flag); name != "" {
			flag.Usage += " [$" + name + "]"
		}
	}
	cmd.LocalNonPersistentFlags().VisitAll(describe)
	cmd.PersistentFlags().VisitAll(describe)
	for _, sub := range cmd.Commands() {
		describeVariables(sub)
	}
}

// applyVariables sets each flag that was not given from its variable. An empty
// variable counts as none.
func applyVariables(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := variable(flag)
		if err != nil || flag.Changed || name == "" || os.Getenv(name) == "" {
			return
		}
		if bad := flags.Set(flag.Name, os.Getenv(name)); bad != nil {
			err = fmt.Errorf("the environment variable %s: %w", name, bad)
		}
	})
	return err
}

// outputFormat is the value of --output.
type outputFormat string

const (
	textOutput outputFormat = "text"
	jsonOutput outputFormat = "json"
)

func (f *outputFormat) String() string {
	if *f == "" {
		*f = textOutput
	}
	return string(*f)
}

func (f *outputFormat) Type() string { return "form" }

func (f *outputFormat) Set(s string) error {
	switch outputFormat(s) {
	case textOutput, jsonOutput:
		*f = outputFormat(s)
		return nil
	}
	return errors.New("must be text or json")
}

// logLevel is the value of --log-level.
type logLevel struct {
	level slog.Level
	given bool
}

func (l *logLevel) String() string {
	if !l.given {
		return ""
	}
	return strings.ToLower(l.level.String())
}

func (l *logLevel) Type() string { return "level" }

func (l *logLevel) Set(s string) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(s, level.String()) {
			l.level, l.given = level, true
			return nil
		}
	}
	return errors.New("must be debug, info, warn or error")
}

// logger logs to standard error, from least on unless --log-level says otherwise.
func (c *command) logger(least slog.Level) *slog.Logger {
	if c.logLevel.given {
		least = c.logLevel.level
	}
	return slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: least}))
}
