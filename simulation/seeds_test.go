package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

var seedFlag = flag.Uint64("seed", 0, "the seed that TestSeed runs; else the environment variable SIMULATION_SEED, or 1")

// number is that of an environment variable.
func number(t testing.TB, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSeed runs one seed, and prints all that happens.
func TestSeed(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = number(t, "SIMULATION_SEED", 1)
	}
	r := Run(t, seed)
	t.Logf("\n%s", r.Timeline)
	for _, v := range r.Violations {
		t.Error(v)
	}
}

// TestSeedRepeatsExactly runs seeds twice. What is told of a run has each request with
// the hash of its body, each answer, and each instant.
func TestSeedRepeatsExactly(t *testing.T) {
	first := number(t, "SIMULATION_FIRST", 1)
	for seed := first; seed < first+number(t, "SIMULATION_SEEDS", 8); seed++ {
		one, two := Run(t, seed), Run(t, seed)
		if one.Timeline == two.Timeline {
			continue
		}
		a, b := strings.Split(one.Timeline, "\n"), strings.Split(two.Timeline, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Errorf("seed %d did not repeat from line %d on:\n%s\nthe second time:\n%s", seed, i+1,
					strings.Join(a[max(0, i-10):min(i+5, len(a))], "\n"), strings.Join(b[i:min(i+5, len(b))], "\n"))
				break
			}
		}
	}
}

// summary is what a worker tells of a seed.
type summary struct {
	Seed                          uint64
	Violations                    []string
	Undecided                     bool
	Took, Lasted                  time.Duration
	Transactions, Entries, Epochs int
	Calls                         int
	Faults                        map[fault]int
	Incidents, Outlasting         map[incident]int
	Late                          map[kind]int
	Threats                       threats
}

// threats are the landings that the protocol is there for.
type threats struct {
	// BehindSeals are entries that landed when a seal had ended their epoch before them,
	// OnCollected what landed on a key of the log that had been collected.
	BehindSeals, OnCollected int
}

func threatsOf(h *check.History) (t threats) {
	sealed, collected := map[string]string{}, map[string]bool{}
	for _, l := range h.Landings {
		if !strings.HasPrefix(l.Key, "log/") {
			continue
		}
		epoch := path.Dir(l.Key)
		switch {
		case l.Body == nil:
			collected[l.Key] = true
			continue
		case collected[l.Key]:
			t.OnCollected++
		case sealed[epoch] != "" && sealed[epoch] < l.Key:
			t.BehindSeals++
		}
		if l.Body[kindAt] == sealKind && sealed[epoch] == "" {
			sealed[epoch] = l.Key
		}
	}
	return t
}

// worker is the environment variable that makes TestSeeds run its share of seeds only:
// first, step, number, and the file for the summaries.
const worker = "SIMULATION_WORKER"

// TestSeeds runs many seeds, in a process for each processor: one process runs one seed
// at a time.
func TestSeeds(t *testing.T) {
	if share := os.Getenv(worker); share != "" {
		runShare(t, share)
		return
	}
	began := time.Now()
	first, count := number(t, "SIMULATION_FIRST", 1), number(t, "SIMULATION_SEEDS", 30)
	all := runWorkers(t, first, count)
	report(t, first, count, all, time.Since(began))
}

func runWorkers(t *testing.T, first, count uint64) (all []summary) {
	workers := uint64(runtime.GOMAXPROCS(0))
	folder := t.TempDir()
	var mu sync.Mutex
	var running sync.WaitGroup
	for w := range min(workers, count) {
		running.Go(func() {
			file := filepath.Join(folder, strconv.FormatUint(w, 10))
			share := fmt.Sprintf("%d %d %d %s", first+w, workers, (count-w+workers-1)/workers, file)
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSeeds$", "-test.timeout=0")
			c.Env = append(os.Environ(), worker+"="+share, "GOMAXPROCS=1", "GOGC=400")
			output, err := c.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("a worker failed: %v\n%s", err, output)
			}
			all = append(all, readSummaries(t, file)...)
		})
	}
	running.Wait()
	return all
}

func readSummaries(t *testing.T, file string) (all []summary) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("a worker left nothing: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		var s summary
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Error(err)
			continue
		}
		all = append(all, s)
	}
	return all
}

