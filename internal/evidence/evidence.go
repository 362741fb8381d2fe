// Package evidence keeps what a long test has tried and found, for the report that
// docs/reliability.md is made of.
package evidence

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Directory is the environment variable that names the folder results are kept in.
// Without it nothing is kept.
const Directory = "SCHEDULER_STORE_EVIDENCE"

// Result is what one suite has done.
type Result struct {
	// Suite is its name, and that of its file: simulation, mutations, model, processes,
	// damage, fuzz, load, coverage.
	Suite string `json:"suite"`
	// Command shows it again.
	Command string        `json:"command"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took"`
	Tables  []Table       `json:"tables"`
	// Found is each finding, with what repeats it: a seed, a file, a command.
	Found []string `json:"found"`
	// Notes is what a reader has to know besides, a sentence each.
	Notes []string `json:"notes,omitempty"`
}

// Table is what was tried, how often, and what came of it.
type Table struct {
	Title  string     `json:"title"`
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

// Add appends a row of any values.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = fmt.Sprint(cell)
	}
	t.Rows = append(t.Rows, row)
}

// Save keeps a result, in place of the suite's last one. It makes the folder if need be:
// what a run of hours has found is not to be lost for want of one.
func Save(r Result) error {
	folder := os.Getenv(Directory)
	if folder == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, r.Suite+".json"), append(text, '\n'), 0o644)
}
