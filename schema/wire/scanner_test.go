package wire

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// Each kind of value is walked over to its end, and no further; cut anywhere, it is a fault.
func TestScannerWalksOverEveryKindOfValue(t *testing.T) {
	for _, tt := range []struct{ name, value string }{
		{"bool", "02 0001 01"}, {"byte", "03 0001 01"}, {"i16", "06 0001 0001"}, {"i32", "08 0001 00000001"},
		{"i64", "0a 0001 0000000000000001"}, {"double", "04 0001 0000000000000001"}, {"string", "0b 0001 00000002 ffff"},
		{"struct", "0c 0001 0b0001 00000001 61 00"}, {"list", "0f 0001 08 00000002 00000001 00000002"},
		{"set of structs", "0e 0001 0c 00000002 00 020001 01 00"}, {"map", "0d 0001 0b 08 00000001 00000001 61 00000001"},
		{"empty list without type", "0f 0001 00 00000000"}, {"empty map without types", "0d 0001 00 00 00000000"},
		{"negative id", "02 ffff 01"},
	} {
		data := unhex(t, tt.value+" 020002 01 00")
		s := NewScanner(iotest.OneByteReader(bytes.NewReader(data)), 1<<10)
		s.Field()
		s.Skip()
		if key := s.Field(); key != Bool<<16|2 {
			t.Errorf("%s: next field %x (%v)", tt.name, key, s.Err())
		}
		s.Skip()
		if key := s.Field(); key != 0 || s.Err() != nil || s.Offset() != int64(len(data)) {
			t.Errorf("%s: %x at byte %d of %d (%v)", tt.name, key, s.Offset(), len(data), s.Err())
		}
		if s.End(); s.Err() != nil {
			t.Errorf("%s: %v", tt.name, s.Err())
		}
		for n := range len(data) {
			s := NewScanner(bytes.NewReader(data[:n]), 1<<10)
			for s.Field() != 0 {
				s.Skip()
			}
			if !errors.Is(s.Err(), io.ErrUnexpectedEOF) {
				t.Errorf("%s: cut to %d bytes: %v", tt.name, n, s.Err())
			}
		}
		s = NewScanner(bytes.NewReader(data), len(data))
		if row := s.Struct(); !bytes.Equal(row, data) {
			t.Errorf("%s: copied as %x, want %x", tt.name, row, data)
		}
	}
}

func TestScannerHandsOutRowAfterRow(t *testing.T) {
	one, two := unhex(t, "0b 0001 00000003 616161 00"), unhex(t, "08 0002 00000007 00")
	data := append(unhex(t, "0e 0004 0c 00000002"), append(append([]byte{}, one...), two...)...)
	s := NewScanner(bytes.NewReader(append(data, 0)), len(one))
	if key := s.Field(); key != Set<<16|4 {
		t.Fatalf("%x", key)
	}
	if elem, n := s.Container(); elem != Struct || n != 2 {
		t.Fatalf("type %d, %d elements", elem, n)
	}
	for _, want := range [][]byte{one, two} {
		if row := s.Struct(); !bytes.Equal(row, want) {
			t.Errorf("%x, want %x (%v)", row, want, s.Err())
		}
	}
	if s.Field() != 0 || s.Err() != nil {
		t.Error(s.Err())
	}
}

func TestScannerRefusesHostileValues(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"negative string", "0b 0001 ffffffff", "at byte 7: a string of -1 bytes"},
		{"negative list", "0f 0001 0c ffffffff 00", "at byte 8: a container of -1 elements"},
		{"negative map", "0d 0001 0b 0b 80000000 00", "a container of -2147483648 elements"},
		{"string beyond the end", "0b 0001 7fffffff 61", "unexpected EOF"},
		{"list beyond the end", "0f 0001 0c 7fffffff 00", "unexpected EOF"},
		{"list of nothing", "0f 0001 00 7fffffff 00", "unknown type 0"},
		{"map of nothing", "0d 0001 02 00 00000002 00000000", "unknown type 0"},
		{"unknown type", "05 0001 00", "unknown type 5"},
		{"deep nesting", strings.Repeat("0c 0001 ", 100), "nested more than 64 deep"},
		{"deep lists", "0f 0001" + strings.Repeat("0f 00000001", 100), "nested more than 64 deep"},
	} {
		s := NewScanner(bytes.NewReader(unhex(t, tt.value)), 1<<20)
		s.Field()
		s.Skip()
		if s.Err() == nil || !strings.Contains(s.Err().Error(), tt.want) {
			t.Errorf("%s: skipped with %v, want %s", tt.name, s.Err(), tt.want)
		}
		first := s.Err()
		if elem, n := s.Container(); s.Field() != 0 || s.Struct() != nil || elem != 0 || n != 0 || s.Err() != first {
			t.Errorf("%s: the scanner goes on after the fault", tt.name)
		}
	}
}

