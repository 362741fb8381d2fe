package main

import (
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/plot"
)

// The committed results can be drawn, and the plots are small enough for a repository.
func TestCommittedResultsAreDrawn(t *testing.T) {
	out := t.TempDir()
	if err := run("../results", out, false); err != nil {
		t.Fatal(err)
	}
	for _, d := range drawings {
		if info, err := os.Stat(filepath.Join(out, d.name+".svg")); err != nil || info.Size() > 100_000 {
			t.Errorf("%s: %v, %v", d.name, info, err)
		}
	}
}

func TestPlotWithoutDataIsLeftOut(t *testing.T) {
	out := t.TempDir()
	if err := run(t.TempDir(), out, false); err != nil {
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
