package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An operator encrypts a store, looks at its keys, changes both of them, and each
// command that reads the store needs the key.
func TestKeyCommands(t *testing.T) {
	directory, keys := newDirectory(t), t.TempDir()
	file := func(name string) (path, url string) {
		path = filepath.Join(keys, name)
		return path, "file://" + path
	}
	onePath, one := file("one")
	twoPath, two := file("two")
	program(t, "key", "generate", onePath).wants(exitOK).prints(one, "keep a copy")
	program(t, "key", "generate", twoPath, "--output", "json").wants(exitOK).prints(`"name": "local:`)
	program(t, "key", "generate", onePath).wants(exitError).says("exists")

	programWith(t, saveTask("before"), "--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "--key", one, "--log-level", "error", "backup", "create", "early").wants(exitError).says("not encrypted", "key rotate")
	program(t, "--store", directory, "--key", one, "key", "rotate").wants(exitOK).prints("made data key 1")
	programWith(t, saveTask("after"), "--store", directory, "--key", one, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "--key", one, "key", "rotate", "--output", "json").wants(exitOK).prints(`"number": 2`)

	needed := func(args ...string) {
		t.Helper()
		program(t, append([]string{"--store", directory}, args...)...).wants(exitError).says("--key", "key/0000000002-0001.json")
		program(t, append([]string{"--store", directory, "--key", two}, args...)...).wants(exitError).says("wrapped by local:", "key/0000000002-0001.json")
	}
	needed("state", "tasks")
	needed("log", "verify")
	needed("log", "ls")
	needed("apply", "-")
	needed("backup", "create", "b")
	needed("export", filepath.Join(t.TempDir(), "file"))
	program(t, "--store", directory, "--key", one, "state", "tasks").wants(exitOK).prints("before", "after")
	program(t, "--store", directory, "--key", one, "log", "verify").wants(exitOK)
	t.Setenv("SCHEDULER_STORE_KEY", one)
	program(t, "--store", directory, "backup", "create", "b").wants(exitOK)
	copied := newDirectory(t)
	program(t, "copy", "file://"+directory, "file://"+copied).wants(exitOK)
	program(t, "--store", copied, "key", "ls").wants(exitOK).prints("local:")
	t.Setenv("SCHEDULER_STORE_KEY", "")

	program(t, "--store", directory, "key", "rotate").wants(exitUsage).says("--key is missing")
	program(t, "--store", directory, "--key", one, "key", "rewrap").wants(exitUsage).says("--new-key is missing")
	program(t, "--store", directory, "--key", one, "key", "rewrap", "--new-key", two).wants(exitOK).prints("made key/0000000001-0002.json", "made key/0000000002-0002.json")
	program(t, "--store", directory, "--key", one, "key", "rewrap", "--new-key", two).wants(exitOK).prints("already")
	program(t, "--store", directory, "--key", two, "state", "tasks").wants(exitOK).prints("before", "after")
	if rows := at(t, program(t, "--store", directory, "key", "ls", "--output", "json").wants(exitOK).json(), "keys").([]any); len(rows) != 4 {
		t.Errorf("%d key objects: %v", len(rows), rows)
	}

	if err := os.Chmod(onePath, 0o644); err != nil {
		t.Fatal(err)
	}
	program(t, "--store", directory, "--key", one, "state", "tasks").wants(exitError).says("--key", onePath, "chmod 600")
	secret, err := os.ReadFile(twoPath)
	if err != nil {
		t.Fatal(err)
	}
	o := program(t, "--store", directory, "--key", strings.TrimSpace(string(secret)), "state", "tasks").wants(exitError).says("--key", "no scheme")
	if strings.Contains(o.stderr, strings.TrimSpace(string(secret))) {
		t.Error("the key itself is printed")
	}
}

// The store is lost: its encrypted backups, in another bucket, become the state of a new
// one, which has the same keeper and a data key of its own.
func TestEncryptedBackupIsRestoredIntoANewStore(t *testing.T) {
	lost, kept, fresh, file := newDirectory(t), newDirectory(t), newDirectory(t), filepath.Join(t.TempDir(), "key")
	program(t, "key", "generate", file).wants(exitOK)
	t.Setenv("SCHEDULER_STORE_KEY", "file://"+file)
	programWith(t, saveTask("a"), "--store", lost, "apply", "-").wants(exitOK)
	program(t, "--store", lost, "backup", "create", "b", "--backups", kept).wants(exitOK)
	if err := os.RemoveAll(lost); err != nil {
		t.Fatal(err)
	}
	programWith(t, "", "--store", fresh, "apply", "-").wants(exitOK)
	program(t, "--store", fresh, "restore", "--backup", "b", "--backups", kept).wants(exitOK).prints("restored: ")
	program(t, "--store", fresh, "state", "tasks").wants(exitOK).prints("a")
}

// The data key that seals is lost: no other is made, which would get its number.
func TestKeyRotateWhenTheNewestIsLost(t *testing.T) {
	directory, file := newDirectory(t), filepath.Join(t.TempDir(), "key")
	program(t, "key", "generate", file).wants(exitOK)
	t.Setenv("SCHEDULER_STORE_KEY", "file://"+file)
	programWith(t, saveTask("a"), "--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "key", "rotate").wants(exitOK).prints("made data key 2")
	programWith(t, saveTask("b"), "--store", directory, "apply", "-").wants(exitOK)
	lost := filepath.Join(directory, "key", "0000000002-0001.json")
	object, err := os.ReadFile(lost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	program(t, "--store", directory, "key", "rotate").wants(exitError).says("key/0000000002-0001.json", "put it back")
	if err := os.WriteFile(lost, object, 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, "--store", directory, "key", "rotate").wants(exitOK).prints("made data key 3")
	program(t, "--store", directory, "state", "tasks").wants(exitOK).prints("a", "b")
}
