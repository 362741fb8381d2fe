package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
	"unsafe"
)

const (
	// maxSkipDepth bounds how deep a value that is skipped may nest; the schema itself nests far less.
	maxSkipDepth = 64

	// A decoded value may take expansion bytes for each input byte, and expansionFloor besides. No
	// value that a conforming writer wrote comes near; a list that claims a struct in each byte does.
	expansion      = 80
	expansionFloor = 64 << 10

	// Strings are cut from copies of textWindow bytes of the input, so that a small record costs one
	// allocation for all its strings, and a string kept from a large one keeps little else alive.
	textWindow = 4 << 10
	// longText is the length from which a string gets a copy of its own.
	longText = textWindow / 4
)

// Reader decodes one value. After the first fault it reads no further: Field returns the end, all
// else zero values, and Err the fault. Not for use by several goroutines.
type Reader struct {
	data   []byte
	pos    int
	typ    byte // of the field that Field returned last
	strict bool // an unknown enum number is a fault
	budget int  // bytes that may still be allocated for structs and containers
	err    error

	text   string // copy of data[textAt:textAt+len(text)]
	textAt int
}

// NewReader returns a reader of data, which must not change before the last read.
func NewReader(data []byte) Reader {
	budget := math.MaxInt
	if len(data) < (math.MaxInt-expansionFloor)/expansion {
		budget = expansion*len(data) + expansionFloor
	}
	return Reader{data: data, budget: budget}
}

// NewStrictReader returns a reader to which an enum number that the schema does not know is a fault.
func NewStrictReader(data []byte) Reader {
	r := NewReader(data)
	r.strict = true
	return r
}

// UnknownEnum notes that the number read last is none of an enum's.
func (r *Reader) UnknownEnum(name string, number int32) {
	if r.strict {
		r.Fail("unknown %s %d", name, number)
	}
}

// Err returns the first fault.
func (r *Reader) Err() error { return r.err }

// Failed reports whether there was a fault.
func (r *Reader) Failed() bool { return r.err != nil }

// Fail notes a fault that the caller found, unless there was one before.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s", r.pos, fmt.Sprintf(format, args...))
	}
}

