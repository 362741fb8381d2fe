package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/encryption/keyurl"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

func (c *command) keyCommand() *cobra.Command {
	return c.group(&cobra.Command{
		Use:   "key",
		Short: "Make and change the keys that encrypt a store",
		Long: `Make and change the keys that encrypt a store.

A store is encrypted with data keys. They lie in its bucket, wrapped by the key that --key names:
a key of a key management service, or one in a file. A store that is opened for writing with --key
for the first time gets its first data key; what is written from then on is encrypted, and every
opening needs --key. Whoever loses that key has lost the store, and its backups.`,
		Example: `  scheduler-store key generate /etc/scheduler-store/key
  scheduler-store serve --key file:///etc/scheduler-store/key
  scheduler-store key rotate --key awskms://alias/scheduler?region=us-east-1`,
	}, c.keyGenerateCommand(), c.keyListCommand(), c.keyRotateCommand(), c.keyRewrapCommand())
}

func (c *command) keyGenerateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "generate FILE",
		Short: "Make a key file",
		Long: `Make a file with a random key that only its owner may read, for --key file:///path/of/FILE. Keep a
copy where neither the bucket nor this host can take it along: without it what it encrypts is lost.`,
		Example: "  scheduler-store key generate /etc/scheduler-store/key",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := keyurl.Generate(args[0])
			if err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(map[string]string{"file": args[0], "name": key.Name()})
			}
			_, err = fmt.Fprintf(c.stdout, "made %s, key %s; use it as --key file://%s, and keep a copy elsewhere\n", args[0], key.Name(), absolute(args[0]))
			return err
		},
	}
}

func (c *command) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the data keys of the store",
		Long:  "List the key objects of the store: each data key, and which key wrapped it. It needs no --key.",
		Example: `  scheduler-store key ls
  scheduler-store key ls --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := c.openBucket(cmd.Context())
			if err != nil {
				return err
			}
			objects, err := encryption.List(cmd.Context(), b)
			return errors.Join(c.printKeys(objects), err, b.Close())
		},
	}
}

// keyRow is a key object in JSON.
type keyRow struct {
	Number   encryption.Number `json:"number"`
	Wrapping int               `json:"wrapping"`
	Keeper   string            `json:"keeper"`
	Made     time.Time         `json:"made"`
	By       string            `json:"by"`
}

func (c *command) printKeys(objects []*encryption.Object) error {
	rows := []keyRow{}
	for _, o := range objects {
		rows = append(rows, keyRow{o.Number, o.Wrapping, o.Keeper, o.Made, o.By})
	}
	if c.output == jsonOutput {
		return c.printJSON(map[string]any{"keys": rows})
	}
	t := c.table("KEY", "WRAPPING", "WRAPPED BY", "AGE", "MADE", "BY")
	for _, r := range rows {
		t.row(r.Number.String(), strconv.Itoa(r.Wrapping), r.Keeper, age(time.Since(r.Made)), timestamp(r.Made), r.By)
	}
	return t.flush()
}

func (c *command) keyRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Make a new data key for what is written from now on",
		Long: `Make a new data key. Processes that run take it up within 5 minutes, those that start at once. What
is there stays as it is, and older data keys stay for reading it. In a store that is not encrypted
this makes the first data key; processes that run without --key must then be started again.`,
		Example: "  scheduler-store key rotate --key file:///etc/scheduler-store/key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			number, err := c.rotateKey(cmd.Context())
			if err != nil {
				return err
			}
			if c.output == jsonOutput {
				return c.printJSON(map[string]any{"number": number})
			}
			_, err = fmt.Fprintf(c.stdout, "made data key %d\n", number)
			return err
		},
	}
}

func (c *command) rotateKey(ctx context.Context) (number encryption.Number, err error) {
	log, err := c.openForKeys(ctx) // not for writing: it must exist
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	first := log.Codec().Keys().Newest() == 0
	// Opening for writing makes sure that the store honours conditions, which the race
	// for a number rests on.
	log, err = blob.Open(ctx, log.Bucket(), blob.Options{Key: log.Codec().Keys().Keeper(), Logger: c.logger(slog.LevelError)})
	if err != nil {
		return 0, err
	}
	if first {
		return log.Codec().Keys().Newest(), nil
	}
	if err := log.CheckKeys(ctx); err != nil {
		return 0, err
	}
	return log.Codec().Keys().Rotate(ctx)
}

// openForKeys opens the log for a command that needs --key.
func (c *command) openForKeys(ctx context.Context) (*blob.Log, error) {
	if c.key == "" {
		return nil, usageErrorf("--key is missing")
	}
	return c.openLog(ctx)
}

func (c *command) keyRewrapCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "rewrap --new-key URL",
		Short: "Wrap the data keys by another key too",
		Long: `Wrap every data key of the store by another key too, without writing any data anew. From then on
the store can be opened with either. Then start all processes again with the new one; once the old
one is disabled it opens nothing any more. Whoever may have seen data keys still has them: run
'key rotate' with the new key for that.

Backups carry their data key as it was wrapped when they were made: in a store that is there they
open with the new key; to restore them without the store the old key is needed.`,
		Example: "  scheduler-store key rewrap --key file:///etc/scheduler-store/key --new-key awskms://alias/scheduler?region=us-east-1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return usageErrorf("--new-key is missing")
			}
			done, err := c.rewrapKeys(cmd.Context(), to)
			return errors.Join(c.printRewrapped(done, err == nil), err)
		},
	}
	cmd.Flags().StringVar(&to, "new-key", "", "`URL` of the other key, like that of --key")
	return cmd
}

func (c *command) rewrapKeys(ctx context.Context, to string) (done []encryption.Name, err error) {
	log, err := c.openForKeys(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Bucket().Close()) }()
	if log.Codec().Keys().Newest() == 0 {
		return nil, fmt.Errorf("%s is not encrypted", log.Bucket().Name())
	}
	key, err := keyurl.Open(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("--new-key: %w", err)
	}
	return log.Codec().Keys().Rewrap(ctx, key)
}

func (c *command) printRewrapped(done []encryption.Name, all bool) error {
	if c.output == jsonOutput {
		if !all {
			return nil
		}
		names := []string{}
		for _, name := range done {
			names = append(names, "key/"+name.String())
		}
		return c.printJSON(map[string]any{"made": names})
	}
	for _, name := range done {
		if _, err := fmt.Fprintf(c.stdout, "made key/%v\n", name); err != nil {
			return err
		}
	}
	if all && len(done) == 0 {
		_, err := fmt.Fprintln(c.stdout, "every data key is wrapped by it already")
		return err
	}
	return nil
}
