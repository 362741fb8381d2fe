// Package wire reads and writes the Thrift Binary protocol for the generated types of package api.
//
// A struct is a run of fields and a stop byte. A field is a type byte, a two-byte id and its value,
// so the three header bytes together, taken as one number, say all that a reader has to decide on:
//
//	+------+-----------+------- - - -
//	| type |    id     |  value
//	+------+-----------+------- - - -
//	 \___ one key ____/
//
// The generated readers switch on that key. A field whose id is unknown and a field whose type has
// changed are then the same case, the default one, and both are skipped.
//
// The Reader is made for bytes that may be anything: it never panics, and what it allocates is
// bounded by a multiple of its input. It checks each length against the bytes that are left before
// it believes it.
//
// The Scanner does what must be done where the input is too large for that: it walks over a stream and
// hands out one struct after another, for Readers.
//
// The Writer appends to a slice. It writes either what a value holds or its canonical form, in which
// equal values have equal bytes.
package wire

// Type codes of the protocol.
const (
	Stop   = 0
	Bool   = 2
	Byte   = 3
	Double = 4
	I16    = 6
	I32    = 8
	I64    = 10
	String = 11 // also binary
	Struct = 12 // also union
	Map    = 13
	Set    = 14
	List   = 15
)

// minSize returns the fewest bytes that a value of a type takes, or 0 for an unknown type.
func minSize(typ byte) int {
	switch typ {
	case Bool, Byte, Struct:
		return 1
	case I16:
		return 2
	case I32, String:
		return 4
	case Set, List:
		return 5
	case Map:
		return 6
	case I64, Double:
		return 8
	}
	return 0
}
