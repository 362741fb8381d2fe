package main

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

// spread is a row of percentiles.
type spread struct {
	label string
	benchmark.Percentiles
	look look
}

// spreads draws rows from the bottom up: for each a line from p50 to p99.9, with a mark
// at each percentile. The figure's X axis is in milliseconds.
func (f *figure) spreads(rows []spread) error {
	var labels []string
	low, high := rows[0].P50, 0.0
	for y, r := range rows {
		labels, low, high = append(labels, r.label), min(low, r.P50), max(high, r.P999)
		line, err := plotter.NewLine(plotter.XYs{{X: r.P50, Y: float64(y)}, {X: r.P999, Y: float64(y)}})
		if err != nil {
			return err
		}
		line.Color, line.Width = r.look.color, r.look.width
		f.Add(line)
	}
	for _, p := range []struct {
		name  string
		of    func(spread) float64
		shape draw.GlyphDrawer
	}{
		{"p50", func(r spread) float64 { return r.P50 }, draw.CircleGlyph{}},
		{"p90", func(r spread) float64 { return r.P90 }, draw.TriangleGlyph{}},
		{"p99", func(r spread) float64 { return r.P99 }, draw.SquareGlyph{}},
		{"p99.9", func(r spread) float64 { return r.P999 }, draw.CrossGlyph{}},
	} {
		var points plotter.XYs
		for y, r := range rows {
			points = append(points, plotter.XY{X: p.of(r), Y: float64(y)})
		}
		marks, err := plotter.NewScatter(points)
		if err != nil {
			return err
		}
		marks.GlyphStyleFunc = func(i int) draw.GlyphStyle {
			return draw.GlyphStyle{Color: rows[i].look.color, Radius: 4.5, Shape: p.shape}
		}
		f.Add(marks)
		f.legend.Add(p.name, sample{p.shape})
	}
	f.rows(labels)
	decades(&f.X, low, high)
	return nil
}

// rows names the rows, from the bottom up, and makes the figure as high as they need.
func (f *figure) rows(labels []string) {
	f.height = vg.Length(110 + 38*len(labels))
	f.NominalY(labels...)
	f.Y.Min, f.Y.Max = -0.6, float64(len(labels))-0.4
}

// values writes the X of each point to the right of it.
func (f *figure) values(points plotter.XYs, format string) error {
	texts := plotter.XYLabels{XYs: points}
	for _, p := range points {
		texts.Labels = append(texts.Labels, fmt.Sprintf(format, p.X))
	}
	labels, err := plotter.NewLabels(texts)
	if err != nil {
		return err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Font, labels.TextStyle[i].YAlign = font.From(plot.DefaultFont, 11), -0.4
	}
	labels.Offset.X = 6
	f.Add(labels)
	return nil
}

// sample is a mark in a legend, in black whatever the colours in the plot are.
type sample struct{ shape draw.GlyphDrawer }

func (s sample) Thumbnail(c *draw.Canvas) {
	c.DrawGlyph(draw.GlyphStyle{Color: color.Black, Radius: 4.5, Shape: s.shape}, c.Center())
}