// take returns the next n bytes, or nil after noting that there are not as many.
func (r *Reader) take(n int) []byte {
	if n > len(r.data)-r.pos {
		r.short(n)
		return nil
	}
	b := r.data[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *Reader) short(n int) {
	r.Fail("a value of %d bytes, but %d are left", n, len(r.data)-r.pos)
	r.pos = len(r.data) // so that nothing more is read
}

// Field reads the header of a field and returns its key: type<<16 | id. It returns 0 at the end of
// the struct and after a fault.
func (r *Reader) Field() uint32 {
	if r.err != nil {
		return 0
	}
	rest := r.data[r.pos:]
	if len(rest) > 0 && rest[0] == Stop {
		r.pos++
		return 0
	}
	if len(rest) < 3 {
		r.short(3)
		return 0
	}
	r.pos += 3
	r.typ = rest[0]
	return uint32(rest[0])<<16 | uint32(rest[1])<<8 | uint32(rest[2])
}

// Bool reads a bool.
func (r *Reader) Bool() bool {
	b := r.take(1)
	return b != nil && b[0] == 1
}

// I32 reads an i32.
func (r *Reader) I32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// I64 reads an i64.
func (r *Reader) I64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Double reads a double.
func (r *Reader) Double() float64 {
	return math.Float64frombits(uint64(r.I64()))
}

// length reads the length of a string and checks it against the bytes that are left.
func (r *Reader) length() int {
	n := r.I32()
	if n < 0 || int(n) > len(r.data)-r.pos {
		r.Fail("length %d, but %d bytes are left", n, len(r.data)-r.pos)
		r.pos = len(r.data)
		return 0
	}
	return int(n)
}

// Bytes reads a binary; the result is a copy, and not nil even when empty.
func (r *Reader) Bytes() []byte {
	return append([]byte{}, r.take(r.length())...)
}

// String reads a string, which must be UTF-8.
func (r *Reader) String() string {
	n := r.length()
	start := r.pos
	r.pos += n
	if n == 0 {
		return ""
	}
	s := ""
	switch {
	case start+n <= r.textAt+len(r.text): // start is never before textAt
		s = r.text[start-r.textAt : start-r.textAt+n]
	case n >= longText:
		s = string(r.data[start:r.pos])
	default:
		r.text = string(r.data[start:min(start+textWindow, len(r.data))])
		r.textAt = start
		s = r.text[:n]
	}
	if !utf8.ValidString(s) {
		r.Fail("a string of %d bytes that is not UTF-8", n)
		return ""
	}
	return s
}

// Container reads the header of a set or list. It returns the number of elements, or -1 when they
// are not of the type asked for, and then it has skipped them.
func (r *Reader) Container(elem byte) int {
	got, n := r.containerHeader()
	if n > 0 && got != elem {
		r.skipElements(got, n, 1)
		return -1
	}
	return n
}

// Map reads the header of a map, as Container does that of a list.
func (r *Reader) Map(key, value byte) int {
	gotKey, gotValue, n := r.mapHeader()
	if n > 0 && (gotKey != key || gotValue != value) {
		r.skipPairs(gotKey, gotValue, n, 1)
		return -1
	}
	return n
}

func (r *Reader) containerHeader() (elem byte, n int) {
	b := r.take(5)
	if b == nil {
		return 0, 0
	}
	return b[0], r.count(b[1:], minSize(b[0]))
}

func (r *Reader) mapHeader() (key, value byte, n int) {
	b := r.take(6)
	if b == nil {
		return 0, 0, 0
	}
	least := minSize(b[0]) + minSize(b[1])
	if minSize(b[0]) == 0 || minSize(b[1]) == 0 {
		least = 0
	}
	return b[0], b[1], r.count(b[2:], least)
}

// count checks the size of a container whose elements take at least so many bytes each. An empty one
// may have elements of any type, since some writers leave the type out then.
func (r *Reader) count(b []byte, least int) int {
	n := int(int32(binary.BigEndian.Uint32(b)))
	left := len(r.data) - r.pos
	switch {
	case n == 0:
		return 0
	case least == 0:
		r.Fail("a container of elements of unknown type")
	case n < 0 || n > left/least:
		r.Fail("a container of %d elements, but %d bytes are left", n, left)
	default:
		return n
	}
	r.pos = len(r.data)
	return 0
}

// Skip reads past the value of the field that Field returned last.
func (r *Reader) Skip() { r.skip(r.typ, 0) }

func (r *Reader) skip(typ byte, depth int) {
	if depth > maxSkipDepth {
		r.Fail("a value nested more than %d deep", maxSkipDepth)
	}
	if r.err != nil {
		return
	}
	switch typ {
	case Bool, Byte, I16, I32, I64, Double:
		r.take(minSize(typ))
	case String:
		r.take(r.length())
	case Struct:
		for key := r.Field(); key != 0; key = r.Field() {
			r.skip(byte(key>>16), depth+1)
		}
	case Set, List:
		elem, n := r.containerHeader()
		r.skipElements(elem, n, depth+1)
	case Map:
		key, value, n := r.mapHeader()
		r.skipPairs(key, value, n, depth+1)
	default:
		r.Fail("unknown type %d", typ)
	}
}

func (r *Reader) skipElements(typ byte, n, depth int) {
	for range n {
		if r.err != nil {
			return
		}
		r.skip(typ, depth)
	}
}

func (r *Reader) skipPairs(key, value byte, n, depth int) {
	for range n {
		if r.err != nil {
			return
		}
		r.skip(key, depth)
		r.skip(value, depth)
	}
}

// charge takes n bytes from the budget and reports whether they were there.
func (r *Reader) charge(n int) bool {
	r.budget -= n
	if r.budget < 0 {
		r.Fail("a value that takes more than %d times its %d bytes when decoded", expansion, len(r.data))
		return false
	}
	return true
}

// New returns a new struct to read into. It is never nil, also after a fault.
func New[T any](r *Reader) *T {
	v := new(T)
	r.charge(int(unsafe.Sizeof(*v)))
	return v
}

// Room returns an empty slice with room for n elements, n having come from Container.
func Room[T any](r *Reader, n int) []T {
	var v T
	if !r.charge(n * int(unsafe.Sizeof(v))) {
		n = 0
	}
	return make([]T, 0, n)
}

// RoomMap returns an empty map with room for n entries, n having come from Map.
func RoomMap[V any](r *Reader, n int) map[string]V {
	const entry = 64 // a key, a value and what the map adds
	if !r.charge(n * entry) {
		n = 0
	}
	return make(map[string]V, n)
}

// Slab hands out structs for the elements of one container from few allocations. It is for small
// structs without pointers to others, since one that is kept keeps its neighbours.
type Slab[T any] struct{ free []T }

// slabSize is the number of structs in a slab.
const slabSize = 16

// Next returns a struct for the next of the elements that are left, this one included.
func (s *Slab[T]) Next(r *Reader, left int) *T {
	if len(s.free) == 0 {
		n := max(1, min(left, slabSize))
		var v T
		if !r.charge(n * int(unsafe.Sizeof(v))) {
			n = 1
		}
		s.free = make([]T, n)
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}
