// Package packed is the body that log entries and snapshot parts share: records,
// each with its length before it, together compressed where that is smaller, and
// encrypted where the cell has keys.
//
//	raw   = { uvarint length, record bytes } …
//	plain = raw, or zstd(raw)
//	body  = plain, or sealed(plain), see package encryption
//
// The sizes and the SHA-256 of the body stand in the entry's header or in the
// snapshot's manifest; they are checked there, before anything here is called.
package packed

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Compression names how a body is stored: how it is compressed, and, by its high bit,
// whether it is encrypted.
type Compression uint8

// The compressions that this version knows.
const (
	None Compression = 0
	Zstd Compression = 1
	// Encrypted is set in that of an encrypted body.
	Encrypted Compression = 0x80
)

func (c Compression) String() string {
	names := map[Compression]string{None: "none", Zstd: "zstd", Encrypted | None: "none, encrypted", Encrypted | Zstd: "zstd, encrypted"}
	if name, known := names[c]; known {
		return name
	}
	return fmt.Sprintf("unknown compression %d", uint8(c))
}

// MaxRaw bounds what a body may unpack to, MaxBody the body itself, in bytes. What
// compressing does not make smaller is not compressed.
const (
	MaxRaw  = 64 << 20
	MaxBody = MaxRaw + encryption.Overhead
)

// minCompress is the size below which compressing is not tried: a frame's own
// overhead and the time are more than what is saved.
const minCompress = 256

// minSaved is the part of the raw bytes that compressing must save, one in so many:
// less does not pay for unpacking, each time it is read.
const minSaved = 8

// Codec compresses and decompresses. It may be used by many goroutines.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	scratch *sync.Pool // of *[]byte, which compressed bodies are tried in
	keys    *encryption.Ring
}

// NewCodec returns a Codec for use with up to concurrency goroutines at once;
// more wait for each other.
func NewCodec(concurrency int) (*Codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(concurrency),
		zstd.WithEncoderCRC(false)) // the body's SHA-256 says more
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	// What a body says of its own size gets no more memory than the size that it must have.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderMaxMemory(MaxRaw), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return &Codec{encoder: encoder, decoder: decoder, scratch: &sync.Pool{New: func() any { return new([]byte) }}}, nil
}

// WithKeys returns a Codec that shares what c has, and encrypts and decrypts with these
// keys.
func (c *Codec) WithKeys(keys *encryption.Ring) *Codec {
	with := *c
	with.keys = keys
	return &with
}

// Keys are those that the codec encrypts with, nil if there never are any.
func (c *Codec) Keys() *encryption.Ring { return c.keys }

// Pack replaces b[from:], the raw records of a body, by the body, in place, and says
// how it is stored. The same records never have the same body twice if that is
// encrypted: whoever may send them again keeps it. If b has room for
// encryption.Overhead more, it stays where it is.
func (c *Codec) Pack(b []byte, from int) ([]byte, Compression) {
	raw := b[from:]
	scratch := c.scratch.Get().(*[]byte)
	defer c.scratch.Put(scratch)
	plain, compression := raw, None
	if len(raw) >= minCompress {
		*scratch = c.encoder.EncodeAll(raw, (*scratch)[:0])
		if len(*scratch) <= len(raw)-len(raw)/minSaved {
			plain, compression = *scratch, Zstd
		}
	}
	if c.keys == nil || c.keys.Newest() == 0 {
		if compression == None {
			return b, None
		}
		return append(b[:from], plain...), compression
	}
	if compression == None { // sealing writes over what it lies in
		*scratch = append((*scratch)[:0], raw...)
		plain = *scratch
	}
	compression |= Encrypted
	return c.keys.Seal(b[:from], plain, sealedWith(compression, len(raw))), compression
}

// sealedWith is what an encrypted body opens with only: so it can't be unpacked in
// another way than it was packed.
func sealedWith(compression Compression, size int) []byte {
	return binary.BigEndian.AppendUint32([]byte{byte(compression)}, uint32(size))
}

// Unpack returns the raw records of a body, which must be size bytes. Errors match
// persistence.ErrNewerFormat for a compression that is unknown, and
// encryption.ErrLocked where the body's data key can't be had; any other is damage.
func (c *Codec) Unpack(ctx context.Context, body []byte, compression Compression, size int) ([]byte, error) {
	if size < 0 || size > MaxRaw {
		return nil, fmt.Errorf("body says that it unpacks to %d bytes, 0 to %d are allowed", size, MaxRaw)
	}
	method := compression &^ Encrypted
	if method > Zstd {
		return nil, fmt.Errorf("%w: body with %v", persistence.ErrNewerFormat, compression)
	}
	if method == compression {
		return c.decompress(body, method, size)
	}
	if c.keys == nil {
		return nil, fmt.Errorf("%w: %w", encryption.ErrLocked, encryption.ErrKeyNeeded)
	}
	if method == None { // what it decrypts to is kept
		plain, err := c.keys.Open(ctx, nil, body, sealedWith(compression, size))
		if err != nil {
			return nil, err
		}
		return c.decompress(plain, method, size)
	}
	scratch := c.scratch.Get().(*[]byte)
	defer c.scratch.Put(scratch)
	plain, err := c.keys.Open(ctx, (*scratch)[:0], body, sealedWith(compression, size))
	if err != nil {
		return nil, err
	}
	*scratch = plain
	return c.decompress(plain, method, size)
}

func (c *Codec) decompress(body []byte, method Compression, size int) ([]byte, error) {
	if method == None {
		if len(body) != size {
			return nil, fmt.Errorf("body has %d bytes, want %d", len(body), size)
		}
		return body, nil
	}
	raw, err := c.decoder.DecodeAll(body, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("decompress body: %w", err)
	}
	if len(raw) != size {
		return nil, fmt.Errorf("body unpacks to %d bytes, want %d", len(raw), size)
	}
	return raw, nil
}

// AppendRecord appends a record to raw.
func AppendRecord(raw, record []byte) []byte {
	raw = binary.AppendUvarint(raw, uint64(len(record)))
	return append(raw, record...)
}

// RecordSize is how many bytes AppendRecord adds for a record of n bytes, at most.
func RecordSize(n int) int { return n + binary.MaxVarintLen32 }

// Records splits raw into its count records, which share raw's memory.
func Records(raw []byte, count int) ([][]byte, error) {
	if count < 0 || count > len(raw) { // each record takes a byte at least
		return nil, fmt.Errorf("%d records can't be in %d bytes", count, len(raw))
	}
	records := make([][]byte, 0, count)
	for rest := raw; len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return nil, fmt.Errorf("record %d of %d: its length is wrong", len(records), count)
		}
		end := n + int(size)
		records = append(records, rest[n:end:end])
		rest = rest[end:]
	}
	if len(records) != count {
		return nil, fmt.Errorf("found %d records, want %d", len(records), count)
	}
	return records, nil
}
