package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

func TestStateText(t *testing.T) {
	store := filled(t)
	state := func(args ...string) *outcome {
		t.Helper()
		return program(t, append([]string{"--store", store, "state"}, args...)...).wants(exitOK)
	}
	state().prints("transaction 7, position ", "epoch 1", "tasks         2", "  PENDING     1", "  RUNNING     1", "hosts         1", "framework-id  framework-7")
	state("tasks").prints("ID ", "task-a  www/prod/hello  3         PENDING  host-task-a")
	state("cron-jobs").prints("www/prod/cron", "* * * * *", "KILL_EXISTING")
	state("quotas").prints("www   2.5   1024     2048")
	state("hosts").prints("host-1  DRAINING  agent-1  rack=r1,r2")
	state("job-updates").prints("www/prod/hello", "update-1", "ROLLING_FORWARD", "ann", "2023-11-14T22:13:20.000Z")
	state("maintenance").prints("host-1", "2h0m0s", "5 for 60s")
	if got := state("framework-id").stdout; got != "framework-7\n" {
		t.Errorf("framework-id: %q", got)
	}
	all := state("all")
	for _, k := range kinds() {
		all.prints(k.name + " (")
	}
	if a, b := strings.Index(all.stdout, "task-a"), strings.Index(all.stdout, "task-b"); a < 0 || b < a {
		t.Errorf("tasks are not in the order of their ids:\n%s", all.stdout)
	}
	if again := state("all"); again.stdout != all.stdout {
		t.Error("the same state is printed in two ways")
	}
}

func TestStateJSON(t *testing.T) {
	store := filled(t)
	state := func(args ...string) map[string]any {
		t.Helper()
		return program(t, append([]string{"--output", "json", "--store", store, "state"}, args...)...).wants(exitOK).json()
	}
	all := state("all")
	wantAt(t, all, 7, "transaction")
	wantAt(t, all, "task-a", "tasks", 0, "assignedTask", "taskId")
	wantAt(t, all, "PENDING", "tasks", 0, "status")
	wantAt(t, all, "task-b", "tasks", 1, "assignedTask", "taskId")
	wantAt(t, all, "cron", "cronJobs", 0, "key", "name")
	wantAt(t, all, "www", "quotas", 0, "role")
	wantAt(t, all, 2.5, "quotas", 0, "quota", "numCpus")
	wantAt(t, all, "DRAINING", "hosts", 0, "mode")
	wantAt(t, all, "update-1", "jobUpdates", 0, "update", "summary", "key", "id")
	wantAt(t, all, 7200, "maintenance", 0, "timeoutSecs")
	wantAt(t, all, "framework-7", "frameworkId")
	for _, k := range kinds() {
		one := state(k.name)
		if len(one) != 2 || one[k.member] == nil {
			t.Errorf("state %s has %v", k.name, one)
		}
		wantAt(t, one, all[k.member], k.member)
	}
	summary := state()
	wantAt(t, summary, 2, "counts", "tasks")
	wantAt(t, summary, 1, "tasksByStatus", "RUNNING")
	wantAt(t, summary, 1, "epoch")

	empty := "mem://" + t.Name()
	programWith(t, "", "--store", empty, "apply", "-").wants(exitOK)
	document := program(t, "--output", "json", "--store", empty, "state", "all").wants(exitOK).json()
	wantAt(t, document, "[]", "tasks")
	wantAt(t, document, nil, "frameworkId")
}

// What is in a store may come from anybody: it must not move a terminal's cursor.
func TestTextIsPrintable(t *testing.T) {
	store := "mem://" + t.Name()
	programWith(t, `{"ops":[{"saveFrameworkId":{"id":"a\u001b[2Jb\tc\"ü"}}]}`, "--store", store, "apply", "-").wants(exitOK)
	if got := program(t, "--store", store, "state", "framework-id").wants(exitOK).stdout; got != `a\x1b[2Jb\tc"ü`+"\n" {
		t.Errorf("printed %q", got)
	}
}

func TestStateOfADamagedLog(t *testing.T) {
	store := filled(t)
	paths := logObjects(t, store)
	flipBit(t, paths[len(paths)-1])
	program(t, "--store", store, "state", "tasks").wants(exitError).says("damaged", filepath.Base(paths[len(paths)-1]))
}