// A row that is too large is refused as soon as that shows; what may be skipped has no bound.
func TestScannerBoundsRowsOnly(t *testing.T) {
	data := append(unhex(t, "0b 0001 00001000"), make([]byte, 0x1000+1)...)
	for limit, want := range map[int]bool{len(data): true, len(data) - 1: false, 0x1000: false, 10: false} {
		s := NewScanner(bytes.NewReader(data), limit)
		row := s.Struct()
		if ok := row != nil; ok != want || ok != (s.Err() == nil) {
			t.Errorf("limit %d: %d bytes, %v", limit, len(row), s.Err())
		}
		if !want && !strings.Contains(s.Err().Error(), "more than the") {
			t.Errorf("limit %d: %v", limit, s.Err())
		}
	}
	s := NewScanner(bytes.NewReader(unhex(t, "0b 0001 7fffffff 61")), 100) // before all of it has come
	if s.Struct() != nil || !strings.Contains(s.Err().Error(), "at byte 7: a struct of more than the 100 bytes allowed") {
		t.Error(s.Err())
	}
	s = NewScanner(bytes.NewReader(data), 1)
	s.Field()
	if s.Skip(); s.Err() != nil {
		t.Error(s.Err())
	}
}

// Memory is taken for bytes that have come, not for those that a length claims.
func TestScannerDoesNotBelieveLengths(t *testing.T) {
	data := append(unhex(t, "0b 0001 7ffffff0"), make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := NewScanner(bytes.NewReader(data), 1<<31-1)
	if s.Struct() != nil || !errors.Is(s.Err(), io.ErrUnexpectedEOF) {
		t.Fatal(s.Err())
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

func TestScannerStreamsABinary(t *testing.T) {
	s := NewScanner(bytes.NewReader(unhex(t, "0b 0005 00000003 616263 00 ff")), 1)
	s.Field()
	data, err := io.ReadAll(s.Stream())
	if string(data) != "abc" || err != nil || s.Field() != 0 || s.Err() != nil || s.Offset() != 11 {
		t.Errorf("%q, %v, at %d", data, err, s.Offset())
	}
	if s.End(); s.Err() == nil {
		t.Error("more follows, and that is not said")
	}
	s = NewScanner(bytes.NewReader(unhex(t, "0b 0005 00000009 616263")), 1)
	s.Field()
	if _, err := io.ReadAll(s.Stream()); !errors.Is(err, io.ErrUnexpectedEOF) || s.Err() == nil {
		t.Errorf("cut: %v", err)
	}
}

func TestScannerTellsTroubleOfTheStream(t *testing.T) {
	trouble := errors.New("disk on fire")
	data := unhex(t, "0b 0001 00000009 616263")
	for n := range len(data) + 1 {
		s := NewScanner(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(trouble)), 100)
		for s.Field() != 0 {
			s.Skip()
		}
		if !errors.Is(s.Err(), trouble) {
			t.Errorf("after %d bytes: %v", n, s.Err())
		}
	}
}

// What the scanner hands out is what the reader takes for the whole struct, and both refuse the same.
func FuzzScannerAgreesWithReader(f *testing.F) {
	for _, s := range []string{"00", "0b0001 00000001 61 00", "0f 0001 0c 00000002 00 00 00", "0d 0001 0b 08 00000001 00000001 61 00000001 00",
		"0c0001 0c0001 00 00 00 ff", "0b 0001 7fffffff 61", "0e 0001 00 00000000 00"} {
		b := bytes.ReplaceAll([]byte(s), []byte(" "), nil)
		data := make([]byte, len(b)/2)
		for i := range data {
			data[i] = nibble(b[2*i])<<4 | nibble(b[2*i+1])
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := NewScanner(bytes.NewReader(data), len(data))
		row := s.Struct()
		r := NewReader(data)
		r.skip(Struct, 0)
		if (s.Err() == nil) != (r.Err() == nil) {
			t.Fatalf("scanner %v, reader %v", s.Err(), r.Err())
		}
		if s.Err() == nil && !bytes.Equal(row, data[:r.pos]) {
			t.Fatalf("handed out %x of %x, want %d bytes", row, data, r.pos)
		}
	})
}

func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
