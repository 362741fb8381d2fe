package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// state is all that a store holds, without the number of its last transaction.
func stateOf(t *testing.T, store string) string {
	t.Helper()
	o := program(t, "--store", store, "state", "all", "--output", "json").wants(exitOK)
	_, rest, found := strings.Cut(o.stdout, "\n  \"tasks\"")
	if !found {
		t.Fatalf("no tasks in %s", o.stdout)
	}
	return rest
}

func names(t *testing.T, directory string) string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// What is exported and imported is the same state, in each format, by files and by
// standard input and output.
func TestExportAndImport(t *testing.T) {
	directory := filled(t)
	want := stateOf(t, directory)
	for _, format := range []string{"aurora", "jsonl"} {
		files := t.TempDir()
		file := filepath.Join(files, "state")
		done := program(t, "--store", directory, "export", file, "--format", format, "--output", "json").wants(exitOK).json()
		wantAt(t, done, 2, "counts", "tasks")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantAt(t, done, len(data), "bytes")
		if got := names(t, files); got != "state" {
			t.Errorf("left in the directory: %s", got)
		}
		out := program(t, "--store", directory, "export", "-", "--format", format).wants(exitOK)
		if format == "jsonl" && out.stdout != string(data) { // the other has the time in it
			t.Errorf("standard output and the file differ:\n%s\n%s", out.stdout, data)
		}

		other := newDirectory(t)
		done = program(t, "--store", other, "import", file, "--output", "json").wants(exitOK).json()
		wantAt(t, done, 2, "counts", "tasks")
		wantAt(t, done, len(data), "bytes")
		wantAt(t, done, 1, "commit", "transaction")
		wantAt(t, done, 0, "hostsWithoutAgent")
		if got := stateOf(t, other); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", format, got, want)
		}
		third := newDirectory(t)
		programWith(t, out.stdout, "--store", third, "import", "-").wants(exitOK).prints("imported 2 tasks, 1 cron jobs", "the framework id", "MB/s: transaction 1")
		if got := stateOf(t, third); got != want {
			t.Errorf("%s by standard input: got\n%s\nwant\n%s", format, got, want)
		}
		program(t, "--store", third, "log", "verify").wants(exitOK)
	}
	// apply takes the lines as well.
	out := program(t, "--store", directory, "export", "-", "--format", "jsonl").wants(exitOK)
	other := newDirectory(t)
	programWith(t, out.stdout, "--store", other, "apply", "-").wants(exitOK)
	if got := stateOf(t, other); got != want {
		t.Errorf("applied: got\n%s\nwant\n%s", got, want)
	}
}

func TestImportOnlyIntoAnEmptyStore(t *testing.T) {
	directory := filled(t)
	before := stateOf(t, directory)
	input := writeFile(t, filepath.Join(t.TempDir(), "input"), saveTask("new"))
	program(t, "--store", directory, "import", input).wants(exitError).says("not empty", "7 transactions")
	program(t, "copy", input, directory).wants(exitError).says("not empty")
	// Also when all of it was removed again.
	emptied := newDirectory(t)
	programWith(t, saveTask("a")+`{"ops":[{"removeTasks":{"taskIds":["a"]}}]}`, "--store", emptied, "apply", "-").wants(exitOK)
	program(t, "--store", emptied, "import", input).wants(exitError).says("not empty")
	if got := stateOf(t, directory); got != before {
		t.Errorf("the state changed: %s", got)
	}
}

