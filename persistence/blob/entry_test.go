package blob

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func testCodec(t testing.TB) *packed.Codec {
	c, err := packed.NewCodec(2)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sample(t testing.TB, c *packed.Codec, records ...[]byte) (Header, []byte, persistence.Hash) {
	h := Header{Kind: KindRecords, Position: 7, Epoch: 3, Writer: persistence.NewWriterID(), Prev: persistence.Hash{1, 2, 3},
		Committed: 5, First: 41, Count: len(records), Time: time.UnixMilli(1_700_000_000_123).UTC()}
	var raw []byte
	for _, r := range records {
		raw = packed.AppendRecord(raw, r)
	}
	object, hash := encode(c, &h, raw)
	return h, object, hash
}

func TestEntryComesBackAsItWas(t *testing.T) {
	c := testCodec(t)
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, records := range map[string][][]byte{
		"small":        {[]byte("a"), {}, []byte("ccc")},
		"compressible": {bytes.Repeat([]byte("task "), 1000), []byte("x")},
		"noise":        {noise},
	} {
		t.Run(name, func(t *testing.T) {
			h, object, hash := sample(t, c, records...)
			e, err := decode(t.Context(), c, object)
			if err != nil {
				t.Fatal(err)
			}
			if e.Header != h || e.Hash != hash {
				t.Errorf("header came back as %+v, want %+v", e.Header, h)
			}
			if len(e.Records) != len(records) {
				t.Fatalf("%d records, want %d", len(e.Records), len(records))
			}
			for i := range records {
				if !bytes.Equal(e.Records[i], records[i]) {
					t.Errorf("record %d came back as %q", i, e.Records[i])
				}
			}
		})
	}
}

func TestSealComesBackAsItWas(t *testing.T) {
	c := testCodec(t)
	h := Header{Kind: KindSeal, Position: 9, Epoch: 3, Writer: persistence.NewWriterID(), Committed: 9, First: 50, Time: time.UnixMilli(1).UTC()}
	object, _ := encode(c, &h, sealBody(4, ""))
	e, err := decode(t.Context(), c, object)
	if err != nil || e.NextEpoch != 4 || e.Header != h {
		t.Fatalf("%+v, %v", e, err)
	}
	want := persistence.Point{Epoch: 4, Next: 10, Transaction: 49, Hash: e.Hash}
	if got := e.after(); !reflect.DeepEqual(got, want) {
		t.Errorf("goes on at %v, want %v", got, want)
	}
	object, _ = encode(c, &h, sealBody(3, ""))
	if _, err := decode(t.Context(), c, object); err == nil {
		t.Error("a seal that names its own epoch was accepted")
	}
}

// Seals name the host of the leader; those of older versions, which have no flag, do not.
func TestSealNamesItsHost(t *testing.T) {
	c := testCodec(t)
	decoded := func(h Header, body []byte) (*Entry, error) {
		object, _ := encode(c, &h, body)
		return decode(t.Context(), c, object)
	}
	seal := Header{Kind: KindSeal, Position: 9, Epoch: 3, First: 50, Time: time.UnixMilli(1).UTC(), namesHost: true}
	longest := strings.Repeat("h", maxHost)
	for _, host := range []string{"", "host-1.example.org", longest} {
		if e, err := decoded(seal, sealBody(4, host)); err != nil || e.Host != host || e.NextEpoch != 4 || e.Size() > MaxSeal {
			t.Errorf("%q: %+v, %v", host, e, err)
		}
	}
	if _, err := decoded(seal, sealBody(4, longest+"h")); err == nil {
		t.Error("a host of any length was accepted")
	}
	if _, err := decoded(seal, sealBody(4, "")[:7]); err == nil {
		t.Error("half a seal was accepted")
	}
	old := seal
	old.namesHost = false
	if _, err := decoded(old, sealBody(4, "host")); err == nil {
		t.Error("a host without its flag was accepted")
	}
	records := Header{Kind: KindRecords, First: 1, Count: 1, Time: seal.Time, namesHost: true}
	if _, err := decoded(records, packed.AppendRecord(nil, []byte("a"))); err == nil {
		t.Error("records that name a host were accepted")
	}
	// The next flag is a newer version's.
	object, _ := encode(c, &seal, sealBody(4, "host"))
	binary.BigEndian.PutUint32(object[12:], flagHost|flagHost<<1)
	binary.BigEndian.PutUint32(object[headerCRC:], crc32.Checksum(object[:headerCRC], castagnoli))
	if _, err := decode(t.Context(), c, object); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "0x2") {
		t.Errorf("an unknown flag: %v", err)
	}
}

func TestLeadersSealsSayWhereTheyRun(t *testing.T) {
	c := newCell(t)
	for epoch, host := range []string{"host-1", "", strings.Repeat("h", 300)} {
		p := c.processWith(Options{Host: host}).lead(persistence.Epoch(epoch + 1))
		e, err := p.log.read(c.ctx, persistence.Epoch(epoch), persistence.Position(epoch))
		if err != nil || e.Host != host[:min(len(host), maxHost)] {
			t.Errorf("%q: %+v, %v", host, e, err)
		}
	}
}