func TestLogList(t *testing.T) {
	store := newDirectory(t)
	for _, id := range []string{"a", "b", "c"} {
		programWith(t, saveTask(id), "--store", store, "apply", "-").wants(exitOK)
	}
	// Each was a leader of its own: a seal and an entry.
	list := func(args ...string) map[string]any {
		t.Helper()
		return program(t, append([]string{"--store", store, "--output", "json", "log", "ls"}, args...)...).wants(exitOK).json()
	}
	document := list()
	for i := range 6 {
		wantAt(t, document, 5-i, "entries", i, "position")
		wantAt(t, document, (6-i)/2, "entries", i, "epoch")
		wantAt(t, document, map[bool]string{true: "records", false: "seal"}[i%2 == 0], "entries", i, "kind")
		wantAt(t, document, (i+1)%2, "entries", i, "transactionCount")
	}
	if n := len(at(t, document, "entries").([]any)); n != 6 {
		t.Errorf("%d entries, want 6", n)
	}
	wantAt(t, document, "log/0000000003/00000000000000000005", "entries", 0, "object")
	info, err := os.Stat(filepath.Join(store, "log/0000000003/00000000000000000005"))
	if err != nil {
		t.Fatal(err)
	}
	wantAt(t, document, info.Size(), "entries", 0, "bytes")
	page := list("--limit", "2", "--before", "4")
	wantAt(t, page, 3, "entries", 0, "position")
	wantAt(t, page, 2, "entries", 1, "position")
	if n := len(at(t, page, "entries").([]any)); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	if n := len(at(t, list("--limit", "0"), "entries").([]any)); n != 6 {
		t.Errorf("%d entries, want all 6", n)
	}
	program(t, "--store", store, "log", "ls", "--limit", "1").wants(exitOK).prints("POSITION", "records", "3  ", "s  ")

	// One that can't be read does not hide the others.
	flipBit(t, filepath.Join(store, "log/0000000002/00000000000000000003")) // in the body
	path := filepath.Join(store, "log/0000000001/00000000000000000001")
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	o := program(t, "--store", store, "--output", "json", "log", "ls").wants(exitError).says("can't be read: 1 of 6")
	wantAt(t, o.json(), 5, "entries", 0, "position")
	if problem, _ := at(t, o.json(), "entries", 4, "problem").(string); !strings.Contains(problem, "log/0000000001/00000000000000000001") {
		t.Errorf("problem is %q", problem)
	}
	program(t, "--store", store, "log", "ls").wants(exitError).prints("damaged")
}

func TestEntriesBeyondASealAreMarked(t *testing.T) {
	keys := []blob.EntryKey{{Epoch: 0, Position: 0}, {Epoch: 1, Position: 1}, {Epoch: 1, Position: 2}, {Epoch: 1, Position: 3},
		{Epoch: 2, Position: 3}, {Epoch: 1, Position: 4}, {Epoch: 2, Position: 4}}
	entries := []*view.Entry{}
	for _, k := range keys {
		entries = append(entries, &view.Entry{Position: k.Position, Epoch: k.Epoch})
	}
	markOrphans(entries, blob.WithoutOrphans(keys))
	for i, k := range keys {
		if want := i == 3 || i == 5; entries[i].Orphan != want {
			t.Errorf("%v: orphan %v, want %v", k, !want, want)
		}
	}
}