// A file that is bad anywhere changes nothing, and the store can be used.
func TestImportOfABadFile(t *testing.T) {
	exported := filepath.Join(t.TempDir(), "exported")
	program(t, "--store", filled(t), "export", exported).wants(exitOK)
	aurora, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	directory := newDirectory(t)
	for name, c := range map[string]struct{ text, says string }{
		"no JSON":           {saveTask("a") + "{nonsense\n", "line 2"},
		"no transaction":    {saveTask("a") + `{"saveTasks":{}}` + "\n", "line 2"},
		"no ops":            {saveTask("a") + `{"ops":[]}` + "\n", "line 2: ops: empty; a transaction has at least one"},
		"refused":           {saveTask("a") + `{"ops":[{"saveCronJob":{"jobConfig":{"key":{"role":"r","environment":"e","name":"n"}}}}]}` + "\n", ""},
		"empty":             {"", "is empty"},
		"blank lines":       {"\n\n", "there is nothing in it"},
		"neither":           {"hello", ""},
		"cut off":           {string(aurora[:len(aurora)-5]), ""},
		"cut in the middle": {string(aurora[:len(aurora)/2]), ""},
	} {
		file := writeFile(t, filepath.Join(t.TempDir(), "file"), c.text)
		o := program(t, "--store", directory, "import", file).wants(exitError).says(c.says, file)
		if o.stdout != "" {
			t.Errorf("%s: printed %s", name, o.stdout)
		}
		programWith(t, c.text, "--store", directory, "import", "-").wants(exitError).says(c.says, "standard input")
	}
	program(t, "--store", directory, "import", exported).wants(exitOK).prints("imported 2 tasks")
	missing := filepath.Join(t.TempDir(), "missing")
	program(t, "--store", missing, "import", missing).wants(exitError).says("no such file")
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a store was made although there is nothing to import: %v", err)
	}
}

// The format that is said is not doubted.
func TestFormats(t *testing.T) {
	for text, want := range map[string]fileFormat{
		`{"ops":[]}`: linesFormat, "\n \t\r\n{": linesFormat, "\n\n": linesFormat,
		"\n\x00\x01": auroraFormat, "\x0f\x00\x02": auroraFormat, "\x00": auroraFormat, "x": auroraFormat,
	} {
		c := &command{stdin: strings.NewReader(text)}
		f, err := c.openOps(writeFile(t, filepath.Join(t.TempDir(), "f"), text), "")
		if err != nil || f.format != want {
			t.Errorf("%q is taken for %s: %v", text, f.format, err)
		}
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "f"), saveTask("a"))
	program(t, "--store", newDirectory(t), "import", file, "--format", "aurora").wants(exitError)
	program(t, "--store", newDirectory(t), "import", file, "--format", "xml").wants(exitUsage).says("aurora or jsonl")
}

// Standard input is copied to a file for formats that are read twice, and that is
// removed.
func TestSpoolIsRemoved(t *testing.T) {
	spool := t.TempDir()
	t.Setenv("TMPDIR", spool)
	out := program(t, "--store", filled(t), "export", "-").wants(exitOK)
	programWith(t, out.stdout, "--store", newDirectory(t), "import", "-").wants(exitOK)
	programWith(t, "nonsense", "--store", newDirectory(t), "import", "-").wants(exitError)
	if got := names(t, spool); got != "" {
		t.Errorf("left: %s", got)
	}
}

