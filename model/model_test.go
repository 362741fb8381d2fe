package model

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// checks is the environment variable that runs the model checker: quick or full. It
// needs spin and gcc.
const checks = "SCHEDULER_STORE_MODEL"

// The model checker says of every line what check.sh expects.
func TestModel(t *testing.T) {
	set := os.Getenv(checks)
	if set == "" {
		t.Skipf("%s is not set", checks)
	}
	result := evidence.Result{Suite: "model", Command: "make model", Began: time.Now(), Notes: []string{
		"Every search that must find nothing is exhaustive within its bounds, which model/check.sh states.",
		"\"fails\" is expected of a rule that is taken out, of a limit, and of a goal: a state that must be reachable.",
	}}
	if set == "full" {
		result.Command = "make model-full"
	}
	rows := filepath.Join(t.TempDir(), "rows")
	run := exec.CommandContext(t.Context(), "./check.sh", set)
	run.Env = append(os.Environ(), "ROWS="+rows)
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	err := run.Run()
	result.Took = time.Since(result.Began)
	table := evidence.Table{Title: "Searches", Header: []string{"search", "expected", "result", "states", "seconds", "flags"}}
	for _, line := range lines(t, rows)[1:] {
		columns := strings.Split(line, "\t")
		table.Rows = append(table.Rows, columns)
		if columns[1] != columns[2] {
			result.Found = append(result.Found, "model/check.sh one "+columns[0])
		}
	}
	result.Tables = []evidence.Table{table}
	if err := evidence.Save(result); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Errorf("check.sh %s: %v; not as expected: %v", set, err, result.Found)
	}
}

// Every line of check.sh is in the README, and the README names no other.
func TestEveryLineIsInTheReadme(t *testing.T) {
	script, readme := text(t, "check.sh"), text(t, "README.md")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^(?:run|full|garbage|garbage_full) +(\S+) +(?:holds|fails) `).FindAllStringSubmatch(script, -1) {
		names = append(names, m[1])
		if !strings.Contains(readme, "`"+m[1]+"`") {
			t.Errorf("README.md does not say what %s is", m[1])
		}
	}
	if len(names) < 50 {
		t.Fatalf("check.sh has only %d lines: %q", len(names), names)
	}
	for _, m := range regexp.MustCompile("`((?:H[0-9]|M|goal|limit)-[a-z-]+)`").FindAllStringSubmatch(readme, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("README.md names %s, which check.sh has not", m[1])
		}
	}
}

// Every mutation that the model has is tried: no flag is without a line.
func TestEveryFlagIsTried(t *testing.T) {
	script := text(t, "check.sh")
	for _, file := range []string{"store.pml", "network.pml", "collector.pml", "reading.pml", "writer.pml", "reader.pml", "garbage.pml"} {
		for _, m := range regexp.MustCompile(`(?:#ifn?def |defined\()([A-Z_]+)`).FindAllStringSubmatch(text(t, file), -1) {
			if m[1] != "TRACE" && !regexp.MustCompile(`-D`+m[1]+`\b`).MatchString(script) {
				t.Errorf("%s knows %s, and check.sh does not try it", file, m[1])
			}
		}
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

// The table that says where the code keeps each rule of the model names labels, functions,
// tests and mutations that exist.
func TestCorrespondence(t *testing.T) {
	var model, mutations string
	for _, file := range glob(t, "*.pml") {
		model += text(t, file)
	}
	for _, file := range glob(t, "../internal/mutation/*.go") {
		mutations += text(t, file)
	}
	tests := testsOfTheProject(t)
	_, table, found := strings.Cut(text(t, "README.md"), "| rule | model | code | tests | mutation |\n")
	if !found {
		t.Fatal("README.md has no table of what the code does")
	}
	rows := 0
	for _, line := range strings.Split(table, "\n")[1:] {
		columns := strings.Split(line, " | ")
		if len(columns) != 5 {
			break
		}
		rows++
		for _, label := range names(columns[1]) {
			if !regexp.MustCompile(`\b` + label + `\b`).MatchString(model) {
				t.Errorf("the model has no %s: %s", label, line)
			}
		}
		functions(t, columns[2])
		for _, test := range names(columns[3]) {
			if !slices.Contains(tests, test) {
				t.Errorf("there is no %s: %s", test, line)
			}
		}
		for _, mutation := range names(columns[4]) {
			if mutations != "" && !strings.Contains(mutations, `"`+mutation+`"`) {
				t.Errorf("internal/mutation has no %s: %s", mutation, line)
			}
		}
	}
	if rows < 20 {
		t.Errorf("the table has %d rows", rows)
	}
}

// functions makes sure that the functions named after each file are in it.
func functions(t *testing.T, column string) {
	source := ""
	for _, name := range names(column) {
		if strings.HasSuffix(name, ".go") {
			source = text(t, filepath.Join("..", name))
		} else if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name + `\(`).MatchString(source) {
			t.Errorf("no function %s in the file before it: %s", name, column)
		}
	}
	if source == "" {
		t.Errorf("no file in %q", column)
	}
}

func names(column string) []string {
	var all []string
	for _, m := range quoted.FindAllStringSubmatch(column, -1) {
		all = append(all, m[1])
	}
	return all
}

func testsOfTheProject(t *testing.T) []string {
	var tests []string
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(text(t, path), -1) {
				tests = append(tests, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func glob(t *testing.T, pattern string) []string {
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func text(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	all := strings.Split(strings.TrimSpace(text(t, file)), "\n")
	if len(all) < 2 {
		t.Fatalf("%s has %d lines", file, len(all))
	}
	return all
}
