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
	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// entryView is an entry of the log in JSON, with the names of the HTTP API.
type entryView struct {
	Position persistence.Position `json:"position"`
	Epoch    persistence.Epoch    `json:"epoch"`
	Kind     string               `json:"kind,omitzero"`
	// NextEpoch is the epoch that a seal names.
	NextEpoch        persistence.Epoch             `json:"nextEpoch,omitzero"`
	FirstTransaction persistence.TransactionNumber `json:"firstTransaction,omitzero"`
	Count            int                           `json:"transactionCount"`
	Time             *time.Time                    `json:"time,omitzero"`
	Writer           *persistence.WriterID         `json:"writer,omitzero"`
	Prev             *persistence.Hash             `json:"prev,omitzero"`
	Hash             *persistence.Hash             `json:"hash,omitzero"`
	Object           string                        `json:"object"`
	// Bytes is the object's size, RawBytes that of the transactions in it.
	Bytes        int64             `json:"bytes"`
	RawBytes     int               `json:"rawBytes"`
	Transactions []transactionView `json:"transactions,omitzero"`
	// Orphan tells that the entry lies beyond a seal, so that it is not part of
	// the history.
	Orphan bool `json:"orphan,omitzero"`
	// Problem is why the entry could not be read.
	Problem string `json:"problem,omitzero"`
}

// transactionView is one transaction of an entry in JSON.
type transactionView struct {
	Transaction    persistence.TransactionNumber `json:"transaction"`
	IdempotencyKey string                        `json:"idempotencyKey,omitzero"`
	Ops            []*api.Op                     `json:"ops"`
}

func viewHeader(h *blob.Header) entryView {
	return entryView{Position: h.Position, Epoch: h.Epoch, Kind: h.Kind.String(), FirstTransaction: h.First, Count: h.Count,
		Time: &h.Time, Writer: &h.Writer, Prev: &h.Prev, Object: blob.Key(h.Epoch, h.Position), Bytes: h.Size(), RawBytes: h.RawSize}
}

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
func listEntries(ctx context.Context, log *blob.Log, before uint64, limit uint) ([]entryView, error) {
	keys, err := log.Keys(ctx)
	if err != nil {
		return nil, err
	}
	orphans := beyondSeals(keys)
	if before > 0 {
		keys = slices.DeleteFunc(keys, func(k blob.EntryKey) bool { return uint64(k.Position) >= before })
	}
	slices.Reverse(keys)
	if limit > 0 && uint(len(keys)) > limit {
		keys = keys[:limit]
	}
	entries := make([]entryView, len(keys))
	const requests = 16 // at once: latency counts here, not bytes
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requests)
	for i, k := range keys {
		group.Go(func() (err error) {
			entries[i], err = readEntry(ctx, log, k)
			entries[i].Orphan = orphans[k]
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(entries, func(e entryView) bool { return e.Object == "" }), nil
}

// readEntry reads one entry's header. An entry that was collected meanwhile has no
// object; a damaged one has its problem.
func readEntry(ctx context.Context, log *blob.Log, k blob.EntryKey) (entryView, error) {
	for header, err := range log.Headers(ctx, []blob.EntryKey{k}) {
		switch {
		case errors.Is(err, bucket.ErrNotExist):
			return entryView{}, nil
		case errors.Is(err, blob.ErrDamaged):
			return entryView{Position: k.Position, Epoch: k.Epoch, Bytes: k.Size, Object: blob.Key(k.Epoch, k.Position), Problem: err.Error()}, nil
		case err != nil:
			return entryView{}, err
		}
		return viewHeader(&header), nil
	}
	return entryView{}, nil
}

// beyondSeals finds the entries that a deposed writer landed beyond its seal, where
// the keys alone show it: an entry of a larger epoch is at their position or before.
func beyondSeals(keys []blob.EntryKey) map[blob.EntryKey]bool {
	orphans := map[blob.EntryKey]bool{}
	var newest persistence.Epoch
	for i := 0; i < len(keys); { // by position, then epoch
		end := i
		for end < len(keys) && keys[end].Position == keys[i].Position {
			newest = max(newest, keys[end].Epoch)
			end++
		}
		for ; i < end; i++ {
			if keys[i].Epoch < newest {
				orphans[keys[i]] = true
			}
		}
	}
	return orphans
}

func (c *command) printEntries(entries []entryView) error {
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

func (c *command) printEntryTable(entries []entryView) error {
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
			transactions = e.FirstTransaction.String()
		default:
			transactions = fmt.Sprintf("%d–%d", e.FirstTransaction, e.FirstTransaction+persistence.TransactionNumber(e.Count)-1)
		}
		t.row(e.Position.String(), e.Epoch.String(), kind, transactions, strconv.FormatInt(e.Bytes, 10),
			age(time.Since(*e.Time)), timestamp(*e.Time), e.Writer.String())
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

func (c *command) printEntry(e *blob.Entry) error {
	full := viewHeader(&e.Header)
	full.NextEpoch, full.Hash, full.Transactions = e.NextEpoch, &e.Hash, []transactionView{}
	for i, record := range e.Records {
		number := e.First + persistence.TransactionNumber(i)
		t := new(api.Transaction)
		if err := t.UnmarshalBinary(record); err != nil {
			return fmt.Errorf("%s: transaction %d: %w", full.Object, number, err)
		}
		view := transactionView{Transaction: number, Ops: t.Ops}
		if t.Idempotency != nil {
			view.IdempotencyKey = t.Idempotency.Key.Get()
		}
		full.Transactions = append(full.Transactions, view)
	}
	if c.output == jsonOutput {
		return c.printJSON(full)
	}
	return c.printEntryText(&full)
}

func (c *command) printEntryText(e *entryView) error {
	t := c.table()
	t.row("position", e.Position.String())
	t.row("epoch", e.Epoch.String())
	t.row("kind", e.Kind)
	if e.NextEpoch != 0 {
		t.row("next epoch", e.NextEpoch.String())
	}
	t.row("object", e.Object)
	t.row("bytes", fmt.Sprintf("%d (%d unpacked)", e.Bytes, e.RawBytes))
	t.row("time", timestamp(*e.Time))
	t.row("writer", e.Writer.String())
	t.row("hash", e.Hash.String())
	t.row("hash before", e.Prev.String())
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
