package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// scanWindow is what a Scanner reads ahead, in bytes.
	scanWindow = 64 << 10
	// keptRow is the largest buffer for rows that is kept for the next.
	keptRow = 1 << 20
)

// Scanner walks over a value that may be larger than memory: it finds its way by the types alone, and
// hands out the bytes of one struct at a time, for a Reader. It holds one such row, and takes memory
// only for bytes that have come, whatever a length claims. As in a Reader, after the first fault
// nothing more is read: Field returns the end, all else zero values, and Err the fault. Not for use by
// several goroutines.
type Scanner struct {
	in     *bufio.Reader
	limit  int // of a row, in bytes
	offset int64
	typ    byte // of the field that Field returned last
	err    error

	copying bool // what is walked over goes into row
	row     []byte
}

// NewScanner returns a scanner of what r yields. A struct of more than limit bytes can be skipped but
// not be handed out.
func NewScanner(r io.Reader, limit int) *Scanner {
	return &Scanner{in: bufio.NewReaderSize(r, scanWindow), limit: limit}
}

// Err returns the first fault. Where the stream itself failed it matches that error; of a stream that
// ended too soon, io.ErrUnexpectedEOF.
func (s *Scanner) Err() error { return s.err }

// Offset is the number of bytes that were read.
func (s *Scanner) Offset() int64 { return s.offset }

// Fail notes a fault that the caller found, unless there was one before.
func (s *Scanner) Fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("at byte %d: "+format, append([]any{s.offset}, args...)...)
	}
}

// Peek returns the next bytes without reading them: n, at most a few, or as many as there are.
func (s *Scanner) Peek(n int) []byte {
	b, err := s.in.Peek(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.Fail("%w", err)
	}
	return b
}

// End makes sure that nothing follows.
func (s *Scanner) End() {
	if s.err == nil && len(s.Peek(1)) > 0 {
		s.Fail("more follows after the end of the value")
	}
}

// take reads n bytes, at most a few. They are good until the next read; nil after a fault.
func (s *Scanner) take(n int) []byte {
	if s.err != nil {
		return nil
	}
	b, err := s.in.Peek(n)
	if len(b) < n {
		s.broken(err)
		return nil
	}
	s.in.Discard(n) // they are there
	s.passed(b)
	return b
}

// passed notes bytes that were walked over.
func (s *Scanner) passed(b []byte) {
	s.offset += int64(len(b))
	if !s.copying {
		return
	}
	if len(b) > s.limit-len(s.row) {
		s.Fail("a struct of more than the %d bytes allowed", s.limit)
		return
	}
	s.row = append(s.row, b...)
}

func (s *Scanner) broken(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	s.Fail("%w", err)
}

// pass walks over n bytes, any number of them.
func (s *Scanner) pass(n int) {
	if s.copying && n > s.limit-len(s.row) {
		s.Fail("a struct of more than the %d bytes allowed", s.limit)
	}
	for n > 0 && s.err == nil {
		b, err := s.in.Peek(min(n, scanWindow))
		if len(b) == 0 {
			s.broken(err)
			return
		}
		s.in.Discard(len(b))
		s.passed(b)
		n -= len(b)
	}
}

// Field reads the header of a field and returns its key: type<<16 | id. It returns 0 at the end of
// the struct and after a fault.
func (s *Scanner) Field() uint32 {
	b := s.take(1)
	if b == nil || b[0] == Stop {
		return 0
	}
	s.typ = b[0]
	id := s.take(2)
	if id == nil {
		return 0
	}
	return uint32(s.typ)<<16 | uint32(id[0])<<8 | uint32(id[1])
}

func (s *Scanner) i32() int32 {
	if b := s.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Container reads the header of a set or list: the type of the elements, and how many there are said
// to be.
func (s *Scanner) Container() (elem byte, n int) {
	if b := s.take(1); b != nil {
		elem = b[0]
	}
	return elem, s.count()
}

// count reads how many elements there are said to be. An empty container may have elements of any
// type, since some writers leave the type out then.
func (s *Scanner) count() int {
	n := s.i32()
	if n < 0 {
		s.Fail("a container of %d elements", n)
		return 0
	}
	return int(n)
}

func (s *Scanner) length() int {
	n := s.i32()
	if n < 0 {
		s.Fail("a string of %d bytes", n)
		return 0
	}
	return int(n)
}

// Struct returns the bytes of a struct. They are good until the next read.
func (s *Scanner) Struct() []byte {
	if cap(s.row) > keptRow {
		s.row = nil
	}
	s.row, s.copying = s.row[:0], true
	s.skip(Struct, 0)
	s.copying = false
	if s.err != nil {
		return nil
	}
	return s.row
}

// Stream reads the length of a binary and returns a reader of its bytes, which must be read to its end
// before the scanner goes on.
func (s *Scanner) Stream() io.Reader { return &scannedBytes{s, s.length()} }

type scannedBytes struct {
	s    *Scanner
	left int
}

func (r *scannedBytes) Read(p []byte) (int, error) {
	if r.s.err != nil {
		return 0, r.s.err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.s.in.Read(p[:min(len(p), r.left)])
	r.left -= n
	r.s.offset += int64(n)
	if err != nil {
		r.s.broken(err)
		err = r.s.err
	}
	return n, err
}

// Skip reads past the value of the field that Field returned last.
func (s *Scanner) Skip() { s.skip(s.typ, 0) }

func (s *Scanner) skip(typ byte, depth int) {
	if depth > maxSkipDepth {
		s.Fail("a value nested more than %d deep", maxSkipDepth)
	}
	if s.err != nil {
		return
	}
	switch typ {
	case Bool, Byte, I16, I32, I64, Double:
		s.take(minSize(typ))
	case String:
		s.pass(s.length())
	case Struct:
		for key := s.Field(); key != 0; key = s.Field() {
			s.skip(byte(key>>16), depth+1)
		}
	case Set, List:
		elem, n := s.Container()
		for range n {
			if s.err != nil {
				return
			}
			s.skip(elem, depth+1)
		}
	case Map:
		s.skipPairs(depth + 1)
	default:
		s.Fail("unknown type %d", typ)
	}
}

func (s *Scanner) skipPairs(depth int) {
	types := s.take(2)
	if types == nil {
		return
	}
	key, value := types[0], types[1]
	for range s.count() {
		if s.err != nil {
			return
		}
		s.skip(key, depth)
		s.skip(value, depth)
	}
}