// A file under its name is whole, and none is replaced unless that is said.
func TestExportKeepsFiles(t *testing.T) {
	directory, files := filled(t), t.TempDir()
	file := writeFile(t, filepath.Join(files, "file"), "precious")
	program(t, "--store", directory, "export", file).wants(exitError).says("exists already")
	program(t, "copy", directory, file).wants(exitError).says("exists already")
	link := filepath.Join(files, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	program(t, "--store", directory, "export", link).wants(exitError).says("exists already")
	program(t, "--store", directory, "export", files, "--force").wants(exitError).says("is a directory")
	program(t, "--store", directory, "export", filepath.Join(files, "no", "file")).wants(exitError).says("no such file")
	if data, _ := os.ReadFile(file); string(data) != "precious" || names(t, files) != "file link" {
		t.Errorf("%q, %s", data, names(t, files))
	}
	program(t, "--store", directory, "export", file, "--force").wants(exitOK)
	program(t, "--store", newDirectory(t), "import", file).wants(exitOK)

	// Another process may be at it.
	writeFile(t, filepath.Join(files, "new.tmp"), "half")
	program(t, "--store", directory, "export", filepath.Join(files, "new")).wants(exitError).says("new.tmp is there")
	program(t, "--store", directory, "export", filepath.Join(files, "new"), "--force").wants(exitOK)
	if got := names(t, files); got != "file link new" {
		t.Error(got)
	}
	// A store that can't be read leaves no file.
	flipBit(t, logObjects(t, directory)[1])
	program(t, "--store", directory, "export", filepath.Join(files, "other")).wants(exitError).says("damaged")
	if got := names(t, files); got != "file link new" {
		t.Error(got)
	}
}

func TestCopy(t *testing.T) {
	directory := filled(t)
	want := stateOf(t, directory)
	files := t.TempDir()
	aurora, lines := filepath.Join(files, "aurora"), filepath.Join(files, "lines")
	second, third := newDirectory(t), newDirectory(t)
	program(t, "copy", directory, "file://"+second).wants(exitOK).prints("copied 2 tasks", "transaction 1")
	program(t, "copy", second, aurora).wants(exitOK).prints("copied 2 tasks", "bytes")
	done := program(t, "copy", aurora, lines, "--format", "jsonl", "--output", "json").wants(exitOK).json()
	wantAt(t, done, aurora, "from")
	wantAt(t, done, 2, "counts", "tasks")
	program(t, "copy", lines, "file://"+third).wants(exitOK)
	for _, store := range []string{second, third} {
		if got := stateOf(t, store); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", store, got, want)
		}
	}
	program(t, "copy", directory, "file://"+second).wants(exitError).says("not empty")
	program(t, "copy", filepath.Join(files, "missing"), filepath.Join(files, "x")).wants(exitError).says("no such file")
	program(t, "copy", "file://"+newDirectory(t), filepath.Join(files, "x")).wants(exitError).says("no cell here")
	program(t, "copy", files, filepath.Join(files, "x")).wants(exitError).says("without a store")
	program(t, "copy", aurora, files).wants(exitError).says("without a store", "file://"+files)
	for _, args := range [][]string{{"a"}, {"a", "b", "c"}, {"-", "b"}, {"a", "-"}, {"", "b"}, {"s3:b", "c"}} {
		program(t, append([]string{"copy"}, args...)...).wants(exitUsage)
	}
	if got := names(t, files); got != "aurora lines" {
		t.Error(got)
	}
}

// What is left out is counted.
func TestImportSaysWhatIsLeftOut(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "f"), saveTask("a")+
		`{"ops":[{"saveHostAttributes":{"hostAttributes":{"host":"h1","attributes":[],"mode":"NONE"}}}]}`+"\n"+
		`{"ops":[{"removeLock":{"lockKey":{"job":{"role":"r","environment":"e","name":"n"}}}}]}`+"\n")
	program(t, "--store", newDirectory(t), "import", file).wants(exitOK).prints("imported 1 tasks", "left out 1 hosts", "left out 1 ops")
	done := program(t, "--store", newDirectory(t), "import", file, "--output", "json").wants(exitOK).json()
	wantAt(t, done, 1, "hostsWithoutAgent")
	wantAt(t, done, 1, "retired")
	wantAt(t, done, 0, "counts", "hosts")
}

// A line takes no more than it may, however many tasks share a large configuration.
func TestLongLinesAreSplit(t *testing.T) {
	ops := []*api.Op{{SaveFrameworkID: &api.SaveFrameworkID{ID: api.Some("f")}}}
	tasks := make([]*api.ScheduledTask, 64)
	for i := range tasks {
		tasks[i] = &api.ScheduledTask{AncestorID: api.Some(strings.Repeat("x", 100<<10))}
	}
	ops = append(ops, saveTasksOp(tasks))
	var out strings.Builder
	if err := writeLine(&out, ops); err != nil {
		t.Fatal(err)
	}
	got := 0
	for line := range strings.Lines(out.String()) {
		if len(line) > lineBytes+1 {
			t.Errorf("a line of %d bytes", len(line))
		}
		got += strings.Count(line, "ancestorId")
	}
	if got != len(tasks) {
		t.Errorf("%d tasks, want %d", got, len(tasks))
	}
	tasks[0].AncestorID.Value = strings.Repeat("x", maxLine)
	if err := writeLine(&out, []*api.Op{saveTasksOp(tasks[:1])}); err == nil || !strings.Contains(err.Error(), "more than the 16777216") {
		t.Errorf("%v", err)
	}
}

