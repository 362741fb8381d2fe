package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func newCodec(t testing.TB) *Codec {
	c, err := NewCodec(2)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// encrypting is a codec with keys.
func encrypting(t testing.TB) *Codec {
	keys, _, err := encryption.Open(t.Context(), bucket.New(memdriver.New(), "mem://test", "", bucket.Options{}), "cell",
		encryption.NewLocalKeeper([32]byte{1}), true)
	if err != nil {
		t.Fatal(err)
	}
	return newCodec(t).WithKeys(keys)
}

// codecs are one without keys and one with, and what the second adds.
func codecs(t testing.TB) map[Compression]*Codec {
	return map[Compression]*Codec{0: newCodec(t), Encrypted: encrypting(t)}
}

// pack makes a body of records, as entries and parts are made.
func pack(c *Codec, records ...[]byte) (body, raw []byte, compression Compression) {
	for _, r := range records {
		raw = AppendRecord(raw, r)
	}
	body, compression = c.Pack(bytes.Clone(raw), 0)
	return body, raw, compression
}

func noise(n int) []byte {
	source, b := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}), make([]byte, n)
	source.Read(b)
	return b
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	many := make([][]byte, 10_000)
	for i := range many {
		many[i] = bytes.Repeat([]byte{byte(i)}, i%50)
	}
	for name, c := range map[string]struct {
		records [][]byte
		want    Compression
	}{
		"none":                  {nil, None},
		"one empty":             {[][]byte{{}}, None},
		"many empty":            {make([][]byte, 1000), Zstd},
		"small":                 {[][]byte{[]byte("a"), {}, []byte("ccc")}, None},
		"too small to compress": {[][]byte{bytes.Repeat([]byte("a"), minCompress-3)}, None},
		"compressible":          {[][]byte{bytes.Repeat([]byte("a"), minCompress), []byte("x")}, Zstd},
		"noise":                 {[][]byte{noise(5000)}, None},
		"lengths of 1 to 4":     {[][]byte{noise(127), noise(128), noise(1<<14 - 1), noise(1 << 14), noise(1<<21 - 1), noise(1 << 21)}, None},
		"many":                  {many, Zstd},
	} {
		for encrypted, codec := range codecs(t) {
			body, raw, compression := pack(codec, c.records...)
			if compression != c.want|encrypted {
				t.Errorf("%s: compression is %v, want %v", name, compression, c.want|encrypted)
			}
			if most := len(raw) + encryption.Overhead*int(encrypted/Encrypted); len(body) > most {
				t.Errorf("%s: body has %d bytes, more than %d", name, len(body), most)
			}
			again, err := codec.Unpack(t.Context(), body, compression, len(raw))
			if err != nil || !bytes.Equal(again, raw) {
				t.Fatalf("%s: unpacked %d bytes, %v; want %d", name, len(again), err, len(raw))
			}
			records, err := Records(again, len(c.records))
			if err != nil || !slices.EqualFunc(records, c.records, bytes.Equal) {
				t.Fatalf("%s: %d records, %v", name, len(records), err)
			}
			for i, r := range records {
				if cap(r) != len(r) {
					t.Fatalf("%s: appending to record %d would write over the next", name, i)
				}
			}
		}
	}
}

func TestPackKeepsWhatIsBefore(t *testing.T) {
	for i, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 1000), []byte("small"), bytes.Repeat([]byte("large "), 1000)} {
		c := newCodec(t)
		if i > 1 {
			c = encrypting(t)
		}
		_, raw, _ := pack(c, record)
		got, compression := c.Pack(append([]byte("header"), raw...), len("header"))
		body, ok := bytes.CutPrefix(got, []byte("header"))
		if !ok {
			t.Fatalf("the header became %q", got[:6])
		}
		if again, err := c.Unpack(t.Context(), body, compression, len(raw)); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%d bytes, %v", len(again), err)
		}
	}
}

func TestRecordSizeIsABound(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 1 << 14, 1 << 21, MaxRaw / 2} {
		if got := len(binary.AppendUvarint(nil, uint64(n))) + n; got > RecordSize(n) {
			t.Errorf("a record of %d bytes takes %d, more than the %d said", n, got, RecordSize(n))
		}
	}
}

