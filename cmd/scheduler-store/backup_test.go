package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

func TestBackupCommands(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		directory := filled(t)
		args := []string{"--store", directory, "backup"}
		if elsewhere {
			args = append(args, "--backups", filepath.Join(t.TempDir(), "backups"))
		}
		do := func(more ...string) *outcome {
			t.Helper()
			return program(t, append(args[:len(args):len(args)], more...)...)
		}

		made := do("create", "before", "--reason", "ticket 4711", "--output", "json").wants(exitOK).json()
		wantAt(t, made, "before", "name")
		wantAt(t, made, 7, "transaction")
		wantAt(t, made, "ticket 4711", "reason")
		wantAt(t, made, false, "automatic")
		wantAt(t, made, 2, "counts", "tasks")
		do("create", "before").wants(exitError).says("before")
		do("create", "../x").wants(exitError).says("not a backup's name")
		do("create", "").wants(exitUsage)
		do("create").wants(exitOK).prints("made backup ", "of transaction 7")

		listed := do("ls", "--output", "json").wants(exitOK).json()
		if n := len(at(t, listed, "backups").([]any)); n != 2 {
			t.Fatalf("%d backups, want 2", n)
		}
		do("ls").wants(exitOK).prints("before", "ticket 4711", "command")
		do("show", "before").wants(exitOK).prints("ticket 4711", "tasks")
		shown := do("show", "before", "--output", "json").wants(exitOK).json()
		wantAt(t, shown, at(t, made, "made"), "made")
		do("show", "after").wants(exitError).says("no such backup")

		// Those that can be removed are, and the others are named.
		o := do("rm", "after", "before", "--output", "json").wants(exitError).says("no such backup")
		wantAt(t, o.json(), "before", "removed", 0)
		do("show", "before").wants(exitError)
		if _, err := os.Stat(filepath.Join(directory, "backup")); elsewhere != os.IsNotExist(err) {
			t.Errorf("elsewhere %t, but in the store: %v", elsewhere, err)
		}
	}
}

// One that expires says when; then gc removes it, and says so.
func TestBackupThatExpires(t *testing.T) {
	directory := filled(t)
	in := func(args ...string) *outcome { return program(t, append([]string{"--store", directory}, args...)...) }
	made := in("backup", "create", "later", "--expires", "30d", "--output", "json").wants(exitOK).json()
	when := at(t, made, "expires").(string)
	in("backup", "ls").wants(exitOK).prints("EXPIRES", when[:10])
	in("backup", "show", "later").wants(exitOK).prints("expires", when[:10])
	for _, bad := range []string{"-1h", "tomorrow", "2020-01-01T00:00:00Z"} {
		in("backup", "create", "x", "--expires", bad).wants(exitUsage).says("--expires")
	}
	in("gc", "--output", "json").wants(exitOK)
	in("backup", "show", "later").wants(exitOK)

	// As if the time had passed.
	manifest := filepath.Join(directory, "backup", "later", "manifest.json")
	data, err := os.ReadFile(manifest)
	m := new(snapshot.Manifest)
	if err := errors.Join(err, checked.Decode(data, 3, m)); err != nil {
		t.Fatal(err)
	}
	m.Expires = m.Made
	if data, err = checked.Encode(m); err == nil {
		err = os.WriteFile(manifest, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	in("gc", "--dry-run").wants(exitOK).prints("backup later has expired: would be removed")
	in("backup", "show", "later").wants(exitOK)
	wantAt(t, in("gc", "--output", "json").wants(exitOK).json(), "later", "backups", 0)
	in("backup", "show", "later").wants(exitError).says("no such backup")
}

func TestBackupMistakes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	program(t, "backup", "ls", "--backups", missing).wants(exitError).says("--backups", missing)
	program(t, "backup", "ls", "--backups", "s3:bucket").wants(exitUsage).says("--backups has no //")
	program(t, "--store", missing, "backup", "create").wants(exitError).says("no cell here")
	program(t, "--store", missing, "backup", "ls").wants(exitError).says("no cell here")
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a directory was made: %v", err)
	}
	t.Setenv("SCHEDULER_STORE_BACKUPS", missing)
	program(t, "backup", "ls").wants(exitError).says(missing)
}

func TestBackupThatIsDamaged(t *testing.T) {
	directory := filled(t)
	for _, name := range []string{"good", "bad"} {
		program(t, "--store", directory, "backup", "create", name).wants(exitOK)
	}
	manifests, err := filepath.Glob(filepath.Join(directory, "*", "bad", "manifest.json"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("%v %v", manifests, err)
	}
	flipBit(t, manifests[0])
	program(t, "--store", directory, "backup", "ls").wants(exitError).says("bad").prints("good")
	o := program(t, "--store", directory, "backup", "ls", "--output", "json").wants(exitError)
	if n := len(at(t, o.json(), "problems").([]any)); n != 1 {
		t.Errorf("%d problems: %s", n, o.stdout)
	}
}
