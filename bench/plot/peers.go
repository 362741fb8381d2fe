package main

import (
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/scheduler-store/scheduler-store/bench/report"
)

// look is how a peer looks in every plot: told apart by colour, by shape, and ours by
// the width of the line.
type look struct {
	color color.Color
	shape draw.GlyphDrawer
	width vg.Length
}

// Colours that also those who are blind to some can tell apart (Okabe and Ito).
var looks = map[string]look{
	report.Raw:      {color.RGBA{0x99, 0x99, 0x99, 0xff}, draw.CircleGlyph{}, 1.3},
	report.Series:   {color.RGBA{0xcc, 0x79, 0xa7, 0xff}, draw.SquareGlyph{}, 1.3},
	report.Manifest: {color.RGBA{0xe6, 0x9f, 0x00, 0xff}, draw.TriangleGlyph{}, 1.3},
	report.Etcd:     {color.RGBA{0x00, 0x00, 0x00, 0xff}, draw.RingGlyph{}, 1.3},
	report.EtcdOne:  {color.RGBA{0x00, 0x9e, 0x73, 0xff}, draw.CrossGlyph{}, 1.3},
	report.Raft:     {color.RGBA{0x56, 0xb4, 0xe9, 0xff}, draw.PyramidGlyph{}, 1.3},
	report.Log:      {color.RGBA{0x00, 0x72, 0xb2, 0xff}, draw.CircleGlyph{}, 2.6},
	report.Store:    {color.RGBA{0xd5, 0x5e, 0x00, 0xff}, draw.BoxGlyph{}, 2.6},
}

const legendWidth = 195

// curve adds a peer's line, with a mark at each point if marked.
func (f *figure) curve(peer string, points plotter.XYs, marked bool) error {
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	l := looks[peer]
	line.Color, line.Width = l.color, l.width
	marks.Color, marks.Shape, marks.Radius = l.color, l.shape, 3.5
	f.Add(line)
	if !marked {
		f.legend.Add(report.Label(peer), line)
		return nil
	}
	f.Add(marks)
	f.legend.Add(report.Label(peer), line, marks)
	return nil
}

// throughput is records a second by the number of clients.
func throughput(r *report.Report) (*figure, error) {
	f := newFigure(fmt.Sprintf("Throughput, records of %d bytes", r.RecordBytes), "clients", "records a second", legendWidth)
	var ticks []plot.Tick
	var low, high float64
	for _, peer := range report.Peers {
		var points plotter.XYs
		for _, c := range r.Cells {
			if c.Peer != peer {
				continue
			}
			x := float64(c.Clients)
			points = append(points, plotter.XY{X: x, Y: c.RecordsPerSecond})
			if tick := (plot.Tick{Value: x, Label: number(x)}); !slices.Contains(ticks, tick) {
				ticks = append(ticks, tick)
			}
			if low == 0 {
				low = c.RecordsPerSecond
			}
			low, high = min(low, c.RecordsPerSecond), max(high, c.RecordsPerSecond)
		}
		if len(points) > 0 {
			if err := f.curve(peer, points, true); err != nil {
				return nil, err
			}
		}
	}
	if high == 0 {
		return nil, errNothing
	}
	f.X.Scale, f.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(ticks)
	decades(&f.Y, low, high)
	return f, nil
}

// oneClient is the distribution of latencies of one client.
func oneClient(r *report.Report) (*figure, error) {
	f := newFigure(fmt.Sprintf("Latency of one client, records of %d bytes", r.RecordBytes), "milliseconds", "% of the records took no longer", legendWidth)
	var low, high float64
	for _, peer := range report.Peers {
		c := r.Cell(peer, 1)
		if c == nil || len(c.Latency.Quantiles) != len(report.Thousandths) {
			continue
		}
		var points plotter.XYs
		for i, q := range c.Latency.Quantiles {
			if report.Thousandths[i] <= 998 { // what is beyond is chance, and far away
				points = append(points, plotter.XY{X: max(q, 0.001), Y: float64(report.Thousandths[i]) / 10})
			}
		}
		if low == 0 {
			low = points[0].X
		}
		low, high = min(low, points[0].X), max(high, points[len(points)-1].X)
		if err := f.curve(peer, points, false); err != nil {
			return nil, err
		}
	}
	if high == 0 {
		return nil, errNothing
	}
	decades(&f.X, low, high)
	f.Y.Min, f.Y.Max, f.Y.Tick.Marker = 0, 100, percents(0, 25, 50, 75, 90, 100)
	return f, nil
}

func percents(at ...float64) (ticks plot.ConstantTicks) {
	for _, v := range at {
		ticks = append(ticks, plot.Tick{Value: v, Label: number(v)})
	}
	return ticks
}

// most is the number of clients at which peers are set side by side.
const most = 256

// side are the cells with most clients, the first peer on top.
func side(r *report.Report) (cells []*report.Cell, labels []string) {
	for i := len(report.Peers) - 1; i >= 0; i-- {
		if c := r.Cell(report.Peers[i], most); c != nil {
			cells, labels = append(cells, c), append(labels, report.Label(c.Peer))
		}
	}
	return cells, labels
}

// manyClients are percentiles of latency with 256 clients.
func manyClients(r *report.Report) (*figure, error) {
	f := newFigure(fmt.Sprintf("Latency with %d clients, records of %d bytes", most, r.RecordBytes), "milliseconds", "", 80)
	cells, labels := side(r)
	if len(cells) == 0 {
		return nil, errNothing
	}
	var rows []spread
	for i, c := range cells {
		rows = append(rows, spread{labels[i], c.Latency.Percentiles, looks[c.Peer]})
	}
	return f, f.spreads(rows)
}

// processors is what a record costs in CPU time with 256 clients: in the process of
// the client, and on top of that in the bucket's server.
func processors(r *report.Report) (*figure, error) {
	f := newFigure(fmt.Sprintf("CPU with %d clients, records of %d bytes", most, r.RecordBytes), "CPU seconds for 1,000 records", "", 150)
	cells, labels := side(r)
	if len(cells) == 0 {
		return nil, errNothing
	}
	var own, server plotter.Values
	for _, c := range cells {
		own, server = append(own, c.ProcessCPU), append(server, c.ServerCPU)
	}
	var below *plotter.BarChart
	for _, part := range []struct {
		name   string
		values plotter.Values
		color  color.Color
	}{{"bench process", own, looks[report.Log].color}, {"bucket's server", server, looks[report.Manifest].color}} {
		bars, err := plotter.NewBarChart(part.values, 18)
		if err != nil {
			return nil, err
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, part.color, 0
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		f.Add(bars)
		f.legend.Add(part.name, bars)
	}
	var ends plotter.XYs
	for y, c := range cells {
		ends = append(ends, plotter.XY{X: c.CPU(), Y: float64(y)})
		f.X.Max = max(f.X.Max, c.CPU()*1.1)
	}
	if err := f.values(ends, "%.2f"); err != nil {
		return nil, err
	}
	f.rows(labels)
	f.X.Min = 0
	f.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
		ticks := plot.DefaultTicks{}.Ticks(low, high)
		for i, t := range ticks {
			if t.Label != "" {
				ticks[i].Label = number(t.Value)
			}
		}
		return ticks
	})
	return f, nil
}
