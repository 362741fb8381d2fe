package snapshot

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/checked"
)

// next makes a snapshot that goes on from another.
func (c *cell) next(s Source, base *Manifest) (*Manifest, Name) {
	c.Helper()
	s.Base = base
	return c.write(s)
}

// chain makes a full snapshot of two parts and two incremental ones on top.
func (c *cell) chain() (manifests []*Manifest, names []Name) {
	c.Helper()
	full, name := c.write(source(1, large(3)...))
	manifests, names = append(manifests, full), append(names, name)
	for i, record := range []string{"b", "c"} {
		m, name := c.next(source(names[i].Position+1, []byte(record)), manifests[i])
		manifests, names = append(manifests, m), append(names, name)
	}
	return manifests, names
}

func TestIncrementalSnapshotsComeBackAsTheyWere(t *testing.T) {
	c := newCell(t)
	m, names := c.chain()
	all := append(large(3), []byte("b"), []byte("c"))
	for i, want := range [][][]byte{all[:3], all[:4], all} {
		c.mustLoad(names[i], want)
		read, err := Read(c.ctx, c.b, testCell, names[i])
		if err != nil || !reflect.DeepEqual(read, m[i]) {
			t.Errorf("manifest %d came back as %+v, %v; want %+v", i, read, err, m[i])
		}
		if m[i].Records != len(want) || m[i].Incremental() != (i > 0) || m[i].Format != 1+min(i, 1) {
			t.Errorf("manifest %d: %+v", i, m[i])
		}
	}
	if m[2].Base != m[1].Name || m[1].Base != m[0].Name || m[0].Base != "" {
		t.Errorf("bases %q, %q, %q", m[0].Base, m[1].Base, m[2].Base)
	}
	var parts []string
	for i := range m[2].Parts {
		parts = append(parts, m[2].PartKey(i))
	}
	want := []string{names[0].folder().partKey(0), names[0].folder().partKey(1), names[1].folder().partKey(2), names[2].folder().partKey(3)}
	if !slices.Equal(parts, want) {
		t.Errorf("parts are %v, want %v", parts, want)
	}
	own := int64(len(c.mem.Data(want[3])))
	if m[2].OwnBytes() != own || m[2].Bytes() != m[1].Bytes()+own || m[0].OwnBytes() != m[0].Bytes() {
		t.Errorf("own bytes %d of %d, want %d on top of %d", m[2].OwnBytes(), m[2].Bytes(), own, m[1].Bytes())
	}
	full, since := m[2].Lineage()
	if len(full) != 2 || len(since) != 2 || since[1].Records != 1 {
		t.Errorf("lineage %+v, %+v", full, since)
	}
	if full, since := m[0].Lineage(); len(full) != 2 || len(since) != 0 {
		t.Errorf("lineage of a full one: %+v, %+v", full, since)
	}
}

// What a base has is not sent again, and a snapshot to which nothing was added still has it.
func TestIncrementalSnapshotSendsItsOwnOnly(t *testing.T) {
	c := newCell(t)
	base, _ := c.write(source(1, large(4)...))
	before := len(c.mem.Keys())
	_, name := c.next(source(9), base)
	if n := len(c.mem.Keys()); n != before+1 {
		t.Errorf("%d more objects, want a manifest", n-before)
	}
	c.mustLoad(name, large(4))
}

// Each reader of the part finds it, by whichever snapshot it came, and names it.
func TestDamageOfAnInheritedPartIsFound(t *testing.T) {
	c := newCell(t)
	_, names := c.chain()
	key := names[1].folder().partKey(2)
	data := c.mem.Data(key)
	c.mem.Put(key, append(bytes.Clone(data), 0))
	c.mustBeDamaged("its own", names[1], key)
	c.mustBeDamaged("inherited", names[2], key)
	c.mustLoad(names[0], large(3))
	if _, err := Verify(c.ctx, c.b, c.codec, testCell, names[2]); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
		t.Errorf("%v, want that %s is damaged", err, key)
	}
	c.mem.Remove(key)
	c.mustBeDamaged("gone", names[2], key)
	c.mem.Put(key, data)
	c.mem.Remove(names[0].ManifestKey()) // no other manifest is needed
	c.mustLoad(names[2], append(large(3), []byte("b"), []byte("c")))
}

