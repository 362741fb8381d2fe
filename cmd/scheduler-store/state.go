package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// recovered is the state of a store as of the end of its log.
type recovered struct {
	storage.View
	at persistence.Point
	// checkpoint is both, nil while the log is empty.
	checkpoint *durability.Checkpoint
}

// recoverAt reads the newest state, with no request that writes.
func (c *command) recoverAt(ctx context.Context, storeURL string) (*recovered, error) {
	log, err := c.openLogAt(ctx, storeURL)
	if err != nil {
		return nil, err
	}
	state, err := c.catchUp(ctx, log)
	if err := errors.Join(err, log.Bucket().Close()); err != nil {
		return nil, err
	}
	return state, nil
}

// catchUp reads a log to its end. Unlike a follower it takes each error for final, so
// it never waits for a store to come back.
func (c *command) catchUp(ctx context.Context, log *blob.Log) (*recovered, error) {
	stores := durability.New(durability.Options{})
	reader := log.NewReader(stores)
	progress := c.newProgress(-1, "recovering entries")
	defer progress.clear()
	reader.Report(progress.recovery)
	if err := reader.CatchUp(ctx); err != nil {
		return nil, err
	}
	return &recovered{stores.View(), reader.At(), stores.Checkpoint()}, nil
}

// source is the state as a snapshot or a backup is made of it.
func (r *recovered) source(log *blob.Log, reason string) (snapshot.Source, error) {
	if r.checkpoint == nil || r.at.Next == 0 {
		return snapshot.Source{}, fmt.Errorf("%s holds nothing yet: nobody has led it", log.Bucket().Name())
	}
	host, _ := os.Hostname() // it is there for people only
	return snapshot.Source{Cell: log.Cell().ID, At: r.checkpoint.At, Records: r.checkpoint.Records(), Counts: r.checkpoint.Counts(),
		By: host, Reason: reason}, nil
}

// kind is one kind of what a state holds.
type kind struct {
	name   string // on the command line
	member string // in JSON
	count  func(storage.View) int
	write  func(*jsonWriter, storage.View) // the member of that name
	table  func(*command, storage.View) error
}

func kinds() []kind {
	return []kind{
		{"tasks", "tasks", func(v storage.View) int { return v.Tasks().Len() },
			func(w *jsonWriter, v storage.View) { writeArray(w, "tasks", v.Tasks().All()) }, (*command).printTasks},
		{"cron-jobs", "cronJobs", func(v storage.View) int { return v.CronJobs().Len() },
			func(w *jsonWriter, v storage.View) { writeArray(w, "cronJobs", v.CronJobs().All()) }, (*command).printCronJobs},
		{"quotas", "quotas", func(v storage.View) int { return v.Quotas().Len() },
			func(w *jsonWriter, v storage.View) { writeArray(w, "quotas", quotas(v)) }, (*command).printQuotas},
		{"hosts", "hosts", func(v storage.View) int { return v.Hosts().Len() },
			func(w *jsonWriter, v storage.View) { writeArray(w, "hosts", v.Hosts().All()) }, (*command).printHosts},
		{"job-updates", "jobUpdates", func(v storage.View) int { return v.JobUpdates().Len() },
			func(w *jsonWriter, v storage.View) { writeArray(w, "jobUpdates", v.JobUpdates().All()) }, (*command).printJobUpdates},
		{"maintenance", "maintenance", func(v storage.View) int { return v.Maintenance().Len() },
			func(w *jsonWriter, v storage.View) { writeArray(w, "maintenance", v.Maintenance().All()) }, (*command).printMaintenance},
		{"framework-id", "frameworkId", countFrameworkID, writeFrameworkID, (*command).printFrameworkID},
	}
}

func quotas(v storage.View) iter.Seq[*api.QuotaConfiguration] {
	return func(yield func(*api.QuotaConfiguration) bool) {
		for role, q := range v.Quotas().All() {
			if !yield(&api.QuotaConfiguration{Role: api.Some(role), Quota: q}) {
				return
			}
		}
	}
}

