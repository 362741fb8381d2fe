package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/storage"
)

// end is one end of a copy: a store, or a file.
type end struct {
	store string // a URL, empty for a file
	file  string // a path, or - for standard input or output
	// format is that of a file; empty means that reading finds out.
	format fileFormat
}

func (e end) String() string {
	if e.store != "" {
		return e.store
	}
	return e.file
}

// endOf tells whether an argument is a store or a file. A directory with a cell is a
// store; so is everything with ://.
func endOf(argument string) (end, error) {
	if strings.Contains(argument, "://") || halfURL.MatchString(argument) {
		store, err := bucketURL(fmt.Sprintf("%.20q", argument), argument)
		return end{store: store}, err
	}
	if argument == "" || argument == "-" {
		return end{}, usageErrorf("copy takes stores and files, not %q; see 'import' and 'export' for standard input and output", argument)
	}
	info, err := os.Stat(argument)
	if err != nil || !info.IsDir() {
		return end{file: argument}, nil // if it is missing, that is said where it is opened
	}
	if _, err := os.Stat(filepath.Join(argument, "cell.json")); err != nil {
		return end{}, fmt.Errorf("%s is a directory without a store in it; for a new store there write file://%s", argument, absolute(argument))
	}
	store, err := bucketURL(argument, argument)
	return end{store: store}, err
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// transferFlags are those of commands that copy states.
type transferFlags struct {
	leaseTTL, wait time.Duration
	tiers          tierConfig
	force          bool
}

// addStoreFlags adds the flags for a copy to a store.
func (f *transferFlags) addStoreFlags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.leaseTTL, "lease-ttl", 15*time.Second, "how long others wait before they take over, if this process dies")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "how long to wait for the lease; 0 waits for as long as it takes")
	f.tiers.addFlag(cmd.Flags())
}

func (f *transferFlags) check() error {
	if err := (lease.Options{TTL: f.leaseTTL}).Check(); err != nil {
		return usageErrorf("--lease-ttl: %w", err)
	}
	if f.wait < 0 {
		return usageErrorf("--wait is negative")
	}
	return nil
}

// transferred is what a copy has done, in JSON.
type transferred struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Counts are the rows written, by kind; one that JSON lines have twice counts twice.
	Counts map[string]int `json:"counts"`
	// Ops were read from a file. Some were left out.
	Ops               int `json:"ops,omitzero"`
	HostsWithoutAgent int `json:"hostsWithoutAgent"`
	Retired           int `json:"retired"`
	// Bytes is the size of the file that was read or else written, 0 if there was none.
	Bytes   int64   `json:"bytes,omitzero"`
	Seconds float64 `json:"seconds"`
	// Commit is where a store has the state.
	Commit *persistence.Commit `json:"commit,omitzero"`
}

// transfer copies a state from one end to the other, which must not have one (Aurora:
// RecoveryTool). If it fails there is nothing at the other end.
func (c *command) transfer(ctx context.Context, from, to end, f *transferFlags) (*transferred, error) {
	start := time.Now()
	tiers, err := f.tiers.load()
	if err != nil {
		return nil, err
	}
	if to.store == "" && to.file != "-" {
		if err := freeName(to.file, f.force); err != nil {
			return nil, err
		}
	}
	t := &transferred{From: from.String(), To: to.String()}
	if from.store != "" {
		err = c.transferStore(ctx, from, to, tiers, f, t)
	} else {
		err = c.transferFile(ctx, from, to, tiers, f, t)
	}
	t.Seconds = math.Round(time.Since(start).Seconds()*1000) / 1000
	return t, err
}

// transferStore copies from a store.
func (c *command) transferStore(ctx context.Context, from, to end, tiers schema.Tiers, f *transferFlags, t *transferred) error {
	state, err := c.recoverAt(ctx, from.store)
	if err != nil {
		return err
	}
	if to.store == "" {
		return c.transferState(ctx, state, to, f, t)
	}
	counts := countsOf(state)
	if total(counts) == 0 {
		return fmt.Errorf("%s: there is nothing in it", from)
	}
	progress := c.newProgress(-1, "writing records")
	defer progress.clear()
	return c.restore(ctx, to, from, counted(durability.RecordsOf(state), progress, "writing records"), tiers, f, t)
}

// transferFile copies from a file.
func (c *command) transferFile(ctx context.Context, from, to end, tiers schema.Tiers, f *transferFlags, t *transferred) (err error) {
	input, err := c.openOps(from.file, from.format)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, input.close()) }()
	input.progress = c.newProgress(input.size, "reading", progressbar.OptionShowBytes(true))
	defer input.progress.clear()
	var imported durability.Imported
	records := input.records(ctx, tiers, &imported)
	if to.store != "" {
		err = c.restore(ctx, to, from, records, tiers, f, t)
	} else {
		var state storage.View
		if state, err = load(records, tiers); err == nil {
			err = c.transferState(ctx, state, to, f, t)
		}
	}
	t.Ops, t.HostsWithoutAgent, t.Retired, t.Bytes = imported.Ops, imported.HostsWithoutAgent, imported.Retired, max(input.size, input.read.Load())
	return err
}