func TestLengthsThatLieAreRefused(t *testing.T) {
	length := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	for name, c := range map[string]struct {
		raw   []byte
		count int
	}{
		"a record fewer":           {[]byte{1, 'a', 1, 'b'}, 1},
		"a record more":            {[]byte{1, 'a', 1, 'b'}, 3},
		"none where some are":      {[]byte{1, 'a'}, 0},
		"some where none are":      {nil, 1},
		"less than none":           {[]byte{1, 'a'}, -1},
		"the least":                {[]byte{1, 'a'}, math.MinInt},
		"more than can be":         {[]byte{1, 'a'}, math.MaxInt},
		"longer than what is left": {[]byte{2, 'a'}, 1},
		"a second one too long":    {[]byte{1, 'a', 1}, 2},
		"as long as an int":        {append(length(math.MaxInt64), 'a'), 1},
		"as long as can be":        {append(length(math.MaxUint64), 'a'), 1},
		"a length without an end":  {[]byte{0x80, 0x80}, 1},
		"a length of 11 bytes":     {append(bytes.Repeat([]byte{0x80}, 10), 1), 1},
		"a length over 64 bits":    {append(bytes.Repeat([]byte{0xff}, 9), 2), 1},
		"a byte behind the last":   {[]byte{1, 'a', 0x80}, 1},
	} {
		if records, err := Records(c.raw, c.count); err == nil {
			t.Errorf("%s: %q", name, records)
		}
	}
}

func TestSizesThatLieAreRefused(t *testing.T) {
	c := newCodec(t)
	for _, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 1000)} {
		body, raw, compression := pack(c, record)
		for _, size := range []int{math.MinInt, -1, 0, len(raw) - 1, len(raw) + 1, MaxRaw, MaxRaw + 1, math.MaxInt} {
			if _, err := c.Unpack(t.Context(), body, compression, size); err == nil {
				t.Errorf("compression %d: a body of %d bytes was unpacked as %d", compression, len(raw), size)
			}
		}
		for n := range body {
			if _, err := c.Unpack(t.Context(), body[:n], compression, len(raw)); err == nil {
				t.Errorf("compression %d: cut after %d bytes: no error", compression, n)
			}
		}
		if _, err := c.Unpack(t.Context(), append(body, 0), compression, len(raw)); err == nil {
			t.Errorf("compression %d: a byte too many: no error", compression)
		}
		if _, err := c.Unpack(t.Context(), body, 2, len(raw)); err == nil || !strings.Contains(err.Error(), "compression 2") {
			t.Errorf("unknown compression: %v", err)
		}
	}
}

// A few bytes that unpack to very many are refused before they are in memory.
func TestBombIsRefused(t *testing.T) {
	c := newCodec(t)
	half := c.encoder.EncodeAll(make([]byte, MaxRaw/2), nil)
	for name, body := range map[string][]byte{
		"one frame":   c.encoder.EncodeAll(make([]byte, 4*MaxRaw), nil),
		"many frames": bytes.Repeat(half, 16),
	} {
		for _, size := range []int{10, MaxRaw} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if raw, err := c.Unpack(t.Context(), body, Zstd, size); err == nil {
				t.Errorf("%s of %d bytes unpacked to %d", name, len(body), len(raw))
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 3*MaxRaw {
				t.Errorf("%s of %d bytes took %d bytes of memory, want %d and little more", name, len(body), took, MaxRaw)
			}
		}
	}
}

func TestCodecIsForManyGoroutines(t *testing.T) {
	c := newCodec(t)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			want := bytes.Repeat([]byte{byte(i), 1, 2, 3}, 10_000)
			for range 20 {
				body, compression := c.Pack(bytes.Clone(want), 0)
				if raw, err := c.Unpack(t.Context(), body, compression, len(want)); err != nil || !bytes.Equal(raw, want) {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
}

// A body opens as what it was packed as only: no bit of it can be another, and what is
// said of it neither.
func TestEncryptedBodiesAreWhatWasPacked(t *testing.T) {
	c := encrypting(t)
	for _, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 100)} {
		body, raw, compression := pack(c, record)
		if bytes.Contains(body, record[:5]) {
			t.Error("the record can be read")
		}
		for bit := range 8 * len(body) {
			flipped := bytes.Clone(body)
			flipped[bit/8] ^= 1 << (bit % 8)
			if _, err := c.Unpack(t.Context(), flipped, compression, len(raw)); err == nil || errors.Is(err, encryption.ErrLocked) {
				t.Fatalf("bit %d: %v", bit, err)
			}
		}
		for _, other := range []Compression{None, Zstd, Encrypted | None, Encrypted | Zstd} {
			if _, err := c.Unpack(t.Context(), body, other, len(raw)); (err == nil) != (other == compression) {
				t.Errorf("%v as %v: %v", compression, other, err)
			}
		}
		for _, size := range []int{-1, 0, len(raw) - 1, len(raw) + 1, MaxRaw, MaxRaw + 1, math.MaxInt} {
			if _, err := c.Unpack(t.Context(), body, compression, size); err == nil {
				t.Errorf("unpacked as %d bytes", size)
			}
		}
		if _, err := newCodec(t).Unpack(t.Context(), body, compression, len(raw)); !errors.Is(err, encryption.ErrKeyNeeded) || !errors.Is(err, encryption.ErrLocked) {
			t.Errorf("without a key: %v", err)
		}
	}
}

