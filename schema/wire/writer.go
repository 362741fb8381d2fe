package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"
)

// Mode says which form of a value is written.
type Mode bool

const (
	// AsIs writes what is set, containers in the order they have.
	AsIs Mode = false
	// Canonical writes the canonical form: scalars and containers also when unset, sets in the order
	// of their encoded elements and without repetitions. It takes any value, faulty ones too.
	Canonical Mode = true
)

// Writer appends the encoding of one value to a slice. A value that readers could not take back
// makes it fail, and its output is then of no use. Not for use by several goroutines.
type Writer struct {
	buf       []byte
	canonical bool
	failed    bool
	starts    []int // where the elements of the open sets start; canonical mode only
}

// NewWriter returns a writer that appends to b.
func NewWriter(b []byte, mode Mode) Writer { return Writer{buf: b, canonical: bool(mode)} }

// Buf returns the slice with all that was appended.
func (w *Writer) Buf() []byte { return w.buf }

// Failed reports whether the value cannot be encoded.
func (w *Writer) Failed() bool { return w.failed }

// Canonical reports whether the canonical form is written.
func (w *Writer) Canonical() bool { return w.canonical }

// Fail notes that the value cannot be encoded.
func (w *Writer) Fail() { w.failed = true }

// Key appends the header of a field: type<<16 | id.
func (w *Writer) Key(key uint32) {
	w.buf = append(w.buf, byte(key>>16), byte(key>>8), byte(key))
}

// Stop ends a struct.
func (w *Writer) Stop() { w.buf = append(w.buf, Stop) }

// Bool appends a field.
func (w *Writer) Bool(key uint32, v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	w.buf = append(w.buf, byte(key>>16), byte(key>>8), byte(key), b)
}

// I32 appends a field.
func (w *Writer) I32(key uint32, v int32) {
	w.keyAnd32(key, uint32(v))
}

// keyAnd32 appends the header of a field and four bytes more at once, which is most of the work.
func (w *Writer) keyAnd32(key, v uint32) {
	w.buf = append(w.buf, byte(key>>16), byte(key>>8), byte(key), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// I64 appends a field.
func (w *Writer) I64(key uint32, v int64) {
	w.keyAnd32(key, uint32(uint64(v)>>32))
	w.ElemI32(int32(v))
}

// Double appends a field.
func (w *Writer) Double(key uint32, v float64) { w.I64(key, int64(math.Float64bits(v))) }

// String appends a field.
func (w *Writer) String(key uint32, v string) {
	if len(v) > math.MaxInt32 || !utf8.ValidString(v) {
		w.failed = true
	}
	w.keyAnd32(key, uint32(len(v)))
	w.buf = append(w.buf, v...)
}

// Bytes appends a field.
func (w *Writer) Bytes(key uint32, v []byte) {
	w.Key(key)
	w.size(len(v))
	w.buf = append(w.buf, v...)
}

// OptBool appends a field if it is set or the form is canonical. The other Opt methods do likewise.
func (w *Writer) OptBool(key uint32, v Optional[bool]) {
	if v.Set || w.canonical {
		w.Bool(key, v.Get())
	}
}

// OptI32 appends an optional field.
func (w *Writer) OptI32(key uint32, v Optional[int32]) {
	if v.Set || w.canonical {
		w.I32(key, v.Get())
	}
}

// OptI64 appends an optional field.
func (w *Writer) OptI64(key uint32, v Optional[int64]) {
	if v.Set || w.canonical {
		w.I64(key, v.Get())
	}
}

// OptDouble appends an optional field.
func (w *Writer) OptDouble(key uint32, v Optional[float64]) {
	if v.Set || w.canonical {
		w.Double(key, v.Get())
	}
}

// OptString appends a field if it is set, whatever the form.
func (w *Writer) OptString(key uint32, v Optional[string]) {
	if v.Set {
		w.String(key, v.Value)
	}
}

// ElemI32 appends an element of a container.
func (w *Writer) ElemI32(v int32) { w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(v)) }

// ElemString appends an element of a container.
func (w *Writer) ElemString(v string) {
	if !utf8.ValidString(v) {
		w.failed = true
	}
	w.size(len(v))
	w.buf = append(w.buf, v...)
}

// ElemNil stands for a struct that is missing from a container, which only the canonical form allows.
func (w *Writer) ElemNil() {
	w.failed = true
	w.Stop()
}

// Container appends the header of a list.
func (w *Writer) Container(key uint32, elem byte, n int) {
	w.buf = append(w.buf, byte(key>>16), byte(key>>8), byte(key), elem)
	w.size(n)
}

// Map appends the header of a map.
func (w *Writer) Map(key uint32, keyType, valueType byte, n int) {
	w.buf = append(w.buf, byte(key>>16), byte(key>>8), byte(key), keyType, valueType)
	w.size(n)
}

func (w *Writer) size(n int) {
	if n > math.MaxInt32 {
		w.failed = true
	}
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n))
}

// BeginSet appends the header of a set. Each element has to be announced by Elem, and the set ended
// by EndSet with the number that BeginSet returned.
func (w *Writer) BeginSet(key uint32, elem byte, n int) int {
	w.Container(key, elem, n)
	return len(w.starts)
}

// Elem says that an element of a set follows.
func (w *Writer) Elem() {
	if w.canonical {
		w.starts = append(w.starts, len(w.buf))
	}
}

// EndSet ends a set; in canonical mode it brings the elements into order.
func (w *Writer) EndSet(base int) {
	starts := w.starts[base:]
	w.starts = w.starts[:base]
	if len(starts) < 2 || w.ascending(starts) {
		return
	}
	first := starts[0]
	old := bytes.Clone(w.buf[first:])
	elems := make([][]byte, len(starts))
	for i, start := range starts {
		elems[i] = old[start-first:][:len(w.elem(starts, i))]
	}
	slices.SortFunc(elems, bytes.Compare)
	elems = slices.CompactFunc(elems, bytes.Equal)
	w.buf = w.buf[:first]
	for _, e := range elems {
		w.buf = append(w.buf, e...)
	}
	binary.BigEndian.PutUint32(w.buf[first-4:], uint32(len(elems)))
}

// ascending reports whether the elements that start there are in order and differ, as is usual.
func (w *Writer) ascending(starts []int) bool {
	for i := 1; i < len(starts); i++ {
		if bytes.Compare(w.elem(starts, i-1), w.elem(starts, i)) >= 0 {
			return false
		}
	}
	return true
}

// elem returns the encoding of an element of the set that was written last.
func (w *Writer) elem(starts []int, i int) []byte {
	if i+1 == len(starts) {
		return w.buf[starts[i]:]
	}
	return w.buf[starts[i]:starts[i+1]]
}

// SortedKeys appends the keys of m to keys, which is empty, in order.
func SortedKeys[V any](keys []string, m map[string]V) []string {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
