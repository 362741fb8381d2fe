package blob

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/hostile"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// fuzzed is a cell that is the same in each run, so that what was found once is found
// again: its id, its writers and its times are fixed.
type fuzzed struct {
	mem  *memdriver.Bucket
	want []string // its records
	keys []string // its objects
}

const fuzzedCell = `{
  "format": 1,
  "id": "00112233445566778899aabbccddeeff",
  "window": 16,
  "made": "2026-01-02T03:04:05Z"
}
`

func newFuzzed(t testing.TB) *fuzzed {
	f := &fuzzed{mem: memdriver.New()}
	f.mem.Put(cellKey, hostile.Vouched([]byte(fuzzedCell)))
	l, err := Open(t.Context(), f.bucket(), Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	at := l.origin()
	put := func(h Header, raw []byte) {
		h.Epoch, h.Position, h.Prev, h.First = at.Epoch, at.Next, at.Hash, at.Transaction+1
		h.Committed, h.Time = at.Next, time.UnixMilli(1_700_000_000_000).UTC()
		object, hash := encode(l.codec, &h, raw)
		f.mem.Put(Key(h.Epoch, h.Position), object)
		at.Hash, at.Next, at.Transaction = hash, at.Next+1, at.Transaction+persistence.TransactionNumber(h.Count)
	}
	entry := func(records ...string) {
		var raw []byte
		for _, r := range records {
			raw = packed.AppendRecord(raw, []byte(r))
		}
		put(Header{Kind: KindRecords, Writer: persistence.WriterID{1}, Count: len(records)}, raw)
		f.want = append(f.want, records...)
	}
	put(Header{Kind: KindSeal, Writer: persistence.WriterID{1}, namesHost: true}, sealBody(1, "host"))
	at.Epoch = 1
	entry("a", "b")
	entry(strings.Repeat("abcdefgh", 60), "c")
	entry("d")
	f.keys = f.mem.Keys()
	return f
}

func (f *fuzzed) bucket() *bucket.Bucket {
	return bucket.New(f.mem, "mem://test", "", bucket.Options{})
}

// FuzzDecode: whatever an entry's bytes are, they are refused, or are the only ones that
// say what they say, but for how the body is packed. It takes no more memory than the
// header says, which is bounded.
func FuzzDecode(f *testing.F) {
	c := testCodec(f)
	_, object, _ := sample(f, c, bytes.Repeat([]byte("abcdefgh"), 60))
	f.Add(object, true)
	f.Add(object[:headerSize], true)
	restore := goodRestore()
	f.Add(sampleRestore(f, c, &restore, nil), true)
	seal, _ := encode(c, &Header{Kind: KindSeal, Position: 9, Epoch: 3, First: 50, namesHost: true}, sealBody(4, "host"))
	f.Add(seal, true)
	f.Add([]byte(nil), false)
	f.Fuzz(func(t *testing.T, object []byte, fix bool) {
		if fix && len(object) >= headerSize { // get behind the checksum
			putCRC(object)
		}
		h, headerErr := decodeHeader(object)
		var e *Entry
		var err error
		got := hostile.Allocated(func() { e, err = decode(t.Context(), c, object) })
		// Each record takes 24 bytes beside its own, and has one byte at least.
		if limit := uint64(1<<20 + 100*len(object) + 26*h.RawSize); got > limit {
			t.Errorf("%d bytes allocated for %d, unpacked %d", got, len(object), h.RawSize)
		}
		if err != nil {
			return
		}
		again := make([]byte, headerSize)
		if hash := e.put(again); headerErr != nil || !bytes.Equal(again, object[:headerSize]) || hash != e.Hash {
			t.Fatalf("written again the header is %x, not %x (%v)", again, object[:headerSize], headerErr)
		}
		switch {
		case e.Kind == KindSeal && !bytes.Equal(sealBody(e.NextEpoch, e.Host), object[headerSize:]):
			t.Errorf("written again the seal is other than %x", object[headerSize:])
		case e.Kind == KindRestore && (e.Restore == nil || e.Count != 1 || e.Records != nil):
			t.Errorf("%v of %d transactions with %d records and %+v", e.Kind, e.Count, len(e.Records), e.Restore)
		case e.Kind == KindRecords:
			checkRecords(t, c, e)
		}
	})
}

// checkRecords makes sure that an entry's records are the same once they are written again.
func checkRecords(t *testing.T, c *packed.Codec, e *Entry) {
	t.Helper()
	var raw []byte
	for _, r := range e.Records {
		raw = packed.AppendRecord(raw, r)
	}
	h := e.Header
	object, _ := encode(c, &h, raw)
	back, err := decode(t.Context(), c, object)
	if err != nil || len(e.Records) != e.Count || !slices.EqualFunc(back.Records, e.Records, bytes.Equal) {
		t.Errorf("%d records, header says %d; again: %v", len(e.Records), e.Count, err)
	}
}

// FuzzEntryInAHistory: whatever lies in the place of one entry, a recovery finds it, names
// an object, and changes nothing; or the bytes are those that were there.
func FuzzEntryInAHistory(f *testing.F) {
	cell := newFuzzed(f)
	for i, key := range cell.keys[1:] {
		f.Add(cell.mem.Data(key), uint8(i), true)
	}
	f.Add([]byte("SSLOGENT"), uint8(3), false)
	f.Fuzz(func(t *testing.T, object []byte, place uint8, fix bool) {
		if fix && len(object) >= headerSize {
			putCRC(object)
		}
		key := cell.keys[1+int(place)%(len(cell.keys)-1)]
		mem := cell.mem.Clone()
		mem.Put(key, object)
		s := &state{}
		l, err := Open(t.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), Options{ReadOnly: true, Prefetch: 4})
		if err == nil {
			err = l.NewReader(s).CatchUp(t.Context())
		}
		if !slices.Equal(mem.Keys(), cell.keys) || !bytes.Equal(mem.Data(key), object) {
			t.Errorf("the bucket was changed: %v", mem.Keys())
		}
		last := key == cell.keys[len(cell.keys)-1]
		switch same := bytes.Equal(object, cell.mem.Data(key)); {
		case same && (err != nil || !slices.Equal(s.records, cell.want)):
			t.Errorf("unchanged: %q, %v", s.records, err)
		case !same && err == nil && !last: // nothing after the newest vouches for it, but its own checksums
			t.Errorf("%s was changed, and %q recovered", key, s.records)
		case err != nil && !strings.Contains(err.Error(), logPrefix) && !strings.Contains(err.Error(), restorePrefix):
			t.Errorf("no object is named: %v", err)
		case err != nil && !errors.Is(err, ErrDamaged) && !IsNewerFormat(err):
			t.Errorf("neither damage nor a newer format: %v", err)
		}
	})
}

