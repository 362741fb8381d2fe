package main

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
)

// printJSON prints a value as the one JSON document.
func (c *command) printJSON(v any) error {
	return c.writeJSON(func(w *jsonWriter) { w.value(v) })
}

// writeJSON prints the one JSON document that write writes, piece by piece, so that
// a large one need not be in memory.
func (c *command) writeJSON(write func(*jsonWriter)) error {
	buffered := bufio.NewWriterSize(c.stdout, 1<<16)
	w := &jsonWriter{encoder: jsontext.NewEncoder(buffered, schema.JSONOptions(), jsontext.WithIndent("  "))}
	write(w)
	if w.err != nil {
		return fmt.Errorf("print JSON: %w", w.err)
	}
	return buffered.Flush()
}

// jsonWriter writes JSON and keeps the first error.
type jsonWriter struct {
	encoder *jsontext.Encoder
	err     error
}

func (w *jsonWriter) value(v any) {
	if w.err == nil {
		w.err = json.MarshalEncode(w.encoder, v)
	}
}

func (w *jsonWriter) token(t jsontext.Token) {
	if w.err == nil {
		w.err = w.encoder.WriteToken(t)
	}
}

func (w *jsonWriter) object(members func()) {
	w.token(jsontext.BeginObject)
	members()
	w.token(jsontext.EndObject)
}

func (w *jsonWriter) member(name string, v any) {
	w.token(jsontext.String(name))
	w.value(v)
}

// writeArray writes a member that is an array.
func writeArray[T any](w *jsonWriter, name string, items iter.Seq[T]) {
	w.token(jsontext.String(name))
	w.token(jsontext.BeginArray)
	for item := range items {
		w.value(item)
		if w.err != nil {
			return
		}
	}
	w.token(jsontext.EndArray)
}

// table prints rows in columns.
type table struct{ w *tabwriter.Writer }

func (c *command) table(header ...string) *table {
	t := &table{tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)}
	if len(header) > 0 {
		t.row(header...)
	}
	return t
}

// row adds a row. What is not printable in a cell, such as a tab, is escaped; an
// empty cell is a dash.
func (t *table) row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, orDash(printable(cell)))
	}
	fmt.Fprintln(t.w)
}

func (t *table) flush() error { return t.w.Flush() }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printable escapes what could move a terminal's cursor: what is in a store may
// come from anybody.
func printable(s string) string {
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			quoted := fmt.Sprintf("%q", s)
			return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		}
	}
	return s
}

// age is how long ago something was, in its two largest units.
func age(since time.Duration) string {
	switch {
	case since < 0:
		return "in the future"
	case since < time.Minute:
		return fmt.Sprintf("%ds", int(since.Seconds()))
	case since < time.Hour:
		return fmt.Sprintf("%dm%ds", int(since.Minutes()), int(since.Seconds())%60)
	case since < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(since.Hours()), int(since.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(since.Hours())/24, int(since.Hours())%24)
}

// timestamp is a time for people to read.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// progressBar shows on standard error how far long work is, if a person looks: it
// is nil, on which all methods do nothing, unless that is a terminal and the output
// is text.
type progressBar struct {
	bar  *progressbar.ProgressBar
	last time.Time
}

// newProgress makes a bar for work of a size, -1 if it is not known.
func (c *command) newProgress(size int64, what string, options ...progressbar.Option) *progressBar {
	if c.output != textOutput || !isTerminal(c.stderr) {
		return nil
	}
	options = append([]progressbar.Option{
		progressbar.OptionSetWriter(c.stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(24), progressbar.OptionSpinnerType(14),
	}, options...)
	return &progressBar{bar: progressbar.NewOptions64(size, options...)}
}

// set shows how far it is; most calls only look at the clock.
func (p *progressBar) set(done int64, what string) {
	const interval = 100 * time.Millisecond
	if p == nil || time.Since(p.last) < interval {
		return
	}
	p.last = time.Now()
	p.bar.Describe(what)
	_ = p.bar.Set64(done) // on a terminal that is gone nobody misses it
}

// setTotal tells the size of the work once it is known.
func (p *progressBar) setTotal(size int64) {
	if p != nil && p.bar.GetMax64() != size {
		p.bar.ChangeMax64(size)
	}
}

// clear takes the bar away.
func (p *progressBar) clear() {
	if p != nil {
		_ = p.bar.Clear()
	}
}

// recovery shows how far a recovery is.
func (p *progressBar) recovery(r blob.Progress) {
	if p == nil {
		return
	}
	if r.End > r.At.Next { // else it is not known how many are left
		p.setTotal(int64(r.Entries) + int64(r.End-r.At.Next))
	}
	p.set(int64(r.Entries), "recovering entries")
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
