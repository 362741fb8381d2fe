package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
	"github.com/scheduler-store/scheduler-store/storage"
)

// restoreFlags say what is to be the state.
type restoreFlags struct {
	backup, file, reason string
	at                   atFlag
	format               fileFormat
	place                backupPlace
	leaderFlags
}

func (c *command) restoreCommand() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore (--backup NAME | --at AT | --from-file FILE)",
		Short: "Replace the whole state by a backup, a past state, or a file",
		Long: `Replace the whole state, at once: by that of a backup, by what it was, or by that in a file which
'export' wrote or Aurora (see 'import'). It is one transaction in the log, which goes on: what the
state was before can be had again, and restored. 'recovery' is for a backup that is to be looked
at, and pruned, before.

` + leadingHelp + ` From a file a backup is made first
then, of a name that begins with ` + fileBackup + `, where the daemon's backups lie (--backups).

` + atHelp,
		Example: `  scheduler-store restore --at 2h --reason "ticket 4711"
  scheduler-store restore --backup before-the-upgrade
  scheduler-store restore --from-file scheduler-backup-2019-02-27-10-30`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			commit, err := c.restoreState(cmd.Context(), &f)
			if err != nil {
				return err
			}
			return c.printRestored(commit)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.backup, "backup", "", "`NAME` of the backup that is to be the state")
	flags.Var(&f.at, "at", "`AT`, the place in the history whose state is to be the newest")
	flags.StringVar(&f.file, "from-file", "", "`FILE` with the state, or - for standard input")
	withoutVariables(flags) // what the state is replaced by must not depend on what nobody looks at
	flags.StringVar(&f.reason, "reason", "", "`text` that says why, for the log")
	flags.Var(&f.format, "format", "`form` of the file: aurora or jsonl (default: the one that it begins like)")
	flags.StringVar((*string)(&f.place), "backups", "", backupsHelp)
	f.addFlags(flags)
	return cmd
}

func (f *restoreFlags) check() error {
	given := 0
	for _, is := range []bool{f.backup != "", f.at.given(), f.file != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return usageErrorf("want one of --backup, --at and --from-file, not %d of them", given)
	}
	return f.leaderFlags.check()
}

// restoreState has the leader replace the state.
func (c *command) restoreState(ctx context.Context, f *restoreFlags) (commit persistence.Commit, err error) {
	ask := func(d *client) error {
		request := map[string]string{"reason": f.reason}
		switch {
		case f.at.given():
			request["at"] = f.at.absolute()
		case f.file != "":
			info, err := c.backupFile(ctx, f)
			if err != nil {
				return err
			}
			request["backup"] = info.Name
		default:
			request["backup"] = f.backup
		}
		return d.ask(ctx, http.MethodPost, "/v1/restore", request, &commit)
	}
	err = c.byLeader(ctx, &f.leaderFlags, ask, func() error {
		return c.asLeader(ctx, f.leaseTTL, 0, &f.tiers, func(store *schedulerstore.Store) (err error) {
			commit, err = c.restoreAlone(ctx, store, f)
			return err
		})
	})
	return commit, err
}

func (c *command) restoreAlone(ctx context.Context, store *schedulerstore.Store, f *restoreFlags) (commit persistence.Commit, err error) {
	switch {
	case f.at.given():
		return store.RestoreAt(ctx, f.at.until, f.reason)
	case f.backup != "" && f.place == "":
		return store.RestoreBackup(ctx, store.Backups(), f.backup, f.reason)
	case f.backup != "":
		err := c.withBackupsBy(ctx, f.place, store.Log().Codec(), func(b *backup.Backups) (err error) {
			commit, err = store.RestoreBackup(ctx, b, f.backup, f.reason)
			return err
		})
		return commit, err
	}
	state, err := c.loadFile(ctx, f)
	if err != nil {
		return commit, err
	}
	return store.Restore(ctx, schedulerstore.Restoration{Records: durability.RecordsOf(state), Reason: f.fileReason()})
}

func (f *restoreFlags) fileReason() string {
	reason := "file " + filepath.Base(f.file)
	if f.reason != "" {
		reason += ": " + f.reason
	}
	return reason
}

// loadFile reads the state in a file.
func (c *command) loadFile(ctx context.Context, f *restoreFlags) (_ storage.View, err error) {
	tiers, err := f.tiers.load()
	if err != nil {
		return nil, err
	}
	input, err := c.openOps(f.file, f.format)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, input.close()) }()
	input.progress = c.newProgress(input.size, "reading", progressbar.OptionShowBytes(true))
	defer input.progress.clear()
	var imported durability.Imported
	return load(input.records(ctx, tiers, &imported), tiers)
}

// fileBackup is how the names of backups begin that are made of a file, for a daemon.
const fileBackup = "file-"

// backupFile makes a backup of the state in a file, where the daemon finds it.
func (c *command) backupFile(ctx context.Context, f *restoreFlags) (_ *backup.Info, err error) {
	state, err := c.loadFile(ctx, f)
	if err != nil {
		return nil, err
	}
	log, err := c.openLog(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	to := log.Bucket()
	if f.place != "" {
		if to, err = f.place.open(ctx, bucketurl.Options{}); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, to.Close()) }()
	}
	now, err := c.catchUp(ctx, log) // a backup says when in the history it was made
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // it is there for people only
	name := fileBackup + time.Now().UTC().Format("20060102-150405") + "-" + persistence.NewWriterID().String()[:8]
	return backup.New(to, log.Codec()).Create(ctx, name, snapshot.Source{Cell: log.Cell().ID, At: now.at,
		Records: durability.RecordsOf(state), Counts: countsOf(state), By: host, Reason: f.fileReason()})
}

// restored is what a restore has done, in JSON.
type restored struct {
	persistence.Commit
	// Undo is the place of the state before, for another restore.
	Undo persistence.Position `json:"undoAt"`
}

func (c *command) printRestored(commit persistence.Commit) error {
	r := restored{commit, commit.Position - 1}
	if c.output == jsonOutput {
		return c.printJSON(r)
	}
	_, err := fmt.Fprintf(c.stdout, "restored: transaction %d, position %d, epoch %d\nto undo it: scheduler-store restore --at %d\n",
		r.Transaction, r.Position, r.Epoch, r.Undo)
	return err
}
