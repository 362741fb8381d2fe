package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/scheduler-store/scheduler-store/internal/build"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"--unknown"},
		{"unknown"},
		{"aply", "x"},
		{"log"},
		{"log", "unknown"},
		{"lease", "unknown"},
		{"completion"},
		{"completion", "unknown"},
		{"version", "more"},
		{"apply"},
		{"apply", "a", "b"},
		{"apply", "-", "--lease-ttl", "soon"},
		{"apply", "-", "--lease-ttl", "1s"},
		{"apply", "-", "--wait", "-1s"},
		{"state", "unknown"},
		{"state", "tasks", "hosts"},
		{"state", "--output", "xml"},
		{"state", "--log-level", "loud"},
		{"state", "--store", ""},
		{"state", "--store", "s3:bucket"},
		{"log", "ls", "--limit", "-1"},
		{"log", "ls", "--before", "x"},
		{"log", "ls", "more"},
		{"log", "show"},
		{"log", "show", "x"},
		{"log", "show", "-1"},
		{"log", "verify", "more"},
		{"lease", "break"},
		{"lease", "show", "more"},
		{"serve", "more"},
		{"serve", "--listen", "nonsense"},
		{"serve", "--listen", "127.0.0.1:99999"},
		{"serve", "--lease-ttl", "1s"},
		{"serve", "--snapshot-every", "-1s"},
		{"serve", "--backup-every", "-1s"},
		{"serve", "--backup-keep", "0"},
		{"serve", "--backups", "s3:bucket"},
		{"serve", "--history-every", "-1s"},
		{"serve", "--history-older-than", "0"},
		{"serve", "--history-per-job", "-1"},
		{"serve", "--hedge", "maybe"},
		{"serve", "--linger", "-1ms"},
		{"serve", "--max-puts", "-1"},
		{"serve", "--max-puts", "NaN"},
		{"serve", "--gc-every", "-1s"},
		{"serve", "--keep-snapshots", "0"},
		{"serve", "--window", "-1s"},
		{"gc", "more"},
		{"gc", "--keep-snapshots", "0"},
		{"gc", "--grace", "-1s"},
		{"gc", "--lease-ttl", "1s"},
		{"gc", "--server", "nonsense"},
		{"snapshot", "create", "--lease-ttl", "1s"},
		{"snapshot"},
		{"snapshot", "verify", "a", "b"},
		{"backup", "show"},
		{"backup", "rm"},
		{"recovery", "unknown"},
		{"cost", "more"},
		{"cost", "--prices", "azure"},
		{"cost", "--rates", "fast"},
		{"cost", "--rates", "-1"},
		{"cost", "--rates", "NaN"},
		{"cost", "--rates", ""},
		{"cost", "--record-bytes", "0"},
		{"cost", "--put-latency", "0s"},
		{"cost", "--max-puts", "-1"},
		{"cost", "--max-puts", "NaN"},
		{"cost", "--followers", "-1"},
		{"cost", "--lease-ttl", "1s"},
		{"cost", "--snapshot-every", "0s"},
		{"cost", "--backup-keep", "0"},
		{"cost", "--of", "nonsense"},
		{"cost", "--of", "http://user:hush@host"},
		{"bench", "mem://a", "mem://b"},
		{"bench", "mem://a", "--store", "mem://b"},
		{"bench", "mem://a", "--only", "commit,nothing"},
		{"bench", "mem://a", "--clients", "0"},
		{"bench", "mem://a", "--clients", "1,x"},
		{"bench", "mem://a", "--duration", "0s"},
		{"bench", "mem://a", "--record-bytes", "0"},
		{"bench", "mem://a", "--transactions", "0"},
		{"bench", "mem://a", "--profile", "floppy"},
	} {
		o := program(t, args...).wants(exitUsage).says("--help")
		if o.stdout != "" {
			t.Errorf("%q: printed %s", args, o.stdout)
		}
	}
	program(t, "aply", "x").says(`did you mean "apply"?`)
}

func TestWhatIsWrongWithTheStore(t *testing.T) {
	directory := t.TempDir()
	file := writeFile(t, filepath.Join(directory, "file"), "")
	input := writeFile(t, filepath.Join(directory, "input"), saveTask("a"))
	missing := filepath.Join(directory, "missing")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--store", "ftp://host/x", "state"}, "scheme"},
		{[]string{"--store", "s3://key:hush@bucket/x", "state"}, "credentials"},
		{[]string{"--store", "s3://bucket?secret_key=hush", "state"}, "credential"},
		{[]string{"--store", "s3://bucket?secret_key=hush", "apply", input}, "credential"},
		{[]string{"--store", "s3://bucket?secret_key=hush", "serve", "--listen", "127.0.0.1:0"}, "credential"},
		{[]string{"--store", missing, "state"}, "no cell here"},
		{[]string{"--store", missing, "log", "ls"}, "no cell here"},
		{[]string{"--store", missing, "log", "verify"}, "no cell here"},
		{[]string{"--store", missing, "lease", "break", "--yes"}, "no cell here"},
		{[]string{"--store", "mem://" + t.Name(), "state"}, "no cell here"},
		{[]string{"--store", file, "state"}, file},
		{[]string{"--store", file, "apply", input}, file},
		{[]string{"--store", missing, "apply", missing}, "no such file"},
		{[]string{"--store", missing, "apply", directory}, "is a directory"},
	} {
		o := program(t, c.args...).wants(exitError).says(c.says)
		if strings.Contains(o.stdout+o.stderr, "hush") {
			t.Errorf("%q: a secret was printed: %s%s", c.args, o.stdout, o.stderr)
		}
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a command that only reads made a directory: %v", err)
	}
}

