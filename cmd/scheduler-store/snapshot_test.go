package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSnapshotCommands(t *testing.T) {
	directory := filled(t)
	program(t, "--store", directory, "snapshot", "ls").wants(exitOK).prints("NAME")
	none := program(t, "--store", directory, "snapshot", "ls", "--output", "json").wants(exitOK)
	if len(at(t, none.json(), "snapshots").([]any)) != 0 {
		t.Errorf("snapshots: %s", none.stdout)
	}
	program(t, "--store", directory, "snapshot", "verify", "--output", "json").wants(exitOK).prints(`"ok": true`)

	made := program(t, "--store", directory, "snapshot", "create", "--reason", "ticket 4711", "--output", "json").wants(exitOK).json()
	wantAt(t, made, 7, "transaction")
	wantAt(t, made, "ticket 4711", "reason")
	wantAt(t, made, 2, "counts", "tasks")
	program(t, "--store", directory, "snapshot", "create").wants(exitOK).prints("made snapshot 0000", "of transaction 7")

	name := at(t, made, "name").(string)
	listed := program(t, "--store", directory, "snapshot", "ls", "--output", "json").wants(exitOK).json()
	if n := len(at(t, listed, "snapshots").([]any)); n != 2 {
		t.Fatalf("%d snapshots, want 2", n)
	}
	wantAt(t, listed, 7, "snapshots", 0, "transaction")
	wantAt(t, listed, nil, "snapshots", 0, "problem")
	program(t, "--store", directory, "snapshot", "ls").wants(exitOK).prints(name, "ticket 4711", "command")
	program(t, "--store", directory, "snapshot", "verify").wants(exitOK).prints(name, "whole")
	verified := program(t, "--store", directory, "snapshot", "verify", name, "--output", "json").wants(exitOK).json()
	wantAt(t, verified, true, "ok")
	wantAt(t, verified, name, "snapshots", 0, "name")
	// What recovers from it is the state that was there.
	program(t, "--store", directory, "state", "all", "--output", "json").wants(exitOK).prints("task-a", "task-b", "framework-7")
}

func TestSnapshotsThatAreDamaged(t *testing.T) {
	directory := filled(t)
	bad := at(t, program(t, "--store", directory, "snapshot", "create", "--output", "json").wants(exitOK).json(), "name").(string)
	program(t, "--store", directory, "snapshot", "create").wants(exitOK)
	flipBit(t, filepath.Join(directory, "snapshot", bad, "part-00000"))
	// The manifest is whole, so that only reading everything finds it.
	program(t, "--store", directory, "snapshot", "ls").wants(exitOK)
	program(t, "--store", directory, "snapshot", "verify").wants(exitError).says("1 of 2", bad).prints("whole", "SHA-256")
	o := program(t, "--store", directory, "snapshot", "verify", bad, "--output", "json").wants(exitError).says("1 of 1")
	wantAt(t, o.json(), false, "ok")
	flipBit(t, filepath.Join(directory, "snapshot", bad, "manifest.json"))
	program(t, "--store", directory, "snapshot", "ls").wants(exitError).says("1 of 2", "manifest.json").prints("command")
}

func TestSnapshotMistakes(t *testing.T) {
	directory := filled(t)
	program(t, "--store", directory, "snapshot", "verify", "yesterday").wants(exitUsage).says("no snapshot's name")
	name := "00000000000000000001-0123456789abcdef-01234567"
	program(t, "--store", directory, "snapshot", "verify", name).wants(exitError).says("there is no snapshot " + name)
	missing := newDirectory(t)
	for _, args := range [][]string{{"create"}, {"ls"}, {"verify"}} {
		program(t, append([]string{"--store", missing, "snapshot"}, args...)...).wants(exitError).says("no cell here")
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a directory was made: %v", err)
	}
}

// A store that nobody has led yet has a cell and no entry.
func TestNothingToCopyYet(t *testing.T) {
	directory := newDirectory(t)
	copyFile(t, filepath.Join(filled(t), "cell.json"), filepath.Join(directory, "cell.json"))
	program(t, "--store", directory, "backup", "create").wants(exitError).says("nobody has led it")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, string(data))
}

// None of these takes the lease from a leader, nor waits for it.
func TestCopyingDoesNotDisturbALeader(t *testing.T) {
	directory := filled(t)
	d := startDaemon(t, "--store", directory).leads()
	lease := program(t, "--store", directory, "lease", "show", "--output", "json").wants(exitOK).json()
	program(t, "--store", directory, "snapshot", "create").wants(exitOK)
	program(t, "--store", directory, "backup", "create", "b").wants(exitOK)
	program(t, "--store", directory, "export", filepath.Join(t.TempDir(), "f")).wants(exitOK)
	d.save("later")
	// That the store is not empty shows without its lease.
	input := writeFile(t, filepath.Join(t.TempDir(), "input"), saveTask("new"))
	program(t, "--store", directory, "import", input, "--wait", "2s").wants(exitError).says("not empty")
	after := program(t, "--store", directory, "lease", "show", "--output", "json").wants(exitOK).json()
	for _, what := range []string{"epoch", "holder", "state"} {
		wantAt(t, after, at(t, lease, what), what)
	}
	if got := d.tasks(); !strings.Contains(got, "later") {
		t.Errorf("tasks %s", got)
	}
}