func TestEveryWrongBitOfAnEntryIsFound(t *testing.T) {
	c := testCodec(t)
	_, object, _ := sample(t, c, bytes.Repeat([]byte("abcdefgh"), 60), []byte("x"))
	for bit := range len(object) * 8 {
		object[bit/8] ^= 1 << (bit % 8)
		if _, err := decode(t.Context(), c, object); err == nil {
			t.Errorf("bit %d of byte %d flipped: no error", bit%8, bit/8)
		}
		object[bit/8] ^= 1 << (bit % 8)
	}
	for n := range object {
		if _, err := decode(t.Context(), c, object[:n]); err == nil {
			t.Errorf("cut after %d bytes: no error", n)
		}
	}
	if _, err := decode(t.Context(), c, append(object, 0)); err == nil {
		t.Error("a byte too many: no error")
	}
}

func TestEntryOfANewerVersionIsNotCalledDamaged(t *testing.T) {
	c := testCodec(t)
	_, object, _ := sample(t, c, []byte("a"))
	object[9] = formatVersion + 1
	putCRC(object)
	_, err := decode(t.Context(), c, object)
	if !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("%v, want %v", err, ErrNewerFormat)
	}
	for _, number := range []int{formatVersion, formatVersion + 1} {
		if !strings.Contains(err.Error(), fmt.Sprint(number)) {
			t.Errorf("%q does not name version %d", err, number)
		}
	}
}

// Flags are for what a reader must understand, so unknown ones are refused; and so
// are kinds.
func TestWhatANewerVersionMayAddIsRefused(t *testing.T) {
	c := testCodec(t)
	for name, change := range map[string]func([]byte){
		"a flag":                   func(object []byte) { object[15] = 1 },
		"a kind":                   func(object []byte) { object[10] = 77 },
		"a compression":            func(object []byte) { object[11] = 2 },
		"a compression, encrypted": func(object []byte) { object[11] = 0x82 },
	} {
		_, object, _ := sample(t, c, []byte("a"))
		change(object)
		putCRC(object)
		if _, err := decode(t.Context(), c, object); !errors.Is(err, ErrNewerFormat) {
			t.Errorf("%s: %v, want %v", name, err, ErrNewerFormat)
		}
	}
}

// The largest entry that there may be is one that is encrypted and can't be compressed.
func TestLargestEntryIsInItsBounds(t *testing.T) {
	h := Header{Kind: KindRecords, Count: 1, RawSize: packed.MaxRaw, BodySize: packed.MaxBody, Compression: packed.Encrypted}
	b := make([]byte, headerSize)
	h.put(b)
	if _, err := decodeHeader(b); err != nil {
		t.Error(err)
	}
}

// The checksum is right, and yet no writer makes such an entry.
func TestHeaderThatLiesIsRefused(t *testing.T) {
	c := testCodec(t)
	put := func(at int, value uint32) func([]byte) {
		return func(object []byte) { binary.BigEndian.PutUint32(object[at:], value) }
	}
	for name, change := range map[string]func([]byte){
		"format 0":            func(object []byte) { object[9] = 0 },
		"no transactions":     put(96, 0),
		"too many of them":    put(96, 3),
		"very many":           put(96, 1<<31),
		"unpacks to less":     put(100, 1),
		"unpacks to more":     put(100, packed.MaxRaw),
		"unpacks to too much": put(100, packed.MaxRaw+1),
		"another body size":   put(112, 1),
		"a huge body":         put(112, 1<<32-1),
		"another compression": func(object []byte) { object[11] ^= 1 },
		"another body":        func(object []byte) { object[len(object)-1] ^= 1 },
	} {
		for _, records := range [][][]byte{{[]byte("a"), []byte("b")}, {bytes.Repeat([]byte("abc"), 500), []byte("b")}} {
			_, object, _ := sample(t, c, records...)
			change(object)
			putCRC(object)
			if _, err := decode(t.Context(), c, object); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
	h := Header{Kind: KindRecords, Position: 1, Epoch: 1, First: 1, Time: time.UnixMilli(0)}
	object, _ := encode(c, &h, nil)
	if _, err := decode(t.Context(), c, object); err == nil {
		t.Error("an entry without records was accepted")
	}
}

// putCRC makes the header's checksum right again after a change.
func putCRC(object []byte) {
	binary.BigEndian.PutUint32(object[headerCRC:], crc32.Checksum(object[:headerCRC], castagnoli))
}

func TestKeysComeBackAsTheyWere(t *testing.T) {
	for _, position := range []persistence.Position{0, 1, 12345678901234567890} {
		key := Key(7, position)
		if e, p, err := parseKey(key); err != nil || e != 7 || p != position {
			t.Errorf("%s: %d %d %v", key, e, p, err)
		}
	}
	for _, key := range []string{"", "log/", "log/1/2", "log/0000000001/0000000000000000000a", "log/0000000001/00000000000000000001x", "snapshot/x"} {
		if _, _, err := parseKey(key); err == nil {
			t.Errorf("%q was taken for an entry's key", key)
		}
	}
}
