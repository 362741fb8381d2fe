package check

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

const second = time.Second

// wrote parses registers: "a=1 b=2".
func wrote(text string) map[string]string {
	registers := map[string]string{}
	for _, word := range strings.Fields(text) {
		register, value, _ := strings.Cut(word, "=")
		registers[register] = value
	}
	return registers
}

func at(n, position, epoch uint64) persistence.Commit {
	return persistence.Commit{Transaction: persistence.TransactionNumber(n), Position: persistence.Position(position), Epoch: persistence.Epoch(epoch)}
}

// clientsSaw is a run of two leaders, as its clients saw it: each test changes it.
type clientsSaw struct {
	ops   []Op
	log   []Transaction
	final map[string]string
}

func rightRun() *clientsSaw {
	return &clientsSaw{
		ops: []Op{
			0: {Client: "1", Invoked: 1 * second, Returned: 2 * second, Outcome: Committed, Commit: at(1, 1, 1), Wrote: wrote("a=1 b=1")},
			1: {Client: "2", Invoked: 1 * second, Returned: 3 * second, Outcome: Committed, Commit: at(2, 1, 1), Wrote: wrote("a=2")},
			2: {Client: "3", Kind: Read, Invoked: 4 * second, Returned: 5 * second, Outcome: Committed, Saw: wrote("a=2 b=1")},
			3: {Client: "1", Invoked: 4 * second, Returned: 9 * second, Outcome: Unknown, Wrote: wrote("c=3")},
			4: {Client: "2", Invoked: 4 * second, Returned: -1, Wrote: wrote("c=4")},
			5: {Client: "3", Invoked: 6 * second, Returned: 9 * second, Outcome: Deposed, Wrote: wrote("b=5")},
			// A try of unknown outcome, and again.
			6:  {Client: "3", Key: "k", Invoked: 10 * second, Returned: 11 * second, Outcome: Unknown, Wrote: wrote("b=6")},
			7:  {Client: "3", Key: "k", Invoked: 12 * second, Returned: 13 * second, Outcome: Committed, Commit: at(4, 4, 2), Wrote: wrote("b=6")},
			8:  {Client: "1", Kind: Restore, Invoked: 14 * second, Returned: 15 * second, Outcome: Committed, Commit: at(5, 5, 2), Wrote: wrote("d=8")},
			9:  {Client: "1", Invoked: 16 * second, Returned: 17 * second, Outcome: Committed, Commit: at(6, 7, 3), Saw: wrote("d=8"), Wrote: wrote("d=9")},
			10: {Client: "2", Kind: Read, Invoked: 18 * second, Returned: 19 * second, Outcome: Committed, Commit: at(6, 0, 0), Saw: wrote("d=9")},
			11: {Client: "2", Kind: Read, Invoked: 18 * second, Returned: 19 * second, Outcome: Failed},
		},
		log: []Transaction{
			{Commit: at(1, 1, 1), Wrote: wrote("a=1 b=1")},
			{Commit: at(2, 1, 1), Wrote: wrote("a=2")},
			{Commit: at(3, 2, 1), Wrote: wrote("c=3")},
			{Commit: at(4, 4, 2), Key: "k", Wrote: wrote("b=6")},
			{Commit: at(5, 5, 2), Wrote: wrote("d=8"), Restore: true},
			{Commit: at(6, 7, 3), Wrote: wrote("d=9")},
		},
		final: wrote("d=9"),
	}
}

func TestClientsAcceptsARightRun(t *testing.T) {
	run := rightRun()
	r := Clients(run.ops, run.log, run.final)
	if r.Violations != nil {
		t.Errorf("violations: %v", r)
	}
	want := Report{Transactions: 8, Acknowledged: 5, Refused: 1, Landed: 1, Vanished: 1, Reads: 2}
	if got := *r; got.String() != want.String() || got.Acknowledged != 5 {
		t.Errorf("report is %v, want %v", &got, &want)
	}
}

