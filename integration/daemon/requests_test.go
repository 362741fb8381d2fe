package daemon_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// One PUT for each group commit and nothing else on the commit path; an idle leader
// sends lease renewals only. The daemon's own metrics show it. Hedging is off: a busy
// machine's slow PUTs would be sent twice.
func TestRequestsOfALeader(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		d := servers.StartDaemon(t, store, "--lease-ttl", "3s", "--hedge", "off")
		d.WaitFor("/leaderz", http.StatusOK)
		mustSave(t, d, "first")

		before := requests(t, d)
		time.Sleep(5 * time.Second) // real renewals, one a second
		idle := since(before, requests(t, d))
		renewals := idle["replace lease"]
		delete(idle, "replace lease")
		if renewals < 3 || renewals > 7 || len(idle) > 0 {
			t.Errorf("in 5 idle seconds with a lease of 3 s: %v renewals and %v; want about 5 and nothing else", renewals, idle)
		}

		before = requests(t, d)
		entries := metric(t, d, "scheduler_store_log_entries_written_total")
		var writers sync.WaitGroup
		for w := range 20 {
			writers.Go(func() {
				for i := range 20 {
					mustSave(t, d, fmt.Sprintf("task-%d-%d", w, i))
				}
			})
		}
		writers.Wait()
		busy := since(before, requests(t, d))
		entries = metric(t, d, "scheduler_store_log_entries_written_total") - entries
		if busy["create log"] != entries || entries == 0 || entries > 400 {
			t.Errorf("%v PUTs for %v entries, 400 transactions", busy["create log"], entries)
		}
		delete(busy, "create log")
		delete(busy, "replace lease")
		if len(busy) > 0 {
			t.Errorf("other requests while committing: %v", busy)
		}
		t.Logf("400 transactions of 20 clients took %v PUTs", entries)

		// The status counts what the bucket bills: nothing was tried again here, so it is
		// as much, and it is free, as on any server of one's own.
		all := requests(t, d)
		report := costOf(t, d)
		if got, want := report.requests("log-writes"), all["create log"]; got != want {
			t.Errorf("the status tells %v log-writes, the metrics %v", got, want)
		}
		if got, least := report.requests("lease-renewals"), all["replace lease"]+all["create lease"]; got < least || got > least+2 {
			t.Errorf("the status tells %v lease-renewals, the metrics told %v before", got, least)
		}
		if report.Prices != "" || report.Dollars != 0 || report.Seconds < 5 {
			t.Errorf("the status tells of $%v in %v s by the prices %q", report.Dollars, report.Seconds, report.Prices)
		}
	})
}

// costOf is what the daemon's status says of its cost.
func costOf(t *testing.T, d *servers.Daemon) report {
	t.Helper()
	status, body, err := d.Get("/v1/status")
	if err != nil || status != http.StatusOK {
		t.Fatalf("status: %d %v", status, err)
	}
	var answer struct{ Cost report }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return answer.Cost
}

type report struct {
	Prices           string
	Seconds, Dollars float64
	Causes           []struct {
		Cause         string
		Writes, Reads float64
	}
}

// requests are those of a cause.
func (r report) requests(cause string) float64 {
	for _, c := range r.Causes {
		if c.Cause == cause {
			return c.Writes + c.Reads
		}
	}
	return 0
}

// requests are the daemon's so far, by operation and object.
func requests(t *testing.T, d *servers.Daemon) map[string]float64 {
	t.Helper()
	counts := map[string]float64{}
	for name, value := range metrics(t, d) {
		if labels, ok := strings.CutPrefix(name, "scheduler_store_bucket_requests_total{"); ok {
			counts[label(labels, "operation")+" "+label(labels, "object")] += value
		}
	}
	return counts
}

// label is the value of a label among those of a sample.
func label(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func metric(t *testing.T, d *servers.Daemon, name string) float64 {
	t.Helper()
	value, ok := metrics(t, d)[name]
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	return value
}

// metrics are all samples by name and labels.
func metrics(t *testing.T, d *servers.Daemon) map[string]float64 {
	t.Helper()
	samples, err := d.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

// since is what was added, where anything was.
func since(before, after map[string]float64) map[string]float64 {
	added := map[string]float64{}
	for name, value := range after {
		if value > before[name] {
			added[name] = value - before[name]
		}
	}
	return added
}