func TestLogShow(t *testing.T) {
	store := newDirectory(t)
	programWith(t, saveTask("a")+saveTask("b"), "--store", store, "apply", "-").wants(exitOK)
	var shown []string
	for position := 1; position <= 2; position++ { // both in one entry, or each in its own
		document := program(t, "--store", store, "--output", "json", "log", "show", string(rune('0'+position)))
		if position == 2 && document.status == exitError {
			document.wants(exitError).says("no entry at position 2")
			break
		}
		for _, transaction := range at(t, document.wants(exitOK).json(), "transactions").([]any) {
			id, _ := at(t, transaction, "ops", 0, "saveTasks", "tasks", 0, "assignedTask", "taskId").(string)
			status, _ := at(t, transaction, "ops", 0, "saveTasks", "tasks", 0, "status").(string)
			shown = append(shown, id+" "+status)
		}
	}
	if got := strings.Join(shown, ", "); got != "a PENDING, b PENDING" {
		t.Errorf("shown: %s", got)
	}
	program(t, "--store", store, "log", "show", "1").wants(exitOK).prints("kind", "records", `{"transaction":1,"ops":[{"saveTasks":`, `"PENDING"`)
	seal := program(t, "--store", store, "--output", "json", "log", "show", "0").wants(exitOK).json()
	wantAt(t, seal, "seal", "kind")
	wantAt(t, seal, 1, "nextEpoch")
	program(t, "--store", store, "log", "show", "0").wants(exitOK).prints("next epoch")
	program(t, "--store", store, "log", "show", "99").wants(exitError).says("no entry at position 99")
	flipBit(t, logObjects(t, store)[1])
	program(t, "--store", store, "log", "show", "1").wants(exitError).says("damaged", "log/0000000001/")
}

