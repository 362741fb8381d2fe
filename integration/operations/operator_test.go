package operations

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// operator goes through one section of the document: the next block is typed by types,
// fails or serves, in the order of the document.
type operator struct {
	*testing.T
	minio     *servers.MinIO
	section   section
	next      int
	directory string
	variables []string
	acked     []string // the tasks whose transactions were acknowledged

	store, backups, fresh string // URLs, as $STORE, $BACKUPS and $NEW
}

// newOperator is one with a store, a place of backups, and a place where nothing is, all
// of its own.
func newOperator(t *testing.T, minio *servers.MinIO, s section) *operator {
	name := regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(s.title), "-")
	o := &operator{T: t, minio: minio, section: s, directory: t.TempDir(),
		store: minio.BucketURL("cells", name), backups: minio.BucketURL("backups", name), fresh: minio.BucketURL("others", name)}
	o.set("STORE", o.store)
	o.set("BACKUPS", o.backups)
	o.set("NEW", o.fresh)
	o.set("PATH", filepath.Dir(servers.Binary(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	o.set("SCHEDULER_STORE_LEASE_TTL", "3s") // so that nobody waits longer than need be
	o.set("SCHEDULER_STORE_LISTEN", "127.0.0.1:0")
	return o
}

// set sets a variable that the blocks use.
func (o *operator) set(name, value string) { o.variables = append(o.variables, name+"="+value) }

// block takes the next block of the section.
func (o *operator) block() string {
	o.Helper()
	if o.next == len(o.section.blocks) {
		o.Fatalf("%q has %d blocks, and no more", o.section.title, o.next)
	}
	o.next++
	return o.section.blocks[o.next-1]
}

func (o *operator) command(ctx context.Context, script string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
	c.Dir, c.Env = o.directory, append(os.Environ(), o.variables...)
	return c
}

// run runs a script and returns what it printed, and its exit status.
func (o *operator) run(script string) (stdout, stderr string, status int) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), time.Minute)
	defer cancel()
	c := o.command(ctx, script)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	} else if err != nil {
		o.Fatalf("%s\n%v", script, err)
	}
	return out.String(), errs.String(), status
}

// types runs the next block, which must succeed, and returns what it printed.
func (o *operator) types() string {
	o.Helper()
	script := o.block()
	stdout, stderr, status := o.run(script)
	if status != 0 {
		o.Fatalf("status %d of\n%s\n%s%s", status, script, stdout, stderr)
	}
	return stdout
}

// fails runs the next block, which must end with status 1, and returns all that it said.
func (o *operator) fails() string {
	o.Helper()
	script := o.block()
	stdout, stderr, status := o.run(script)
	if status != 1 {
		o.Fatalf("status %d, want 1, of\n%s\n%s%s", status, script, stdout, stderr)
	}
	return stdout + stderr
}

// serves runs the next block, which must be one 'scheduler-store serve'.
func (o *operator) serves() *servers.Daemon {
	o.Helper()
	return o.start(o.block())
}

func (o *operator) start(script string) *servers.Daemon {
	o.Helper()
	if !strings.HasPrefix(script, "scheduler-store serve ") {
		o.Fatalf("this should start a daemon:\n%s", script)
	}
	return servers.StartServing(o.T, o.command(context.Background(), "exec "+script))
}

// again goes back to a block that is typed more than once.
func (o *operator) again(blocks int) { o.next -= blocks }

// daemon starts a daemon that is no part of what the operator types.
func (o *operator) daemon(flags ...string) *servers.Daemon {
	o.Helper()
	return o.start(`scheduler-store serve --store "$STORE" --backups "$BACKUPS" ` + strings.Join(flags, " "))
}

// leader is daemon for the only one, which is to lead before anything else happens.
func (o *operator) leader(flags ...string) *servers.Daemon {
	o.Helper()
	d := o.daemon(flags...)
	d.WaitFor("/leaderz", http.StatusOK)
	return d
}

// standby starts a daemon that follows, and waits until it knows the leader, so that it
// can tell how long that has not been heard of.
func (o *operator) standby() *servers.Daemon {
	o.Helper()
	d := o.daemon()
	d.WaitForLeader()
	return d
}

// until waits for a condition, for a minute at most.
func (o *operator) until(otherwise string, holds func() bool) {
	o.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.Fatal(otherwise)
		}
	}
}

// tries has a daemon save a task, in a transaction of its own, and tells its answer.
func (o *operator) tries(d *servers.Daemon, id string) (status int, body string, err error) {
	status, body, err = d.Save(id)
	if err == nil && status == http.StatusOK {
		o.acked = append(o.acked, id)
	}
	return status, body, err
}

// saves has a daemon save tasks, one after another, so that each has an entry of its own.
func (o *operator) saves(d *servers.Daemon, ids ...string) {
	o.Helper()
	for _, id := range ids {
		if status, body, err := o.tries(d, id); err != nil || status != http.StatusOK {
			o.Fatalf("save %s: %d %s %v", id, status, body, err)
		}
	}
}

// ends ends a daemon by SIGTERM, and waits until it is gone.
func (o *operator) ends(d *servers.Daemon) {
	o.Helper()
	d.Signal(syscall.SIGTERM)
	<-d.Ended()
}

// state is all that a store holds, without the number of its last transaction, at a place
// in its history.
func (o *operator) state(store, at string) string {
	o.Helper()
	o.set("STATE_OF", store)
	o.set("STATE_AT", at)
	stdout, stderr, status := o.run(`scheduler-store state all --output json --store "$STATE_OF" --at "$STATE_AT"`)
	_, state, _ := strings.Cut(stdout, "\n  \"tasks\"")
	if status != 0 || state == "" {
		o.Fatalf("state of %s: %d %s%s", store, status, stdout, stderr)
	}
	return state
}

// is makes sure that a store holds a state.
func (o *operator) is(store, want string) {
	o.Helper()
	if got := o.state(store, "now"); got != want {
		o.Errorf("%s holds\n%s\nwant\n%s", store, got, want)
	}
}

// holds makes sure that a store holds all tasks that were acknowledged, and no others.
func (o *operator) holds(store string) {
	o.Helper()
	state := o.state(store, "now")
	for _, id := range o.acked {
		if !strings.Contains(state, `"taskId": "`+id+`"`) {
			o.Errorf("%s was acknowledged, and %s has not got it:\n%s", id, store, state)
		}
	}
	if n := strings.Count(state, `"taskId"`); n != len(o.acked) {
		o.Errorf("%s holds %d tasks, want %d", store, n, len(o.acked))
	}
}

// says makes sure that a text has some parts.
func (o *operator) says(text string, parts ...string) {
	o.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			o.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

// find is what a pattern's group is in a text.
func (o *operator) find(text, pattern string) string {
	o.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		o.Fatalf("there is nothing like %q in\n%s", pattern, text)
	}
	return found[1]
}
