package damage

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
)

// What is done to an object.
const (
	flipped       = "a bit flipped"
	cut           = "cut"
	emptied       = "emptied"
	longer        = "longer"
	removed       = "removed"
	older         = "an older version"
	anotherObject = "another object"
	ofAnotherCell = "of another cell"
)

// damaged is one damage to one object.
type damaged struct {
	what string
	text string // which one it is
	data []byte // nil: removed
	// minor: there are seven or so others much like it, which is enough for observers
	// that take long.
	minor bool
}

// damages yields every damage to an object: that it is removed, in any case. Of bits and
// lengths it tries one in sample, and of all else one in some, beginning with another for
// each object.
func damages(c, other *cell, key string, sample int) iter.Seq[damaged] {
	return func(yield func(damaged) bool) {
		data := c.mem.Data(key)
		if !yield(damaged{what: removed}) {
			return
		}
		few := 1 + sample/100
		first := int(crc32.ChecksumIEEE([]byte(key[:min(len(key), 31)]))) % sample // names end at random
		for bit := first; bit < 8*len(data); bit += sample {
			wrong := bytes.Clone(data)
			wrong[bit/8] ^= 1 << (bit % 8)
			if !yield(damaged{flipped, fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), wrong, bit%8 != bit/8%8}) {
				return
			}
		}
		for n := 1 + first; n < len(data); n += sample {
			if !yield(damaged{cut, fmt.Sprintf("to %d bytes", n), data[:n], n%8 != 0}) {
				return
			}
		}
		some := []damaged{
			{what: emptied, data: []byte{}},
			{what: longer, text: "by a zero", data: append(bytes.Clone(data), 0)},
			{what: longer, text: "by a new line", data: append(bytes.Clone(data), '\n')},
			{what: longer, text: "by itself", data: append(bytes.Clone(data), data...)},
		}
		if before := c.older[key]; before != nil {
			some = append(some, damaged{what: older, data: before})
		}
		for _, another := range c.keys {
			some = append(some, damaged{what: anotherObject, text: another, data: c.mem.Data(another)})
		}
		if i := slices.Index(c.keys, key); i < len(other.keys) && kind(other, other.keys[i]) == kind(c, key) {
			some = append(some, damaged{what: ofAnotherCell, text: other.keys[i], data: other.mem.Data(other.keys[i])})
		}
		for i := first % few; i < len(some); i += few {
			d := some[i]
			if d.data != nil && bytes.Equal(d.data, data) {
				continue // the object itself
			}
			if !yield(d) {
				return
			}
		}
	}
}
