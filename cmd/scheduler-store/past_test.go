package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStateAtAPlace(t *testing.T) {
	directory := newDirectory(t)
	for _, id := range []string{"a", "b", "c"} {
		programWith(t, saveTask(id), "--store", directory, "apply", "-").wants(exitOK)
	}
	// A seal before each: a is at position 1, b at 3.
	program(t, "--store", directory, "state", "--at", "1").wants(exitOK).prints("transaction 1, position 1, epoch 1")
	program(t, "--store", directory, "state", "--at", "transaction:2").wants(exitOK).prints("transaction 2, position 3")
	wantAt(t, program(t, "--store", directory, "state", "tasks", "--at", "3", "--output", "json").wants(exitOK).json(), "b", "tasks", 1, "assignedTask", "taskId")
	program(t, "--store", directory, "state", "--at", "1h").wants(exitOK).prints("transaction 0, position -1")
	program(t, "--store", directory, "state", "--at", "2999-01-01T00:00:00Z").wants(exitOK).prints("transaction 3, position 5")
	program(t, "--store", directory, "state", "--at", "99").wants(exitError).says("not in the log yet", "position 5, transaction 3")
	program(t, "--store", directory, "state", "--at", "yesterday").wants(exitUsage).says("transaction:41")
}

func TestDiffOfTwoPlaces(t *testing.T) {
	directory := filled(t)
	programWith(t, `{"ops":[{"saveTasks":{"tasks":[`+taskJSON("task-a", "RUNNING")+`]}},{"removeTasks":{"taskIds":["task-b"]}},{"saveFrameworkId":{"id":"new"}}]}`,
		"--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "diff", "transaction:7").wants(exitOK).prints(
		`tasks task-a changed: status: "PENDING" → "RUNNING"`, "tasks task-b removed: RUNNING", `framework-id changed: "framework-7" → "new"`)
	d := program(t, "--store", directory, "diff", "now", "transaction:7", "--output", "json").wants(exitOK).json()
	wantAt(t, d, 8, "from", "transaction")
	wantAt(t, d, "tasks", "differences", 0, "kind")
	wantAt(t, d, "status", "differences", 0, "fields", 0, "path")
	wantAt(t, d, "PENDING", "differences", 0, "fields", 0, "after")
	wantAt(t, d, "added", "differences", 1, "what")
	if p := program(t, "--store", directory, "diff", "now").wants(exitOK); p.stdout != "" {
		t.Errorf("now and now differ: %s", p.stdout)
	}
	program(t, "--store", directory, "diff").wants(exitUsage)
}

func TestHistoryCommand(t *testing.T) {
	directory := filled(t)
	programWith(t, `{"ops":[{"removeTasks":{"taskIds":["task-a"]}}]}`, "--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "history", "tasks", "task-a").wants(exitOK).prints("transaction 2, ", "saveTasks", "task-a added: PENDING",
		"removeTasks", "task-a removed", "2 changes, 0 rows now; read ", "from the beginning")
	program(t, "--store", directory, "history", "jobs", "www/prod/hello", "--from", "transaction:3").wants(exitOK).prints("job-updates www/prod/hello/update-1 added", "2 rows now")
	program(t, "--store", directory, "history", "framework-id").wants(exitOK).prints("added")
	lines := strings.Split(strings.TrimSpace(program(t, "--store", directory, "history", "quotas", "www", "--output", "json").wants(exitOK).stdout), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"kind":"quotas"`) || !strings.Contains(lines[1], `{"read":{`) {
		t.Errorf("%q", lines)
	}
	program(t, "--store", directory, "history", "quota", "www").wants(exitOK).prints("quotas www added")
	program(t, "--store", directory, "history", "cats", "tom").wants(exitUsage)
	program(t, "--store", directory, "history", "jobs", "www").wants(exitUsage)
}

// What was collected is no longer known; the history is that since then.
func TestHistoryBehindACollection(t *testing.T) {
	directory := filled(t)
	program(t, "--store", directory, "snapshot", "create").wants(exitOK)
	program(t, "--store", directory, "gc", "--keep-snapshots", "1", "--window", "0", "--grace", "0").wants(exitOK)
	programWith(t, `{"ops":[{"removeTasks":{"taskIds":["task-a"]}}]}`, "--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "history", "tasks", "task-a").wants(exitOK).prints("task-a removed", "1 changes, 0 rows now; read ",
		"which had 1 rows of it (what is older was collected)")
	program(t, "--store", directory, "state", "--at", "1").wants(exitError).says("was collected", "the oldest state after it that can be had")
}

func TestRestoreCommand(t *testing.T) {
	directory := newDirectory(t)
	programWith(t, saveTask("a"), "--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "backup", "create", "first").wants(exitOK)
	export := filepath.Join(t.TempDir(), "first.jsonl")
	program(t, "--store", directory, "export", "--format", "jsonl", export).wants(exitOK)
	programWith(t, saveTask("b"), "--store", directory, "apply", "-").wants(exitOK)
	tasks := func(want string) {
		t.Helper()
		got := []string{}
		all, _ := program(t, "--store", directory, "state", "tasks", "--output", "json").wants(exitOK).json()["tasks"].([]any)
		for i := range all {
			got = append(got, at(t, all, i, "assignedTask", "taskId").(string))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("the tasks are %q, want %s", got, want)
		}
	}
	for _, from := range [][]string{{"--at", "transaction:1"}, {"--backup", "first"}, {"--from-file", export}} {
		done := program(t, append([]string{"--store", directory, "restore", "--reason", "a test", "--output", "json"}, from...)...).wants(exitOK).json()
		tasks("a")
		undo := at(t, done, "undoAt")
		program(t, "--store", directory, "log", "show", at(t, done, "position").(interface{ String() string }).String()).wants(exitOK).prints("restore", "a test")
		program(t, "--store", directory, "restore", "--at", undo.(interface{ String() string }).String()).wants(exitOK).prints("restored: ", "to undo it: scheduler-store restore --at ")
		tasks("a b")
	}
	program(t, "--store", directory, "restore").wants(exitUsage).says("--backup, --at and --from-file")
	program(t, "--store", directory, "restore", "--at", "3", "--backup", "first").wants(exitUsage)
	program(t, "--store", directory, "restore", "--at", "now").wants(exitError).says("there already")
	program(t, "--store", directory, "restore", "--backup", "second").wants(exitError).says("second")
	if err := os.WriteFile(export, []byte(`{"ops":[{"noSuchOp":{}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, "--store", directory, "restore", "--from-file", export).wants(exitError)
	tasks("a b")
}
