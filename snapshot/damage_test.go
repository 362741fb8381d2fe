package snapshot

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// mustBeDamaged is a reader that finds damage and names the object.
func (c *cell) mustBeDamaged(what string, name Name, object string) {
	c.Helper()
	got, err := c.loads(name)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), object) {
		c.Errorf("%s: %d records, %v; want damage that names %s", what, len(got), err, object)
	}
}

func TestEveryWrongBitOfAManifestIsFound(t *testing.T) {
	c := newCell(t)
	_, name := c.write(source(1, []byte("a"), []byte("b")))
	key := name.ManifestKey()
	data := c.mem.Data(key)
	for bit := range len(data) * 8 {
		data[bit/8] ^= 1 << (bit % 8)
		c.mem.Put(key, data)
		_, err := c.loads(name)
		// A format number that is larger now can't be told from that of a newer
		// version; both are refused, and the message says that it may be either.
		newer := errors.Is(err, checked.ErrNewerFormat) && strings.Contains(err.Error(), "damaged")
		if !errors.Is(err, ErrDamaged) && !newer || !strings.Contains(err.Error(), key) {
			t.Errorf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
	for n := range data {
		c.mem.Put(key, data[:n])
		c.mustBeDamaged("cut", name, key)
	}
	c.mem.Put(key, append(data, '\n'))
	c.mustBeDamaged("a byte too many", name, key)
	c.mem.Remove(key)
	c.mustBeDamaged("gone", name, key)
}

func TestEveryWrongBitOfAPartIsFound(t *testing.T) {
	for name, records := range map[string][][]byte{
		"stored as it is": {[]byte("a"), []byte("bb"), {}},
		"compressed":      {bytes.Repeat([]byte("abcdefgh"), 60), []byte("x")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCell(t)
			_, name := c.write(source(1, records...))
			key := name.folder().partKey(0)
			data := c.mem.Data(key)
			for bit := range len(data) * 8 {
				data[bit/8] ^= 1 << (bit % 8)
				c.mem.Put(key, data)
				c.mustBeDamaged("a flipped bit", name, key)
				data[bit/8] ^= 1 << (bit % 8)
			}
			for n := range data {
				c.mem.Put(key, data[:n])
				c.mustBeDamaged("cut", name, key)
			}
			c.mem.Put(key, append(data, 0))
			c.mustBeDamaged("a byte too many", name, key)
			c.mem.Remove(key)
			c.mustBeDamaged("gone", name, key)
			c.mem.Put(key, data)
			c.mustLoad(name, records)
		})
	}
}

// Each part is whole, but not where it belongs.
func TestPartsInAnothersPlaceAreFound(t *testing.T) {
	c := newCell(t)
	// All parts have the same sizes, so only their content tells them apart.
	_, name := c.write(source(1, large(6)...))
	_, other := c.write(source(2, large(8)[2:]...))
	a, b := c.mem.Data(name.folder().partKey(0)), c.mem.Data(name.folder().partKey(1))
	c.mem.Put(name.folder().partKey(0), b)
	c.mem.Put(name.folder().partKey(1), a)
	c.mustBeDamaged("swapped", name, name.folder().partKey(0))
	c.mem.Put(name.folder().partKey(0), a)
	c.mustBeDamaged("twice the same", name, name.folder().partKey(1))
	c.mem.Put(name.folder().partKey(1), c.mem.Data(other.folder().partKey(1)))
	c.mustBeDamaged("another snapshot's", name, name.folder().partKey(1))
	c.mem.Put(name.folder().partKey(1), b)
	c.mustLoad(name, large(6))
	c.mem.Remove(name.folder().partKey(2))
	c.mustBeDamaged("the last one gone", name, name.folder().partKey(2))
}

// put writes a manifest whose checksum is right, whatever it says.
func (c *cell) put(name Name, m Manifest) {
	c.Helper()
	data, err := checked.Encode(&m)
	if err != nil {
		c.Fatal(err)
	}
	c.mem.Put(name.ManifestKey(), data)
}

func TestManifestThatDoesNotBelongHereIsRefused(t *testing.T) {
	c := newCell(t)
	m, name := c.write(source(1, []byte("a")))
	for what, change := range map[string]func(*Manifest){
		"another cell's":     func(m *Manifest) { m.Cell = "ffffffffffffffffffffffffffffffff" },
		"another's name":     func(m *Manifest) { m.Name = NewName(point(1)).String() },
		"no name":            func(m *Manifest) { m.Name = "" },
		"another position":   func(m *Manifest) { m.At.Next++ },
		"another history":    func(m *Manifest) { m.At.Hash[0] ^= 1 },
		"before the history": func(m *Manifest) { m.At.Next = 0 },
	} {
		changed := *m
		change(&changed)
		c.put(name, changed)
		c.mustBeDamaged(what, name, name.ManifestKey())
	}
	c.put(name, *m)
	c.mustLoad(name, [][]byte{[]byte("a")})
}

// A checksum says that the manifest is as it was written, not that it is true: no
// number in it may make a reader panic, or take more memory than a part may.
func TestManifestThatLiesIsRefused(t *testing.T) {
	for body, records := range map[string][][]byte{
		"stored as it is": {[]byte("a"), []byte("bb")},
		"compressed":      {bytes.Repeat([]byte("abcdefgh"), 60), []byte("x")},
	} {
		c := newCell(t)
		m, name := c.write(source(1, records...))
		for what, change := range map[string]func(*Part){
			"fewer bytes":             func(p *Part) { p.Bytes-- },
			"less than none":          func(p *Part) { p.Bytes = -1 },
			"unpacks to less":         func(p *Part) { p.RawBytes-- },
			"unpacks to more":         func(p *Part) { p.RawBytes++ },
			"unpacks to nothing":      func(p *Part) { p.RawBytes = 0 },
			"unpacks to less than 0":  func(p *Part) { p.RawBytes = -1 },
			"unpacks to the least":    func(p *Part) { p.RawBytes = math.MinInt },
			"unpacks to too much":     func(p *Part) { p.RawBytes = packed.MaxRaw + 1 },
			"unpacks to the most":     func(p *Part) { p.RawBytes = math.MaxInt },
			"fewer records":           func(p *Part) { p.Records-- },
			"more records":            func(p *Part) { p.Records++ },
			"no records":              func(p *Part) { p.Records = 0 },
			"less than no records":    func(p *Part) { p.Records = -1 },
			"more records than bytes": func(p *Part) { p.Records = math.MaxInt },
			"the other compression":   func(p *Part) { p.Compression = 1 - p.Compression },
		} {
			changed := *m
			changed.Parts = append([]Part(nil), m.Parts...)
			change(&changed.Parts[0])
			c.put(name, changed)
			c.mustBeDamaged(body+", "+what, name, name.folder().partKey(0))
		}
	}
}

// Without its key a part says nothing: not that it is damaged.
func TestLockedPartIsNotCalledDamaged(t *testing.T) {
	c := newCell(t)
	keys, _, err := encryption.Open(c.ctx, c.b, "cell", encryption.NewLocalKeeper([32]byte{1}), true)
	if err != nil {
		t.Fatal(err)
	}
	plain := c.codec
	c.codec = plain.WithKeys(keys)
	_, name := c.write(source(1, []byte("a")))
	c.mustLoad(name, [][]byte{[]byte("a")})
	c.codec = plain
	if _, err := c.loads(name); !errors.Is(err, encryption.ErrKeyNeeded) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name.folder().partKey(0)) {
		t.Errorf("%v, want that a key is needed for the part", err)
	}
}

func TestPartOfANewerVersionIsNotCalledDamaged(t *testing.T) {
	for _, compression := range []packed.Compression{2, packed.Encrypted | 2} {
		c := newCell(t)
		m, name := c.write(source(1, []byte("a")))
		m.Parts[0].Compression = compression
		c.put(name, *m)
		_, err := c.loads(name)
		if !errors.Is(err, persistence.ErrNewerFormat) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name.folder().partKey(0)) {
			t.Errorf("%v, want a newer format that names the part", err)
		}
	}
}

func TestManifestOfANewerVersionIsNotCalledDamaged(t *testing.T) {
	c := newCell(t)
	m, name := c.write(source(1, []byte("a")))
	m.Format = formatExpiring + 1
	c.put(name, *m)
	_, err := c.loads(name)
	if !errors.Is(err, checked.ErrNewerFormat) || errors.Is(err, ErrDamaged) {
		t.Fatalf("%v, want a newer format and no damage", err)
	}
	for _, part := range []string{name.ManifestKey(), "format 4", "knows 3"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %q", err, part)
		}
	}
}
