package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

const head = `# Reliability

What was tried to break the store, how often, and what came of it. ` + "`make report TIME=2h`" + ` runs all of it for about that long and writes this file anew; each part names the command that runs it alone. Every bug found so far, with the command that shows it, is in [bugs](bugs.md); rules that were taken out of the code one by one, and the test that noticed, are in [mutations](mutations.md).

`

// render makes the report of all results in a folder.
func render(folder string, failed []string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(head)
	fmt.Fprintf(&b, "Run on %d cores, %s, %s/%s.\n\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	b.WriteString("| part | when | took | findings |\n|---|---|---:|---|\n")
	results := map[string]*evidence.Result{}
	for _, s := range suites {
		r, err := read(filepath.Join(folder, s.name+".json"))
		if err != nil {
			return nil, err
		}
		results[s.name] = r
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", s.title, anchor(s.title), summary(r, slices.Contains(failed, s.name)))
	}
	for _, s := range suites {
		fmt.Fprintf(&b, "\n## %s\n%s\n", s.title, s.about)
		if r := results[s.name]; r != nil {
			section(&b, r)
		}
	}
	return b.Bytes(), nil
}

// read returns nil if there is no result.
func read(file string) (*evidence.Result, error) {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil, nil
	}
	r := new(evidence.Result)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it and run its suite again", file, err)
	}
	return r, nil
}

func summary(r *evidence.Result, failed bool) string {
	when, took, found := "not run", "", ""
	if r != nil {
		when, took, found = r.Began.UTC().Format("2006-01-02"), r.Took.Round(time.Second).String(), "none"
		if n := len(r.Found); n > 0 {
			found = fmt.Sprint(n)
		}
	}
	if failed {
		found = strings.TrimSpace(found + " (failed)")
	}
	return strings.Join([]string{when, took, found}, " | ")
}

func section(b *bytes.Buffer, r *evidence.Result) {
	fmt.Fprintf(b, "\nCommand: `%s`, %v.\n", r.Command, r.Took.Round(time.Second))
	for _, t := range r.Tables {
		fmt.Fprintf(b, "\n%s\n\n", t.Title)
		row(b, t.Header)
		row(b, slices.Repeat([]string{"---"}, len(t.Header)))
		for _, cells := range t.Rows {
			row(b, cells)
		}
	}
	if len(r.Found) > 0 {
		b.WriteString("\nFound:\n")
		list(b, r.Found)
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n")
		list(b, r.Notes)
	}
}

func row(b *bytes.Buffer, cells []string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(strings.ReplaceAll(cell, "|", `\|`), "\n", " ") + " ")
	}
	b.WriteString("|\n")
}

func list(b *bytes.Buffer, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(line, "\n", " "))
	}
}

// anchor is the name by which a heading can be linked to.
func anchor(title string) string {
	keep := func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(title))
}
