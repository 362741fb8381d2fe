// Package observability tests what Prometheus and Grafana are given, with a real
// Prometheus and real daemons.
package observability

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

const (
	rulesFile     = "../../deploy/prometheus/alerts.yaml"
	testsFile     = "../../deploy/prometheus/alerts_test.yaml"
	dashboardFile = "../../deploy/grafana/scheduler-store.json"
	job           = "prod"
)

// promtool runs promtool, which must find nothing wrong.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	c := exec.Command(servers.Promtool(t), args...)
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Logf("promtool %s:\n%s", strings.Join(args, " "), out)
}

func TestAlertRules(t *testing.T) {
	promtool(t, "", "check", "rules", rulesFile)
	promtool(t, "", "test", "rules", testsFile)
}

// query is one of the dashboard's.
type query struct{ panel, expr string }

// queries are all of the dashboard's, as Grafana would send them.
func queries(t *testing.T) []query {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []query
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$job", job, "$__rate_interval", "30s").Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s has a variable that is not known here: %s", p.Title, expr)
			}
			all = append(all, query{p.Title, expr})
		}
	}
	if len(all) < 50 {
		t.Fatalf("the dashboard has %d queries only", len(all))
	}
	return all
}

// rule is one as Prometheus tells of it.
type rule struct {
	Name, Query, Type, Health, LastError, State string
}

func rules(t *testing.T, p *servers.Prometheus) []rule {
	t.Helper()
	var data struct{ Groups []struct{ Rules []rule } }
	if err := p.API("rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// selector finds the metrics that an expression asks for, with their labels.
var selector = regexp.MustCompile(`\b(?:scheduler_store[_:][a-z_:]+|up)\b(?:\{[^}]*\})?`)

// The cell of this test lives: two daemons, tasks that are written all the while,
// snapshots, a backup, a collection, a rehearsal and a fail-over. Then every panel of
// the dashboard has something to show, every alert has what it needs to fire, and none
// fires. When all daemons are gone, the ones that must fire do begin to.
func TestDashboardAndAlertsHaveTheirData(t *testing.T) {
	store := "file://" + t.TempDir()
	args := []string{"--lease-ttl", "3s", "--backups", "file://" + t.TempDir()}
	first := servers.StartDaemon(t, store, args...)
	first.WaitFor("/leaderz", http.StatusOK)
	second := servers.StartDaemon(t, store, args...)
	second.WaitFor("/readyz", http.StatusOK)
	path, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	p := servers.StartPrometheus(t, job, path, first, second)

	var leader atomic.Pointer[servers.Daemon]
	leader.Store(first)
	stop, written := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				written <- n
				return
			default:
				_, _, _ = leader.Load().Save(fmt.Sprint("task-", n)) // fails during the fail-over
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	upkeep(t, first)
	waitFor(t, "Prometheus to have seen the first leader", func() bool { return holds(p, `scheduler_store_leader{job="prod"} == 1`) })
	first.Signal(syscall.SIGTERM)
	<-first.Ended()
	second.WaitFor("/leaderz", http.StatusOK)
	leader.Store(second)
	third := servers.StartDaemon(t, store, args...) // not scraped: it keeps the cell alive below
	third.WaitFor("/readyz", http.StatusOK)
	upkeep(t, second)

	var without []query
	waitFor(t, "each query of the dashboard to return data", func() bool {
		without = slices.DeleteFunc(queries(t), func(q query) bool { return hasData(t, p, q.expr) })
		return len(without) == 0
	}, func() {
		for _, q := range without {
			t.Errorf("%s: no data from %s", q.panel, q.expr)
		}
	})
	t.Logf("%d queries of the dashboard return data", len(queries(t)))
	close(stop)
	t.Logf("%d transactions were tried", <-written)

	inputs := map[string]bool{}
	for _, r := range rules(t, p) {
		if r.Health != "ok" || r.LastError != "" {
			t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
		}
		if r.State == "firing" {
			t.Errorf("%s fires, though nothing is wrong", r.Name)
		}
		for _, input := range selector.FindAllString(r.Query, -1) {
			inputs[input] = true
			if samples, err := p.Query(input); err != nil || len(samples) == 0 {
				t.Errorf("%s needs %s, of which there is none (%v)", r.Name, input, err)
			}
		}
	}
	t.Logf("%d inputs of alerts and rules are there", len(inputs))

	status, exposition, err := second.Get("/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	promtool(t, exposition, "check", "metrics")

	second.Kill()
	third.Kill()
	for _, name := range []string{"SchedulerStoreNoLeader", "SchedulerStoreProcessDown"} {
		waitFor(t, name+" to begin to fire", func() bool {
			return slices.ContainsFunc(rules(t, p), func(r rule) bool { return r.Name == name && r.State != "inactive" })
		})
	}
}

// upkeep has the leader do once what it does by itself now and then.
func upkeep(t *testing.T, d *servers.Daemon) {
	t.Helper()
	if status, body, err := d.Save("upkeep"); err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	for _, path := range []string{"/v1/snapshots", "/v1/backups", "/v1/gc", "/v1/rehearsals"} {
		status, body, err := d.Do(http.MethodPost, path, []byte("{}"), nil)
		if err != nil || status/100 != 2 || strings.Contains(body, `"problem"`) {
			t.Fatalf("POST %s: %d %s %v", path, status, body, err)
		}
	}
}

// hasData tells whether an expression has a value that is a number.
func hasData(t *testing.T, p *servers.Prometheus, expr string) bool {
	samples, err := p.Query(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return slices.ContainsFunc(samples, func(s servers.Sample) bool { return s.Value[1] != "NaN" })
}

func holds(p *servers.Prometheus, expr string) bool {
	samples, err := p.Query(expr)
	return err == nil && len(samples) > 0
}

// waitFor waits for what must come within a minute; else it calls why.
func waitFor(t *testing.T, what string, done func() bool, why ...func()) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, f := range why {
				f()
			}
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The metrics of a store of its own, without a Prometheus.
func TestPromtoolFindsWhatIsWrong(t *testing.T) {
	c := exec.Command(servers.Promtool(t), "check", "metrics")
	c.Stdin = bytes.NewReader([]byte("# TYPE scheduler_store_wrongName counter\nscheduler_store_wrongName 1\n"))
	if out, err := c.CombinedOutput(); err == nil {
		t.Errorf("promtool finds nothing wrong with a counter without help that is named in camel case:\n%s", out)
	}
}
