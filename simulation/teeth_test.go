//go:build mutations

package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
)

// teethWithin is the number of seeds within which each mutation must be found.
const teethWithin = 300

// bite is what became of one mutation's seeds.
type bite struct {
	Seed       uint64
	Violations []string // of the last seed; none if it came to its end
}

func (b bite) caught() bool { return len(b.Violations) > 0 }

// rule is the short name of what was found first.
func (b bite) rule() string {
	if !b.caught() {
		return ""
	}
	if _, rest, ok := strings.Cut(b.Violations[0], ": "); ok {
		rule, _, _ := strings.Cut(rest, ":")
		return rule
	}
	return b.Violations[0]
}

// bites is the environment variable that makes TestTeeth run seeds until one finds
// something: the first, how many at most, and the file for what it has found.
const bites = "SIMULATION_TEETH_WORKER"

// TestTeeth breaks one rule after another, and runs seeds until one notices. Without any
// of that, no seed finds anything: what is found is due to the rule.
//
// Each runs in a process of its own, which a broken rule may bring down.
func TestTeeth(t *testing.T) {
	if share := os.Getenv(bites); share != "" {
		biteUntilCaught(t, share)
		return
	}
	began, first := time.Now(), number(t, "SIMULATION_FIRST", 1)
	only := os.Getenv("SIMULATION_TEETH")
	tried := slices.DeleteFunc(slices.Clone(mutation.All), func(name mutation.Name) bool {
		return only != "" && !slices.Contains(strings.Split(only, ","), string(name))
	})
	if len(tried) == 0 {
		t.Fatalf("SIMULATION_TEETH is %q, and has none of %q", only, mutation.All)
	}
	results := make([]bite, len(tried))
	var running sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, name := range tried {
		running.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			results[i] = biteWith(t, name, first, number(t, "SIMULATION_SEEDS", teethWithin))
			t.Logf("%-28s %4d seeds  %s", name, results[i].Seed-first+1, strings.Join(results[i].Violations[:min(1, len(results[i].Violations))], ""))
		})
	}
	running.Wait()
	table := evidence.Table{Title: fmt.Sprintf("Rules that were broken, each to be found within %d seeds", teethWithin), Header: []string{"mutation", "seeds needed", "rule that was found to be violated"}}
	var missed []string
	most := uint64(1)
	for i, name := range tried {
		if !results[i].caught() {
			missed = append(missed, fmt.Sprintf("%s was not found in %d seeds", name, results[i].Seed-first+1))
			continue
		}
		most = max(most, results[i].Seed-first+1)
		table.Add(name, results[i].Seed-first+1, results[i].rule())
	}
	whole := biteWith(t, "", first, most)
	if whole.caught() {
		missed = append(missed, fmt.Sprintf("with no rule broken, seed %d finds: %s", whole.Seed, whole.Violations[0]))
	}
	for _, text := range missed {
		t.Error(text)
	}
	if err := evidence.Save(evidence.Result{Suite: "mutations", Command: "make teeth", Began: began, Took: time.Since(began),
		Tables: []evidence.Table{table}, Found: missed}); err != nil {
		t.Error(err)
	}
}

// biteWith runs seeds with a rule broken; with none if it has no name.
func biteWith(t *testing.T, name mutation.Name, first, limit uint64) bite {
	file := filepath.Join(t.TempDir(), "bite")
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTeeth$", "-test.timeout=0")
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", bites, first, limit, file), mutation.Variable+"="+string(name), "GOMAXPROCS=1")
	output, failed := c.CombinedOutput()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%s: %v, %v\n%s", name, failed, err, output)
		return bite{Seed: first - 1}
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	var b bite
	if err := json.Unmarshal(lines[len(lines)-1], &b); err != nil {
		t.Errorf("%s: %v, %v\n%s", name, failed, err, output)
	}
	if failed != nil && !b.caught() { // the process came to grief in it, or was ended by another
		_, text, panicked := strings.Cut(string(output), "panic: ")
		if !panicked {
			t.Errorf("%s: the worker ended: %v\n%s", name, failed, output)
			return b
		}
		text, _, _ = strings.Cut(text, "\n")
		b.Violations = []string{"0s: panic: " + text}
	}
	return b
}

// biteUntilCaught is what such a process does. It says which seed it runs before it does.
func biteUntilCaught(t *testing.T, share string) {
	var first, limit uint64
	var file string
	if _, err := fmt.Sscan(share, &first, &limit, &file); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	encoder := json.NewEncoder(f)
	for b := (bite{Seed: first}); b.Seed < first+limit && !b.caught(); b.Seed++ {
		if err := encoder.Encode(b); err != nil {
			t.Fatal(err)
		}
		r := Run(t, b.Seed)
		for _, v := range r.Violations {
			b.Violations = append(b.Violations, v.String())
		}
		if err := encoder.Encode(b); err != nil {
			t.Fatal(err)
		}
		if b.caught() {
			return
		}
	}
}
