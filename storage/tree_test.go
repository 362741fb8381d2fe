package storage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// Versions of a tree of several levels, grown and shrunk at random, each frozen and
// looked at again when many others have been made of it.
func TestTreeVersionsNeverChange(t *testing.T) {
	type version struct {
		tree tree[int]
		want map[int]bool
	}
	rng := rand.New(rand.NewPCG(1, 2))
	start := version{newTree(func(a, b int) bool { return a < b }), map[int]bool{}}
	versions := []version{start}
	for v := range 400 {
		from := versions[max(0, len(versions)-1-rng.IntN(3))] // mostly the newest, sometimes a branch
		next := version{from.tree, maps.Clone(from.want)}
		grow := v/100%2 == 0
		for range rng.IntN(200) {
			n := rng.IntN(6000)
			if grow == (rng.IntN(8) > 0) {
				_, had := next.tree.set(n)
				if had != next.want[n] {
					t.Fatalf("set %d: was there %v", n, had)
				}
				next.want[n] = true
			} else {
				if !grow && len(next.want) > 0 && rng.IntN(2) == 0 {
					n, _ = next.tree.items.GetAt(rng.IntN(next.tree.len()))
				}
				if _, had := next.tree.delete(n); had != next.want[n] {
					t.Fatalf("delete %d: was there %v", n, had)
				}
				delete(next.want, n)
			}
		}
		if v == 250 {
			next.tree.clear()
			next.want = map[int]bool{}
		}
		next.tree.frozen()
		versions = append(versions, next)
	}
	high := 0
	for i, v := range versions {
		high = max(high, v.tree.items.Height())
		want := slices.Sorted(maps.Keys(v.want))
		if got := slices.Collect(v.tree.all()); !slices.Equal(got, want) || v.tree.len() != len(want) {
			t.Fatalf("version %d has changed", i)
		}
	}
	if high < 3 {
		t.Fatalf("height %d: the test is too small", high)
	}
}

// Reading and looking for what is not there must not copy anything.
func TestTreeCopiesOnlyToWrite(t *testing.T) {
	tr := newTree(func(a, b int) bool { return a < b })
	tr.set(1)
	items := tr.frozen()
	tr.get(1)
	tr.delete(2)
	for range tr.all() {
		tr.get(1)
	}
	if tr.items != items || tr.owned {
		t.Fatal("a tree was copied")
	}
	// The copy must not write to the frozen tree's own struct either: two goroutines may
	// copy it at the same time. The race detector does not see that, because the library
	// synchronises on a counter while it copies.
	before := fmt.Sprintf("%+v", items)
	tr.set(2)
	if after := fmt.Sprintf("%+v", items); after != before {
		t.Fatalf("a frozen tree was %s and is %s", before, after)
	}
	if tr.items == items {
		t.Fatal("a frozen tree was written")
	}
	if items.Len() != 1 {
		t.Fatal("a frozen tree has changed")
	}
}
