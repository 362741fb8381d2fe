package storage

import (
	"iter"
	"slices"

	"github.com/tidwall/btree"
)

// mergeRanges returns the rows of an index that have the key of one of the probes, in
// the order of their ids, each once. It reads the ranges as it goes: whoever stops
// early pays for no more than that.
func mergeRanges(index *tree[*row], compare func(a, b *row) int, probes []*row) iter.Seq[*row] {
	slices.SortFunc(probes, compare)
	probes = slices.CompactFunc(probes, func(a, b *row) bool { return compare(a, b) == 0 })
	if len(probes) == 1 {
		return index.from(probes[0], func(r *row) bool { return compare(r, probes[0]) == 0 })
	}
	rows := index.frozen()
	return func(yield func(*row) bool) {
		heap := make(rangeHeap, 0, len(probes))
		for _, probe := range probes {
			r := &keyRange{probe: probe, compare: compare}
			r.rows.Init(rows, false)
			if r.rows.Seek(probe) && r.belongs() {
				heap = append(heap, r)
			}
		}
		for i := len(heap)/2 - 1; i >= 0; i-- {
			heap.down(i)
		}
		for len(heap) > 0 {
			if !yield(heap[0].row) {
				return
			}
			if !(heap[0].rows.Next() && heap[0].belongs()) {
				last := len(heap) - 1
				heap[0] = heap[last]
				heap = heap[:last]
			}
			heap.down(0)
		}
	}
}

// keyRange is a place within the rows of one key.
type keyRange struct {
	rows    btree.IterG[*row]
	row     *row
	probe   *row
	compare func(a, b *row) int
}

// belongs takes the row that the iterator is at and reports whether it has the key.
func (r *keyRange) belongs() bool {
	r.row = r.rows.Item()
	return r.compare(r.row, r.probe) == 0
}

// rangeHeap has the range whose row has the least id on top.
type rangeHeap []*keyRange

func (h rangeHeap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].row.id() < h[least].row.id() {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
