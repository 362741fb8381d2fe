package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

func TestQuantilesAreTheNearestRank(t *testing.T) {
	var took []time.Duration
	for i := 2000; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Millisecond)
	}
	l := LatencyOf(took)
	at := func(thousandths int) float64 { return l.Quantiles[slices.Index(Thousandths, thousandths)] }
	for thousandths, want := range map[int]float64{1: 2, 10: 20, 500: 1000, 990: 1980, 998: 1996, 1000: 2000} {
		if got := at(thousandths); got != want {
			t.Errorf("%d thousandths take %v ms, want %v", thousandths, got, want)
		}
	}
	if l.P50 != at(500) || l.P99 != at(990) || l.Max != at(1000) {
		t.Errorf("percentiles %+v are not among the quantiles", l.Percentiles)
	}
	// Of one duration, all are that one; of none, there are none.
	if l := LatencyOf([]time.Duration{time.Second}); slices.Min(l.Quantiles) != 1000 || slices.Max(l.Quantiles) != 1000 {
		t.Error(l.Quantiles)
	}
	if l := LatencyOf(nil); l.Quantiles != nil || l.P50 != 0 {
		t.Error(l)
	}
}

func some() *Report {
	milliseconds := func(p50, p99 float64) Latency {
		return Latency{Percentiles: benchmark.Percentiles{P50: p50, P99: p99}}
	}
	return &Report{
		InTurn: []InTurn{{Raw, milliseconds(2, 4)}, {Log, milliseconds(2.1, 6.2)}, {Store, milliseconds(2.5, 7)}},
		Cells: []Cell{
			{Peer: Log, Clients: 1, RecordsPerSecond: 400},
			{Peer: Etcd, Clients: 256, RecordsPerSecond: 5000, ProcessCPU: 0.2, Latency: milliseconds(50, 90)},
			{Peer: Log, Clients: 256, RecordsPerSecond: 25000, ProcessCPU: 0.03, ServerCPU: 0.02, Latency: milliseconds(10, 20),
				Requests: map[string]int{"PutObject": 1700}, RequestsPerSecond: 340},
			{Peer: Store, Clients: 256, RecordsPerSecond: 9000, ProcessCPU: 0.1, ServerCPU: 0.1},
		},
	}
}

func TestRatiosAreOfWhatWasMeasured(t *testing.T) {
	got := map[string]Ratio{}
	for _, r := range some().Ratios() {
		got[r.What] = r
	}
	for what, want := range map[string]struct {
		value float64
		met   bool
	}{
		"one client, in turn: p50 of log / raw":             {1.05, true},
		"one client, in turn: p99 of log / raw":             {1.55, false},
		"one client, in turn: p50 of store / raw":           {1.25, true},
		"256 clients: records/s of log / etcd":              {5, true},
		"256 clients: records/s of store / etcd":            {1.8, false},
		"256 clients: p50 of etcd / log":                    {5, true},
		"256 clients: records a CPU second of log / etcd":   {4, true},
		"256 clients: records a CPU second of store / etcd": {1, true},
	} {
		if r, found := got[what]; !found || r.Value != want.value || r.Met() != want.met {
			t.Errorf("%s: %+v, met %v; want %+v", what, r, r.Met(), want)
		}
		delete(got, what)
	}
	if len(got) > 0 {
		t.Errorf("of peers that were not measured: %v", got)
	}
}

func TestTextSaysWhatWasMeasuredAndMissed(t *testing.T) {
	var b strings.Builder
	if err := some().Print(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for _, want := range [][]string{
		{"256 clients", "a second"},
		{"etcd, a connection each", "5000", "50.00", "90.00", " - ", "0.200"},
		{"our log", "25000", "340", "0.030", "0.020"},
		{"p99 of log / raw", "1.55", "at most 1.50, missed"},
		{"log / etcd", "5.00", "at least 4"},
	} {
		if !slices.ContainsFunc(lines, func(line string) bool {
			return !slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(line, part) })
		}) {
			t.Errorf("no line has all of %q:\n%s", want, b.String())
		}
	}
}

func TestEveryPeerHasALabel(t *testing.T) {
	for _, peer := range Peers {
		if Label(peer) == "" {
			t.Error(peer)
		}
	}
}
