package daemon_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// One PUT for each group commit and nothing else on the commit path; an idle leader
// sends lease renewals only. The daemon's own metrics show it.
func TestRequestsOfALeader(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		d := servers.StartDaemon(t, store, "--lease-ttl", "3s")
		d.WaitFor("/leaderz", http.StatusOK)
		mustSave(t, d, "first")

		before := requests(t, d)
		time.Sleep(5 * time.Second) // real renewals, one a second
		idle := since(before, requests(t, d))
		renewals := idle["replace"]
		delete(idle, "replace")
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
		if busy["create"] != entries || entries == 0 || entries > 400 {
			t.Errorf("%v PUTs for %v entries, 400 transactions", busy["create"], entries)
		}
		delete(busy, "create")
		delete(busy, "replace")
		if len(busy) > 0 {
			t.Errorf("other requests while committing: %v", busy)
		}
		t.Logf("400 transactions of 20 clients took %v PUTs", entries)
	})
}

// requests are the daemon's so far, by operation.
func requests(t *testing.T, d *servers.Daemon) map[string]float64 {
	t.Helper()
	counts := map[string]float64{}
	for name, value := range metrics(t, d) {
		if labels, ok := strings.CutPrefix(name, "scheduler_store_bucket_requests_total{"); ok {
			_, rest, _ := strings.Cut(labels, `operation="`)
			operation, _, _ := strings.Cut(rest, `"`)
			counts[operation] += value
		}
	}
	return counts
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
	status, body, err := d.Get("/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("metrics: %d %v", status, err)
	}
	samples := map[string]float64{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if value, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
				samples[line[:i]] = value
			}
		}
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