// A checksum says that the manifest is as it was written, not that it is true.
func TestLineageThatLiesIsRefused(t *testing.T) {
	c := newCell(t)
	m, names := c.chain()
	last, name := m[2], names[2]
	elsewhere := NewName(point(1))
	for what, change := range map[string]func(*Manifest){
		"no base":                  func(m *Manifest) { m.Base = "" },
		"the format of a full one": func(m *Manifest) { m.Format = formatFull },
		"a base of no name":        func(m *Manifest) { m.Base = "old" },
		"itself as the base":       func(m *Manifest) { m.Base = m.Name },
		"a newer base":             func(m *Manifest) { m.Base = NewName(point(11)).String() },
		"a full one with another's part": func(m *Manifest) {
			m.Base, m.Format = "", formatFull
		},
		"own parts first":         func(m *Manifest) { slices.Reverse(m.Parts) },
		"a part twice":            func(m *Manifest) { m.Parts[1] = m.Parts[0] },
		"a part of a newer one":   func(m *Manifest) { m.Parts[1].Object = NewName(point(9)).folder().partKey(1) },
		"its own part by key":     func(m *Manifest) { m.Parts[1].Object = name.folder().partKey(1) },
		"a part of another place": func(m *Manifest) { m.Parts[1].Object = "backup/" + elsewhere.String() + "/part-00001" },
		"a part of no place":      func(m *Manifest) { m.Parts[1].Object = elsewhere.String() + "/part-00001" },
		"a part with few digits":  func(m *Manifest) { m.Parts[1].Object = string(elsewhere.folder()) + "/part-1" },
		"a part with a sign":      func(m *Manifest) { m.Parts[1].Object = string(elsewhere.folder()) + "/part--0001" },
		"a part without a number": func(m *Manifest) { m.Parts[1].Object = string(elsewhere.folder()) + "/part-" },
		"a part below the folder": func(m *Manifest) { m.Parts[1].Object = string(elsewhere.folder()) + "/../x/part-00001" },
		"a manifest as a part":    func(m *Manifest) { m.Parts[1].Object = elsewhere.ManifestKey() },
		"the lease as a part":     func(m *Manifest) { m.Parts[1].Object = "lease.json" },
		"too many parts": func(m *Manifest) {
			m.Parts = append(m.Parts, make([]Part, maxParts)...)
		},
	} {
		changed := *last
		changed.Parts = slices.Clone(last.Parts)
		change(&changed)
		c.put(name, changed)
		c.mustBeDamaged(what, name, name.ManifestKey())
	}
	c.put(name, *last)
	c.mustLoad(name, append(large(3), []byte("b"), []byte("c")))
}

// What must not depend on other objects can't go on from a snapshot, written or read.
func TestBackupsAndRestoresAreSelfContained(t *testing.T) {
	c := newCell(t)
	m, _ := c.chain()
	s := source(9, []byte("x"))
	s.Base = m[1]
	folder := Folder("backup/monday")
	if _, err := WriteIn(c.ctx, c.b, c.codec, folder, s, 1); err == nil || len(c.mem.Keys()) != 4+3 {
		t.Errorf("%v, and there is %v", err, c.mem.Keys())
	}
	changed := *m[2]
	changed.Name = "monday"
	data, err := checked.Encode(&changed)
	if err != nil {
		t.Fatal(err)
	}
	c.mem.Put(folder.manifestKey(), data)
	if _, err := ReadIn(c.ctx, c.b, folder); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), folder.manifestKey()) {
		t.Errorf("%v, want damage", err)
	}
}