// FuzzCell: whatever cell.json says, it is refused by name and left alone, or is what
// would be written.
func FuzzCell(f *testing.F) {
	f.Add([]byte(fuzzedCell), true)
	f.Add(hostile.Vouched([]byte(fuzzedCell)), false)
	f.Add([]byte("{\n  \"format\": 2\n}\n"), true)
	f.Fuzz(func(t *testing.T, object []byte, vouch bool) {
		if vouch {
			object = hostile.Vouched(object)
		}
		mem := memdriver.New()
		mem.Put(cellKey, object)
		var l *Log
		var err error
		got := hostile.Allocated(func() {
			l, err = Open(t.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), Options{ReadOnly: true})
		})
		if got > uint64(8<<20+100*len(object)) { // most is the codec's
			t.Errorf("%d bytes allocated for %d", got, len(object))
		}
		if !bytes.Equal(mem.Data(cellKey), object) || len(mem.Keys()) != 1 {
			t.Errorf("the bucket was changed: %v", mem.Keys())
		}
		if err != nil {
			if !strings.Contains(err.Error(), cellKey) || !errors.Is(err, ErrDamaged) && !IsNewerFormat(err) {
				t.Errorf("%v, want damage of %s, or a newer format", err, cellKey)
			}
			return
		}
		cell := l.Cell()
		if again, err := checked.Encode(&cell); err != nil || !bytes.Equal(again, object) || cell.Window < 1 {
			t.Errorf("%+v was taken, and is written as %s (%v)", cell, again, err)
		}
	})
}
