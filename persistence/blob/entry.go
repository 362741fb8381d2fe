package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// The layout of an entry. All integers are big-endian.
//
//	  0  magic "SSLOGENT"                         8
//	  8  format version                           2
//	 10  kind                                     1
//	 11  compression of the body                  1
//	 12  flags: see flagHost                      4
//	 16  position                                 8
//	 24  epoch                                    8
//	 32  writer                                  16
//	 48  prev: hash of the entry before it       32
//	 80  committed: positions known durable       8
//	 88  first transaction number                 8
//	 96  transactions in this entry               4
//	100  size of the body unpacked                4
//	104  wall clock, ms since 1970 UTC            8
//	112  size of the body as stored               4
//	116  SHA-256 of the body as stored           32
//	148  CRC-32C of the bytes before             4
//	152  body
//
// An entry's hash is the SHA-256 of its header, which holds that of its body: so
// the chain covers every byte, and a body is hashed once only. The CRC is there
// because nothing after the newest entry vouches for its header.
const (
	headerSize    = 152
	headerCRC     = 148
	formatVersion = 1
)

// flagHost tells that a seal's body goes on with the host of the leader that it names.
// It is informative; seals of older versions have none.
const flagHost = 1 << 0

// maxHost bounds that name, in bytes: so no seal is larger than MaxSeal.
const maxHost = 255