func TestIncrementalSnapshotNeedsABaseOfItsCell(t *testing.T) {
	c := newCell(t)
	m, name := c.write(source(5, []byte("x")))
	backup, err := WriteIn(c.ctx, c.b, c.codec, "backup/monday", source(5, []byte("x")), 1)
	if err != nil {
		t.Fatal(err)
	}
	foreign := *m
	foreign.Cell = "ffffffffffffffffffffffffffffffff"
	for what, s := range map[string]Source{
		"of another cell": {Cell: testCell, At: point(9), Base: &foreign},
		"a backup":        {Cell: testCell, At: point(9), Base: backup},
		"as new":          {Cell: testCell, At: point(5), Base: m},
		"newer":           {Cell: testCell, At: point(3), Base: m},
	} {
		s.Records = each(nil)
		if _, err := Write(c.ctx, c.b, c.codec, s, 1); err == nil {
			t.Errorf("a base %s was taken", what)
		}
	}
	if got := c.listed(nil); got != name.String() {
		t.Errorf("listed %s", got)
	}
}

// An incremental snapshot that fails leaves its base as it was.
func TestIncrementalSnapshotThatFailsHarmsNoOther(t *testing.T) {
	c := newCell(t)
	base, name := c.write(source(1, large(3)...))
	broken := errors.New("the state can't be read")
	s := source(2)
	s.Base = base
	s.Records = func(yield func([]byte, error) bool) { yield(nil, broken) }
	if _, err := Write(c.ctx, c.b, c.codec, s, 1); !errors.Is(err, broken) || errors.Is(err, bucket.ErrExists) {
		t.Error(err)
	}
	c.mustLoad(name, large(3))
	if got := c.listed(nil); got != name.String() {
		t.Errorf("listed %s", got)
	}
}

// Whatever a manifest says of parts, reading it neither panics nor finds a part outside
// the snapshots' folders.
func FuzzPartKeys(f *testing.F) {
	f.Add(NewName(point(1)).folder().partKey(7))
	f.Add("snapshot/../lease.json")
	f.Fuzz(func(t *testing.T, key string) {
		name, err := parsePartKey(key)
		if err == nil && !strings.HasPrefix(key, string(name.folder())+"/part-") {
			t.Errorf("%q was taken for a part of %s", key, name)
		}
	})
}

// A state that expires has a format of its own, and is no snapshot.
func TestOnlyBackupsExpire(t *testing.T) {
	c := newCell(t)
	s := source(1, []byte("a"))
	s.Expires = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	if _, err := Write(c.ctx, c.b, c.codec, s, 1); err == nil || len(c.mem.Keys()) != 0 {
		t.Errorf("%v; %v", err, c.mem.Keys())
	}
	m, err := WriteIn(c.ctx, c.b, c.codec, "backup/monday", s, 1)
	if err != nil || m.Format != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	read, err := ReadIn(c.ctx, c.b, "backup/monday")
	if err != nil || !reflect.DeepEqual(read, m) || !read.Expires.Equal(s.Expires) {
		t.Errorf("%+v, %v; want %+v", read, err, m)
	}
	old := new(Manifest) // what a version reads that knows incremental snapshots
	if err := checked.DecodeAny(c.mem.Data(m.Key()), formatFull, formatIncremental, old); !errors.Is(err, checked.ErrNewerFormat) {
		t.Errorf("%v, want a newer format", err)
	}
	for what, change := range map[string]func(*Manifest){
		"the format of one that does not": func(m *Manifest) { m.Format = formatFull },
		"no time":                         func(m *Manifest) { m.Expires = time.Time{} },
		"a base":                          func(m *Manifest) { m.Base = NewName(point(0)).String() },
	} {
		bad := *m
		change(&bad)
		object, err := checked.Encode(&bad)
		if err != nil {
			t.Fatal(err)
		}
		c.mem.Put(m.Key(), object)
		if _, err := ReadIn(c.ctx, c.b, "backup/monday"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, base := c.write(source(1, []byte("a")))
	full, err := Read(c.ctx, c.b, testCell, base)
	if err != nil {
		t.Fatal(err)
	}
	full.Format, full.Expires = formatExpiring, s.Expires
	c.put(base, *full)
	if _, err := Read(c.ctx, c.b, testCell, base); !errors.Is(err, ErrDamaged) {
		t.Errorf("a snapshot that expires: %v", err)
	}
}
