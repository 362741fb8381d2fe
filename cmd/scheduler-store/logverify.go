package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// verdict is what log verify found.
type verdict struct {
	OK bool `json:"ok"`
	// Cell and Lease say how cell.json and lease.json are: ok, absent, damaged, or
	// newer, if made by a newer version.
	Cell  string `json:"cell"`
	Lease string `json:"lease"`
	blob.Report
}

func (v *verdict) problem(err error) { v.Problems = append(v.Problems, oneLine(err)) }

func (c *command) logVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read and check every object of the store",
		Long: `Read every entry of the log, every snapshot and the state of every restore, and check each by
itself, the chain between them, and that none is missing; check cell.json and lease.json as
well. All that is wrong is named, with what can't be recovered any more for it, and then the
exit status is 1. Nothing is changed.

Where the beginning of the log was collected it begins with the oldest snapshot that the log
goes on from. Of what is before, it checks the seals, which are kept for ever, and snapshots
that stand alone; the rest is garbage, and counted.

It says whether every bit is there. Whether the state that comes of it is the one that was
written, daemons find out by themselves: see --rehearse of 'serve'.`,
		Example: `  scheduler-store log verify
  scheduler-store log verify --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := c.openBucket(cmd.Context())
			if err != nil {
				return err
			}
			v, err := c.verify(cmd.Context(), b)
			if err := errors.Join(err, b.Close()); err != nil {
				return err
			}
			return c.printVerdict(v)
		},
	}
}

func (c *command) verify(ctx context.Context, b *bucket.Bucket) (*verdict, error) {
	v := &verdict{Cell: "ok", Lease: "ok", Report: blob.Report{Alone: []string{}, Orphans: []string{}, Problems: []string{}}}
	key, err := c.openKey(ctx)
	if err != nil {
		return nil, err
	}
	log, err := blob.Open(ctx, b, blob.Options{ReadOnly: true, Key: key, Logger: c.logger(slog.LevelError)})
	switch {
	case err == nil:
		if err := c.verifyLog(ctx, log, v); err != nil {
			return nil, err
		}
	case errors.Is(err, blob.ErrNoCell):
		v.Cell = "absent"
		v.problem(err)
	case blob.IsNewerFormat(err):
		v.Cell = "newer"
		v.problem(err)
	case errors.Is(err, blob.ErrDamaged):
		v.Cell = "damaged"
		v.problem(err)
	default:
		return nil, err
	}
	if err := verifyLease(ctx, b, v); err != nil {
		return nil, err
	}
	v.OK = len(v.Problems) == 0
	return v, nil
}

func (c *command) verifyLog(ctx context.Context, log *blob.Log, v *verdict) error {
	progress := c.newProgress(-1, "checking objects")
	defer progress.clear()
	report, err := log.Verify(ctx, func(done, total int) {
		progress.setTotal(int64(total))
		progress.set(int64(done), "checking objects")
	})
	switch {
	case errors.Is(err, blob.ErrDamaged) || errors.Is(err, snapshot.ErrDamaged):
		v.problem(err) // what stands in the way of checking the rest
	case err != nil:
		return err
	}
	if report != nil {
		problems := v.Problems
		v.Report = *report
		v.Problems = append(v.Problems, problems...)
	}
	return nil
}

func verifyLease(ctx context.Context, b *bucket.Bucket, v *verdict) error {
	_, err := lease.Read(ctx, b)
	switch {
	case err == nil:
	case errors.Is(err, bucket.ErrNotExist):
		v.Lease = "absent"
		if v.Seals > 0 { // harmless for the data: epochs go on from the log's; but nothing deletes it
			v.problem(fmt.Errorf("%s is missing, though %d leaders have led; the next one makes it anew", lease.Key, v.Seals))
		}
	case errors.Is(err, checked.ErrDamaged):
		v.Lease = "damaged"
		v.problem(err)
	case blob.IsNewerFormat(err):
		v.Lease = "newer"
		v.problem(err)
	default:
		return err
	}
	return nil
}

func (c *command) printVerdict(v *verdict) error {
	if c.output == jsonOutput {
		if err := c.printJSON(v); err != nil {
			return err
		}
	} else if err := c.printVerdictText(v); err != nil {
		return err
	}
	switch len(v.Problems) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("the store is not whole: %s", v.Problems[0])
	}
	return fmt.Errorf("the store is not whole: %d problems, the first: %s", len(v.Problems), v.Problems[0])
}

func (c *command) printVerdictText(v *verdict) error {
	t := c.table()
	t.row("cell", v.Cell)
	t.row("lease", v.Lease)
	from := "the origin"
	if v.Begin != "" {
		from = "snapshot " + v.Begin
	}
	t.row("log goes on from", from)
	t.row("entries", fmt.Sprintf("%d, of them %d seals", v.Entries, v.Seals))
	t.row("transactions", fmt.Sprint(v.Transactions))
	t.row("snapshots", fmt.Sprintf("%d, of them %d that no log goes on from", v.Snapshots, len(v.Alone)))
	t.row("pins", fmt.Sprint(v.Pins))
	t.row("restores", fmt.Sprint(v.Restores))
	t.row("parts of states", fmt.Sprint(v.Parts))
	t.row("bytes of entries", fmt.Sprint(v.Bytes))
	t.row("garbage", fmt.Sprintf("%d entries, %d bytes", v.Garbage, v.GarbageBytes))
	t.row("head", v.Head.String())
	t.row("problems", fmt.Sprint(len(v.Problems)))
	if err := t.flush(); err != nil {
		return err
	}
	for _, orphan := range v.Orphans {
		fmt.Fprintf(c.stdout, "orphan, harmless: %s\n", orphan)
	}
	for _, problem := range v.Problems {
		if _, err := fmt.Fprintf(c.stdout, "problem: %s\n", printable(problem)); err != nil {
			return err
		}
	}
	return nil
}