func TestTransferMistakes(t *testing.T) {
	for _, args := range [][]string{
		{"import"}, {"import", "a", "b"}, {"import", ""}, {"import", "a", "--lease-ttl", "1s"}, {"import", "a", "--wait", "-1s"},
		{"export"}, {"export", "a", "b"}, {"export", "a", "--format", "xml"}, {"copy", "a", "b", "--lease-ttl", "1s"},
	} {
		program(t, args...).wants(exitUsage)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	program(t, "--store", missing, "export", filepath.Join(t.TempDir(), "f")).wants(exitError).says("no cell here")
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a directory was made: %v", err)
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "f"), saveTask("a"))
	for _, args := range [][]string{{"import", file}, {"apply", file}, {"copy", file, "file://" + newDirectory(t)}, {"serve", "--listen", "127.0.0.1:0"}} {
		program(t, append(args, "--store", newDirectory(t), "--tier-config", missing)...).wants(exitError).says("--tier-config", missing)
	}
}

// The tiers of a file are those that decide whether a task is production, and that tasks
// which are written may name.
func TestTierConfig(t *testing.T) {
	tiers := writeFile(t, filepath.Join(t.TempDir(), "tiers.json"),
		`{"default":"gold","tiers":{"gold":{"preemptible":false,"revocable":false},"tin":{"preemptible":true,"revocable":false}}}`)
	input := writeFile(t, filepath.Join(t.TempDir(), "input"), strings.Replace(saveTask("a"), `"task":{`, `"task":{"tier":"gold",`, 1))
	production := func(command string, more ...string) string {
		t.Helper()
		directory := newDirectory(t)
		program(t, append([]string{"--store", directory, command, input}, more...)...).wants(exitOK)
		state := program(t, "--store", directory, "state", "tasks", "--output", "json").wants(exitOK).json()
		wantAt(t, state, "gold", "tasks", 0, "assignedTask", "task", "tier")
		return fmt.Sprint(at(t, state, "tasks", 0, "assignedTask", "task", "production"))
	}
	for _, command := range []string{"import", "apply"} {
		if got := production(command, "--tier-config", tiers); got != "true" {
			t.Errorf("%s: production is %s", command, got)
		}
	}
	if got := production("import"); got == "true" { // what is read may be of other tiers
		t.Errorf("production is %s", got)
	}
	program(t, "--store", newDirectory(t), "apply", input).wants(exitError).says("gold")
}

// A store that was empty when the import began to wait for its lease may not be so any
// more when it has it.
func TestImportLooksAgainOnceItLeads(t *testing.T) {
	directory := newDirectory(t)
	d := startDaemon(t, "--store", directory).leads()
	input := writeFile(t, filepath.Join(t.TempDir(), "input"), saveTask("new"))
	stderr, status := &lockedBuffer{}, make(chan int)
	go func() {
		status <- run(t.Context(), []string{"--store", directory, "import", input, "--lease-ttl", "3s"}, strings.NewReader(""), io.Discard, stderr)
	}()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(stderr.String(), "waiting for the lease"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not wait: %s", stderr)
		}
	}
	d.save("a")
	if err := d.endsAfter(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != exitError || !strings.Contains(stderr.String(), "the store is not empty") {
		t.Errorf("status %d: %s", got, stderr)
	}
	program(t, "--store", directory, "state", "tasks").wants(exitOK).prints("a ")
}
