package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// A suite gets its share of what is left, so that one that was fast leaves its time to
// the others, and one that was slow takes it from them.
func TestTimeIsDivided(t *testing.T) {
	all := []suite{{weight: 0}, {weight: 1}, {weight: 3}}
	for i, c := range []struct{ left, want time.Duration }{{time.Hour, 0}, {40 * time.Minute, 10 * time.Minute}, {time.Minute, time.Minute}, {-time.Minute, 0}} {
		if got := share(all[min(i, 2):], c.left); got != c.want {
			t.Errorf("%d: %v of %v, want %v", i, got, c.left, c.want)
		}
	}
}

// A report tells of what was run, of what failed, and of what was not run.
func TestReport(t *testing.T) {
	folder, root := t.TempDir(), t.TempDir()
	t.Setenv(evidence.Directory, folder)
	table := evidence.Table{Title: "Outcomes", Header: []string{"kind", "n"}}
	table.Add("a|b", 7)
	if err := evidence.Save(evidence.Result{Suite: "damage", Command: "make damage", Took: 3 * time.Second, Tables: []evidence.Table{table}, Found: []string{"seed 5"}}); err != nil {
		t.Fatal(err)
	}
	makefile := "damage:\n\ttrue\nfuzz:\n\t@echo $(FUZZTIME) $$SCHEDULER_STORE_EVIDENCE >ran; false\n"
	if err := os.WriteFile(filepath.Join(root, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(root, "report.md")
	failed, err := report(t.Context(), root, folder, out, time.Hour, "fuzz")
	if err != nil || len(failed) != 1 || failed[0] != "fuzz" {
		t.Fatalf("%v, %v", failed, err)
	}
	ran, err := os.ReadFile(filepath.Join(root, "ran"))
	if err != nil {
		t.Fatal(err)
	}
	// As many fuzzers run at once as there are processors, and together they get the hour.
	each, environment, _ := strings.Cut(string(ran), " ")
	took, err := time.ParseDuration(each)
	if all := took * fuzzers / time.Duration(runtime.GOMAXPROCS(0)); err != nil || (all-time.Hour).Abs() > time.Minute && took != 10*time.Second || !strings.HasPrefix(environment, folder) {
		t.Errorf("ran with %q, %v in all, %v", ran, all, err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| [Damage](#damage) | 0001-01-01 | 3s | 1 |", `| a\|b | 7 |`, "- seed 5", "| [Fuzzing](#fuzzing) | not run |  | (failed) |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	// A suite that leaves no result does not pass for one that did earlier.
	if _, err := report(t.Context(), root, folder, out, time.Hour, "damage"); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(out); err != nil || !strings.Contains(string(text), "| [Damage](#damage) | not run |") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := report(t.Context(), root, folder, out, time.Hour, "fuz"); err == nil || !strings.Contains(err.Error(), "model, mutations") {
		t.Errorf("a suite that is none: %v", err)
	}
}