var (
	magic      = [8]byte{'S', 'S', 'L', 'O', 'G', 'E', 'N', 'T'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Kind tells what an entry is.
type Kind uint8

// The kinds of entries.
const (
	// KindRecords is a group of transactions, committed by one PUT.
	KindRecords Kind = 1
	// KindSeal ends an epoch and names the next one.
	KindSeal Kind = 2
	// KindRestore is one transaction that replaces the whole state: see Restore.
	KindRestore Kind = 3
)

func (k Kind) String() string {
	switch k {
	case KindRecords:
		return "records"
	case KindSeal:
		return "seal"
	case KindRestore:
		return "restore"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Header is what an entry says of itself.
type Header struct {
	Kind     Kind
	Position persistence.Position
	// Epoch is the epoch in whose key space the entry lies. For a seal that is
	// the epoch that it ends.
	Epoch persistence.Epoch
	// Writer made the entry. For a seal that is the leader of the next epoch.
	Writer persistence.WriterID
	// Prev is the hash of the entry before it in the history, at position 0 the
	// SHA-256 of cell.json.
	Prev persistence.Hash
	// Committed counts the positions that the writer knew to be durable when it
	// made the entry: all below Committed were.
	Committed persistence.Position
	// First is the number of the entry's first transaction, or of the next one
	// where it has none.
	First persistence.TransactionNumber
	Count int
	// Time is the writer's wall clock; informative.
	Time time.Time
	// namesHost tells that a seal says the host of the leader that it names.
	namesHost bool
	// RawSize and BodySize are the body's bytes unpacked and as stored.
	RawSize, BodySize int
	Compression       packed.Compression
	BodyHash          persistence.Hash
}

// Size is what the whole entry takes in the bucket, in bytes.
func (h *Header) Size() int64 { return headerSize + int64(h.BodySize) }

// Entry is one object of the log.
type Entry struct {
	Header
	// Hash is the entry's own, what the next one calls Prev.
	Hash persistence.Hash
	// Records are the transactions of an entry of KindRecords.
	Records [][]byte
	// NextEpoch is the epoch that a seal names, Host the host of its leader; empty if that
	// is not known.
	NextEpoch persistence.Epoch
	Host      string
	// Restore is what an entry of KindRestore names; nil for others.
	Restore *Restore
}

// ErrNewerFormat: the object was written by a newer version of this program.
var ErrNewerFormat = persistence.ErrNewerFormat

// encode makes an entry's object of its header and its body's raw bytes; it sets
// the header's sizes and hashes.
func encode(c *packed.Codec, h *Header, raw []byte) (object []byte, hash persistence.Hash) {
	object = append(make([]byte, headerSize, headerSize+len(raw)+encryption.Overhead), raw...)
	object = h.pack(c, object)
	return object, h.put(object)
}

// pack packs the body of an object in which the raw bytes lie behind the room for
// the header, and notes in the header what became of it. An object with more than
// packed.MaxRaw raw bytes could not be read again: callers let none come to be.
func (h *Header) pack(c *packed.Codec, object []byte) []byte {
	h.RawSize = len(object) - headerSize
	if h.Kind != KindSeal { // which anyone who follows must be able to read
		object, h.Compression = c.Pack(object, headerSize)
	}
	body := object[headerSize:]
	h.BodySize, h.BodyHash = len(body), sha256.Sum256(body)
	return object
}

// put writes the header to the first headerSize bytes of b and returns the entry's hash.
func (h *Header) put(b []byte) persistence.Hash {
	copy(b, magic[:])
	binary.BigEndian.PutUint16(b[8:], formatVersion)
	b[10], b[11] = byte(h.Kind), byte(h.Compression)
	binary.BigEndian.PutUint32(b[12:], h.flags())
	binary.BigEndian.PutUint64(b[16:], uint64(h.Position))
	binary.BigEndian.PutUint64(b[24:], uint64(h.Epoch))
	copy(b[32:], h.Writer[:])
	copy(b[48:], h.Prev[:])
	binary.BigEndian.PutUint64(b[80:], uint64(h.Committed))
	binary.BigEndian.PutUint64(b[88:], uint64(h.First))
	binary.BigEndian.PutUint32(b[96:], uint32(h.Count))
	binary.BigEndian.PutUint32(b[100:], uint32(h.RawSize))
	binary.BigEndian.PutUint64(b[104:], uint64(h.Time.UnixMilli()))
	binary.BigEndian.PutUint32(b[112:], uint32(h.BodySize))
	copy(b[116:], h.BodyHash[:])
	binary.BigEndian.PutUint32(b[headerCRC:], crc32.Checksum(b[:headerCRC], castagnoli))
	return sha256.Sum256(b[:headerSize])
}

func (h *Header) flags() uint32 {
	if h.namesHost {
		return flagHost
	}
	return 0
}

// decodeHeader reads a header and checks all of it that can be checked alone.
func decodeHeader(b []byte) (h Header, err error) {
	if len(b) < headerSize {
		return h, fmt.Errorf("has %d bytes, fewer than the %d of a header", len(b), headerSize)
	}
	b = b[:headerSize]
	if !bytes.Equal(b[:8], magic[:]) {
		return h, fmt.Errorf("begins with %q, not with %q: it is no log entry", b[:8], magic[:])
	}
	// The CRC goes first, so that a flipped bit is called that, and not a newer version.
	if got, want := crc32.Checksum(b[:headerCRC], castagnoli), binary.BigEndian.Uint32(b[headerCRC:]); got != want {
		return h, fmt.Errorf("header's checksum is %08x, want %08x", got, want)
	}
	if v := binary.BigEndian.Uint16(b[8:]); v > formatVersion {
		return h, fmt.Errorf("%w: entry format %d, this program reads up to %d", ErrNewerFormat, v, formatVersion)
	} else if v == 0 {
		return h, errors.New("entry format is 0")
	}
	flags := binary.BigEndian.Uint32(b[12:])
	known := uint32(0)
	if Kind(b[10]) == KindSeal {
		known = flagHost
	}
	if unknown := flags &^ known; unknown != 0 {
		return h, fmt.Errorf("%w: entry has unknown flags %#x", ErrNewerFormat, unknown)
	}
	h = Header{
		Kind:        Kind(b[10]),
		Position:    persistence.Position(binary.BigEndian.Uint64(b[16:])),
		Epoch:       persistence.Epoch(binary.BigEndian.Uint64(b[24:])),
		Writer:      persistence.WriterID(b[32:48]),
		Prev:        persistence.Hash(b[48:80]),
		Committed:   persistence.Position(binary.BigEndian.Uint64(b[80:])),
		First:       persistence.TransactionNumber(binary.BigEndian.Uint64(b[88:])),
		Time:        time.UnixMilli(int64(binary.BigEndian.Uint64(b[104:]))).UTC(),
		namesHost:   flags&flagHost != 0,
		Compression: packed.Compression(b[11]),
		BodyHash:    persistence.Hash(b[116:148]),
	}
	count, raw, body := binary.BigEndian.Uint32(b[96:]), binary.BigEndian.Uint32(b[100:]), binary.BigEndian.Uint32(b[112:])
	if count > math.MaxInt32 || raw > packed.MaxRaw || body > packed.MaxBody {
		return h, fmt.Errorf("header's counts are too large: %d transactions, %d bytes, %d stored", count, raw, body)
	}
	h.Count, h.RawSize, h.BodySize = int(count), int(raw), int(body)
	return h, nil
}

// decode reads an entry's object and checks everything that can be checked
// without its neighbours. Its errors say what is wrong, not with which object; see
// packed.Codec.Unpack for those that are no damage.
func decode(ctx context.Context, c *packed.Codec, object []byte) (*Entry, error) {
	h, err := decodeHeader(object)
	if err != nil {
		return nil, err
	}
	body := object[headerSize:]
	if len(body) != h.BodySize {
		return nil, fmt.Errorf("body has %d bytes, want %d", len(body), h.BodySize)
	}
	if got := persistence.Hash(sha256.Sum256(body)); got != h.BodyHash {
		return nil, fmt.Errorf("body's SHA-256 is %s, want %s", got, h.BodyHash)
	}
	e := &Entry{Header: h, Hash: sha256.Sum256(object[:headerSize])}
	raw, err := c.Unpack(ctx, body, h.Compression, h.RawSize)
	if err != nil {
		return nil, err
	}
	switch h.Kind {
	case KindRecords:
		if e.Records, err = packed.Records(raw, h.Count); err == nil && h.Count == 0 {
			err = errors.New("entry without records")
		}
	case KindSeal:
		err = e.decodeSeal(raw)
	case KindRestore:
		e.Restore, err = decodeRestore(&h, raw)
	default:
		err = fmt.Errorf("%w: entry of unknown %v", ErrNewerFormat, h.Kind)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// A seal's body is the next epoch, 8 bytes, and with flagHost the host of its leader.
func sealBody(next persistence.Epoch, host string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(next)), host...)
}

func (e *Entry) decodeSeal(raw []byte) error {
	host := 0
	if e.namesHost {
		host = len(raw) - 8
	}
	if host < 0 || host > maxHost || len(raw) != 8+host || e.Count != 0 {
		return fmt.Errorf("seal with a body of %d bytes and %d transactions, want 8, %d at most for a host if it names one, and none", len(raw), e.Count, maxHost)
	}
	e.Host = string(raw[8:])
	if e.NextEpoch = persistence.Epoch(binary.BigEndian.Uint64(raw)); e.NextEpoch <= e.Epoch {
		return fmt.Errorf("seal of epoch %d names epoch %d, which is not larger", e.Epoch, e.NextEpoch)
	}
	return nil
}
