package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/scheduler-store/scheduler-store/backup"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/build"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// writeState writes a state in a format.
func (c *command) writeState(ctx context.Context, w io.Writer, state storage.View, format fileFormat) error {
	rows := int64(0)
	for _, k := range kinds() {
		rows += int64(k.count(state))
	}
	progress := c.newProgress(rows, "writing rows")
	defer progress.clear()
	done := int64(0)
	wrote := func(n int) {
		done += int64(n)
		progress.set(done, "writing rows")
	}
	buffered := bufio.NewWriterSize(&cancellable{ctx, w}, 1<<16)
	var err error
	if format == linesFormat {
		err = writeLines(buffered, state, wrote)
	} else {
		err = backup.WriteAurora(buffered, state, time.Now(), build.Details(), func() { wrote(1) })
	}
	if err == nil {
		err = buffered.Flush()
	}
	return err
}

// writeLines writes a transaction on each line; together they make the state.
func writeLines(w io.Writer, state storage.View, wrote func(rows int)) error {
	for record, err := range durability.RecordsOf(state) {
		t := new(api.Transaction)
		if err == nil {
			err = t.UnmarshalBinary(record)
		}
		if d := t.DeduplicatedTasks; err == nil && d != nil {
			var tasks []*api.ScheduledTask
			tasks, err = schema.JoinTasks(d.PartialTasks, d.TaskConfigs)
			t.Ops = append(t.Ops, saveTasksOp(tasks))
		}
		if err == nil {
			err = writeLine(w, t.Ops)
		}
		if err != nil {
			return err
		}
		wrote(rowsOf(t.Ops))
	}
	return nil
}

// lineBytes is the size beyond which a line is written as several, if it can be.
const lineBytes = 1 << 20

// writeLine writes ops as a transaction on a line, or, if that is long, each half on a
// line: tasks that a record holds with their configuration once can be many times as
// large here.
func writeLine(w io.Writer, ops []*api.Op) error {
	line, err := schema.ToJSON(struct {
		Ops []*api.Op `json:"ops"`
	}{ops})
	if err != nil {
		return err
	}
	if first, second := halves(ops); len(line) > lineBytes && len(second) > 0 {
		if err := writeLine(w, first); err != nil {
			return err
		}
		return writeLine(w, second)
	}
	if len(line) > maxLine {
		return fmt.Errorf("a row takes %d bytes as JSON, more than the %d that a line may have; export it for Aurora", len(line), maxLine)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// halves takes ops apart, or the tasks of the only one; second is empty if there is
// nothing to be taken apart.
func halves(ops []*api.Op) (first, second []*api.Op) {
	if n := len(ops); n > 1 {
		return ops[:n/2], ops[n/2:]
	}
	if len(ops) == 0 || ops[0].SaveTasks == nil || len(ops[0].SaveTasks.Tasks) < 2 {
		return ops, nil
	}
	tasks := ops[0].SaveTasks.Tasks
	return []*api.Op{saveTasksOp(tasks[:len(tasks)/2])}, []*api.Op{saveTasksOp(tasks[len(tasks)/2:])}
}

func saveTasksOp(tasks []*api.ScheduledTask) *api.Op {
	return &api.Op{SaveTasks: &api.SaveTasks{Tasks: tasks}}
}

// rowsOf counts the rows that ops save. Events are part of their update's row.
func rowsOf(ops []*api.Op) (n int) {
	for _, op := range ops {
		switch {
		case op.SaveTasks != nil:
			n += len(op.SaveTasks.Tasks)
		case op.SaveJobUpdateEvent == nil && op.SaveJobInstanceUpdateEvent == nil:
			n++
		}
	}
	return n
}

// cancellable is a writer that fails when a context has ended.
type cancellable struct {
	ctx context.Context
	w   io.Writer
}

func (c *cancellable) Write(b []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// newFile writes a file that has its name only when it is whole and durable. Without
// force it refuses to replace one. It returns the size in bytes.
func newFile(path string, force bool, write func(io.Writer) error) (size int64, err error) {
	if err := freeName(path, force); err != nil {
		return 0, err
	}
	temporary := path + ".tmp"
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !force {
		flags |= os.O_EXCL
	}
	file, err := os.OpenFile(temporary, flags, 0o666)
	if errors.Is(err, os.ErrExist) {
		return 0, fmt.Errorf("%s is there: another process is writing it, or has been killed; then remove it, or give --force", temporary)
	} else if err != nil {
		return 0, err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		size, err = file.Seek(0, io.SeekEnd)
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = giveName(temporary, path, force)
	}
	if err != nil {
		_ = os.Remove(temporary) // it may be gone already
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	return size, nil
}

// freeName makes sure, before any work is done, that a file can have a name.
func freeName(path string, force bool) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory, want the name of a file", path)
	case force:
		return nil
	}
	return fmt.Errorf("%s exists already; nothing was written", path)
}

// giveName gives a file its last name.
func giveName(temporary, path string, force bool) error {
	rename := os.Rename
	if !force {
		rename = renameNew
	}
	if err := rename(temporary, path); err != nil {
		return err
	}
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// renameNew renames a file, and does not replace one that has come meanwhile.
func renameNew(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, os.ErrExist):
		return err
	}
	if err := freeName(to, false); err != nil { // a file system without links
		return err
	}
	return os.Rename(from, to)
}
