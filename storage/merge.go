package storage

import (
	"iter"

	"github.com/tidwall/btree"
)

// ranges are rows of several keys of an index, those of each key in the order of their
// ids. No row is in two of them.
type ranges []*btree.BTreeG[*row]

func (r ranges) len() (rows int) {
	for _, some := range r {
		rows += some.Len()
	}
	return rows
}

// byID returns the rows in the order of their ids. It reads the ranges as it goes:
// whoever stops early pays for no more than that.
func (r ranges) byID() iter.Seq[*row] {
	if len(r) == 1 {
		return func(yield func(*row) bool) { r[0].Scan(yield) }
	}
	return func(yield func(*row) bool) {
		places, heap := make([]place, len(r)), make(rangeHeap, len(r))
		for i, rows := range r {
			p := &places[i]
			p.rest.Init(rows, false)
			p.rest.First()
			p.row = p.rest.Item()
			heap[i] = p
		}
		for i := len(heap)/2 - 1; i >= 0; i-- {
			heap.down(i)
		}
		for len(heap) > 0 {
			top := heap[0]
			if !yield(top.row) {
				return
			}
			if top.rest.Next() {
				top.row = top.rest.Item()
			} else {
				last := len(heap) - 1
				heap[0] = heap[last]
				heap = heap[:last]
			}
			heap.down(0)
		}
	}
}

// place is where the reading of a range is.
type place struct {
	row  *row
	rest btree.IterG[*row]
}

// rangeHeap has the range whose row has the least id on top.
type rangeHeap []*place

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
