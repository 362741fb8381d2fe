package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Paths of the API.
const (
	recoveryPath       = "/v1/recovery"
	recoveryTasksPath  = "/v1/recovery/tasks"
	recoveryCommitPath = "/v1/recovery/commit"
)

func (c *command) recoveryCommand() *cobra.Command {
	d := &client{}
	cmd := c.group(&cobra.Command{
		Use:   "recovery",
		Short: "Make a backup the state, after looking at it and pruning it",
		Long: `Make a backup the state. The leading daemon loads it beside the state (stage), where its tasks can be
looked at and deleted, and puts it in the state's place (commit). Until then nothing is changed.
What was the state before stays in the log.

These commands talk to a daemon; the others need none.`,
		Example: `  scheduler-store recovery stage before-the-upgrade
  scheduler-store recovery delete-tasks --role www --status LOST
  scheduler-store recovery commit
  scheduler-store recovery unload`,
	}, c.stageCommand(d), c.stagedCommand(d), c.stagedTasksCommand(d), c.deleteStagedCommand(d), c.commitCommand(d), c.unloadCommand(d))
	d.addFlags(cmd.PersistentFlags())
	return cmd
}

func (c *command) stageCommand(d *client) *cobra.Command {
	return &cobra.Command{
		Use:     "stage NAME",
		Short:   "Load a backup beside the state",
		Example: "  scheduler-store recovery stage before-the-upgrade --server http://host1.example.com:8410",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.printStaged(cmd.Context(), d, http.MethodPost, map[string]string{"backup": args[0]})
		},
	}
}

func (c *command) stagedCommand(d *client) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print which backup is staged",
		Example: "  scheduler-store recovery show --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.printStaged(cmd.Context(), d, http.MethodGet, nil)
		},
	}
}

func (c *command) printStaged(ctx context.Context, d *client, method string, body any) error {
	var info backup.Info
	if err := d.ask(ctx, method, recoveryPath, body, &info); err != nil {
		return err
	}
	return c.printBackup(&info)
}

// ask sends a request and reads its answer, which is one small value.
func (d *client) ask(ctx context.Context, method, path string, body, answer any) error {
	connection, err := d.connect()
	if err != nil {
		return err
	}
	response, err := connection.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		return nil
	}
	if err := json.UnmarshalRead(response.Body, answer); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// taskFilters are the API's filters of tasks, as flags.
type taskFilters struct {
	role, environment                             string
	jobs, ids, instances, statuses, hosts, slaves []string
}

func (f *taskFilters) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.role, "role", "", "tasks of this `role`")
	flags.StringVar(&f.environment, "environment", "", "tasks of this `environment`")
	flags.StringArrayVar(&f.jobs, "job", nil, "tasks of this `job`: a name, or role/environment/name, which may be repeated")
	flags.StringArrayVar(&f.ids, "id", nil, "the task of this `id`; may be repeated, like all that follow")
	flags.StringArrayVar(&f.instances, "instance", nil, "tasks of this instance `number`")
	flags.StringArrayVar(&f.statuses, "status", nil, "tasks of this `status`, such as RUNNING")
	flags.StringArrayVar(&f.hosts, "host", nil, "tasks on this `host`")
	flags.StringArrayVar(&f.slaves, "slave", nil, "tasks on this `agent`, by its host or its id")
	withoutVariables(flags)
}

// query has what was given, also what is empty: the API refuses that.
func (f *taskFilters) query(flags *pflag.FlagSet) url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"role": f.role, "environment": f.environment} {
		if flags.Changed(name) {
			query.Set(name, value)
		}
	}
	for name, values := range map[string][]string{"job": f.jobs, "id": f.ids, "instance": f.instances, "status": f.statuses,
		"host": f.hosts, "slave": f.slaves} {
		if flags.Changed(name) {
			query[name] = values
		}
	}
	return query
}

