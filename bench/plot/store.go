package main

import (
	"encoding/json"
	"fmt"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/scheduler-store/scheduler-store/bench/report"
	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

// storeReport is what is drawn of the report of scheduler-store bench.
type storeReport struct {
	Hedging *struct {
		Profile    string  `json:"profile"`
		SlowShare  float64 `json:"slowShare"`
		SlowFactor float64 `json:"slowFactor"`
		Off        hedged  `json:"off"`
		On         hedged  `json:"on"`
	} `json:"hedging"`
	Recovery *struct {
		Large      replay  `json:"large"`
		Small      replay  `json:"small"`
		SmallGetMs float64 `json:"smallGetMs"`
	} `json:"recovery"`
}

type hedged struct {
	Latency benchmark.Percentiles `json:"latency"`
}

type replay struct {
	Transactions float64 `json:"transactions"`
	Entries      float64 `json:"entries"`
	Seconds      float64 `json:"seconds"`
	RawSeconds   float64 `json:"rawSeconds"`
}

// hedging are the latencies of commits with hedging and without it.
func hedging(data []byte) (*figure, error) {
	var r storeReport
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	h := r.Hedging
	if h == nil {
		return nil, errNothing
	}
	f := newFigure(fmt.Sprintf("Commits, profile %s, %g %% of the PUTs %g times slower", h.Profile, h.SlowShare*100, h.SlowFactor), "milliseconds", "", 80)
	return f, f.spreads([]spread{
		{"hedging on", h.On.Latency, looks[report.Log]},
		{"hedging off", h.Off.Latency, looks[report.Etcd]},
	})
}

// recovery is how long it takes to read a log back, and what that is compared with.
func recovery(data []byte) (*figure, error) {
	var r storeReport
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Recovery == nil {
		return nil, errNothing
	}
	large, small := r.Recovery.Large, r.Recovery.Small
	rows := []struct {
		label   string
		seconds float64
		look    look
	}{ // from the bottom up
		{"the same, one GET after another", small.Entries * r.Recovery.SmallGetMs / 1000, looks[report.Raw]},
		{fmt.Sprintf("%s small entries, %g ms a GET: recovery", number(small.Entries), r.Recovery.SmallGetMs), small.Seconds, looks[report.Log]},
		{"the same objects: GETs in parallel, decoded", large.RawSeconds, looks[report.Raw]},
		{fmt.Sprintf("%s transactions: recovery", number(large.Transactions)), large.Seconds, looks[report.Log]},
	}
	var points plotter.XYs
	var labels []string
	low, high := rows[0].seconds, 0.0
	for y, row := range rows {
		points, labels = append(points, plotter.XY{X: row.seconds, Y: float64(y)}), append(labels, row.label)
		low, high = min(low, row.seconds), max(high, row.seconds)
	}
	marks, err := plotter.NewScatter(points)
	if err != nil {
		return nil, err
	}
	marks.GlyphStyleFunc = func(i int) draw.GlyphStyle {
		return draw.GlyphStyle{Color: rows[i].look.color, Radius: 5, Shape: draw.CircleGlyph{}}
	}
	f := newFigure("Recovery", "seconds", "", 0)
	f.Add(marks)
	f.rows(labels)
	decades(&f.X, low, high*1.5) // with room for the value
	return f, f.values(points, "%.3g s")
}