// runShare is what a worker does.
func runShare(t *testing.T, share string) {
	var first, step, count uint64
	var file string
	if _, err := fmt.Sscan(share, &first, &step, &count, &file); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	encoder := json.NewEncoder(f)
	for i := range count {
		began := time.Now()
		r := Run(t, first+i*step)
		s := summary{Seed: r.Seed, Undecided: r.Checked.Undecided, Took: time.Since(began), Lasted: r.Lasted, Calls: len(r.History.Ops),
			Transactions: r.Checked.Transactions, Entries: r.Checked.Entries, Epochs: r.Checked.Epochs,
			Faults: r.Faults, Incidents: r.Incidents, Outlasting: r.Outlasting, Late: r.Late, Threats: threatsOf(r.History)}
		for _, v := range r.Violations {
			s.Violations = append(s.Violations, v.String())
		}
		if len(r.Violations) > 0 {
			if err := os.WriteFile(timelineFile(r.Seed), []byte(r.Timeline), 0o644); err != nil {
				t.Error(err)
			}
		}
		if err := encoder.Encode(s); err != nil {
			t.Fatal(err)
		}
	}
}

// timelineFile is where the timeline of a seed that found something is kept.
func timelineFile(seed uint64) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("simulation-seed-%d.txt", seed))
}

// repeat is the command that shows a seed again.
func repeat(seed uint64) string {
	return fmt.Sprintf("go test ./simulation -run 'TestSeed$' -v -seed %d", seed)
}

// lastLines is how much of a timeline is printed.
const lastLines = 60

func sum[K comparable](total, more map[K]int) {
	for k, n := range more {
		total[k] += n
	}
}

// report prints what was found, and keeps what was tried.
func report(t *testing.T, first, count uint64, all []summary, took time.Duration) {
	var total summary
	total.Faults, total.Incidents, total.Outlasting, total.Late = map[fault]int{}, map[incident]int{}, map[incident]int{}, map[kind]int{}
	undecided := 0
	var found []string
	for _, s := range all {
		total.Took += s.Took
		total.Lasted += s.Lasted
		total.Transactions += s.Transactions
		total.Entries += s.Entries
		total.Epochs += s.Epochs
		total.Calls += s.Calls
		sum(total.Faults, s.Faults)
		sum(total.Incidents, s.Incidents)
		sum(total.Outlasting, s.Outlasting)
		sum(total.Late, s.Late)
		total.Threats.BehindSeals += s.Threats.BehindSeals
		total.Threats.OnCollected += s.Threats.OnCollected
		if s.Undecided {
			undecided++
		}
		if len(s.Violations) > 0 {
			found = append(found, fmt.Sprintf("seed %d: %s", s.Seed, s.Violations[0]))
			timeline, _ := os.ReadFile(timelineFile(s.Seed))
			lines := strings.Split(string(timeline), "\n")
			t.Errorf("seed %d; again by: %s\n%s\nthe timeline, all of it in %s, ends so:\n%s", s.Seed, repeat(s.Seed),
				strings.Join(s.Violations, "\n"), timelineFile(s.Seed), strings.Join(lines[max(0, len(lines)-lastLines):], "\n"))
		}
	}
	if uint64(len(all)) != count {
		t.Errorf("%d of %d seeds were run", len(all), count)
	}
	t.Logf("%d seeds, %v of virtual time in %v of processors': %d calls, %d transactions in %d entries, %d epochs; %d undecided",
		len(all), total.Lasted.Round(time.Second), total.Took.Round(time.Millisecond), total.Calls, total.Transactions, total.Entries, total.Epochs, undecided)
	runs := evidence.Table{Title: "Runs", Header: []string{"seeds", "virtual time", "calls of clients", "transactions", "entries", "epochs", "not decided by porcupine"}}
	runs.Add(fmt.Sprintf("%d to %d", first, first+count-1), total.Lasted.Round(time.Second), total.Calls, total.Transactions, total.Entries, total.Epochs, undecided)
	requests := evidence.Table{Title: "What happened to requests", Header: []string{"what", "times"}}
	for _, f := range counted {
		requests.Add(f, total.Faults[f])
	}
	for _, k := range kinds {
		requests.Add(fmt.Sprintf("%s late", k), total.Late[k])
	}
	requests.Add("landed behind the seal of its epoch", total.Threats.BehindSeals)
	requests.Add("landed on a key that had been collected", total.Threats.OnCollected)
	processes := evidence.Table{Title: "What happened to processes", Header: []string{"what", "times", "of these for longer than the lease"}}
	for _, i := range incidents {
		longer := ""
		if i.lasts() {
			longer = strconv.Itoa(total.Outlasting[i])
		}
		processes.Add(i, total.Incidents[i], longer)
	}
	if err := evidence.Save(evidence.Result{Suite: "simulation", Command: fmt.Sprintf("make simulate SEEDS=%d", count), Began: time.Now().Add(-took), Took: took,
		Tables: []evidence.Table{runs, requests, processes}, Found: found}); err != nil {
		t.Error(err)
	}
}
