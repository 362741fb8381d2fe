// Plot draws the plots of docs/plots from the data of the last runs, in results.
//
//	go -C bench run ./plot         SVG
//	go -C bench run ./plot -png    PNG too, to look at without a browser
//
// The data in bench.json are those of make bench, the data in store.json those of
// scheduler-store bench --output json. A plot whose data are not there is left out, and
// the old file stays.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/scheduler-store/scheduler-store/bench/report"
)

// drawing is one plot: its name, the file of results that it is drawn from, and how.
type drawing struct {
	name, data string
	draw       func(data []byte) (*figure, error)
}

// drawings are all plots. Another is a line here, and a function that decodes its data
// and returns a figure.
var drawings = []drawing{
	{"throughput", "bench.json", ofReport(throughput)},
	{"latency-one-client", "bench.json", ofReport(oneClient)},
	{"latency-256-clients", "bench.json", ofReport(manyClients)},
	{"cpu-256-clients", "bench.json", ofReport(processors)},
	{"hedging", "store.json", hedging},
	{"recovery", "store.json", recovery},
}

// errNothing: the run left out what is drawn.
var errNothing = errors.New("there is nothing to draw")

// ofReport decodes what the bench writes.
func ofReport(draw func(*report.Report) (*figure, error)) func([]byte) (*figure, error) {
	return func(data []byte) (*figure, error) {
		var r report.Report
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, err
		}
		return draw(&r)
	}
}

func main() {
	results := flag.String("results", "results", "the directory of the data")
	out := flag.String("out", "../docs/plots", "the directory of the plots")
	png := flag.Bool("png", false, "write PNG too")
	flag.Parse()
	if err := run(*results, *out, *png); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(results, out string, png bool) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, d := range drawings {
		data, err := os.ReadFile(filepath.Join(results, d.data))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "plot: %s is left out: there is no %s in %s\n", d.name, d.data, results)
			continue
		} else if err != nil {
			return err
		}
		f, err := d.draw(data)
		if errors.Is(err, errNothing) {
			fmt.Fprintf(os.Stderr, "plot: %s is left out: %s has nothing of it\n", d.name, d.data)
			continue
		} else if err != nil {
			return fmt.Errorf("%s from %s: %w", d.name, d.data, err)
		}
		if err := f.save(filepath.Join(out, d.name+".svg")); err != nil {
			return err
		}
		if png {
			if err := f.save(filepath.Join(out, d.name+".png")); err != nil {
				return err
			}
		}
	}
	return nil
}
