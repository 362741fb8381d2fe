package chaos_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

// judge compares what everybody was told with the log, and the log with what is there.
func (c *chaos) judge() {
	c.begins("the verdict")
	final, number := c.finalState()
	c.allHave(final, number)
	c.whole()
	c.healthy()
	log, at, seals := c.archive.history()
	if at.Transaction != number {
		c.problem("the archive ends with transaction %d, the store with %d", at.Transaction, number)
	}
	ops := c.told()
	report := check.Clients(ops, log, final)
	for _, v := range report.Violations {
		c.problem("%v", v)
	}
	c.judgeRestores(log)
	sightings := c.judgeSightings(log)
	fmt.Println(report)
	c.save(report, at, seals, sightings)
}

// told is all that clients were told.
func (c *chaos) told() []check.Op {
	var ops []check.Op
	for _, client := range slices.Concat(c.clients, c.probers) {
		ops = append(ops, client.ops...)
	}
	return ops
}

// finalState recovers the state from the bucket, by the command, and waits until the
// archive has all of it.
func (c *chaos) finalState() (map[string]string, persistence.TransactionNumber) {
	stdout, stderr, status := servers.Run(c, nil, "state", "hosts", "--output", "json", "--store", c.minio.BucketURL("cells", cellURL))
	if status != 0 {
		c.problem("state: %s", stderr)
		return nil, 0
	}
	var state struct {
		Transaction persistence.TransactionNumber
	}
	if err := json.Unmarshal([]byte(stdout), &state); err != nil {
		c.problem("state: %v", err)
	}
	registers, err := registersOf([]byte(stdout))
	if err != nil {
		c.problem("state: %v", err)
	}
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(archivePoll) {
		if _, at, _ := c.archive.history(); at.Transaction >= state.Transaction {
			break
		}
	}
	return registers, state.Transaction
}

// catchUp is how long a process may take to show the final state: one whose next entry was
// collected before it had read it, as nothing spares slow readers here, finds that out when
// it looks for a newer snapshot, which it does slowly while it is idle.
const catchUp = 150 * time.Second

// allHave makes sure that every process shows the final state, and would recover it.
func (c *chaos) allHave(final map[string]string, number persistence.TransactionNumber) {
	for _, of := range append([]reader{c.follower}, readers(c.slots)...) {
		var got map[string]string
		var n persistence.TransactionNumber
		name, url := of.where()
		for began := time.Now(); n != number && time.Since(began) < catchUp; time.Sleep(archivePoll) {
			got, n, _ = ask(c.Context(), http.MethodGet, url, "/v1/hosts", nil, nil).registers(c)
		}
		if n != number || !maps.Equal(got, final) {
			c.problem("%s has at the end transaction %d with %v; the bucket has %d with %v", name, n, got, number, final)
		}
		a := ask(c.Context(), http.MethodPost, url, "/v1/rehearsals", nil, nil)
		rehearsed(c, a.body)
	}
}

// whole makes sure that every bit is there.
func (c *chaos) whole() {
	stdout, stderr, status := servers.Run(c, nil, "log", "verify", "--store", c.minio.BucketURL("cells", cellURL))
	if status != 0 {
		c.problem("log verify: %s%s", stdout, stderr)
	}
}

// What a daemon may have when nothing is asked of it any more.
const (
	mostGoroutines = 100
	mostFiles      = 100
)

// healthy makes sure that no daemon has ended by itself, panicked, or keeps what it should
// have let go.
func (c *chaos) healthy() {
	c.pauseForIdle()
	for _, s := range c.slots {
		s.mu.Lock()
		for _, name := range s.crashes {
			c.problem("%s ended by itself", name)
		}
		s.mu.Unlock()
		_, url, _ := s.running()
		a := ask(c.Context(), http.MethodGet, url, "/metrics", nil, nil)
		for name, most := range map[string]float64{"go_goroutines": mostGoroutines, "process_open_fds": mostFiles} {
			var got float64
			for line := range strings.Lines(string(a.body)) {
				if value, ok := strings.CutPrefix(line, name+" "); ok {
					_, _ = fmt.Sscan(value, &got)
				}
			}
			if got == 0 || got > most {
				c.problem("%s: %s is %v, want %v at most", s.name, name, got, most)
			}
		}
		log, err := os.ReadFile(s.log.Name())
		if err != nil {
			c.problem("%v", err)
		}
		for _, bad := range []string{"panic", "fatal error", "DATA RACE"} {
			if bytes.Contains(log, []byte(bad)) {
				c.problem("the log of %s has %q", s.name, bad)
			}
		}
	}
}

// pauseForIdle gives connections that nobody uses any more time to go.
func (c *chaos) pauseForIdle() {
	httpClient.CloseIdleConnections()
	time.Sleep(time.Second)
}

// judgeRestores makes sure that restores which were acknowledged are in the log, and
// behind all that was acknowledged before they were asked for.
func (c *chaos) judgeRestores(log []check.Transaction) {
	before := slices.DeleteFunc(c.told(), func(op check.Op) bool { return op.Kind != check.Write || op.Outcome != check.Committed })
	for _, told := range c.keeper.replaced {
		n := int(told.commit.Transaction)
		if n > len(log) || !log[n-1].Restore || log[n-1].Commit != told.commit {
			c.problem("a restore was acknowledged as %+v, and is not there", told.commit)
		}
		for _, op := range before {
			if op.Returned < told.invoked && op.Commit.Transaction >= told.commit.Transaction {
				c.problem("a restore is transaction %d, though %v was answered before", n, &op)
			}
		}
	}
}

// judgeSightings makes sure that each state that a process showed is one of the history.
// It returns how many there were.
func (c *chaos) judgeSightings(log []check.Transaction) int {
	var all []sighting
	for _, w := range c.sheets {
		all = append(all, w.seen...)
	}
	slices.SortFunc(all, func(a, b sighting) int { return cmp.Compare(a.number, b.number) })
	state, n := map[string]string{}, 0
	for _, s := range all {
		for ; n < int(s.number) && n < len(log); n++ {
			if log[n].Restore {
				clear(state)
			}
			maps.Copy(state, log[n].Wrote)
		}
		if n != int(s.number) || !maps.Equal(state, s.saw) {
			c.problem("%s showed %v as the state of transaction %d, which is %v (the log has %d)", s.process, s.saw, s.number, state, len(log))
		}
	}
	return len(all)
}

// copyStore copies the bucket into the folder.
func (c *chaos) copyStore() {
	for info, err := range c.archive.bucket.List(context.Background(), "", "") {
		if err != nil {
			c.Log(err)
			return
		}
		object, err := c.archive.bucket.Get(context.Background(), info.Key)
		if err != nil {
			c.Log(err)
			continue
		}
		path := filepath.Join(c.folder, "store", filepath.FromSlash(info.Key))
		_ = os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, object.Data, 0o600); err != nil {
			c.Log(err)
		}
	}
	text, err := json.MarshalIndent(c.evidence(), "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(c.folder, "told.json"), text, 0o600)
	}
	if err != nil {
		c.Log(err)
	}
}

// evidence is all that everybody was told, and the log.
func (c *chaos) evidence() any {
	log, _, _ := c.archive.history()
	return map[string]any{"ops": c.told(), "log": log, "restores": c.keeper.replaced, "problems": c.problems}
}
