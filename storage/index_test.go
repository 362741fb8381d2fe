package storage

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func testIndex() index[string] { return newIndex(cmp.Compare[string], strings.Clone) }

// content is what an index has, as lines of key and id.
func content(x *index[string]) []string {
	all := []string{}
	for g := range x.from("") {
		for r := range (ranges{g.rows}).byID() {
			all = append(all, g.key+" "+r.id())
		}
	}
	return all
}

// Versions of an index, grown and shrunk at random, each shared and looked at again
// when many others have been made of it.
func TestIndexVersionsNeverChange(t *testing.T) {
	type version struct {
		index index[string]
		want  map[string]bool
	}
	rng := rand.New(rand.NewPCG(1, 2))
	versions := []version{{testIndex(), map[string]bool{}}}
	for v := range 200 {
		from := versions[max(0, len(versions)-1-rng.IntN(3))] // mostly the newest, sometimes a branch
		next := version{from.index, maps.Clone(from.want)}
		for range rng.IntN(150) {
			key, id := fmt.Sprint(rng.IntN(200)), fmt.Sprintf("%03d", rng.IntN(90))
			switch line := key + " " + id; {
			case rng.IntN(30) == 0:
				next.index.frozen()
			case !next.want[line] || rng.IntN(10) == 0:
				next.index.set(key, idProbe(id))
				next.want[line] = true
			case v/50%2 == 1 || rng.IntN(3) == 0:
				next.index.delete(key, idProbe(id))
				delete(next.want, line)
			}
		}
		if v == 120 {
			next.index.clear()
			next.want = map[string]bool{}
		}
		next.index.frozen()
		versions = append(versions, next)
	}
	for i, v := range versions {
		want := slices.Sorted(maps.Keys(v.want))
		got := content(&v.index)
		slices.Sort(got) // the keys are numbers without leading zeros
		if !slices.Equal(got, want) || v.index.entries != len(want) {
			t.Fatalf("version %d has changed: %d entries, %v, want %v", i, v.index.entries, got, want)
		}
	}
}

// Groups come and go with their rows.
func TestIndexHasNoEmptyGroups(t *testing.T) {
	x := testIndex()
	for _, key := range []string{"a", "b", "a"} {
		x.set(key, idProbe(key))
	}
	x.delete("a", idProbe("a"))
	x.set("c", idProbe("c"))
	x.delete("c", idProbe("c"))
	x.set("c", idProbe("d"))
	if got := content(&x); !slices.Equal(got, []string{"b b", "c d"}) || x.groups.len() != 2 || x.entries != 2 {
		t.Fatalf("%v in %d groups, %d entries", got, x.groups.len(), x.entries)
	}
}

// Two transactions may begin from one index at the same time: a shared group must not
// even be written to for copying it.
func TestIndexCopiesOnlyToWrite(t *testing.T) {
	x := testIndex()
	x.set("a", idProbe("1"))
	shared, _ := x.frozen().Get(&group[string]{key: "a"})
	before := fmt.Sprintf("%+v %+v", *shared, *shared.rows)
	content(&x)
	x.rowsOf(slices.Values([]string{"a", "b"}))
	if x.owner != nil || x.groups.owned {
		t.Fatal("reading has copied")
	}
	x.set("a", idProbe("2"))
	if own, _ := x.groups.get(shared); own == shared || own.rows == shared.rows {
		t.Fatal("a shared group is written")
	}
	if after := fmt.Sprintf("%+v %+v", *shared, *shared.rows); after != before {
		t.Fatalf("a shared group was %s and is %s", before, after)
	}
}

// A group that is written all the time is copied once, not for each row.
func TestIndexWritesItsOwnGroupsInPlace(t *testing.T) {
	x := testIndex()
	for n := range 100 {
		x.set(fmt.Sprint(n%2), idProbe(fmt.Sprint(n)))
	}
	own, _ := x.groups.get(&group[string]{key: "0"})
	x.set("0", idProbe("x"))
	if again, _ := x.groups.get(own); again != own || again.rows != own.rows {
		t.Fatal("the group was copied")
	}
}
