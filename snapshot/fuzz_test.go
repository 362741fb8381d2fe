package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/hostile"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// refusedByName checks an error of something that can't be read.
func refusedByName(t *testing.T, err error, key string) {
	t.Helper()
	newer := errors.Is(err, checked.ErrNewerFormat) || errors.Is(err, persistence.ErrNewerFormat)
	if !strings.Contains(err.Error(), key) || !errors.Is(err, ErrDamaged) && !newer {
		t.Errorf("%v, want damage of %s, or a newer format", err, key)
	}
}

// FuzzManifest: whatever a manifest says, it is refused by name, or is what would be
// written; then its parts lie in snapshots' folders and are as many and as large as
// parts may be. Loading it changes nothing.
func FuzzManifest(f *testing.F) {
	c := newCell(f)
	base := &Manifest{Format: formatFull, Cell: testCell, Name: "00000000000000000001-ab01030405060708-00000001", At: point(1), Records: 2,
		Counts: map[string]int{"things": 2}, Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), By: "host", Reason: "test"}
	part, sizes := packedPart(c.codec, []byte("a"), []byte("b"))
	base.Parts = []Part{sizes}
	const second = "00000000000000000002-ab02030405060708-00000002"
	increment := *base
	increment.Format, increment.Base, increment.Name, increment.At, increment.Records = formatIncremental, base.Name, second, point(2), 4
	taken := sizes
	taken.Object = Folder(prefix + base.Name).partKey(0)
	increment.Parts = []Part{taken, sizes}
	expiring := *base
	expiring.Format, expiring.Expires = formatExpiring, base.Made.AddDate(0, 1, 0)
	for _, m := range []*Manifest{base, &increment, &expiring} {
		object, err := checked.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(object, false)
		f.Add(hostile.Unvouched(object), true)
	}
	f.Fuzz(func(t *testing.T, object []byte, vouch bool) {
		if vouch {
			object = hostile.Vouched(object)
		}
		c := &cell{TB: t, mem: c.mem.Clone(), codec: c.codec, ctx: t.Context()}
		c.b = bucketOf(c.mem)
		for _, name := range []string{base.Name, second} {
			c.mem.Put(Folder(prefix+name).manifestKey(), object)
			c.mem.Put(Folder(prefix+name).partKey(0), part)
		}
		keys := c.mem.Keys()
		for _, text := range []string{base.Name, second} {
			name, err := ParseName(text)
			if err != nil {
				t.Fatal(err)
			}
			var m *Manifest
			got := hostile.Allocated(func() { m, err = Read(c.ctx, c.b, testCell, name) })
			if got > uint64(1<<20+200*len(object)) {
				t.Errorf("%d bytes allocated for %d", got, len(object))
			}
			if err != nil {
				refusedByName(t, err, name.ManifestKey())
				continue
			}
			if again, err := checked.Encode(m); err != nil || !bytes.Equal(again, object) {
				t.Errorf("taken, and is written as %s (%v)", again, err)
			}
			checkLoad(t, c, m)
		}
		if !slices.Equal(c.mem.Keys(), keys) {
			t.Errorf("the bucket was changed: %v", c.mem.Keys())
		}
	})
}

// checkLoad loads what a manifest names.
func checkLoad(t *testing.T, c *cell, m *Manifest) {
	t.Helper()
	for i := range m.Parts {
		if of, err := m.PartOf(i); err != nil || of.Position >= m.At.Next {
			t.Errorf("part %d is %s (%v)", i, m.PartKey(i), err)
		}
	}
	var s state
	var err error
	got := hostile.Allocated(func() { err = Load(c.ctx, c.b, c.codec, m, &s, 3) })
	if got > 2<<20 { // the parts that are there are small, whatever the manifest says of them
		t.Errorf("%d bytes allocated", got)
	}
	if err != nil {
		refusedByName(t, err, prefix)
	}
}

// packedPart makes a part of records, and what a manifest says of it.
func packedPart(c *packed.Codec, records ...[]byte) ([]byte, Part) {
	var raw []byte
	for _, r := range records {
		raw = packed.AppendRecord(raw, r)
	}
	p := Part{Records: len(records), RawBytes: len(raw)}
	body, compression := c.Pack(raw, 0)
	p.Bytes, p.Compression, p.SHA256 = len(body), compression, sha256.Sum256(body)
	return body, p
}

// FuzzPart: whatever a part is and a manifest says of it, it is refused by name, or gives
// the records that it was said to have.
func FuzzPart(f *testing.F) {
	c := newCell(f)
	for _, record := range [][]byte{[]byte("small"), bytes.Repeat([]byte("large "), 100), {}} {
		body, p := packedPart(c.codec, record, []byte("x"))
		f.Add(body, uint8(p.Compression), p.RawBytes, p.Records)
	}
	f.Add([]byte{0x80, 0}, uint8(0x81), 5, 1)
	f.Fuzz(func(t *testing.T, body []byte, compression uint8, raw, records int) {
		c := newCell(t)
		key := Folder(prefix + NewName(point(1)).String()).partKey(0)
		c.mem.Put(key, body)
		p := Part{Records: records, RawBytes: raw, Bytes: len(body), Compression: packed.Compression(compression), SHA256: sha256.Sum256(body)}
		var got [][]byte
		var err error
		allocated := hostile.Allocated(func() { got, err = readPart(c.ctx, c.b, c.codec, key, p) })
		if limit := uint64(1<<20 + 100*len(body) + 26*min(max(raw, 0), packed.MaxRaw)); allocated > limit {
			t.Errorf("%d bytes allocated for %d, unpacked %d", allocated, len(body), raw)
		}
		switch {
		case err != nil && compression&uint8(packed.Encrypted) != 0 && strings.Contains(err.Error(), key): // no key is there
		case err != nil:
			refusedByName(t, err, key)
		case len(got) != records:
			t.Errorf("%d records, want %d", len(got), records)
		}
	})
}

// FuzzPin: whatever a pin's object is, it is refused by name, for pins that can't be read
// may keep anything; or it is what would be written.
func FuzzPin(f *testing.F) {
	pin := Pin{Format: pinFormat, Name: "monday", Snapshot: NewName(point(1)).String(), Reason: "why\nnot", By: "host",
		Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	backup := pin
	backup.Snapshot, backup.Expires = "", pin.Made.AddDate(0, 1, 0)
	for _, p := range []Pin{pin, backup} {
		object, err := checked.Encode(&p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(object, false)
		f.Add(hostile.Unvouched(object), true)
	}
	f.Fuzz(func(t *testing.T, object []byte, vouch bool) {
		if vouch {
			object = hostile.Vouched(object)
		}
		c := newCell(t)
		c.mem.Put(PinKey("monday"), object)
		p, err := ReadPin(c.ctx, c.b, "monday")
		if all, allErr := Pins(c.ctx, c.b); (allErr == nil) != (err == nil) || err == nil && (len(all) != 1 || !all[0].Same(p)) {
			t.Errorf("one: %v; all: %v, %v", err, all, allErr)
		}
		if !bytes.Equal(c.mem.Data(PinKey("monday")), object) || len(c.mem.Keys()) != 1 {
			t.Errorf("the bucket was changed: %v", c.mem.Keys())
		}
		if err != nil {
			refusedByName(t, err, PinKey("monday"))
			return
		}
		if again, err := checked.Encode(p); err != nil || !bytes.Equal(again, object) {
			t.Errorf("taken, and is written as %s (%v)", again, err)
		}
	})
}
