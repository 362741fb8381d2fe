package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// progress reads what a fuzzer prints, and shows some of it.
type progress struct {
	name        string
	err         error // of the whole run
	began       time.Time
	took        time.Duration
	executions  int
	interesting int
	shown       time.Time
	rest        []byte // a line that has not ended yet
	last        string // the last line that says something
	input       string // the file that has what was found
}

var (
	status  = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	written = regexp.MustCompile(`Failing input written to (\S+)`)
)

const showEvery = 30 * time.Second

// Write takes what a fuzzer prints. Most of its lines say how far it is; others are shown.
func (p *progress) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, found := bytes.Cut(p.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		p.line(string(line))
		p.rest = rest
	}
}

func (p *progress) line(line string) {
	if m := status.FindStringSubmatch(line); m != nil {
		p.executions, _ = strconv.Atoi(m[1])
		p.interesting, _ = strconv.Atoi(m[2])
		if time.Since(p.shown) < showEvery {
			return
		}
		p.shown = time.Now()
	}
	if m := written.FindStringSubmatch(line); m != nil {
		p.input = m[1]
	}
	if text := strings.TrimSpace(line); text != "" {
		if p.input == "" && !strings.HasPrefix(text, "FAIL") && !strings.HasPrefix(text, "--- FAIL") {
			p.last = text
		}
		fmt.Fprintf(os.Stdout, "   %s: %s\n", p.name, text)
	}
}

// failed tells whether the fuzzer found something, or did not run to its end. One whose
// time ends while it tries an input ends as failed too, and names no input
// (https://go.dev/issue/75804).
func (p *progress) failed() bool {
	return p.err != nil && (p.input != "" || p.last != "context deadline exceeded")
}

// finding says what was found, and the file that shows it again.
func (p *progress) finding() string {
	if p.input == "" {
		return p.last
	}
	return p.last + " (" + p.input + ")"
}
