package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// byCommand is the reason of a snapshot or a backup for which none is given.
const byCommand = "command"

func (c *command) snapshotCommand() *cobra.Command {
	return c.group(&cobra.Command{
		Use:     "snapshot",
		Short:   "Make snapshots, which keep recovery short; list and check them",
		Example: "  scheduler-store snapshot ls",
	}, c.snapshotCreateCommand(), c.snapshotListCommand(), c.snapshotVerifyCommand())
}

func (c *command) snapshotCreateCommand() *cobra.Command {
	var reason string
	var l leaderFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a snapshot of the newest state",
		Long: `Make a snapshot of the newest state. The leader makes them by itself; this is for when the next
recovery is to be short. If the newest snapshot is of the newest state, that is the one.

` + leadingHelp,
		Example: `  scheduler-store snapshot create --reason "before the upgrade"
  scheduler-store snapshot create --token-file tokens --ca-cert ca.crt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.check(); err != nil {
				return err
			}
			made, err := c.createSnapshot(cmd.Context(), &l, reason)
			if err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(made)
			}
			_, err = fmt.Fprintf(c.stdout, "made snapshot %s of transaction %d: %d bytes\n", made.Name, made.Transaction, made.Bytes)
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", byCommand, "`text` that says why it was made")
	l.addFlags(cmd.Flags())
	return cmd
}

func (c *command) createSnapshot(ctx context.Context, l *leaderFlags, reason string) (made *view.Snapshot, err error) {
	err = c.byLeader(ctx, l, func(d *client) error {
		made = new(view.Snapshot)
		return d.ask(ctx, http.MethodPost, "/v1/snapshots", map[string]string{"reason": reason}, made)
	}, func() error {
		return c.asLeader(ctx, l.leaseTTL, 0, &l.tiers, func(store *schedulerstore.Store) error {
			m, err := store.Snapshot(ctx, reason)
			if err == nil {
				made = view.SnapshotOf(m)
			}
			return err
		})
	})
	return made, err
}

// listedSnapshot is a snapshot in a list, with what is wrong with it.
type listedSnapshot struct {
	Name string `json:"name"`
	*view.Snapshot
	Problem string `json:"problem,omitzero"`
}

func (c *command) snapshotListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the snapshots, the newest first",
		Long: `List the snapshots, the newest first. A full one has all its parts to itself. An incremental one goes
on from an older one: BYTES is what both take, OWN what was written for it alone.`,
		Example: `  scheduler-store snapshot ls
  scheduler-store snapshot ls --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			snapshots, err := c.readSnapshots(cmd.Context(), "", readManifest)
			if err != nil {
				return err
			}
			if c.output == jsonOutput {
				err = c.printJSON(map[string]any{"snapshots": snapshots})
			} else {
				err = c.printSnapshots(snapshots)
			}
			return errors.Join(err, snapshotProblems(snapshots))
		},
	}
}

func (c *command) snapshotVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [NAME]",
		Short: "Read and check every bit of one snapshot, or of all",
		Long: `Read one snapshot whole, or all of them, and check every bit. What is wrong is named, and then
the exit status is 1. Nothing is changed.`,
		Example: `  scheduler-store snapshot verify
  scheduler-store snapshot verify 00000000000000004711-0123456789abcdef-01234567`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				if _, err := snapshot.ParseName(args[0]); err != nil {
					return usageErrorf("%w", err)
				}
				name = args[0]
			}
			snapshots, err := c.verifySnapshots(cmd.Context(), name)
			if err != nil {
				return err
			}
			problems := snapshotProblems(snapshots)
			if c.output == jsonOutput {
				err = c.printJSON(map[string]any{"ok": problems == nil, "snapshots": snapshots})
			} else {
				err = c.printVerified(snapshots)
			}
			return errors.Join(err, problems)
		},
	}
}

func (c *command) verifySnapshots(ctx context.Context, name string) ([]listedSnapshot, error) {
	progress := c.newProgress(-1, "checking parts")
	defer progress.clear()
	done := int64(0)
	var checker *snapshot.Checker // reads parts that snapshots share once
	return c.readSnapshots(ctx, name, func(ctx context.Context, log *blob.Log, name snapshot.Name) (*snapshot.Manifest, error) {
		m, err := readManifest(ctx, log, name)
		if err != nil {
			return nil, err
		}
		if checker == nil {
			checker = snapshot.NewChecker(log.Bucket(), log.Codec())
		}
		return m, checker.Check(ctx, m, func() {
			done++
			progress.set(done, "checking parts")
		})
	})
}

// snapshotReader reads as much of a snapshot as is wanted.
type snapshotReader func(ctx context.Context, log *blob.Log, name snapshot.Name) (*snapshot.Manifest, error)

func readManifest(ctx context.Context, log *blob.Log, name snapshot.Name) (*snapshot.Manifest, error) {
	return snapshot.Read(ctx, log.Bucket(), log.Cell().ID, name)
}

// readSnapshots reads the snapshot of a name, or all, newest first. One that is
// damaged has its problem.
func (c *command) readSnapshots(ctx context.Context, only string, read snapshotReader) (_ []listedSnapshot, err error) {
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	names, err := snapshot.List(ctx, log.Bucket(), nil)
	if err != nil {
		return nil, err
	}
	if only != "" {
		names = slices.DeleteFunc(names, func(n snapshot.Name) bool { return n.String() != only })
		if len(names) == 0 {
			return nil, fmt.Errorf("there is no snapshot %s; 'snapshot ls' lists what there is", only)
		}
	}
	snapshots := []listedSnapshot{}
	for _, name := range slices.Backward(names) {
		listed := listedSnapshot{Name: name.String()}
		m, err := read(ctx, log, name)
		switch {
		case err == nil:
			listed.Snapshot = view.SnapshotOf(m)
		case errors.Is(err, snapshot.ErrDamaged), blob.IsNewerFormat(err):
			listed.Problem = oneLine(err)
		default:
			return nil, err
		}
		snapshots = append(snapshots, listed)
	}
	return snapshots, nil
}

// snapshotProblems is the error of snapshots that can't be read, nil if all can.
func snapshotProblems(snapshots []listedSnapshot) error {
	bad := 0
	first := ""
	for _, s := range snapshots {
		if s.Problem != "" {
			if bad++; bad == 1 {
				first = s.Problem
			}
		}
	}
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("snapshots that can't be used: %d of %d, the first: %s", bad, len(snapshots), first)
}

func (c *command) printSnapshots(snapshots []listedSnapshot) error {
	t := c.table("NAME", "TRANSACTION", "POSITION", "KIND", "BYTES", "OWN", "AGE", "MADE", "BY", "REASON")
	for _, s := range snapshots {
		if s.Problem != "" {
			t.row(s.Name, "", "", "", "", "", "", "", "", s.Problem)
			continue
		}
		kind := "full"
		if s.Base != "" {
			kind = "incremental"
		}
		t.row(s.Name, s.Transaction.String(), s.Position.String(), kind, strconv.FormatInt(s.Bytes, 10), strconv.FormatInt(s.OwnBytes, 10),
			age(time.Since(s.Made)), timestamp(s.Made), s.By, s.Reason)
	}
	return t.flush()
}

func (c *command) printVerified(snapshots []listedSnapshot) error {
	t := c.table("NAME", "TRANSACTION", "BYTES", "STATE")
	for _, s := range snapshots {
		if s.Problem != "" {
			t.row(s.Name, "", "", s.Problem)
			continue
		}
		t.row(s.Name, s.Transaction.String(), strconv.FormatInt(s.Bytes, 10), "whole")
	}
	return t.flush()
}
