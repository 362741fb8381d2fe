package packed

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func newCodec(t testing.TB) *Codec {
	c, err := NewCodec(2)
	if err != nil {
		t.Fatal(err)
	}
	return c
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
		t.Run(name, func(t *testing.T) {
			codec := newCodec(t)
			body, raw, compression := pack(codec, c.records...)
			if compression != c.want {
				t.Errorf("compression is %d, want %d", compression, c.want)
			}
			if len(body) > len(raw) {
				t.Errorf("body has %d bytes, more than the %d unpacked", len(body), len(raw))
			}
			again, err := codec.Unpack(body, compression, len(raw))
			if err != nil || !bytes.Equal(again, raw) {
				t.Fatalf("unpacked %d bytes, %v; want %d", len(again), err, len(raw))
			}
			records, err := Records(again, len(c.records))
			if err != nil || !slices.EqualFunc(records, c.records, bytes.Equal) {
				t.Fatalf("%d records, %v", len(records), err)
			}
			for i, r := range records {
				if cap(r) != len(r) {
					t.Fatalf("appending to record %d would write over the next", i)
				}
			}
		})
	}
}

func TestPackKeepsWhatIsBefore(t *testing.T) {
	c := newCodec(t)
	for _, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 1000)} {
		_, raw, _ := pack(c, record)
		got, compression := c.Pack(append([]byte("header"), raw...), len("header"))
		body, ok := bytes.CutPrefix(got, []byte("header"))
		if !ok {
			t.Fatalf("the header became %q", got[:6])
		}
		if again, err := c.Unpack(body, compression, len(raw)); err != nil || !bytes.Equal(again, raw) {
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
			if _, err := c.Unpack(body, compression, size); err == nil {
				t.Errorf("compression %d: a body of %d bytes was unpacked as %d", compression, len(raw), size)
			}
		}
		for n := range body {
			if _, err := c.Unpack(body[:n], compression, len(raw)); err == nil {
				t.Errorf("compression %d: cut after %d bytes: no error", compression, n)
			}
		}
		if _, err := c.Unpack(append(body, 0), compression, len(raw)); err == nil {
			t.Errorf("compression %d: a byte too many: no error", compression)
		}
		if _, err := c.Unpack(body, 2, len(raw)); err == nil || !strings.Contains(err.Error(), "compression 2") {
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
			if raw, err := c.Unpack(body, Zstd, size); err == nil {
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
				if raw, err := c.Unpack(body, compression, len(want)); err != nil || !bytes.Equal(raw, want) {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
}

// Whatever a body is and whatever is said of it: no panic, and what comes back is
// as large as was said.
func FuzzUnpack(f *testing.F) {
	c := newCodec(f)
	for _, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 1000)} {
		body, raw, compression := pack(c, record, nil)
		f.Add(body, byte(compression), len(raw), 2)
	}
	f.Add([]byte(nil), byte(0), 0, 0)
	f.Add([]byte{0xff}, byte(1), -1, -1)
	f.Fuzz(func(t *testing.T, body []byte, compression byte, size, count int) {
		raw, err := c.Unpack(body, Compression(compression), size)
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
