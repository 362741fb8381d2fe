package main

import (
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// holdLease holds the lease of the store in a directory until the test ends.
func holdLease(t *testing.T, directory, url string) {
	t.Helper()
	b, err := bucketurl.Open(t.Context(), "file://"+directory, bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := lease.Acquire(t.Context(), b, persistence.NewWriterID(), 1, lease.Options{TTL: time.Minute, Host: "host-7", URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release(t.Context()); closeBucket(b) })
}

func closeBucket(b *bucket.Bucket) { _ = b.Close() }

// What only the leader can do is asked of the daemon that the lease names.
func TestLeadersAreAsked(t *testing.T) {
	directory := filled(t)
	daemon := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"name":"s1","transaction":7,"total":{"objects":3}}`)
	})
	holdLease(t, directory, daemon.URL)
	tokens := writeFile(t, filepath.Join(t.TempDir(), "tokens"), "secret-1\n")
	for _, c := range []struct {
		args        []string
		asks, print string
	}{
		{[]string{"snapshot", "create"}, `POST /v1/snapshots  {"reason":"command"}`, "made snapshot s1 of transaction 7"},
		{[]string{"snapshot", "create", "--reason", "x", "--token-file", tokens}, `POST /v1/snapshots Bearer secret-1 {"reason":"x"}`, "s1"},
		{[]string{"gc"}, `POST /v1/gc  {"dryRun":false}`, "total"},
		{[]string{"gc", "--dry-run", "--window", "0", "--keep-snapshots", "2"}, `POST /v1/gc  {"dryRun":true,"keep":2,"window":"0s"}`, "total"},
	} {
		daemon.asked = nil
		program(t, append([]string{"--store", directory}, c.args...)...).wants(exitOK).prints(c.print)
		if len(daemon.asked) != 1 || daemon.asked[0] != c.asks {
			t.Errorf("%q asked %q, want %q", c.args, daemon.asked, c.asks)
		}
	}
	// Another daemon than that of the lease, on request.
	other := answering(t, problem(503, `{"detail":"this process follows"}`))
	program(t, "--store", directory, "gc", "--server", other.URL).wants(exitError).says("this process follows")
	if len(other.asked) != 1 {
		t.Errorf("asked %q", other.asked)
	}
}

// A holder of the lease that can't be asked is neither waited for nor overruled.
func TestLeadersThatCanNotBeAsked(t *testing.T) {
	tokens := writeFile(t, filepath.Join(t.TempDir(), "tokens"), "secret-1\n")
	for url, says := range map[string]string{
		"":                          "says no URL",
		"http://127.0.0.1:1":        "the lease says that host-7 leads",
		"http://host-7.example.com": "in the clear",
	} {
		directory := filled(t)
		holdLease(t, directory, url)
		for _, args := range [][]string{{"gc"}, {"gc", "--dry-run"}, {"snapshot", "create"}} {
			program(t, append([]string{"--store", directory, "--token-file", tokens}, args...)...).wants(exitError).says("host-7", says)
		}
	}
}

// Without a leader the command leads; garbage goes, and is told.
func TestGarbageCommand(t *testing.T) {
	directory := filled(t)
	for range 3 {
		program(t, "--store", directory, "snapshot", "create").wants(exitOK)
	}
	all := []string{"--store", directory, "gc", "--window", "0", "--grace", "0"}
	found := program(t, append(all, "--dry-run", "--output", "json")...).wants(exitOK).json()
	wantAt(t, found, true, "dryRun")
	wantAt(t, found, "entries", "garbage", 1, "class")
	entries := len(logObjects(t, directory))
	dry := at(t, found, "garbage", 1, "objects")
	program(t, append(all, "--dry-run")...).wants(exitOK).prints("would be removed", "every state can be recovered from transaction 7")
	if n := len(logObjects(t, directory)); n != entries {
		t.Fatalf("a dry run removed %d entries", entries-n)
	}
	done := program(t, append(all, "--output", "json")...).wants(exitOK).json()
	wantAt(t, done, false, "dryRun")
	wantAt(t, done, dry, "garbage", 1, "objects")
	program(t, all...).wants(exitOK).prints("entries", "removed", "$/MONTH")
	program(t, "--store", directory, "state", "all", "--output", "json").wants(exitOK).prints("task-a", "task-b", "framework-7")
	usual := program(t, "--store", directory, "gc", "--output", "json").wants(exitOK).json()
	wantAt(t, usual, 0, "total", "objects")
	missing := newDirectory(t)
	program(t, "--store", missing, "gc").wants(exitError).says("no cell here")
	program(t, "--store", missing, "gc", "--dry-run").wants(exitError).says("no cell here")
}

// What is pinned stays until it is unpinned; a snapshot too, which is shown as a backup.
func TestPinCommands(t *testing.T) {
	directory := filled(t)
	in := func(args ...string) *outcome { return program(t, append([]string{"--store", directory}, args...)...) }
	in("backup", "create", "b").wants(exitOK)
	in("backup", "pin", "b", "--reason", "audit").wants(exitOK).prints("pinned b")
	in("backup", "pin", "b").wants(exitError).says("unpin it first")
	in("backup", "rm", "b").wants(exitError).says("pinned", "audit")
	in("backup", "unpin", "b").wants(exitOK)
	in("backup", "rm", "b").wants(exitOK)
	in("backup", "unpin", "b").wants(exitError).says("not pinned")
	made := at(t, in("snapshot", "create", "--output", "json").wants(exitOK).json(), "name").(string)
	in("backup", "pin", "monday", "--snapshot", made, "--expires", "1h").wants(exitOK)
	in("backup", "show", "monday").wants(exitOK).prints(made)
	listed := in("backup", "ls", "--output", "json").wants(exitOK).json()
	wantAt(t, listed, "monday", "backups", 0, "name")
	wantAt(t, listed, "snapshot", "backups", 0, "kind")
	wantAt(t, listed, made, "backups", 0, "snapshot")
	wantAt(t, listed, "command", "backups", 0, "pin", "reason")
	in("backup", "ls").wants(exitOK).prints("monday", "snapshot", "until 20", ": command", at(t, listed, "backups", 0, "cell").(string))
	for range 3 {
		in("snapshot", "create").wants(exitOK)
	}
	in("gc", "--keep-snapshots", "1", "--window", "0", "--grace", "0").wants(exitOK).prints("kept by a pin")
	in("snapshot", "verify", made).wants(exitOK)
	in("backup", "pin", "x", "--snapshot", "yesterday").wants(exitUsage)
	in("backup", "pin", "x", "--expires", "-1h").wants(exitUsage)
}
