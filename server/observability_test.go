package server

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

var updateTable = flag.Bool("update", false, "write the table of metrics into docs/observability.md")

func readFile(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// allMetrics are those that a daemon registers, which reads and writes a bucket over HTTP.
func allMetrics(t *testing.T) (described, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	d := described{registry, map[string]string{}, map[string][]string{}}
	c := newCell(t)
	_ = bucket.New(c.mem, "mem://metrics", "", bucket.Options{Registerer: d})
	_ = httpretry.New(httpretry.Options{Registerer: d})
	h := c.leader("one", Options{Registerer: d})
	h.commit(save("a"))
	return d, registry
}

var alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)

func alerts(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, found := range alertName.FindAllStringSubmatch(readFile(t, "deploy", "prometheus", "alerts.yaml"), -1) {
		names = append(names, found[1])
	}
	if len(names) == 0 {
		t.Fatal("there are no alerts")
	}
	return names
}

// Whoever is woken finds what to do, behind the link of the alert.
func TestEachAlertHasASection(t *testing.T) {
	rules, runbook := readFile(t, "deploy", "prometheus", "alerts.yaml"), readFile(t, "docs", "runbook.md")
	var sections []string
	for _, found := range regexp.MustCompile(`(?m)^## (SchedulerStore\w+)$`).FindAllStringSubmatch(runbook, -1) {
		sections = append(sections, found[1])
	}
	names := alerts(t)
	for _, name := range names {
		if !slices.Contains(sections, name) {
			t.Errorf("%s has no section in the runbook", name)
		}
		_, rule, _ := strings.Cut(rules, "- alert: "+name+"\n")
		rule, _, _ = strings.Cut(rule, "- alert: ")
		for _, want := range []string{"severity: ", "summary: ", "description: ", "docs/runbook.md#" + strings.ToLower(name) + "\n"} {
			if !strings.Contains(rule, want) {
				t.Errorf("%s has no %q", name, strings.TrimSpace(want))
			}
		}
	}
	for _, section := range sections {
		if !slices.Contains(names, section) {
			t.Errorf("there is no alert %s, which the runbook has", section)
		}
		_, text, _ := strings.Cut(runbook, "## "+section+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		for _, part := range []string{"**Means.**", "**Look.**", "**Do.**", "```sh\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("the section %s has no %s", section, part)
			}
		}
	}
	for _, anchor := range regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(runbook, -1) {
		if !slices.ContainsFunc(sections, func(s string) bool { return strings.ToLower(s) == anchor[1] }) {
			t.Errorf("the runbook leads to #%s, which it does not have", anchor[1])
		}
	}
}

// What the runbook asks a daemon for with curl, it can be asked for.
func TestRunbookRequests(t *testing.T) {
	mux := http.NewServeMux()
	for _, route := range newCell(t).open("one", Options{}).routes() {
		mux.HandleFunc(route, func(http.ResponseWriter, *http.Request) {})
	}
	requests := regexp.MustCompile(`(?m)^curl -s (?:-X (\w+) )?\$DAEMON(/\S+)(?: +-d '(.*)')?`).FindAllStringSubmatch(readFile(t, "docs", "runbook.md"), -1)
	if len(requests) < 10 {
		t.Fatalf("the runbook has %d requests only", len(requests))
	}
	for _, r := range requests {
		request := httptest.NewRequest(cmp.Or(r[1], http.MethodGet), r[2], nil)
		if _, pattern := mux.Handler(request); pattern == "" {
			t.Errorf("there is no %s", r[0])
		}
		if r[3] != "" && !json.Valid([]byte(r[3])) {
			t.Errorf("%s is no JSON", r[3])
		}
	}
}

// routes are the patterns of an API, which its index lists.
func (h *host) routes() []string {
	var all []string
	for line := range strings.Lines(h.get("/")) {
		if line = strings.TrimSpace(line); strings.Contains(line, " /") && line != "GET /" {
			all = append(all, line)
		}
	}
	return all
}

// promtool runs the tests; here it is only asked for each alert whether there is one in
// which it fires and one in which it does not.
func TestEachAlertIsTestedBothWays(t *testing.T) {
	tests := readFile(t, "deploy", "prometheus", "alerts_test.yaml")
	for _, name := range alerts(t) {
		fires, quiet := false, false
		for _, question := range strings.Split(tests, "- expr: ALERTS{")[1:] {
			question, _, _ = strings.Cut(question, "\n  - name:")
			if !strings.HasPrefix(question, `alertname="`+name+`"`) {
				continue
			}
			fires = fires || strings.Contains(question, `exp_samples:`+"\n")
			quiet = quiet || strings.Contains(question, `exp_samples: []`)
		}
		if !fires || !quiet {
			t.Errorf("%s is tested to fire: %v, not to fire: %v", name, fires, quiet)
		}
	}
}

// metricName finds what can be a metric or a recorded rule, without what a histogram adds.
var metricName = regexp.MustCompile(`\bscheduler_store[_:][a-z_:]+`)

// What alerts, the dashboard and the documents ask for is there. One that was renamed
// would leave an alert that never fires.
func TestNamesOfMetricsExist(t *testing.T) {
	d, _ := allMetrics(t)
	rules := readFile(t, "deploy", "prometheus", "alerts.yaml")
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatal(documents, err)
	}
	for _, path := range append(documents, "../deploy/prometheus/alerts.yaml", "../deploy/prometheus/alerts_test.yaml", "../deploy/grafana/scheduler-store.json") {
		text := readFile(t, path[3:])
		for _, name := range metricName.FindAllString(text, -1) {
			if strings.Contains(rules, "- record: "+name+"\n") || d.known(name) {
				continue
			}
			t.Errorf("%s names %s, which does not exist", path, name)
		}
	}
}

// known tells whether a name is that of a metric, or of a part of a histogram.
func (d described) known(name string) bool {
	for _, part := range []string{"", "_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, part); ok && d.help[base] != "" {
			return true
		}
	}
	return false
}

const (
	tableBegins = "<!-- metrics: go test ./server -run TestMetricsTable -update -->\n"
	tableEnds   = "<!-- end of metrics -->\n"
)

// The table in the document has every metric, with its own words.
func TestMetricsTable(t *testing.T) {
	d, _ := allMetrics(t)
	table := &strings.Builder{}
	fmt.Fprint(table, "\n| metric | labels | what it is |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(d.help)) {
		help, _, _ := strings.Cut(d.help[name], " (Aurora: ")
		fmt.Fprintf(table, "| `%s` | %s | %s. |\n", name, strings.Join(d.labels[name], ", "), strings.TrimSuffix(strings.ReplaceAll(help, "|", `\|`), "."))
	}
	fmt.Fprintln(table)
	text := readFile(t, "docs", "observability.md")
	before, rest, ok := strings.Cut(text, tableBegins)
	got, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		t.Fatal("docs/observability.md has no place for the table")
	}
	if got == table.String() {
		return
	}
	if !*updateTable {
		t.Fatalf("the table in docs/observability.md is not that of the metrics; it should be:\n%s", table)
	}
	if err := os.WriteFile("../docs/observability.md", []byte(before+tableBegins+table.String()+tableEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
