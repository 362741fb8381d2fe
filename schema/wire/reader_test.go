package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSkip(t *testing.T) {
	tests := []struct{ name, value string }{
		{"bool", "02 0001 01"}, {"byte", "03 0001 01"}, {"i16", "06 0001 0001"}, {"i32", "08 0001 00000001"},
		{"i64", "0a 0001 0000000000000001"}, {"double", "04 0001 0000000000000001"}, {"string", "0b 0001 00000002 ffff"},
		{"struct", "0c 0001 0b0001 00000001 61 00"}, {"list", "0f 0001 08 00000002 00000001 00000002"},
		{"set of structs", "0e 0001 0c 00000002 00 020001 01 00"}, {"map", "0d 0001 0b 08 00000001 00000001 61 00000001"},
		{"empty list without type", "0f 0001 00 00000000"}, {"empty map without types", "0d 0001 00 00 00000000"},
		{"negative id", "02 ffff 01"},
	}
	for _, tt := range tests {
		data := unhex(t, tt.value+" 020002 01 00")
		r := NewReader(data)
		r.Field()
		r.Skip()
		if key := r.Field(); key != Bool<<16|2 || !r.Bool() || r.Field() != 0 || r.Err() != nil {
			t.Errorf("%s: next field %x (%v)", tt.name, key, r.Err())
		}
		for n := range len(data) {
			r := NewReader(data[:n])
			for r.Field() != 0 {
				r.Skip()
			}
			if r.Err() == nil {
				t.Errorf("%s: cut to %d bytes without an error", tt.name, n)
			}
		}
	}
}

func TestHostileLengths(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"string", "0b 0001 7fffffff 61", "length 2147483647, but 1 bytes are left"},
		{"negative string", "0b 0001 ffffffff", "length -1"},
		{"list", "0f 0001 0c 7fffffff 00", "a container of 2147483647 elements, but 1 bytes"},
		{"list of i64", "0f 0001 0a 00000002 0000000000000001 000000", "a container of 2 elements, but 11 bytes"},
		{"negative list", "0f 0001 0c ffffffff 00", "a container of -1 elements"},
		{"list of nothing", "0f 0001 00 7fffffff 00", "elements of unknown type"},
		{"map", "0d 0001 0b 0b 00000002 00000000 00000000 000000", "a container of 2 elements, but 11 bytes"},
		{"map of nothing", "0d 0001 02 00 00000002 00000000", "elements of unknown type"},
		{"unknown type", "05 0001 00", "unknown type 5"},
		{"type of the stop byte within a map", "0d 0001 00 02 00000001 00", "elements of unknown type"},
	}
	for _, tt := range tests {
		r := NewReader(unhex(t, tt.value))
		r.Field()
		r.Skip()
		if r.Err() == nil || !strings.Contains(r.Err().Error(), tt.want) {
			t.Errorf("%s: skipped with %v, want %s", tt.name, r.Err(), tt.want)
		}
		if r.Field() != 0 || r.I64() != 0 || r.String() != "" || len(r.Bytes()) != 0 || r.Container(I32) > 0 || r.Map(String, String) > 0 {
			t.Errorf("%s: the reader goes on after the fault", tt.name)
		}
	}
}

func TestSkipDepthIsBounded(t *testing.T) {
	nested := func(unit string, depth int, inner string) []byte {
		return unhex(t, strings.Repeat(unit, depth)+inner)
	}
	for _, tt := range []struct{ name, unit string }{{"structs", "0c0001"}, {"lists", ""}} {
		data := nested(tt.unit, 1_000_000, "")
		if tt.name == "lists" {
			data = append(unhex(t, "0f0001"), nested("0f00000001", 1_000_000, "")...)
		}
		r := NewReader(data)
		r.Field()
		r.Skip()
		if r.Err() == nil || !strings.Contains(r.Err().Error(), "nested more than") {
			t.Errorf("%s: %v", tt.name, r.Err())
		}
	}
	r := NewReader(nested("0c0001", 60, strings.Repeat("00", 61)))
	r.Field()
	r.Skip()
	if r.Field() != 0 || r.Err() != nil {
		t.Errorf("60 structs deep: %v", r.Err())
	}
}

