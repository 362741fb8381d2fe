package wire

import (
	"bytes"
	"cmp"
	"math"
	"slices"
)

// SortStructs brings the elements of a set, canonical themselves, into canonical order in place and
// returns it without repetitions.
func SortStructs[T any](set []*T, write func(*T, *Writer)) []*T {
	if len(set) < 2 {
		return set
	}
	w := NewWriter(make([]byte, 0, 512), Canonical)
	writeElems(&w, set, write)
	if w.ascending(w.starts) {
		return set
	}
	type elem struct {
		v   *T
		enc []byte
	}
	elems := make([]elem, len(set))
	for i, e := range set {
		elems[i] = elem{e, w.elem(w.starts, i)}
	}
	compare := func(a, b elem) int { return bytes.Compare(a.enc, b.enc) }
	slices.SortStableFunc(elems, compare)
	elems = slices.CompactFunc(elems, func(a, b elem) bool { return compare(a, b) == 0 })
	for i, e := range elems {
		set[i] = e.v
	}
	clear(set[len(elems):])
	return set[:len(elems)]
}

func writeElems[T any](w *Writer, set []*T, write func(*T, *Writer)) {
	for _, e := range set {
		w.Elem()
		if e == nil {
			w.ElemNil()
		} else {
			write(e, w)
		}
	}
}

// SameStructs reports whether two sets have the same canonical form.
func SameStructs[T any](a, b []*T, equal func(a, b *T) bool, write func(*T, *Writer)) bool {
	if slices.EqualFunc(a, b, equal) {
		return true // as is usual: most sets are canonical
	}
	if len(a) < 2 && len(b) < 2 {
		return false
	}
	wa, wb := NewWriter(nil, Canonical), NewWriter(nil, Canonical)
	for _, s := range []struct {
		w   *Writer
		set []*T
	}{{&wa, a}, {&wb, b}} {
		base := s.w.BeginSet(0, Struct, len(s.set))
		writeElems(s.w, s.set, write)
		s.w.EndSet(base)
	}
	return bytes.Equal(wa.buf, wb.buf)
}

// SameStrings does for strings what SameStructs does for structs.
func SameStrings(a, b []string) bool {
	return slices.Equal(a, b) || slices.Equal(SortStrings(slices.Clone(a)), SortStrings(slices.Clone(b)))
}

// SameNumbers does for i32 and enums what SameStructs does for structs.
func SameNumbers[T ~int32](a, b []T) bool {
	return slices.Equal(a, b) || slices.Equal(SortNumbers(slices.Clone(a)), SortNumbers(slices.Clone(b)))
}

// Same reports whether both are unset or have the same value.
func Same[T comparable](a, b Optional[T]) bool { return a.Set == b.Set && a.Get() == b.Get() }

// SameDouble reports whether a and b have the same bits, which are what is stored.
func SameDouble(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// SortStrings does for strings what SortStructs does for structs. The length comes first in the
// encoding, so short strings come before long ones.
func SortStrings(set []string) []string {
	slices.SortFunc(set, func(a, b string) int {
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	return slices.Compact(set)
}

// SortNumbers does for i32 and enums what SortStructs does for structs. Negative numbers have the
// greater encodings.
func SortNumbers[T ~int32](set []T) []T {
	slices.SortFunc(set, func(a, b T) int { return cmp.Compare(uint32(a), uint32(b)) })
	return slices.Compact(set)
}
