// Package persistence holds the words of the protocol (docs/protocol.md) that the
// log, the snapshots and everything above them share. They are types of their own
// so that a position can't be passed where an epoch is meant.
package persistence

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Position is an entry's place in a cell's log: 0, 1, 2 …, dense over all epochs.
type Position uint64

// Epoch is a generation of leadership. Epoch 0 has no entries of its own: the
// first leader seals it at position 0 and writes in epoch 1.
type Epoch uint64

// TransactionNumber is a record's place in the cell's history: 1, 2, 3 …, across
// entries. 0 stands before the first.
type TransactionNumber uint64

func (p Position) String() string          { return strconv.FormatUint(uint64(p), 10) }
func (e Epoch) String() string             { return strconv.FormatUint(uint64(e), 10) }
func (n TransactionNumber) String() string { return strconv.FormatUint(uint64(n), 10) }

// WriterID names one opening of a log for writing: random, never used again.
type WriterID [16]byte

// NewWriterID returns a fresh random id.
func NewWriterID() WriterID {
	var w WriterID
	rand.Read(w[:]) // never fails: crypto/rand ends the program instead
	return w
}

func (w WriterID) String() string { return hex.EncodeToString(w[:]) }

// MarshalText writes the id as 32 hexadecimal digits.
func (w WriterID) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (w *WriterID) UnmarshalText(text []byte) error { return decodeHex(w[:], text, "writer id") }

// Hash is a SHA-256.
type Hash [32]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash as 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error { return decodeHex(h[:], text, "SHA-256") }

func decodeHex(dst, text []byte, what string) error {
	if len(text) != 2*len(dst) {
		return fmt.Errorf("%s has %d digits, want %d", what, len(text), 2*len(dst))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Point is a place between two entries of the history: all that a reader must
// know to go on from there, and all that a snapshot must say of where it was
// taken.
type Point struct {
	// Epoch is the epoch in which the next entry is looked for.
	Epoch Epoch `json:"epoch"`
	// Next is the next entry's position.
	Next Position `json:"next"`
	// Transaction is the number of the last transaction before this point.
	Transaction TransactionNumber `json:"transaction"`
	// Hash is the hash of the entry before this point: the chain's hash.
	Hash Hash `json:"hash"`
}

func (p Point) String() string {
	return fmt.Sprintf("epoch %d position %d transaction %d", p.Epoch, p.Next, p.Transaction)
}
