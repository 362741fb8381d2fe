package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// fileFormat is the value of --format. A state in a file is either Aurora's backup, a
// Thrift Snapshot, or transactions that make it, as JSON lines.
type fileFormat string

const (
	auroraFormat fileFormat = "aurora"
	linesFormat  fileFormat = "jsonl"
)

func (f *fileFormat) String() string { return string(*f) }
func (f *fileFormat) Type() string   { return "form" }

func (f *fileFormat) Set(s string) error {
	switch fileFormat(s) {
	case auroraFormat, linesFormat:
		*f = fileFormat(s)
		return nil
	}
	return errors.New("must be aurora or jsonl")
}

// opsFile is a file, or standard input, that holds a state.
type opsFile struct {
	name     string
	format   fileFormat
	size     int64        // in bytes, -1 if it is not known
	read     atomic.Int64 // so far, in bytes; a reader that waits for input is left behind and may still count
	progress *progressBar
	input    io.ReadCloser
	buffered *bufio.Reader // over input
	path     string        // by which an Aurora file can be opened again
	spool    string        // a copy to be removed
}

// openOps opens a file of a format, or finds out which it is.
func (c *command) openOps(name string, format fileFormat) (_ *opsFile, err error) {
	f := &opsFile{name: name, format: format, path: name}
	if f.input, f.size, err = c.openInput(name); err != nil {
		return nil, err
	}
	if name == "-" {
		f.name = "standard input"
	}
	f.buffered = bufio.NewReader(f.input)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err = f.sniff(); err == nil && f.format == auroraFormat && f.size < 0 {
		err = f.copyInput()
	}
	return f, err
}

// sniff looks at how the file begins: JSON lines with a brace, and no Thrift struct
// does, as its second byte is a zero.
func (f *opsFile) sniff() error {
	start, err := f.buffered.Peek(512)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", f.name, err)
	}
	if len(start) == 0 {
		return fmt.Errorf("%s is empty; an Aurora backup has at least one byte", f.name)
	}
	if f.format != "" {
		return nil
	}
	f.format = auroraFormat
	if start = bytes.TrimLeft(start, " \t\r\n"); len(start) == 0 || start[0] == '{' {
		f.format = linesFormat
	}
	return nil
}

// copyInput copies to a file what can be read once only.
func (f *opsFile) copyInput() error {
	spool, err := os.CreateTemp("", "scheduler-store-*")
	if err != nil {
		return err
	}
	f.path, f.spool = spool.Name(), spool.Name()
	f.size, err = io.Copy(spool, f.buffered)
	if err := errors.Join(err, spool.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", f.name, f.spool, err)
	}
	return nil
}

func (f *opsFile) close() error {
	err := f.input.Close()
	if f.spool != "" {
		err = errors.Join(err, os.Remove(f.spool))
	}
	return err
}

// records yields what the file holds, once, brought up to date and tried. Every error
// names the file.
func (f *opsFile) records(ctx context.Context, tiers schema.Tiers, count *durability.Imported) iter.Seq2[[]byte, error] {
	ops := f.lines(ctx)
	if f.format == auroraFormat {
		ops = backup.ReadAurora(f.open)
	}
	return named(f.name, durability.Import(some(ops), tiers, count))
}

// open opens an Aurora file from its beginning.
func (f *opsFile) open() (io.ReadCloser, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	f.read.Store(0)
	return struct {
		io.Reader
		io.Closer
	}{f.counting(file), file}, nil
}

// counting counts what is read, and shows it.
func (f *opsFile) counting(r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		f.progress.set(f.read.Add(int64(n)), "reading")
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

var errStopped = errors.New("stopped")

// lines yields the ops of JSON lines.
func (f *opsFile) lines(ctx context.Context) iter.Seq2[*api.Op, error] {
	return func(yield func(*api.Op, error) bool) {
		err := readLines(ctx, f.counting(f.buffered), func(line inputLine) error {
			if line.err != nil {
				return &lineError{line.number, line.err}
			}
			for _, op := range line.ops {
				if !yield(op, nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

// named puts a name before errors.
func named(name string, records iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for record, err := range records {
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// some makes an error of a sequence that has no ops.
func some(ops iter.Seq2[*api.Op, error]) iter.Seq2[*api.Op, error] {
	return func(yield func(*api.Op, error) bool) {
		none := true
		for op, err := range ops {
			none = false
			if !yield(op, err) {
				return
			}
		}
		if none {
			yield(nil, errors.New("there is nothing in it"))
		}
	}
}
