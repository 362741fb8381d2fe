package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/history"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/storage"
)

func (c *command) historyCommand() *cobra.Command {
	var from, to atFlag
	var subject *history.Subject
	cmd := &cobra.Command{
		Use:   "history KIND KEY",
		Short: "Print every change of one task, job, host …",
		Long: `Print every change of one row, or of all that belongs to a job: when it was, in which
transaction, under which leader, by which ops, and which fields changed from what to what. It
reads the bucket only, and needs no daemon. The last line says what was read, and since when the
history is known: what is older was collected.

The kinds are ` + strings.Join(history.Kinds(), ", ") + `. The key is a task's id, role/environment/name
of a job or cron job (a job's history is that of its tasks, its cron job and its updates), a role, a
host, or role/environment/name/id of an update; the framework id has none.

With --output json each change is a line, and so is what was read.

` + atHelp,
		Example: `  scheduler-store history tasks www-prod-hello-0-1b4e28ba
  scheduler-store history jobs www/prod/hello --from 2h --output json`,
		ValidArgs: history.Kinds(),
		Args: func(_ *cobra.Command, args []string) (err error) {
			if len(args) == 1 && args[0] == string(storage.KindFrameworkID) {
				args = append(args, "")
			}
			if len(args) != 2 {
				return fmt.Errorf("history takes a kind and a key, not %d arguments", len(args))
			}
			subject, err = history.NewSubject(args[0], args[1])
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := c.openLog(cmd.Context())
			if err != nil {
				return err
			}
			read, err := c.findHistory(cmd.Context(), log, subject, &from, to.until)
			if err := errors.Join(err, log.Bucket().Close()); err != nil {
				return err
			}
			return c.printHistory(read)
		},
	}
	cmd.Flags().Var(&from, "from", "`AT`, after which changes count (default: as far back as is known)")
	cmd.Flags().Var(&to, "to", "`AT`, up to which changes count (default: now)")
	return cmd
}

// historyRead is what a history took.
type historyRead struct {
	changes []*history.Change
	// Since is the place that the history is known from, after which all changes are
	// told, if it was not asked for.
	Since   placed  `json:"since"`
	Entries int     `json:"entries"`
	Bytes   int64   `json:"bytes"`
	Decoded int64   `json:"recordsDecoded"` // of a snapshot's and the log's
	Seconds float64 `json:"seconds"`
	// Snapshot tells that the reading began from one, not from the beginning.
	Snapshot bool `json:"snapshot"`
	// Collected tells that what is older is no longer in the log.
	Collected bool `json:"collected"`
	// There is what the subject had at the beginning, Left what it has at the end.
	There int `json:"rowsAtBegin"`
	Left  int `json:"rowsAtEnd"`
}

// findHistory reads the log. Without a beginning of the caller's it begins as early as
// can be.
func (c *command) findHistory(ctx context.Context, log *blob.Log, subject *history.Subject, from *atFlag, to blob.Until) (*historyRead, error) {
	start := time.Now()
	begin := blob.UntilTransaction(0)
	if from.given() {
		begin = from.until
	}
	read := &historyRead{}
	for range historyTries {
		*read = historyRead{Collected: read.Collected}
		finder := history.NewFinder(subject)
		progress := c.newProgress(-1, "reading entries")
		_, err := log.Between(ctx, finder, begin, to, func(p blob.Progress) {
			read.Entries, read.Bytes = p.Entries, p.Bytes
			progress.recovery(p)
		})
		progress.clear()
		if collected, ok := errors.AsType[*blob.CollectedError](err); ok && !from.given() {
			begin, read.Collected = blob.UntilPosition(collected.Oldest.Next-1), true
			continue
		}
		if err := errors.Join(err, finder.Err()); err != nil {
			return nil, err
		}
		counts := after(begin)
		for _, change := range finder.Changes() {
			if counts(change) {
				read.changes = append(read.changes, change)
			}
		}
		at := finder.Begin()
		read.Since = placed{at.Transaction, int64(at.Next) - 1}
		read.Snapshot = at.Next > 0
		read.Decoded = finder.Decoded()
		read.There, read.Left = total(countsOf(finder.First())), total(countsOf(finder.View()))
		read.Seconds = math.Round(time.Since(start).Seconds()*1000) / 1000
		return read, nil
	}
	return nil, errors.New("what is still to be read is collected again and again; ask for what is newer with --from")
}

// historyTries bounds the beginnings of one reading: each is later than the one before.
const historyTries = 100

// after tells which changes come after a place.
func after(at blob.Until) func(*history.Change) bool {
	passed := false
	return func(change *history.Change) bool {
		switch {
		case at.Position != nil:
			return change.Position > *at.Position
		case at.Transaction != nil:
			return change.Transaction > *at.Transaction
		}
		passed = passed || change.Time.After(at.Time)
		return passed
	}
}

func (c *command) printHistory(read *historyRead) error {
	if c.output == jsonOutput {
		for _, change := range read.changes {
			if err := c.printLine(change); err != nil {
				return err
			}
		}
		return c.printLine(map[string]*historyRead{"read": read})
	}
	last := persistence.TransactionNumber(0)
	for _, change := range read.changes {
		if change.Transaction != last {
			last = change.Transaction
			leader := change.Leader.Writer.String()
			if change.Leader.Host != "" {
				leader = change.Leader.Host + ", writer " + leader
			}
			fmt.Fprintf(c.stdout, "%s transaction %d, position %d, epoch %d by %s: %s\n", timestamp(change.Time), change.Transaction,
				change.Position, change.Leader.Epoch, printable(leader), strings.Join(change.Ops, ", "))
		}
		if _, err := fmt.Fprintf(c.stdout, "  %s%s\n", rowText(change.Kind, change.Key), changeText(change.What, change.Fields)); err != nil {
			return err
		}
	}
	since := "the beginning"
	if read.Snapshot {
		since = fmt.Sprintf("the snapshot of position %d, transaction %d, which had %d rows of it", read.Since.Position, read.Since.Transaction, read.There)
		if read.Collected {
			since += " (what is older was collected)"
		}
	}
	_, err := fmt.Fprintf(c.stdout, "%d changes, %d rows now; read %d entries, %d bytes, from %s, in %.3f s; %d records had the key\n",
		len(read.changes), read.Left, read.Entries, read.Bytes, since, read.Seconds, read.Decoded)
	return err
}

// printLine prints a value as a line of JSON.
func (c *command) printLine(v any) error {
	line, err := schema.ToJSON(v)
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(slices.Concat(line, []byte("\n")))
	return err
}