func TestElementsOfAnotherTypeAreSkipped(t *testing.T) {
	r := NewReader(unhex(t, "0b 00000002 00000001 61 00000000"+"0b 08 00000001 00000001 61 00000005"+"08 00000001 00000007"))
	if n := r.Container(Struct); n != -1 {
		t.Errorf("a list of strings read as %d structs", n)
	}
	if n := r.Map(String, String); n != -1 {
		t.Errorf("a map to i32 read as %d entries of strings", n)
	}
	if n := r.Container(I32); n != 1 || r.I32() != 7 || r.Err() != nil {
		t.Errorf("%d elements (%v)", n, r.Err())
	}
	r = NewReader(unhex(t, "00 00000000"))
	if n := r.Container(Struct); n != 0 || r.Err() != nil {
		t.Errorf("an empty list of no type: %d (%v)", n, r.Err())
	}
}

func TestStrings(t *testing.T) {
	// Lengths on both sides of every bound, so that strings start, end and lie across the windows.
	var lengths []int
	for _, n := range []int{0, 1, 7, longText - 1, longText, textWindow - 4, textWindow, textWindow + 1, 3, 1000, 1000, 1000, 1000, 1000, 0, 2} {
		lengths = append(lengths, n, 5, n)
	}
	var data []byte
	for i, n := range lengths {
		data = append(data, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		data = append(data, strings.Repeat(string(rune('a'+i%26)), n)...)
	}
	r := NewReader(data)
	for i, n := range lengths {
		if got := r.String(); got != strings.Repeat(string(rune('a'+i%26)), n) {
			t.Fatalf("string %d of length %d is wrong (%v)", i, n, r.Err())
		}
	}
	for i := range data {
		data[i] = 'X'
	}
	if r.Err() != nil {
		t.Error(r.Err())
	}
}

func TestStringsDoNotReferToTheInput(t *testing.T) {
	data := []byte{0, 0, 0, 2, 'o', 'k', 0, 0, 0, 1, 'b'}
	r := NewReader(data)
	s, b := r.String(), r.Bytes()
	copy(data, "XXXXXXXXXXXX")
	if s != "ok" || string(b) != "b" {
		t.Errorf("%q, %q changed with the input", s, b)
	}
}

func TestInvalidUTF8(t *testing.T) {
	for _, text := range []string{"\xff", "a\xc3", "\xed\xa0\x80"} {
		r := NewReader(append([]byte{0, 0, 0, byte(len(text))}, text...))
		if s := r.String(); s != "" || r.Err() == nil {
			t.Errorf("%q read as %q", text, s)
		}
	}
	// A rune that the window cuts is whole in its string.
	text := strings.Repeat("x", longText-2) + "é"
	var data []byte
	for range 9 {
		data = append(append(data, 0, 0, byte(len(text)>>8), byte(len(text))), text...)
	}
	r := NewReader(data)
	for range 9 {
		if r.String() != text {
			t.Fatal(r.Err())
		}
	}
}

func TestBudgetForStructs(t *testing.T) {
	type large struct{ _ [1 << 10]byte }
	r := NewReader(make([]byte, 1000))
	made := 0
	for ; !r.Failed(); made++ {
		New[large](&r)
	}
	if limit := (expansionFloor+expansion*1000)>>10 + 1; made > limit {
		t.Errorf("%d structs of 1 KiB from 1000 bytes, want at most %d", made, limit)
	}
	r = NewReader(nil)
	var slab Slab[large]
	for i := range 1000 {
		if slab.Next(&r, 1000-i) == nil {
			t.Fatal("no struct")
		}
	}
	if !r.Failed() {
		t.Error("a slab takes nothing from the budget")
	}
}
