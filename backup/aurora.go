package backup

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// ErrMalformed: a file is not Aurora's, or not whole. The error names the field, the
// element and the byte.
var ErrMalformed = errors.New("not a whole Aurora backup")

// Bounds of what is held in memory of one of Aurora's files, in bytes as encoded.
const (
	// maxRow bounds one row: a task, or a job update with all its events.
	maxRow = 64 << 20
	// maxConfigs bounds the configurations that the tasks of a deduplicated snapshot
	// share.
	maxConfigs = 512 << 20
	// What goes into one op of tasks: enough to keep the overhead small.
	tasksPerOp = 32
	taskBytes  = 256 << 10
)

// ReadAurora yields the ops that rebuild what an Aurora backup file holds, in the
// order of its fields, which is that of Aurora's snapshots: hosts, tasks, cron jobs,
// framework id, quotas, job updates, each followed by its events and those of its
// instances, maintenance requests (Aurora: BackupReader, SnapshotterImpl.asStream).
// The ops belong to the caller.
//
// It also takes a file that was compressed with zlib, a DeduplicatedSnapshot, and a
// LogEntry that holds a state; see layout for how they are told apart. open is called
// once, or twice where the tasks stand before their configurations. Each file is
// closed when the sequence ends.
//
// In memory is one row at a time, or the few tasks of one op; of a deduplicated
// snapshot also the configurations.
//
// An error ends the sequence. What was yielded before it is of no use: only the end
// of the file shows that it was whole. The error matches ErrMalformed, or is what
// open or the file said. Unlike Aurora it refuses a known section of a wrong type or
// one that comes twice, which would be lost silently, and bytes after the end.
func ReadAurora(open func() (io.ReadCloser, error)) iter.Seq2[*api.Op, error] {
	return func(yield func(*api.Op, error) bool) {
		if err := readAurora(open, yield); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped: the caller wants no more.
var errStopped = errors.New("stopped")

func readAurora(open func() (io.ReadCloser, error), yield func(*api.Op, error) bool) error {
	p := &pass{yield: func(op *api.Op) error {
		if !yield(op, nil) {
			return errStopped
		}
		return nil
	}}
	document, err := openDocument(open)
	if err != nil {
		return err
	}
	if document.layout != bareSnapshot {
		first := &pass{}
		if err := document.read(first); err != nil {
			return err
		}
		p.configs = first.configs
		if document, err = openDocument(open); err != nil {
			return err
		}
	}
	return document.read(p)
}

// read makes a pass over the document, to its very end, and closes it.
func (d *document) read(p *pass) error {
	defer d.file.Close()
	p.s = d.s
	var err error
	switch d.layout {
	case bareSnapshot:
		err = p.snapshot()
	case deduplicatedEntry:
		d.s.Field() // that which holds it
		if err = p.deduplicated(); err == nil {
			err = endOfUnion(d.s)
		}
	default:
		err = p.deduplicated()
	}
	for _, behind := range d.behind {
		if err != nil {
			break
		}
		err = behind()
	}
	return d.explain(err)
}

// explain says whether the file is at fault or the reading of it.
func (d *document) explain(err error) error {
	switch {
	case err == nil || errors.Is(err, errStopped):
		return err
	case d.input.err != nil:
		return fmt.Errorf("read Aurora's backup: %w", d.input.err)
	case d.compressed:
		return fmt.Errorf("%w: in what was decompressed: %w", ErrMalformed, err)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
