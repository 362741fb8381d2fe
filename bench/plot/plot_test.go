package main

import (
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/plot"
)

// storeData is a report of scheduler-store bench, with what is drawn of it.
const storeData = `{"store": "mem://x",
	"hedging": {"profile": "s3", "slowShare": 0.02, "slowFactor": 20,
		"off": {"latency": {"p50Ms": 66, "p90Ms": 130, "p99Ms": 1200, "p999Ms": 1400, "maxMs": 1500}},
		"on": {"latency": {"p50Ms": 65, "p90Ms": 110, "p99Ms": 210, "p999Ms": 260, "maxMs": 300}}},
	"recovery": {"large": {"transactions": 1000000, "entries": 1100, "seconds": 5.2, "rawSeconds": 3.9},
		"small": {"transactions": 10000, "entries": 10000, "seconds": 3.6}, "smallGetMs": 20}}`

// The committed results can be drawn, and the plots are small enough for a repository.
func TestCommittedResultsAreDrawn(t *testing.T) {
	results, out := t.TempDir(), t.TempDir()
	committed, err := os.ReadFile("../results/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"bench.json": committed, "store.json": []byte(storeData)} {
		if err := os.WriteFile(filepath.Join(results, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(results, out, false); err != nil {
		t.Fatal(err)
	}
	for _, d := range drawings {
		if info, err := os.Stat(filepath.Join(out, d.name+".svg")); err != nil || info.Size() > 100_000 {
			t.Errorf("%s: %v, %v", d.name, info, err)
		}
	}
}

func TestPlotWithoutDataIsLeftOut(t *testing.T) {
	results, out := t.TempDir(), t.TempDir() // there is no store.json, and bench.json has no peers
	if err := os.WriteFile(filepath.Join(results, "bench.json"), []byte(`{"cells": null}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(results, out, false); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(out); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestDecadesHoldAllAndLabelPowersOfTen(t *testing.T) {
	var axis plot.Axis
	decades(&axis, 0.3, 2400)
	var labels []string
	for _, tick := range axis.Tick.Marker.Ticks(axis.Min, axis.Max) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	want := []string{"0.1", "1", "10", "100", "1,000", "10,000"}
	if len(labels) != len(want) {
		t.Fatal(labels)
	}
	for i := range want {
		if labels[i] != want[i] {
			t.Errorf("%q, want %q", labels[i], want[i])
		}
	}
}

func TestNumbersHaveCommas(t *testing.T) {
	for v, want := range map[float64]string{0.001: "0.001", 7: "7", 256: "256", 1000: "1,000", 12345.5: "12,345.5", 1e6: "1,000,000"} {
		if got := number(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}