// Whoever may write to the bucket can't have a body unpacked in another way: here what
// was packed as it is happens to be what could be decompressed.
func TestEncryptedBodySaysHowItWasPacked(t *testing.T) {
	c := encrypting(t)
	plain := bytes.Repeat([]byte("large "), 10)
	body, compression := c.Pack(c.encoder.EncodeAll(plain, nil), 0)
	if compression != Encrypted|None {
		t.Fatal(compression)
	}
	if _, err := c.Unpack(t.Context(), body, Encrypted|Zstd, len(plain)); err == nil {
		t.Error("unpacked as what it is not")
	}
}

func TestUnknownCompressionsAreOfANewerVersion(t *testing.T) {
	c := encrypting(t)
	for n := range 256 {
		compression := Compression(n)
		_, err := c.Unpack(t.Context(), make([]byte, 100), compression, 100)
		if known := compression&^Encrypted <= Zstd; errors.Is(err, persistence.ErrNewerFormat) == known {
			t.Errorf("%v: %v", compression, err)
		}
	}
}

// The same records are never the same body: so whoever sends again keeps what it sent.
func TestEncryptedBodiesAreNeverTheSame(t *testing.T) {
	c := encrypting(t)
	one, _, _ := pack(c, []byte("the same"))
	two, _, _ := pack(c, []byte("the same"))
	if bytes.Equal(one, two) {
		t.Error("one nonce was used twice")
	}
}

// Entries and parts in the bounds of the format are in them encrypted too.
func TestLargestBodyIsInItsBound(t *testing.T) {
	c := encrypting(t)
	raw := noise(MaxRaw)
	body, compression := c.Pack(bytes.Clone(raw), 0)
	if len(body) > MaxBody || compression != Encrypted {
		t.Fatal(len(body), compression)
	}
	if again, err := c.Unpack(t.Context(), body, compression, MaxRaw); err != nil || !bytes.Equal(again, raw) {
		t.Fatal(err)
	}
}

// Packing what a busy log's entry holds, and unpacking it, without keys and with them.
func BenchmarkPack(b *testing.B)   { benchmark(b, true) }
func BenchmarkUnpack(b *testing.B) { benchmark(b, false) }

func benchmark(b *testing.B, packing bool) {
	text := make([]byte, 1<<20) // compresses to about a half
	for i, c := range noise(len(text)) {
		text[i] = "0123456789abcdef"[c&15]
	}
	for name, c := range map[string]*Codec{"plain": newCodec(b), "encrypted": encrypting(b)} {
		for _, size := range []int{1 << 10, 32 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				body, compression := c.Pack(bytes.Clone(text[:size]), 0)
				buffer := make([]byte, 0, size+encryption.Overhead)
				b.SetBytes(int64(size))
				for b.Loop() {
					if packing {
						buffer = append(buffer[:0], text[:size]...)
						c.Pack(buffer, 0)
					} else if _, err := c.Unpack(b.Context(), body, compression, size); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Whatever a body is and whatever is said of it: no panic, and what comes back is
// as large as was said.
func FuzzUnpack(f *testing.F) {
	c := encrypting(f)
	for _, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 1000)} {
		body, raw, compression := pack(c, record, nil)
		f.Add(body, byte(compression), len(raw), 2)
		body, raw, compression = pack(newCodec(f), record, nil)
		f.Add(body, byte(compression), len(raw), 2)
	}
	f.Add([]byte(nil), byte(0), 0, 0)
	f.Add([]byte{0xff}, byte(1), -1, -1)
	f.Fuzz(func(t *testing.T, body []byte, compression byte, size, count int) {
		raw, err := c.Unpack(t.Context(), body, Compression(compression), size)
		if err != nil {
			return
		}
		if len(raw) != size {
			t.Fatalf("unpacked to %d bytes, want %d", len(raw), size)
		}
		records, err := Records(raw, count)
		if err != nil {
			return
		}
		total := 0
		for _, r := range records {
			total += len(r)
		}
		if len(records) != count || total+count > size {
			t.Fatalf("%d records of %d bytes in %d bytes, want %d", len(records), total, size, count)
		}
	})
}
