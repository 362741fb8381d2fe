package wire

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

func TestSetsInCanonicalOrder(t *testing.T) {
	write := func(mode Mode, elems ...string) string {
		w := NewWriter(nil, mode)
		set := w.BeginSet(Set<<16|1, String, len(elems))
		for _, e := range elems {
			w.Elem()
			w.ElemString(e)
		}
		w.EndSet(set)
		w.Stop()
		return hex.EncodeToString(w.Buf())
	}
	const want = "0e00010b00000003" + "00000000" + "0000000162" + "000000026161" + "00"
	for _, elems := range [][]string{{"", "b", "aa"}, {"aa", "b", ""}, {"b", "aa", "", "b", "aa", "aa"}} {
		if got := write(Canonical, elems...); got != want {
			t.Errorf("%q: %s, want %s", elems, got, want)
		}
	}
	if got := write(AsIs, "b", "a", "b"); got != "0e00010b00000003"+"0000000162"+"0000000161"+"0000000162"+"00" {
		t.Errorf("as is: %s", got)
	}
	if write(Canonical, "a", "a") != write(Canonical, "a") || write(Canonical) != "0e00010b0000000000" {
		t.Error("repetitions stay, or the empty set is wrong")
	}
}

func TestSetsWithinSets(t *testing.T) {
	write := func(outer ...[]int32) []byte {
		w := NewWriter([]byte("start"), Canonical)
		set := w.BeginSet(Set<<16|1, Struct, len(outer))
		for _, inner := range outer {
			w.Elem()
			set := w.BeginSet(Set<<16|1, I32, len(inner))
			for _, n := range inner {
				w.Elem()
				w.ElemI32(n)
			}
			w.EndSet(set)
			w.Stop()
		}
		w.EndSet(set)
		return w.Buf()
	}
	want := write([]int32{1, 2}, []int32{3, 4})
	for _, v := range [][]byte{write([]int32{4, 3}, []int32{2, 1}), write([]int32{3, 4, 3}, []int32{1, 2}, []int32{4, 3}, []int32{2, 1})} {
		if !bytes.Equal(v, want) {
			t.Errorf("%x, want %x", v, want)
		}
	}
}

func TestSortedSetsHaveTheOrderOfTheirEncodings(t *testing.T) {
	texts := SortStrings([]string{"b", "aa", "", "b", "ab"})
	if !slices.Equal(texts, []string{"", "b", "aa", "ab"}) {
		t.Errorf("%q", texts)
	}
	numbers := SortNumbers([]int32{-1, 2, 0, 2, -2})
	if !slices.Equal(numbers, []int32{0, 2, -2, -1}) {
		t.Errorf("%v", numbers)
	}
	type pair struct{ n int32 }
	set := []*pair{{3}, {1}, {3}, {2}}
	whole := set
	set = SortStructs(set, func(p *pair, w *Writer) { w.ElemI32(p.n) })
	if len(set) != 3 || set[0].n != 1 || set[1].n != 2 || set[2].n != 3 || whole[3] != nil {
		t.Errorf("%v, and %v left behind", set, whole[3])
	}
}

func TestWriterFailsOnInvalidUTF8(t *testing.T) {
	w := NewWriter(nil, AsIs)
	w.String(String<<16|1, "ok")
	if w.Failed() {
		t.Error("fails on a valid string")
	}
	w.String(String<<16|2, "\xff")
	if !w.Failed() {
		t.Error("writes what cannot be read")
	}
}

func TestOptional(t *testing.T) {
	var o Optional[int32]
	if o.Set || !o.IsZero() || o.Get() != 0 || o.Or(7) != 7 || o.String() != "unset" {
		t.Errorf("%+v", o)
	}
	o.Fill()
	if o != Some(int32(0)) || o.IsZero() || o.Or(7) != 0 || o.String() != "0" {
		t.Errorf("%+v", o)
	}
	stale := Optional[int32]{Value: 3}
	if stale.Get() != 0 {
		t.Error("the value of an unset Optional shows")
	}
	if stale.Fill(); stale.Value != 0 {
		t.Error("Fill brings back the value of an unset Optional")
	}
}
