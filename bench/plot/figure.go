package main

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a plot with its legend beside it, where it hides nothing.
type figure struct {
	*plot.Plot
	height      vg.Length
	legend      plot.Legend
	legendWidth vg.Length // 0 if there is none
}

const figureWidth = 760

var grey = color.Gray{Y: 0xd8}

// newFigure has a grid, and room for a legend of that width.
func newFigure(title, x, y string, legend vg.Length) *figure {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	f := &figure{plot.New(), 380, plot.NewLegend(), legend}
	f.Title.Text, f.X.Label.Text, f.Y.Label.Text = title, x, y
	f.Title.TextStyle.Font.Size, f.Title.Padding = 14, 10
	for _, axis := range []*plot.Axis{&f.X, &f.Y} {
		axis.Label.TextStyle.Font.Size, axis.Label.Padding, axis.Tick.Label.Font.Size = 12, 6, 11
	}
	f.legend.Top, f.legend.Left, f.legend.Padding, f.legend.TextStyle.Font.Size = true, true, 7, 11
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = grey, grey
	f.Add(grid)
	return f
}

// save writes the figure in the format that the path's extension names: svg or png.
func (f *figure) save(path string) error {
	var canvas vg.CanvasSizer
	var write func(io.Writer) (int64, error)
	switch filepath.Ext(path) {
	case ".svg":
		svg := vgsvg.New(figureWidth, f.height)
		canvas, write = svg, svg.WriteTo
	case ".png":
		png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(figureWidth, f.height), vgimg.UseDPI(110))}
		canvas, write = png, png.WriteTo
	default:
		return fmt.Errorf("%s: no format is known by that name", path)
	}
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	all = draw.Crop(all, 8, -8, 8, -8)
	f.Draw(draw.Crop(all, 0, -f.legendWidth, 0, 0))
	if f.legendWidth > 0 {
		f.legend.Draw(draw.Crop(all, all.Max.X-all.Min.X-f.legendWidth+14, 0, 0, -34))
	}
	var b bytes.Buffer
	if _, err := write(&b); err != nil {
		return err
	}
	// Where the font is missing, another without serifs is the next best.
	text := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(path, text, 0o644)
}

// decades makes an axis logarithmic, over whole powers of ten that hold low and high.
func decades(axis *plot.Axis, low, high float64) {
	axis.Scale = plot.LogScale{}
	axis.Min, axis.Max = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	var ticks []plot.Tick
	for decade := axis.Min; decade <= axis.Max*1.001; decade *= 10 {
		ticks = append(ticks, plot.Tick{Value: decade, Label: number(decade)})
		for digit := 2.0; digit < 10 && decade*digit < axis.Max; digit++ {
			ticks = append(ticks, plot.Tick{Value: decade * digit}) // minor
		}
	}
	axis.Tick.Marker = plot.ConstantTicks(ticks)
}

// number has commas between thousands.
func number(v float64) string {
	v = math.Round(v*1e6) / 1e6 // powers of ten have gathered errors
	text := strconv.FormatFloat(v, 'f', -1, 64)
	for i := len(strconv.FormatFloat(math.Floor(v), 'f', 0, 64)) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
