// Package packed is the body that log entries and snapshot parts share: records,
// each with its length before it, together compressed where that is smaller.
//
//	raw  = { uvarint length, record bytes } …
//	body = raw, or zstd(raw)
//
// The sizes and the SHA-256 of the body stand in the entry's header or in the
// snapshot's manifest; they are checked there, before anything here is called.
package packed

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Compression names how a body is stored.
type Compression uint8

// The compressions that this version knows.
const (
	None Compression = 0
	Zstd Compression = 1
)

// MaxRaw bounds what a body may unpack to, in bytes.
const MaxRaw = 64 << 20

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
	scratch sync.Pool // of *[]byte, which compressed bodies are tried in
}

// NewCodec returns a Codec for use with up to concurrency goroutines at once;
// more wait for each other.
func NewCodec(concurrency int) (*Codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(concurrency),
		zstd.WithEncoderCRC(false)) // the body's SHA-256 says more
	if err != nil {
		return nil, fmt.Errorf("zstd encoder: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderMaxMemory(MaxRaw))
	if err != nil {
		return nil, fmt.Errorf("zstd decoder: %w", err)
	}
	return &Codec{encoder: encoder, decoder: decoder, scratch: sync.Pool{New: func() any { return new([]byte) }}}, nil
}

// Pack replaces b[from:], the raw records of a body, by the body, in place, and says
// how it is stored.
func (c *Codec) Pack(b []byte, from int) ([]byte, Compression) {
	raw := b[from:]
	if len(raw) < minCompress {
		return b, None
	}
	scratch := c.scratch.Get().(*[]byte)
	defer c.scratch.Put(scratch)
	*scratch = c.encoder.EncodeAll(raw, (*scratch)[:0])
	if packed := *scratch; len(packed) <= len(raw)-len(raw)/minSaved {
		return append(b[:from], packed...), Zstd
	}
	return b, None
}

// Unpack returns the raw records of a body, which must be size bytes.
func (c *Codec) Unpack(body []byte, compression Compression, size int) ([]byte, error) {
	if size < 0 || size > MaxRaw {
		return nil, fmt.Errorf("body says that it unpacks to %d bytes, 0 to %d are allowed", size, MaxRaw)
	}
	switch compression {
	case None:
		if len(body) != size {
			return nil, fmt.Errorf("body has %d bytes, want %d", len(body), size)
		}
		return body, nil
	case Zstd:
		raw, err := c.decoder.DecodeAll(body, make([]byte, 0, size))
		if err != nil {
			return nil, fmt.Errorf("decompress body: %w", err)
		}
		if len(raw) != size {
			return nil, fmt.Errorf("body unpacks to %d bytes, want %d", len(raw), size)
		}
		return raw, nil
	}
	return nil, fmt.Errorf("unknown compression %d", compression)
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
