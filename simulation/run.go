package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/clock"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

// candidates is the number of processes that campaign.
const candidates = 3

// Result is what came of a run.
type Result struct {
	Seed       uint64
	Profile    string
	Timeline   string
	History    *check.History
	Violations []check.Violation
	Checked    *check.Result
	// Lasted is how long it took in virtual time.
	Lasted time.Duration
	// Faults and Incidents are how often each happened, Outlasting how often an incident was
	// to last for longer than the lease, Late how many requests of a kind came late.
	Faults                map[fault]int
	Incidents, Outlasting map[incident]int
	Late                  map[kind]int
}

// run is one run.
type run struct {
	*loop
	rand      *rand.Rand
	profile   profile
	network   *network
	processes []*process
	clients   []*client
	timeline  *timeline
	// Of the Result.
	faults                map[fault]int
	incidents, outlasting map[incident]int
	late                  map[kind]int

	bursting bool // the store fails
	healed   bool // no more faults
	quiet    bool // clients call no more
	over     bool // nothing is begun any more
	// committed is when the newest write was begun of those that are durable.
	committed time.Duration

	goroutines sync.WaitGroup
	mu         sync.Mutex
	history    check.History // of the driver, or with mu
	finished   []finished    // since the driver last looked
}

// finished is what a goroutine has the driver do.
type finished struct {
	who string
	do  func()
}

// Run runs a seed.
func Run(t *testing.T, seed uint64) *Result {
	defer (&names{seed: seed, drawn: map[[32]byte]uint64{}}).use()()
	var result *Result
	synctest.Test(t, func(*testing.T) { result = newRun(seed).all(seed) })
	result.Checked = check.CheckWith(result.History, check.Options{})
	result.Violations = append(result.Violations, result.Checked.Violations...)
	return result
}

func newRun(seed uint64) *run {
	r := &run{loop: newLoop(), rand: rand.New(rand.NewPCG(seed, 0)), committed: -1,
		faults: map[fault]int{}, incidents: map[incident]int{}, outlasting: map[incident]int{}, late: map[kind]int{}}
	r.timeline = &timeline{loop: r.loop}
	r.profile = r.drawProfile()
	r.network = newNetwork(r)
	for i := range candidates + r.profile.followers {
		p := &process{run: r, name: string(rune('a' + i)), reign: -1, clock: clock.New(r.profile.gains[i])}
		if i >= candidates {
			p.name, p.readOnly = fmt.Sprintf("follow%d", i-candidates), true
		}
		r.processes = append(r.processes, p)
	}
	for i := range r.profile.clients {
		r.clients = append(r.clients, &client{run: r, name: fmt.Sprintf("c%d", i)})
	}
	return r
}

// all runs from the first instant to the last.
func (r *run) all(seed uint64) *Result {
	r.timeline.add("seed", "%d: %s", seed, r.profile.String())
	if r.profile.window > 0 {
		r.makeCell()
	}
	for _, p := range r.processes {
		r.after(r.between(0, 2*time.Second), p.start)
	}
	for _, c := range r.clients {
		c.callLater()
	}
	r.planIncidents()
	r.until(r.profile.length, r.take, func() bool { return false })
	violations := r.heal()
	r.stop()
	return &Result{Seed: seed, Profile: r.profile.String(), Timeline: r.timeline.text.String(), History: &r.history,
		Violations: violations, Faults: r.faults, Incidents: r.incidents, Outlasting: r.outlasting, Late: r.late, Lasted: r.now()}
}

// makeCell makes a cell with a window of its own.
func (r *run) makeCell() {
	data, err := checked.Encode(&blob.Cell{Format: 1, ID: persistence.NewWriterID().String(), Window: r.profile.window,
		Made: time.Now().UTC().Truncate(time.Millisecond)})
	if err != nil {
		panic(err)
	}
	r.network.store.Put("cell.json", data)
	r.network.landed("", "cell.json", data, false)
}

// take takes what goroutines have for the driver, in an order that does not depend on
// which of them ran first.
func (r *run) take() {
	r.timeline.take()
	r.mu.Lock()
	all := r.finished
	r.finished = nil
	r.mu.Unlock()
	slices.SortStableFunc(all, func(a, b finished) int { return cmp.Compare(a.who, b.who) })
	for _, f := range all {
		f.do()
	}
	r.network.take()
}

// finish has the driver do something, after all goroutines have come to wait.
func (r *run) finish(who string, do func()) {
	r.mu.Lock()
	r.finished = append(r.finished, finished{who, do})
	r.mu.Unlock()
	r.tell()
}

// tellAll adds to the history.
func (r *run) tellAll(add func(*check.History)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.history)
}

func (r *run) count(f fault) { r.faults[f]++ }

// How long a cluster may take to be whole again: a follower that could not go on looks
// again after half a minute at the latest, and the last lease runs out meanwhile.
const (
	healsWithin   = 2 * time.Minute
	reopensWithin = time.Minute
	// One that stands before a key that was collected finds that out when it looks again.
	followsWithin = blob.DefaultCheckEnd + time.Minute
)

// heal ends all faults. Then there must be a leader soon that takes writes, a process that
// knows nothing must find everything, and none may be left behind.
func (r *run) heal() (violations []check.Violation) {
	r.timeline.add("seed", "the faults end")
	r.healed, r.bursting = true, false
	for _, p := range r.processes {
		p.mute, p.deaf, p.denied, p.slow = false, false, false, 0
		if p.frozen {
			p.thaw()
		}
		if !p.running {
			p.start()
		}
	}
	if r.history.Damaged { // who refuses to go on is right
		return nil
	}
	healed := r.now()
	r.until(healed+healsWithin, r.take, func() bool { return r.committed >= healed })
	if r.committed < healed {
		violations = append(violations, check.Violation{Rule: "heals", At: r.now(), Text: fmt.Sprintf("no write was committed within %v after the faults had ended", healsWithin)})
	}
	r.quiet = true
	last := &process{run: r, name: "last", readOnly: true, reign: -1}
	r.processes = append(r.processes, last)
	last.start()
	var end persistence.TransactionNumber
	opened := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		i := slices.IndexFunc(r.history.States, func(s check.State) bool { return s.Kind == check.Opened && s.Process == "last#1" })
		if i >= 0 {
			end = r.history.States[i].Point.Transaction
		}
		return i >= 0
	}
	r.until(r.now()+reopensWithin, r.take, opened)
	if !opened() {
		violations = append(violations, check.Violation{Rule: "heals", At: r.now(), Text: fmt.Sprintf("a new process did not recover within %v after the faults had ended", reopensWithin)})
	}
	behind := func() int { return slices.IndexFunc(r.processes, func(p *process) bool { return !p.has(end) }) }
	r.until(r.now()+followsWithin, r.take, func() bool { return behind() < 0 })
	if i := behind(); i >= 0 {
		violations = append(violations, check.Violation{Rule: "heals", At: r.now(), Text: fmt.Sprintf("%s did not come to transaction %d within %v", r.processes[i].link.name, end, followsWithin)})
	}
	return violations
}

// stop ends everything that runs.
func (r *run) stop() {
	r.over = true
	for _, p := range r.processes {
		if p.running {
			r.kill(p.link)
		}
	}
	ended := make(chan struct{})
	go func() {
		r.goroutines.Wait()
		close(ended)
		r.tell()
	}()
	r.until(r.now()+time.Hour, r.take, func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	for _, c := range r.clients {
		if c.open != nil {
			c.unheard(c.open)
		}
	}
	r.timer.Stop()
}