func countFrameworkID(v storage.View) int {
	if _, ok := v.FrameworkID(); ok {
		return 1
	}
	return 0
}

func writeFrameworkID(w *jsonWriter, v storage.View) {
	w.token(jsontext.String("frameworkId"))
	if id, ok := v.FrameworkID(); ok {
		w.token(jsontext.String(id))
	} else {
		w.token(jsontext.Null)
	}
}

func (c *command) stateCommand() *cobra.Command {
	names := []string{}
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	list := strings.Join(names, ", ")
	var at atFlag
	cmd := &cobra.Command{
		Use:   "state [KIND]",
		Short: "Print what the store holds",
		Long: `Print the newest state of the store, or with --at what it was: all of one kind, or of all kinds,
or without a kind how much there is. It reads the bucket only, and needs no daemon.

The kinds are ` + list + `, and all.

` + atHelp,
		Example: `  scheduler-store state
  scheduler-store state tasks --output json
  scheduler-store state tasks --at 2h
  scheduler-store state all --output json > state.json`,
		ValidArgs: append(names, "all"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("state takes one kind, not %d", len(args))
			}
			if len(args) == 1 && args[0] != "all" && !slices.Contains(names, args[0]) {
				return fmt.Errorf("there is no kind %q: want one of %s, or all", args[0], list)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			state, err := c.recoverPast(cmd.Context(), at.until)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return c.printSummary(state)
			}
			return c.printKinds(state, args[0])
		},
	}
	cmd.Flags().Var(&at, "at", "`AT`, the place in the history that the state is of (default: now)")
	return cmd
}

// printKinds prints one kind, or all.
func (c *command) printKinds(state *recovered, name string) error {
	chosen := slices.DeleteFunc(kinds(), func(k kind) bool { return name != "all" && k.name != name })
	if c.output == jsonOutput {
		return c.writeJSON(func(w *jsonWriter) {
			w.object(func() {
				w.member("transaction", state.at.Transaction)
				for _, k := range chosen {
					k.write(w, state)
				}
			})
		})
	}
	for i, k := range chosen {
		if len(chosen) > 1 {
			if i > 0 {
				fmt.Fprintln(c.stdout)
			}
			fmt.Fprintf(c.stdout, "%s (%d)\n", k.name, k.count(state))
		}
		if err := k.table(c, state); err != nil {
			return err
		}
	}
	return nil
}

// summary says how much a state holds.
type summary struct {
	Transaction  persistence.TransactionNumber `json:"transaction"`
	Position     int64                         `json:"position"` // -1 before the first entry
	Epoch        persistence.Epoch             `json:"epoch"`
	Counts       map[string]int                `json:"counts"`
	TasksBy      map[string]int                `json:"tasksByStatus"`
	FrameworkID  string                        `json:"frameworkId,omitzero"`
	orderOfKinds []kind
}

func summarize(state *recovered) *summary {
	s := &summary{Transaction: state.at.Transaction, Position: int64(state.at.Next) - 1, Epoch: state.at.Epoch,
		Counts: countsOf(state), TasksBy: map[string]int{}, orderOfKinds: kinds()}
	for task := range state.Tasks().All() {
		s.TasksBy[task.Status.String()]++
	}
	s.FrameworkID, _ = state.FrameworkID()
	return s
}

func (c *command) printSummary(state *recovered) error {
	s := summarize(state)
	if c.output == jsonOutput {
		return c.printJSON(s)
	}
	fmt.Fprintf(c.stdout, "transaction %d, position %d, epoch %d\n", s.Transaction, s.Position, s.Epoch)
	t := c.table()
	for _, k := range s.orderOfKinds {
		if k.name == "framework-id" {
			t.row(k.name, s.FrameworkID)
			continue
		}
		t.row(k.name, fmt.Sprint(s.Counts[k.member]))
		if k.name != "tasks" {
			continue
		}
		for _, status := range slices.Sorted(maps.Keys(s.TasksBy)) {
			t.row("  "+status, fmt.Sprint(s.TasksBy[status]))
		}
	}
	return t.flush()
}