// Each change of a right run breaks a rule, and that rule says so.
func TestClientsNoticesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		rule   string
		damage func(r *clientsSaw)
	}{
		"an acknowledged write is not there": {"lost", func(r *clientsSaw) {
			r.log[5].Wrote = map[string]string{}
			r.final = wrote("d=8")
		}},
		"the last one is not there":         {"lost", func(r *clientsSaw) { r.log, r.final = r.log[:5], wrote("d=8") }},
		"a restore is not there":            {"lost", func(r *clientsSaw) { r.log[4].Wrote = map[string]string{} }},
		"at another position":               {"moved", func(r *clientsSaw) { r.log[1].Position = 2 }},
		"in another epoch":                  {"moved", func(r *clientsSaw) { r.log[5].Epoch = 4 }},
		"two acknowledgements swapped":      {"moved", func(r *clientsSaw) { r.ops[0].Commit, r.ops[1].Commit = r.ops[1].Commit, r.ops[0].Commit }},
		"twice":                             {"doubled", func(r *clientsSaw) { r.log = append(r.log, Transaction{Commit: at(7, 8, 3), Wrote: wrote("d=9")}) }},
		"a retry took effect again":         {"doubled", func(r *clientsSaw) { r.log[2] = Transaction{Commit: at(3, 2, 1), Key: "k", Wrote: wrote("b=6")} }},
		"half of it":                        {"torn", func(r *clientsSaw) { delete(r.log[0].Wrote, "a") }},
		"told of one transaction":           {"two for one", func(r *clientsSaw) { r.ops[1].Commit = at(1, 1, 1) }},
		"a key of another":                  {"wrong key", func(r *clientsSaw) { r.log[3].Key = "l" }},
		"what was not committed is there":   {"resurrected", func(r *clientsSaw) { r.log[2].Wrote = wrote("b=5") }},
		"nobody wrote it":                   {"foreign", func(r *clientsSaw) { r.log[2].Wrote = wrote("c=7") }},
		"later in time, earlier in the log": {"reordered", func(r *clientsSaw) { r.ops[3].Invoked, r.ops[3].Returned = 14*second, 20*second }},
		"the answers say so too":            {"reordered", func(r *clientsSaw) { r.ops[0].Invoked, r.ops[0].Returned = 4*second, 5*second }},
		"a read of what was before":         {"stale", func(r *clientsSaw) { r.ops[2].Saw = wrote("a=1 b=1") }},
		"a read before another": {"stale", func(r *clientsSaw) {
			r.ops[3].Invoked = 0
			early, late := r.ops[2], r.ops[2]
			early.Saw = wrote("a=2 b=1 c=3")
			early.Client = "4"
			late.Invoked, late.Returned = 6*second, 7*second
			r.ops[2] = late
			r.ops = append(r.ops, early)
		}},
		"a read of what was to come":         {"future", func(r *clientsSaw) { r.ops[2].Saw = wrote("a=2 b=6 c=3") }},
		"a read of no state":                 {"impossible", func(r *clientsSaw) { r.ops[2].Saw = wrote("a=1 b=6") }},
		"a read of another number":           {"impossible", func(r *clientsSaw) { r.ops[10].Commit.Transaction = 5 }},
		"the work saw what was not":          {"impossible", func(r *clientsSaw) { r.ops[9].Saw = wrote("d=7") }},
		"a transaction is missing":           {"gap", func(r *clientsSaw) { r.log = append(r.log[:2], r.log[3:]...) }},
		"the final state has lost something": {"final", func(r *clientsSaw) { r.final = wrote("d=8") }},
	} {
		t.Run(name, func(t *testing.T) {
			run := rightRun()
			test.damage(run)
			if r := Clients(run.ops, run.log, run.final); r.Count(test.rule) == 0 {
				t.Errorf("%s was not noticed: %v", test.rule, r)
			}
		})
	}
}

// A log that does not reach back to the beginning is judged from where it begins.
func TestClientsWithTheBeginningCollected(t *testing.T) {
	run := rightRun()
	r := Clients(run.ops, run.log[3:], run.final)
	if r.Violations != nil || r.Covered != 2 || r.Undecided != 2 {
		t.Errorf("%v; %d covered, %d undecided, want 2 and 2", r, r.Covered, r.Undecided)
	}
	run.log[5].Position = 8
	if r := Clients(run.ops, run.log[3:], run.final); r.Count("moved") != 1 {
		t.Errorf("a move was not noticed: %v", r)
	}
}

func TestGatherTakesTheFirstAnswer(t *testing.T) {
	run := rightRun()
	again := run.ops[7]
	again.Invoked, again.Returned = 20*second, 21*second
	run.ops = append(run.ops, again)
	all := gather(run.ops)
	for _, tried := range all {
		if tried.ops[0].Key == "k" && (len(tried.ops) != 3 || tried.committed.Returned != 13*second) {
			t.Errorf("tries with one key are taken for %v", tried)
		}
	}
	if len(all) != 8 || !maps.Equal(all[7].wrote(), wrote("d=9")) {
		t.Errorf("gathered %v", all)
	}
}
