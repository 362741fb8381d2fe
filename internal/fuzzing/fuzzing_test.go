package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Each fuzzer of the module is found, and only those.
func TestFuzzersAreFound(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"a/x_test.go":          "package a\n\nfunc FuzzOne(f *testing.F) {\n}\nfunc FuzzTwo(f *testing.F) {}\n// func FuzzNone(f *testing.F)\nfunc helper(f *testing.F)\n",
		"a/x.go":               "package a\nfunc FuzzNone(f *testing.F) {}\n",
		"a/b/y_test.go":        "func FuzzOne(f *testing.F) {}",
		"other/go.mod":         "module other",
		"other/z_test.go":      "func FuzzNone(f *testing.F) {}",
		".cache/z_test.go":     "func FuzzNone(f *testing.F) {}",
		"a/testdata/z_test.go": "func FuzzNone(f *testing.F) {}",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	found, err := find(".", "")
	want := []fuzzer{{"./a", "FuzzOne"}, {"./a", "FuzzTwo"}, {"./a/b", "FuzzOne"}}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("%v, %v; want %v", found, err, want)
	}
	if found, _ = find(".", "a.FuzzTwo"); len(found) != 1 || found[0].slug() != "a" {
		t.Errorf("%v", found)
	}
}

// The end of its time is no finding.
func TestEndOfTheTimeIsNoFinding(t *testing.T) {
	late := progress{err: errors.New("exit status 1")}
	if _, err := late.Write([]byte("--- FAIL: FuzzLease (600.75s)\n    context deadline exceeded\nFAIL\n")); err != nil || late.failed() {
		t.Errorf("%v; it failed: %s", err, late.finding())
	}
	late.input = "testdata/fuzz/FuzzLease/771e"
	if !late.failed() || !(&progress{err: late.err, last: "it does not build"}).failed() {
		t.Error("a finding is none")
	}
}

// What the tool reports is what the fuzzer printed, whichever way the bytes come.
func TestProgressIsRead(t *testing.T) {
	var p progress
	text := "fuzz: elapsed: 3s, execs: 102 (34/sec), new interesting: 5 (total: 90)\n" +
		"--- FAIL: FuzzLease (0.02s)\n    fuzz_test.go:52: it was broken\n    Failing input written to testdata/fuzz/FuzzLease/771e\nFAIL\n"
	for i := range len(text) {
		if _, err := p.Write([]byte{text[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if p.executions != 102 || p.interesting != 5 || p.finding() != "fuzz_test.go:52: it was broken (testdata/fuzz/FuzzLease/771e)" {
		t.Errorf("%+v, %s", p, p.finding())
	}
}
