package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/storage"
)

// FuzzLines: whatever the input of apply is, it is the transactions of its lines in order,
// up to the first line that is none, which is told by its number.
func FuzzLines(f *testing.F) {
	for _, text := range []string{everything(), saveTask("a") + saveTask("b"), "\n\n{}\n", saveTask("a") + "{\n" + saveTask("b"), " " + saveTask("a") + "\r\n\t\n",
		strings.TrimSpace(saveTask("a")), "\x00", strings.Repeat("\n", 1000)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var got []inputLine
		refused := errors.New("refused")
		err := readLines(t.Context(), bytes.NewReader(input), func(line inputLine) error {
			got = append(got, line)
			if line.err != nil {
				return refused
			}
			return nil
		})
		end := int64(0)
		for i, text := range bytes.SplitAfter(input, []byte("\n")) {
			end += int64(len(text))
			if text = bytes.TrimSpace(text); len(text) == 0 {
				continue
			}
			tx, parseErr := schema.ParseTransaction(text)
			if len(got) == 0 {
				t.Fatalf("line %d was left out (%v)", i+1, err)
			}
			line := got[0]
			got = got[1:]
			if line.number != i+1 || line.end != end || (line.err == nil) != (parseErr == nil) {
				t.Fatalf("line %d, up to %d: %+v; want %v", i+1, end, line, parseErr)
			}
			if parseErr != nil {
				if err != refused || line.err.Error() != parseErr.Error() {
					t.Errorf("line %d: %v and %v, want %v", i+1, err, line.err, parseErr)
				}
				break
			}
			for j, op := range line.ops {
				if !op.Equal(tx.Ops[j]) {
					t.Errorf("line %d: op %d is another", i+1, j)
				}
			}
		}
		if len(got) != 0 || err != nil && err != refused {
			t.Errorf("%d lines too many, %v", len(got), err)
		}
	})
}

// FuzzImport: whatever a file is that is imported, of either form, it is refused by name,
// or is a state that comes back equal from both forms.
func FuzzImport(f *testing.F) {
	path := filepath.Join(f.TempDir(), "file")
	c := &command{stderr: io.Discard, output: jsonOutput}
	imported := func(data []byte) (storage.View, error) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return nil, err
		}
		input, err := c.openOps(path, "")
		if err != nil {
			return nil, err
		}
		state, err := load(input.records(context.Background(), nil, nil), nil)
		return state, errors.Join(err, input.close())
	}
	exported := func(state storage.View, format fileFormat) ([]byte, error) {
		var out bytes.Buffer
		err := c.writeState(context.Background(), &out, state, format)
		return out.Bytes(), err
	}
	f.Add([]byte(everything()))
	f.Add([]byte{0})
	f.Add([]byte("{"))
	state, err := imported([]byte(everything()))
	if err != nil {
		f.Fatal(err)
	}
	aurora, err := exported(state, auroraFormat)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(aurora)
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := imported(data)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the file is not named: %v", err)
			}
			return
		}
		if total(countsOf(state)) == 0 {
			return
		}
		for _, format := range []fileFormat{linesFormat, auroraFormat} {
			text, err := exported(state, format)
			if err != nil {
				t.Fatalf("taken, but can't be exported as %s: %v", format, err)
			}
			again, err := imported(text)
			if err != nil {
				t.Fatalf("exported as %s, and refused: %v", format, err)
			}
			if diff := randomstate.Diff(again, state); diff != "" {
				t.Fatalf("another state after it was exported as %s: %s", format, diff)
			}
		}
	})
}
