package backup

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/scheduler-store/scheduler-store/schema/wire"
)

// layout is how a state lies in a file. The first field's type and id tell:
//
//	i64 1              a Snapshot: its timestamp; so do its other sections, sets, if
//	                   a writer put another first
//	struct 1           a DeduplicatedSnapshot, or a LogEntry with a Snapshot. They
//	                   need not be told apart: both have the Snapshot in field 1, and
//	                   a LogEntry just ends there
//	list 2, list 3     a DeduplicatedSnapshot in another order
//	string 5           a LogEntry that is deflated; what is in it is looked at again
//	struct 6           a LogEntry with a DeduplicatedSnapshot, if that begins as one;
//	                   else a Snapshot that begins with its metadata
//	struct 2, bool 3, struct 4   a LogEntry with no state in it
//
// Before that, the two bytes with which zlib begins are no type and id at all.
type layout int

const (
	bareSnapshot layout = iota
	// deduplicated is a struct with a Snapshot, partial tasks and configurations; or
	// with the first only.
	deduplicated
	// deduplicatedEntry is that within a LogEntry.
	deduplicatedEntry
	deflatedEntry
)

// document is an open file, read up to the state in it.
type document struct {
	file       io.Closer
	input      *input
	s          *wire.Scanner // stands at the struct that layout says
	layout     layout
	compressed bool
	// behind is what must hold behind the state, from the inside out.
	behind []func() error
}

// input notes the trouble of a file, so that it is not taken for the file's fault.
type input struct {
	io.Reader
	err error
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}

func openDocument(open func() (io.ReadCloser, error)) (*document, error) {
	file, err := open()
	if err != nil {
		return nil, fmt.Errorf("open Aurora's backup: %w", err)
	}
	d := &document{file: file, input: &input{Reader: file}}
	err = d.enter(d.input)
	if err == nil && d.layout == deflatedEntry {
		err = d.inflate()
	}
	if err != nil {
		file.Close()
		return nil, d.explain(err)
	}
	return d, nil
}

// enter looks at what r begins with.
func (d *document) enter(r io.Reader) error {
	in := bufio.NewReader(r)
	head, _ := in.Peek(2)
	if len(head) == 0 {
		return errors.New("the file is empty")
	}
	if len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		return errors.New("it is compressed with gzip, which Aurora does not use: decompress it first")
	}
	if isZlib(head) {
		z, err := zlib.NewReader(in)
		if err != nil {
			return err
		}
		d.compressed = true
		d.s = wire.NewScanner(z, maxRow)
		d.behind = append([]func() error{d.atEnd(), func() error { return endOf(in) }}, d.behind...)
	} else {
		d.s = wire.NewScanner(in, maxRow)
		d.behind = append([]func() error{d.atEnd()}, d.behind...)
	}
	var err error
	d.layout, err = layoutOf(d.s.Peek(6))
	return errors.Join(d.s.Err(), err)
}

// inflate goes into a deflated entry, which holds a LogEntry.
func (d *document) inflate() error {
	outer := d.s
	outer.Field()
	stream := bufio.NewReader(outer.Stream())
	d.behind = append([]func() error{func() error {
		if err := endOf(stream); err != nil {
			return err
		}
		return endOfUnion(outer)
	}}, d.behind...)
	if head, _ := stream.Peek(2); !isZlib(head) {
		return errors.Join(outer.Err(), errors.New("deflatedEntry is not in a zlib container"))
	}
	if err := d.enter(stream); err != nil {
		return fmt.Errorf("deflatedEntry: %w", err)
	}
	if d.layout == deflatedEntry {
		return errors.New("deflatedEntry within a deflatedEntry")
	}
	return nil
}

// atEnd makes sure that nothing follows in the scanner of now; where that reads what
// was compressed, its checksum is checked by this.
func (d *document) atEnd() func() error {
	s := d.s
	return func() error {
		s.End()
		return s.Err()
	}
}

// endOf makes sure that nothing follows what was compressed.
func endOf(r *bufio.Reader) error {
	if _, err := r.Peek(1); err == nil {
		return errors.New("more follows after the end of what is compressed")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// endOfUnion reads the end of a LogEntry, which has one field only.
func endOfUnion(s *wire.Scanner) error {
	if key := s.Field(); key != 0 {
		s.Fail("a log entry with a second field, %s", field(key))
	}
	return s.Err()
}

// isZlib tells whether a stream begins as RFC 1950 says.
func isZlib(head []byte) bool {
	return len(head) == 2 && head[0]&0x0f == 8 && head[0]>>4 <= 7 && (int(head[0])<<8|int(head[1]))%31 == 0
}

func layoutOf(head []byte) (layout, error) {
	switch key := keyOf(head); key {
	case 0:
		return 0, errors.New("the file does not begin with a field")
	case wire.Struct<<16 | 1, wire.List<<16 | 2, wire.List<<16 | 3:
		return deduplicated, nil
	case wire.String<<16 | 5:
		return deflatedEntry, nil
	case wire.Struct<<16 | 6:
		switch keyOf(head[3:]) {
		case wire.Struct<<16 | 1, wire.List<<16 | 2, wire.List<<16 | 3:
			return deduplicatedEntry, nil
		}
		return bareSnapshot, nil
	case wire.Struct<<16 | 2:
		return 0, errors.New("the file is a log entry with a transaction, which is a change and no state")
	case wire.Struct<<16 | 4:
		return 0, errors.New("the file is a log entry with a frame, which is a piece of a larger one")
	case wire.Bool<<16 | 3:
		return 0, errors.New("the file is a log entry with nothing in it")
	default:
		if !beginsSnapshot(key) {
			return 0, fmt.Errorf("the file begins with %s, as none of Aurora's does", field(key))
		}
		return bareSnapshot, nil
	}
}

// beginsSnapshot tells whether a field is of a Snapshot, be it a retired one.
func beginsSnapshot(key uint32) bool {
	if s, ok := sectionOf(key); ok {
		return s.typ == byte(key>>16)
	}
	return key == wire.Set<<16|9 || key == wire.List<<16|11 || key == wire.Bool<<16|12
}

func keyOf(head []byte) uint32 {
	if len(head) < 3 {
		return 0
	}
	if head[0] == wire.Stop {
		return 0
	}
	return uint32(head[0])<<16 | uint32(head[1])<<8 | uint32(head[2])
}

func field(key uint32) string { return fmt.Sprintf("field %d of type %d", int16(key), key>>16) }
