package backup

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/schema/wire"
	"github.com/scheduler-store/scheduler-store/storage"
)

// WriteAurora writes a state as a backup file that Aurora can read: one bare Snapshot
// in the Thrift Binary protocol, its fields and their order as Aurora's, empty
// collections included. made is its timestamp, details are what Aurora keeps its
// build properties in. It holds one row at a time. row, if not nil, is called after
// each.
//
// The quotas have their older scalar fields too, which older versions of Aurora need
// and newer ones skip. Idempotency keys are not in it: Aurora has none.
//
// It only writes: the caller has to flush, sync and then rename, in this order. (Aurora
// renames first: a crash then leaves half a file under its final name.)
func WriteAurora(w io.Writer, view storage.View, made time.Time, details map[string]string, row func()) error {
	if row == nil {
		row = func() {}
	}
	f := &auroraWriter{out: bufio.NewWriterSize(w, 64<<10), row: row}
	f.head(func(h *wire.Writer) { h.I64(wire.I64<<16|1, made.UnixMilli()) })
	f.state(view, details)
	f.head((*wire.Writer).Stop)
	if f.err == nil {
		f.err = f.out.Flush()
	}
	if f.err != nil {
		return fmt.Errorf("write Aurora's backup: %w", f.err)
	}
	return nil
}

// state writes the sections, in the order of their ids.
func (f *auroraWriter) state(view storage.View, details map[string]string) {
	writeRows(f, 3, view.Hosts().Len(), view.Hosts().All())
	writeRows(f, 4, view.Tasks().Len(), view.Tasks().All())
	writeRows(f, 5, view.CronJobs().Len(), each(view.CronJobs().All(), func(job *api.JobConfiguration) *api.StoredCronJob {
		return &api.StoredCronJob{JobConfiguration: job}
	}))
	f.metadata(view, details)
	writeRows(f, 8, view.Quotas().Len(), quotas(view))
	writeRows(f, 10, view.JobUpdates().Len(), each(view.JobUpdates().All(), func(update *api.JobUpdateDetails) *api.StoredJobUpdateDetails {
		return &api.StoredJobUpdateDetails{Details: update}
	}))
	writeRows(f, 13, view.Maintenance().Len(), view.Maintenance().All())
}

type auroraWriter struct {
	out *bufio.Writer
	row func()
	buf []byte
	err error // the first
}

func (f *auroraWriter) write(b []byte) {
	if f.err == nil {
		_, f.err = f.out.Write(b)
	}
}

// head writes what stands before rows.
func (f *auroraWriter) head(write func(*wire.Writer)) {
	w := wire.NewWriter(f.buf[:0], wire.AsIs)
	write(&w)
	f.buf = w.Buf()
	f.write(f.buf)
}

func (f *auroraWriter) metadata(view storage.View, details map[string]string) {
	metadata := &api.SchedulerMetadata{Details: details}
	if id, ok := view.FrameworkID(); ok {
		metadata.FrameworkID = api.Some(id)
	}
	if details == nil {
		metadata.Details = map[string]string{}
	}
	f.head(func(w *wire.Writer) { w.Key(wire.Struct<<16 | 6) })
	f.value(metadata, func() string { return "schedulerMetadata" })
}

// encodable is a row. Those of the stores are canonical, so their encoding is.
type encodable interface {
	AppendBinary([]byte) ([]byte, error)
}

func (f *auroraWriter) value(v encodable, name func() string) {
	b, err := v.AppendBinary(f.buf[:0])
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s: %w", name(), err)
	}
	f.buf = b
	f.write(b)
}

// writeRows writes the set that is the section with an id.
func writeRows[T encodable](f *auroraWriter, id uint32, n int, rows iter.Seq[T]) {
	section, _ := sectionOf(id)
	f.head(func(w *wire.Writer) { w.Container(wire.Set<<16|id, wire.Struct, n) })
	i := 0
	for v := range rows {
		if f.value(v, func() string { return fmt.Sprintf("%s[%d]", section.name, i) }); f.err != nil {
			return
		}
		i++
		f.row()
	}
	if i != n && f.err == nil { // the view is not one that stays the same
		f.err = fmt.Errorf("%s: %d rows were said to be there, and %d are", section.name, n, i)
	}
}

func each[T, U any](rows iter.Seq[T], wrap func(T) U) iter.Seq[U] {
	return func(yield func(U) bool) {
		for v := range rows {
			if !yield(wrap(v)) {
				return
			}
		}
	}
}

func quotas(view storage.View) iter.Seq[*api.QuotaConfiguration] {
	return func(yield func(*api.QuotaConfiguration) bool) {
		for role, quota := range view.Quotas().All() {
			if !yield(&api.QuotaConfiguration{Role: api.Some(role), Quota: quota}) {
				return
			}
		}
	}
}