func TestLogOfARestore(t *testing.T) {
	store := newDirectory(t)
	programWith(t, saveTask("a"), "--store", store, "apply", "-").wants(exitOK)
	s, err := schedulerstore.Open(t.Context(), "file://"+store, schedulerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit, err := s.Restore(t.Context(), schedulerstore.Restoration{Records: s.Storage().Checkpoint().Records(), Reason: "by\nmistake"})
	if err := errors.Join(err, s.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	position := commit.Position.String()
	show := program(t, "--store", store, "--output", "json", "log", "show", position).wants(exitOK).json()
	wantAt(t, show, "restore", "kind")
	wantAt(t, show, "by\nmistake", "restore", "reason")
	folder, _ := at(t, show, "restore", "folder").(string)
	program(t, "--store", store, "log", "show", position).wants(exitOK).prints("restored state", folder, printable("by\nmistake"))
	program(t, "--store", store, "log", "ls").wants(exitOK).prints("restore")
	verify := program(t, "--store", store, "--output", "json", "log", "verify").wants(exitOK).json()
	wantAt(t, verify, 1, "restores")
	flipBit(t, filepath.Join(store, folder, "part-00000"))
	program(t, "--store", store, "log", "verify").wants(exitError).prints("restores", "problem: ", folder+"/part-00000")
}

func TestLogVerify(t *testing.T) {
	verify := func(t *testing.T, store string, status int) map[string]any {
		t.Helper()
		text := program(t, "--store", store, "log", "verify").wants(status)
		document := program(t, "--store", store, "--output", "json", "log", "verify").wants(status).json()
		wantAt(t, document, status == exitOK, "ok")
		for _, problem := range document["problems"].([]any) {
			text.prints("problem: " + printable(problem.(string)))
		}
		return document
	}
	threeLeaders := func(t *testing.T) string {
		t.Helper()
		store := newDirectory(t)
		for _, id := range []string{"a", "b", "c"} {
			programWith(t, saveTask(id), "--store", store, "apply", "-").wants(exitOK)
		}
		return store
	}
	names := func(t *testing.T, document map[string]any, object string) {
		t.Helper()
		problems := document["problems"].([]any)
		if len(problems) == 0 || !strings.Contains(problems[0].(string), object) {
			t.Errorf("%s is not named: %q", object, problems)
		}
	}
	t.Run("whole", func(t *testing.T) {
		document := verify(t, threeLeaders(t), exitOK)
		wantAt(t, document, 6, "entries")
		wantAt(t, document, 3, "seals")
		wantAt(t, document, 3, "transactions")
		wantAt(t, document, "ok", "cell")
		wantAt(t, document, "ok", "lease")
		wantAt(t, document, "[]", "problems")
		wantAt(t, document, 6, "head", "next")
	})
	t.Run("flipped bit in every object", func(t *testing.T) {
		store := threeLeaders(t)
		for _, path := range append(logObjects(t, store), filepath.Join(store, "cell.json"), filepath.Join(store, "lease.json")) {
			flipBit(t, path)
			names(t, verify(t, store, exitError), filepath.Base(path))
			flipBit(t, path) // back
		}
		verify(t, store, exitOK)
	})
	t.Run("deleted entry", func(t *testing.T) {
		store := threeLeaders(t)
		path := logObjects(t, store)[2]
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		names(t, verify(t, store, exitError), filepath.Base(path))
	})
	t.Run("no cell.json", func(t *testing.T) {
		store := threeLeaders(t)
		if err := os.Remove(filepath.Join(store, "cell.json")); err != nil {
			t.Fatal(err)
		}
		document := verify(t, store, exitError)
		wantAt(t, document, "damaged", "cell")
		names(t, document, "cell.json: missing, but log/")
	})
	t.Run("no lease", func(t *testing.T) {
		store := threeLeaders(t)
		if err := os.Remove(filepath.Join(store, "lease.json")); err != nil {
			t.Fatal(err)
		}
		document := verify(t, store, exitError)
		wantAt(t, document, "absent", "lease")
		names(t, document, "lease.json")
	})
	t.Run("damaged lease", func(t *testing.T) {
		store := threeLeaders(t)
		writeFile(t, filepath.Join(store, "lease.json"), "{}")
		wantAt(t, verify(t, store, exitError), "damaged", "lease")
	})
	t.Run("foreign object", func(t *testing.T) {
		store := threeLeaders(t)
		writeFile(t, filepath.Join(store, "log", "notes.txt"), "x")
		names(t, verify(t, store, exitError), "notes.txt")
	})
}

func TestLease(t *testing.T) {
	url := "mem://" + t.Name()
	b, err := bucketurl.Open(t.Context(), url, bucketurl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	show := func() map[string]any {
		t.Helper()
		return program(t, "--store", url, "lease", "show", "--output", "json").wants(exitOK).json()
	}
	wantAt(t, show(), "absent", "state")
	program(t, "--store", url, "lease", "show").wants(exitOK).prints("there is no lease")
	program(t, "--store", newDirectory(t), "lease", "show").wants(exitOK).prints("there is no lease")
	program(t, "--store", url, "lease", "break", "--yes").wants(exitError).says("no lease to break")

	l, err := lease.Acquire(t.Context(), b, persistence.NewWriterID(), 7, lease.Options{Host: "host-a", URL: "http://host-a:1", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release(context.Background())
	document := show()
	wantAt(t, document, "held", "state")
	wantAt(t, document, 7, "epoch")
	wantAt(t, document, "host-a", "host")
	wantAt(t, document, "http://host-a:1", "url")
	wantAt(t, document, l.State().Holder, "holder")
	wantAt(t, document, 3600000, "ttlMs")
	program(t, "--store", url, "lease", "show").wants(exitOK).prints("held", "host-a", "1h0m0s")

	program(t, "--store", url, "lease", "break").wants(exitUsage).says("--yes")
	wantAt(t, show(), "held", "state")
	broken := program(t, "--store", url, "lease", "break", "--yes", "--output", "json").wants(exitOK).json()
	wantAt(t, broken, "released", "state")
	wantAt(t, broken, true, "broken")
	wantAt(t, show(), "released", "state")
	program(t, "--store", url, "lease", "break", "--yes").wants(exitOK).prints("nothing was done")
}

// A store that another process leads can be looked into meanwhile.
func TestLookingDoesNotDisturbALeader(t *testing.T) {
	url := "mem://" + t.Name()
	store, err := schedulerstore.Open(t.Context(), url, schedulerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(context.Background())
	if err := store.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := objects(t, store.Log().Bucket())
	for _, args := range [][]string{{"state", "all"}, {"log", "ls"}, {"log", "show", "0"}, {"log", "verify"}, {"lease", "show"}} {
		program(t, append(args, "--store", url)...).wants(exitOK)
	}
	if after := objects(t, store.Log().Bucket()); after != before {
		t.Errorf("objects were %s, and now are %s", before, after)
	}
	if store.Leadership().Err() != nil {
		t.Error("the leader lost its leadership")
	}
}

func objects(t *testing.T, b *bucket.Bucket) string {
	t.Helper()
	var all []string
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Key)
	}
	return strings.Join(all, " ")
}
