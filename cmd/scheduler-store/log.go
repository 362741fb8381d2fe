package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
)

func (c *command) logCommand() *cobra.Command {
	return c.group(&cobra.Command{
		Use:     "log",
		Short:   "Look at the log's entries, or check all of it",
		Example: "  scheduler-store log ls --limit 5",
	}, c.logListCommand(), c.logShowCommand(), c.logVerifyCommand())
}

func (c *command) logListCommand() *cobra.Command {
	var limit uint
	var before uint64
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List entries, the newest first",
		Example: `  scheduler-store log ls
  scheduler-store log ls --limit 100 --before 5000 --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := c.openLog(cmd.Context())
			if err != nil {
				return err
			}
			entries, err := listEntries(cmd.Context(), log, before, limit)
			if err := errors.Join(err, log.Bucket().Close()); err != nil {
				return err
			}
			return c.printEntries(entries)
		},
	}
	cmd.Flags().UintVar(&limit, "limit", 20, "most entries `N` that are listed; 0 lists all")
	cmd.Flags().Uint64Var(&before, "before", 0, "list only entries before this `position`; 0 begins with the newest")
	return cmd
}

// listEntries returns the newest entries, newest first.
func listEntries(ctx context.Context, log *blob.Log, before uint64, limit uint) ([]*view.Entry, error) {
	keys, err := log.Keys(ctx)
	if err != nil {
		return nil, err
	}
	history := blob.WithoutOrphans(keys)
	if before > 0 {
		keys = slices.DeleteFunc(keys, func(k blob.EntryKey) bool { return uint64(k.Position) >= before })
	}
	slices.Reverse(keys)
	if limit > 0 && uint(len(keys)) > limit {
		keys = keys[:limit]
	}
	entries, err := view.Headers(ctx, log, keys)
	if err != nil {
		return nil, err
	}
	markOrphans(entries, history)
	return entries, nil
}

// markOrphans marks the entries that are not of the history.
func markOrphans(entries []*view.Entry, history []blob.EntryKey) {
	epochs := map[persistence.Position]persistence.Epoch{}
	for _, k := range history {
		epochs[k.Position] = k.Epoch
	}
	for _, e := range entries {
		epoch, ok := epochs[e.Position]
		e.Orphan = !ok || epoch != e.Epoch
	}
}

func (c *command) printEntries(entries []*view.Entry) error {
	damaged := 0
	for _, e := range entries {
		if e.Problem != "" {
			damaged++
		}
	}
	if c.output == jsonOutput {
		if err := c.printJSON(map[string]any{"entries": entries}); err != nil {
			return err
		}
	} else if err := c.printEntryTable(entries); err != nil {
		return err
	}
	if damaged > 0 {
		return fmt.Errorf("entries that can't be read: %d of %d; 'log verify' checks everything", damaged, len(entries))
	}
	return nil
}

func (c *command) printEntryTable(entries []*view.Entry) error {
	t := c.table("POSITION", "EPOCH", "KIND", "TRANSACTIONS", "BYTES", "AGE", "TIME", "WRITER")
	for _, e := range entries {
		if e.Problem != "" {
			t.row(e.Position.String(), e.Epoch.String(), "damaged", "", strconv.FormatInt(e.Bytes, 10), "", "", e.Problem)
			continue
		}
		kind, transactions := e.Kind, ""
		if e.Orphan {
			kind += " (orphan)"
		}
		switch e.Count {
		case 0:
		case 1:
			transactions = e.First.String()
		default:
			transactions = fmt.Sprintf("%d–%d", e.First, e.First+persistence.TransactionNumber(e.Count)-1)
		}
		t.row(e.Position.String(), e.Epoch.String(), kind, transactions, strconv.FormatInt(e.Bytes, 10),
			age(time.Since(*e.Time)), timestamp(*e.Time), e.Writer)
	}
	return t.flush()
}

func (c *command) logShowCommand() *cobra.Command {
	var position persistence.Position
	return &cobra.Command{
		Use:   "show POSITION",
		Short: "Print one entry with its transactions",
		Example: `  scheduler-store log show 17
  scheduler-store log show 17 --output json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("log show takes one position, not %d", len(args))
			}
			n, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no position: want a number from 0 to %d", args[0], uint64(math.MaxUint64))
			}
			position = persistence.Position(n)
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := c.openLog(cmd.Context())
			if err != nil {
				return err
			}
			entry, _, err := log.Get(cmd.Context(), position)
			if err := errors.Join(err, log.Bucket().Close()); err != nil {
				return err
			}
			return c.printEntry(entry)
		},
	}
}

func (c *command) printEntry(entry *blob.Entry) (err error) {
	e := view.Whole(entry)
	if c.output == jsonOutput {
		err = c.printJSON(e)
	} else {
		err = c.printEntryText(e)
	}
	for _, t := range e.Transactions {
		if err == nil && t.Problem != "" {
			err = fmt.Errorf("%s: transaction %d: %s", e.Object, t.Transaction, t.Problem)
		}
	}
	return err
}

func (c *command) printEntryText(e *view.Entry) error {
	t := c.table()
	t.row("position", e.Position.String())
	t.row("epoch", e.Epoch.String())
	t.row("kind", e.Kind)
	if e.NextEpoch != 0 {
		t.row("next epoch", e.NextEpoch.String())
		t.row("host", e.Host)
	}
	if r := e.Restore; r != nil {
		t.row("restored state", string(r.Folder))
		t.row("reason", printable(r.Reason))
	}
	t.row("object", e.Object)
	t.row("bytes", fmt.Sprintf("%d (%d unpacked)", e.Bytes, e.RawBytes))
	t.row("time", timestamp(*e.Time))
	t.row("writer", e.Writer)
	t.row("hash", e.Hash)
	t.row("hash before", e.Prev)
	t.row("transactions", strconv.Itoa(e.Count))
	if err := t.flush(); err != nil {
		return err
	}
	for _, transaction := range e.Transactions {
		line, err := schema.ToJSON(transaction)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.stdout, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}
