package snapshot

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
)

func TestNamesPrintAndParse(t *testing.T) {
	n := Name{Position: 42, hash: [8]byte{0xab, 1, 2, 3, 4, 5, 6, 0xff}, nonce: [4]byte{0, 1, 0x20, 3}}
	const text = "00000000000000000042-ab010203040506ff-00012003"
	if n.String() != text {
		t.Errorf("prints as %s, want %s", n, text)
	}
	if got, want := n.ManifestKey(), "snapshot/"+text+"/manifest.json"; got != want {
		t.Errorf("manifest is %s, want %s", got, want)
	}
	if got, want := n.folder().partKey(7), "snapshot/"+text+"/part-00007"; got != want {
		t.Errorf("part is %s, want %s", got, want)
	}
	for _, n := range []Name{n, {}, {Position: math.MaxUint64}, NewName(point(9))} {
		if got, err := ParseName(n.String()); err != nil || got != n {
			t.Errorf("%s came back as %s, %v", n, got, err)
		}
	}
}

func TestWhatIsNoName(t *testing.T) {
	for _, text := range []string{
		"", "manifest.json", "42-ab010203040506ff-00012003",
		"0000000000000000042-ab010203040506ff-00012003",    // 19 digits
		"000000000000000000042-ab010203040506ff-00012003",  // 21
		"00000000000000000042-AB010203040506FF-00012003",   // another way to write it
		"00000000000000000042-ab010203040506ff",            // a field too few
		"00000000000000000042-ab010203040506ff-00012003-1", // too many
		"00000000000000000042-ab0102030405-00012003",       // short hash
		"00000000000000000042-ab010203040506ff-000120",     // short nonce
		"00000000000000000042-ab010203040506ffff-00012003", // long hash
		"00000000000000000042-ab010203040506fg-00012003",   // no hexadecimal
		"0000000000000000004x-ab010203040506ff-00012003",   // no number
		"-0000000000000000042-ab010203040506ff-00012003",   // a sign
		"99999999999999999999-ab010203040506ff-00012003",   // no 64 bits
		"00000000000000000042-ab010203040506ff-00012003/x", // more behind it
	} {
		if n, err := ParseName(text); err == nil || n != (Name{}) {
			t.Errorf("%q was taken for %s", text, n)
		}
	}
}

func TestNameSaysWhereItBelongs(t *testing.T) {
	at := point(12)
	n := NewName(at)
	if n.Position != 12 {
		t.Errorf("position is %d, want that of the last entry covered, 12", n.Position)
	}
	if !n.Fits(at.Hash) {
		t.Error("does not fit its own history")
	}
	for i := range n.hash {
		other := at.Hash
		other[i] ^= 1
		if n.Fits(other) {
			t.Errorf("fits a history whose hash differs in byte %d", i)
		}
	}
	if again := NewName(at); again == n {
		t.Error("two snapshots of one point have one name")
	}
}

func TestNamesComeInTheOrderOfPositions(t *testing.T) {
	want := []Name{{Position: 1, hash: [8]byte{9}}, {Position: 9}, {Position: 10, hash: [8]byte{1}},
		{Position: 10, hash: [8]byte{2}}, {Position: 10, hash: [8]byte{2}, nonce: [4]byte{1}}, {Position: math.MaxUint64}}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Name.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %v, want %v", got, want)
	}
	for i, n := range want {
		for j, o := range want {
			if n.Compare(o) != strings.Compare(n.String(), o.String()) {
				t.Errorf("%d and %d compare unlike their texts: a listing from a name on would miss one", i, j)
			}
		}
	}
}

// unsorted is a store as S3 directory buckets are: listings come in no order, and
// can't begin after a key.
type unsorted struct{ *memdriver.Bucket }

func (u unsorted) List(ctx context.Context, prefix, _ string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		var all []driver.Info
		for info, err := range u.Bucket.List(ctx, prefix, "") {
			if err != nil {
				yield(info, err)
				return
			}
			all = append(all, info)
		}
		for _, info := range slices.Backward(all) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func TestListShowsOldestFirstAndWhatIsNewer(t *testing.T) {
	stores := map[string]func(*memdriver.Bucket) driver.Bucket{
		"sorted":   func(m *memdriver.Bucket) driver.Bucket { return m },
		"unsorted": func(m *memdriver.Bucket) driver.Bucket { return unsorted{m} },
	}
	for store, as := range stores {
		t.Run(store, func(t *testing.T) {
			c := newCell(t)
			c.b = bucket.New(as(c.mem), "mem://test", "cells/one", bucket.Options{})
			var names []Name
			for _, position := range []persistence.Position{100, 9, 20, 20, 3} {
				_, name := c.write(source(position, []byte("x")))
				names = append(names, name)
			}
			slices.SortFunc(names, Name.Compare)
			if got := c.listed(nil); got != line(names...) {
				t.Errorf("all: %s, want %s", got, line(names...))
			}
			for i := range names {
				if got, want := c.listed(&names[i]), line(names[i+1:]...); got != want {
					t.Errorf("after %s: %q, want %q", names[i], got, want)
				}
			}
			gone := Name{Position: 50} // its manifest was deleted
			if got, want := c.listed(&gone), line(names[4]); got != want {
				t.Errorf("after one that is gone: %q, want %q", got, want)
			}
		})
	}
}

// A snapshot exists once its manifest does. What else lies there is nobody's
// business, unless it passes for a manifest: then nobody can know what it is.
func TestListAndWhatIsNoSnapshot(t *testing.T) {
	c := newCell(t)
	_, name := c.write(source(5, []byte("x")))
	half := NewName(point(9))
	for _, key := range []string{"snapshot/README", "snapshot/notes/part-00000", half.folder().partKey(0), half.folder().partKey(1),
		half.ManifestKey() + ".bak", "snapshot/manifest.json", "snapshot.json", "snapshots/00/manifest.json"} {
		c.mem.Put(key, []byte("not a snapshot"))
	}
	if got := c.listed(nil); got != name.String() {
		t.Errorf("listed %q, want %s alone", got, name)
	}
	for _, key := range []string{"snapshot/old/manifest.json", "snapshot/" + half.String() + "/copy/manifest.json"} {
		c.mem.Put(key, []byte("{}"))
		if _, err := List(c.ctx, c.b, nil); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
			t.Errorf("%v, want a refusal that names %s", err, key)
		}
		c.mem.Remove(key)
	}
}

func TestListThatFailsIsNotCalledDamage(t *testing.T) {
	c := newCell(t)
	c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Fail})
	if _, err := List(c.ctx, c.b, nil); !errors.Is(err, memdriver.ErrInjected) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}