// transferState writes a state to a file, or to standard output.
func (c *command) transferState(ctx context.Context, state storage.View, to end, f *transferFlags, t *transferred) (err error) {
	t.Counts = countsOf(state)
	write := func(w io.Writer) error { return c.writeState(ctx, w, state, to.format) }
	if to.file == "-" {
		return write(c.stdout)
	}
	t.Bytes, err = newFile(to.file, f.force, write)
	return err
}

// restore makes records the state of an empty store, all at once.
func (c *command) restore(ctx context.Context, to, from end, records iter.Seq2[[]byte, error], tiers schema.Tiers, f *transferFlags, t *transferred) (err error) {
	options, err := c.leaderOptions(ctx, f.leaseTTL, tiers)
	if err != nil {
		return err
	}
	store, err := schedulerstore.Open(ctx, to.store, options)
	if err != nil {
		return err
	}
	defer func() { // at once: this process has no use for the new state
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, store.Close(closing))
	}()
	// Before waiting for the lease: if there is another leader, the store is in use.
	if err := store.Recovered(ctx); err != nil {
		return err
	}
	if n := store.Status().Transaction; n > 0 {
		return fmt.Errorf("%w: %s has %d transactions; nothing was written", schedulerstore.ErrNotEmpty, to, n)
	}
	if err := c.lead(ctx, store, f.wait); err != nil {
		return err
	}
	counts := map[string]int{}
	commit, err := store.Restore(ctx, schedulerstore.Restoration{Records: records, Reason: "copy of " + reasonable(from), OnlyEmpty: true, Counts: counts})
	if err != nil {
		return err
	}
	t.Commit, t.Counts = &commit, map[string]int{}
	for _, k := range kinds() {
		t.Counts[k.member] = counts[k.member]
	}
	return nil
}

// reasonable is a store's or file's name as it can stand in the log for everybody.
func reasonable(from end) string {
	name, _, _ := strings.Cut(from.String(), "?")
	return name
}

// load makes a state of records, in memory.
func load(records iter.Seq2[[]byte, error], tiers schema.Tiers) (storage.View, error) {
	stores, at := durability.New(durability.Options{Tiers: tiers}), persistence.Point{}
	if err := stores.Reset(at); err != nil {
		return nil, err
	}
	for record, err := range records {
		if err != nil {
			return nil, err
		}
		apply, err := stores.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
		if err == nil {
			err = apply()
		}
		if err != nil {
			return nil, err
		}
	}
	stores.Loaded(at)
	return stores.View(), nil
}

// countsOf counts what a state holds of each kind, by the kind's name in JSON.
func countsOf(state storage.View) map[string]int {
	counts := map[string]int{}
	for _, k := range kinds() {
		counts[k.member] = k.count(state)
	}
	return counts
}

func total(counts map[string]int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}

// counted shows how many records of a sequence have passed.
func counted(records iter.Seq2[[]byte, error], progress *progressBar, what string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n := int64(0)
		for record, err := range records {
			n++
			progress.set(n, what)
			if !yield(record, err) {
				return
			}
		}
	}
}

// printTransferred says what was copied. What went to standard output is not followed
// by anything.
func (c *command) printTransferred(t *transferred, to end, did string) error {
	switch {
	case to.file == "-":
		return nil
	case c.output == jsonOutput:
		return c.printJSON(t)
	}
	parts := []string{}
	for _, k := range kinds() {
		if n := t.Counts[k.member]; n > 0 && k.name != "framework-id" {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(k.name, "-", " ")))
		}
	}
	if t.Counts["frameworkId"] > 0 {
		parts = append(parts, "the framework id")
	}
	if len(parts) == 0 {
		parts = append(parts, "an empty state")
	}
	fmt.Fprintf(c.stdout, "%s %s\n", did, strings.Join(parts, ", "))
	if t.HostsWithoutAgent > 0 {
		fmt.Fprintf(c.stdout, "left out %d hosts without an agent's id\n", t.HostsWithoutAgent)
	}
	if t.Retired > 0 {
		fmt.Fprintf(c.stdout, "left out %d ops of retired kinds\n", t.Retired)
	}
	line := fmt.Sprintf("%.2f s", t.Seconds)
	if t.Bytes > 0 {
		line = fmt.Sprintf("%d bytes, %s, %.1f MB/s", t.Bytes, line, float64(t.Bytes)/1e6/max(t.Seconds, 1e-3))
	}
	if t.Commit != nil {
		line += fmt.Sprintf(": transaction %d, position %d, epoch %d", t.Commit.Transaction, t.Commit.Position, t.Commit.Epoch)
	}
	_, err := fmt.Fprintln(c.stdout, line)
	return err
}