func TestDirectoryThatMayNotBeUsed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may use every directory")
	}
	directory := filled(t)
	if err := os.Chmod(directory, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(directory, 0o700) })
	program(t, "--store", directory, "state").wants(exitError).says("denied")
	program(t, "--store", directory, "serve", "--listen", "127.0.0.1:0").wants(exitError).says("denied")
}

func TestNewerCellIsRefused(t *testing.T) {
	directory := filled(t)
	newer, err := checked.Encode(struct {
		Format int    `json:"format"`
		What   string `json:"what"`
	}{99, "later"})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(directory, "cell.json"), string(newer))
	for _, args := range [][]string{{"state"}, {"log", "ls"}, {"apply", "-"}, {"serve", "--listen", "127.0.0.1:0"}} {
		o := programWith(t, saveTask("a"), append(args, "--store", directory)...).wants(exitError).says("cell.json", "99", "newer")
		if o.stdout != "" {
			t.Errorf("%q printed %s", args, o.stdout)
		}
	}
	v := program(t, "log", "verify", "--store", directory, "--output", "json").wants(exitError).json()
	wantAt(t, v, "newer", "cell")
}

func TestFlagsAreVariablesToo(t *testing.T) {
	directory := filled(t)
	t.Setenv("SCHEDULER_STORE_URL", directory)
	t.Setenv("SCHEDULER_STORE_OUTPUT", "json")
	t.Setenv("SCHEDULER_STORE_LIMIT", "2")
	document := program(t, "log", "ls").wants(exitOK).json()
	if n := len(at(t, document, "entries").([]any)); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	document = program(t, "log", "ls", "--limit", "1").wants(exitOK).json()
	if n := len(at(t, document, "entries").([]any)); n != 1 {
		t.Errorf("the flag does not win: %d entries, want 1", n)
	}
	program(t, "state", "--output", "text").wants(exitOK).prints("tasks  ")
	program(t, "state", "--store", newDirectory(t)).wants(exitError)

	t.Setenv("SCHEDULER_STORE_LIMIT", "many")
	program(t, "log", "ls").wants(exitUsage).says("SCHEDULER_STORE_LIMIT", "many")
	t.Setenv("SCHEDULER_STORE_LIMIT", "")
	program(t, "log", "ls").wants(exitOK)
	t.Setenv("SCHEDULER_STORE_OUTPUT", "xml")
	program(t, "version").wants(exitUsage).says("SCHEDULER_STORE_OUTPUT")
}

func TestPathsAndURLsOfADirectory(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "odd name%20#?")
	programWith(t, saveTask("a"), "--store", directory, "apply", "-").wants(exitOK)
	program(t, "--store", directory, "state", "tasks").wants(exitOK).prints("a ")
	t.Chdir(filepath.Dir(directory))
	program(t, "--store", filepath.Base(directory), "state", "tasks").wants(exitOK)

	plain := filled(t)
	program(t, "--store", "file://"+plain, "state", "tasks").wants(exitOK)
	t.Chdir(t.TempDir())
	programWith(t, saveTask("a"), "apply", "-").wants(exitOK)
	if _, err := os.Stat("scheduler-store-data/cell.json"); err != nil {
		t.Errorf("the default directory: %v", err)
	}
}

// Every command's help says what it does, by an example, and names the variable of
// each flag.
func TestHelp(t *testing.T) {
	root := (&command{}).root()
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		if cmd.Short == "" || !strings.Contains(cmd.Example, "scheduler-store") {
			t.Errorf("%s: no short description or no example", name)
		}
		if o := program(t, append(strings.Fields(name)[1:], "--help")...).wants(exitOK); !strings.Contains(o.stdout, "Usage:") {
			t.Errorf("%s --help printed %s", name, o.stdout)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if want := min(len(variable(f)), 1); strings.Count(f.Usage, "$SCHEDULER_STORE_") != want {
				t.Errorf("%s --%s: its variable is not named once: %s", name, f.Name, f.Usage)
			}
		})
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(root)
	program(t, "help", "log", "show").wants(exitOK).prints("POSITION")
	program(t, "state", "--help").prints("[$SCHEDULER_STORE_URL]")
	program(t, "serve", "--help").prints("[$SCHEDULER_STORE_LISTEN]", "127.0.0.1:8410")
	program(t, "completion", "bash").wants(exitOK).prints("scheduler-store")
}

func TestVersion(t *testing.T) {
	program(t, "version").wants(exitOK).prints("scheduler-store ", runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	document := program(t, "version", "--output", "json").wants(exitOK).json()
	for _, name := range []string{"version", "commit", "go", "platform"} {
		if at(t, document, name) == "" {
			t.Errorf("%s is empty", name)
		}
	}
	build.Version, build.Commit = "v1.2.3", "abc"
	defer func() { build.Version, build.Commit = "", "" }()
	program(t, "version").wants(exitOK).prints("scheduler-store v1.2.3 (commit abc, ")
}
