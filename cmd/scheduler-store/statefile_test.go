package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file has its name only once it is whole, and takes it from no other.
func TestNewFile(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "file")
	bad := errors.New("the disk is full")
	for _, force := range []bool{false, true} {
		_, err := newFile(path, force, func(w io.Writer) error {
			_, _ = io.WriteString(w, "half")
			if got := names(t, directory); got != "file.tmp" {
				t.Errorf("while it is written there is %s", got)
			}
			return bad
		})
		if !errors.Is(err, bad) || !strings.Contains(err.Error(), path) || names(t, directory) != "" {
			t.Errorf("%v, left: %s", err, names(t, directory))
		}
	}
	_, err := newFile(path, false, func(io.Writer) error { return os.WriteFile(path, []byte("of another"), 0o600) })
	if data, _ := os.ReadFile(path); !errors.Is(err, os.ErrExist) || string(data) != "of another" || names(t, directory) != "file" {
		t.Errorf("%v, %q, left: %s", err, data, names(t, directory))
	}
	size, err := newFile(path, true, func(w io.Writer) error {
		_, err := io.WriteString(w, "whole")
		return err
	})
	if data, _ := os.ReadFile(path); err != nil || size != 5 || string(data) != "whole" || names(t, directory) != "file" {
		t.Errorf("%v, %d, %q, left: %s", err, size, data, names(t, directory))
	}
}

// Who interrupts an export is not made to wait for its end.
func TestExportInterrupted(t *testing.T) {
	c := &command{stderr: io.Discard, output: jsonOutput}
	directory := filled(t)
	state, err := c.recoverAt(t.Context(), "file://"+directory)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	for _, format := range []fileFormat{auroraFormat, linesFormat} {
		_, err = newFile(path, false, func(w io.Writer) error { return c.writeState(cancelled(), w, state, format) })
		if !errors.Is(err, context.Canceled) || names(t, filepath.Dir(path)) != "" {
			t.Errorf("%s: %v, left: %s", format, err, names(t, filepath.Dir(path)))
		}
	}
}
