// Command coverage says how much of each package below the line of
// docs/architecture.md the tests run, and keeps docs/coverage.md honest: each block
// of statements that no test runs has a row there that says why, and no row is about
// something that is covered by now. `make coverage` runs the tests and then this.
//
// A row names a block by its function and by the text it begins with, so that it
// stays true when lines move.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

const module = "github.com/scheduler-store/scheduler-store"

func main() {
	floor := flag.Float64("floor", 90, "the least coverage of a package, in percent")
	document := flag.String("document", "docs/coverage.md", "where the rows are")
	list := flag.String("uncovered", "", "the file to write the list of what is not covered to")
	flag.Parse()
	began := time.Now()
	wrong, err := run(os.Stdout, flag.Args(), *document, *list, *floor, began)
	if err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(2)
	}
	for _, line := range wrong {
		fmt.Println(line)
	}
	if len(wrong) > 0 {
		os.Exit(1)
	}
}

func run(out io.Writer, profiles []string, document, list string, floor float64, began time.Time) ([]string, error) {
	p, err := readProfiles(profiles)
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("there is nothing in the profiles %s", strings.Join(profiles, ", "))
	}
	m, err := measure(p, module, ".")
	if err != nil {
		return nil, err
	}
	x, err := readExplained(document)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(out, m.table())
	if list != "" {
		if err := os.WriteFile(list, []byte(m.list()), 0o644); err != nil {
			return nil, err
		}
	}
	wrong := x.compare(m, floor)
	return wrong, evidence.Save(m.result(x, wrong, began))
}

// table has a row for each package, in the form of the document's.
func (m *measured) table() string {
	var text strings.Builder
	text.WriteString("| package | statements | covered |\n|---|---|---|\n")
	for _, s := range m.packages {
		fmt.Fprintf(&text, "| %s | %d | %d %% |\n", s.name, s.statements, int(s.percent()))
	}
	return text.String()
}

// list has each block that is not covered, with its lines.
func (m *measured) list() string {
	var rows []string
	for k, blocks := range m.uncovered {
		for _, b := range blocks {
			rows = append(rows, fmt.Sprintf("%s\t%d-%d\t%d statements\t%s\n", k.where, b.line, b.endLine, b.statements, k.text))
		}
	}
	slices.Sort(rows)
	return strings.Join(rows, "")
}

func (m *measured) result(x *explained, wrong []string, began time.Time) evidence.Result {
	packages := evidence.Table{Title: "Statements that the tests run", Header: []string{"package", "statements", "covered"}}
	var all share
	for _, s := range m.packages {
		packages.Add(s.name, s.statements, fmt.Sprintf("%.1f %%", s.percent()))
		all.statements, all.runs = all.statements+s.statements, all.runs+s.runs
	}
	packages.Add("all", all.statements, fmt.Sprintf("%.1f %%", all.percent()))
	reasons := evidence.Table{Title: "Blocks that no test runs, by the reason that docs/coverage.md gives", Header: []string{"reason", "blocks"}}
	for _, heading := range x.heading {
		n := 0
		for _, k := range x.order[heading] {
			n += len(m.uncovered[k])
		}
		if n > 0 {
			reasons.Add(heading, n)
		}
	}
	return evidence.Result{Suite: "coverage", Command: "make coverage", Began: began, Took: time.Since(began),
		Tables: []evidence.Table{packages, reasons}, Found: wrong}
}