func (c *command) stagedTasksCommand(d *client) *cobra.Command {
	var f taskFilters
	var offset, limit uint
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "Print tasks of the staged backup",
		Example: `  scheduler-store recovery tasks --role www --status RUNNING
  scheduler-store recovery tasks --limit 100 --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := f.query(cmd.Flags())
			query.Set("offset", strconv.FormatUint(uint64(offset), 10))
			query.Set("limit", strconv.FormatUint(uint64(limit), 10))
			return c.printStagedTasks(cmd.Context(), d, query)
		},
	}
	f.addFlags(cmd.Flags())
	cmd.Flags().UintVar(&offset, "offset", 0, "leave out the first `N`")
	cmd.Flags().UintVar(&limit, "limit", 0, "most tasks `N` that are printed; 0 prints all")
	return cmd
}

// printStagedTasks prints tasks while they come: there may be many.
func (c *command) printStagedTasks(ctx context.Context, d *client, query url.Values) error {
	connection, err := d.connect()
	if err != nil {
		return err
	}
	response, err := connection.do(ctx, http.MethodGet, recoveryTasksPath+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if c.output == jsonOutput {
		if _, err = io.Copy(c.stdout, response.Body); err == nil {
			_, err = fmt.Fprintln(c.stdout)
		}
	} else {
		t := c.taskTable()
		err = errors.Join(readTasks(response.Body, t), t.flush())
	}
	if err != nil {
		return fmt.Errorf("the answer was cut off: %w", err)
	}
	return nil
}

// readTasks adds the tasks of an answer to a table.
func readTasks(body io.Reader, t *table) error {
	decoder := jsontext.NewDecoder(body, schema.JSONOptions())
	for depth := 0; ; {
		if decoder.StackDepth() == 2 && decoder.PeekKind() == '{' {
			task := new(api.ScheduledTask)
			if err := json.UnmarshalDecode(decoder, task); err != nil {
				return err
			}
			t.task(task)
			continue
		}
		token, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		switch token.Kind() {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}

func (c *command) deleteStagedCommand(d *client) *cobra.Command {
	var f taskFilters
	var all bool
	cmd := &cobra.Command{
		Use:   "delete-tasks",
		Short: "Delete tasks from the staged backup",
		Long: `Delete tasks from the staged backup, those that match all filters. Neither the backup itself nor
the state changes by it.`,
		Example: `  scheduler-store recovery delete-tasks --role www --environment prod --job hello
  scheduler-store recovery delete-tasks --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := f.query(cmd.Flags())
			switch {
			case all && len(query) > 0:
				return usageErrorf("--all deletes every task: give it alone, or filters only")
			case all:
				query.Set("all", "true")
			case len(query) == 0:
				return usageErrorf("no filter is given; want at least one, or --all to delete every task")
			}
			var answer struct {
				Deleted int `json:"deleted"`
			}
			if err := d.ask(cmd.Context(), http.MethodDelete, recoveryTasksPath+"?"+query.Encode(), nil, &answer); err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(answer)
			}
			_, err := fmt.Fprintf(c.stdout, "deleted %d tasks from the staged backup\n", answer.Deleted)
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "delete every task")
	f.addFlags(cmd.Flags()) // with --all
	return cmd
}

func (c *command) commitCommand(d *client) *cobra.Command {
	return &cobra.Command{
		Use:   "commit",
		Short: "Make the staged backup the state",
		Long: `Make the staged backup the state. Then the daemon leads anew, and all processes load the new state.
Nothing is staged any more then.`,
		Example: "  scheduler-store recovery commit",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var commit persistence.Commit
			if err := d.ask(cmd.Context(), http.MethodPost, recoveryCommitPath, nil, &commit); err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(commit)
			}
			_, err := fmt.Fprintf(c.stdout, "the staged backup is the state: transaction %d, position %d, epoch %d\n",
				commit.Transaction, commit.Position, commit.Epoch)
			return err
		},
	}
}

func (c *command) unloadCommand(d *client) *cobra.Command {
	return &cobra.Command{
		Use:     "unload",
		Short:   "Forget the staged backup, if there is one",
		Example: "  scheduler-store recovery unload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.ask(cmd.Context(), http.MethodDelete, recoveryPath, nil, nil); err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(map[string]any{"staged": false})
			}
			_, err := fmt.Fprintln(c.stdout, "no backup is staged")
			return err
		},
	}
}
