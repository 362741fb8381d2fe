package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// At three in the morning a command that does not exist is no help: each of the runbook's
// is one that there is, with flags and arguments that it takes.
func TestRunbookCommands(t *testing.T) {
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`"[^"]*"|\S+`)
	n := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(runbook), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, "  #")
			args, ok := strings.CutPrefix(strings.TrimSpace(line), "scheduler-store ")
			if !ok {
				continue
			}
			n++
			root := (&command{stdout: io.Discard, stderr: io.Discard}).root()
			cmd, rest, err := root.Find(words.FindAllString(args, -1))
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil || !cmd.Runnable() || cmd.HasSubCommands() {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if n < 20 {
		t.Fatalf("%d commands only were found", n)
	}
}
