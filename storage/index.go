package storage

import (
	"cmp"
	"iter"

	"github.com/tidwall/btree"
)

// index finds tasks by a key that many of them share: a job, a host, a status. It is a
// tree of groups, each the rows of one key in the order of their ids. It has an entry
// for each row that has the key, so none is ever stale, and costs a pointer for it.
//
// Two steps are cheaper than one tree over key and id: the groups are few, so that what
// is compared to find one stays in the processor's cache, and their sizes are known.
//
// Like a tree it is copied on write. A group may be written in place by whoever has
// made it since the index was last shared.
type index[K any] struct {
	groups  tree[*group[K]]
	compare func(a, b K) int
	clone   func(K) K
	entries int
	// owner is that of the groups that are reachable from this struct alone, nil if
	// there are none.
	owner *owner
	// last is the group written last: neighbours often go to the same one.
	last *group[K]
}

// owner is a name; it differs from all others by its address.
type owner struct{ _ byte }

type group[K any] struct {
	key   K
	rows  *btree.BTreeG[*row] // never empty
	owner *owner
}

// newIndex returns an empty index. A group keeps a clone of its key, so that it does not
// keep the row that it came with.
func newIndex[K any](compare func(a, b K) int, clone func(K) K) index[K] {
	return index[K]{compare: compare, clone: clone,
		groups: newTree(func(a, b *group[K]) bool { return compare(a.key, b.key) < 0 })}
}

// frozen returns the groups, which nobody changes from now on. Like that of a tree it
// writes to the struct only if that owns something.
func (x *index[K]) frozen() *btree.BTreeG[*group[K]] {
	if x.owner != nil {
		x.owner, x.last = nil, nil
	}
	return x.groups.frozen()
}

func (x *index[K]) clear() {
	*x = newIndex(x.compare, x.clone)
}

// rowsOf returns the rows of some keys, as they are now.
func (x *index[K]) rowsOf(keys iter.Seq[K]) ranges {
	var found ranges
	groups := x.frozen()
	for key := range keys {
		if g, ok := groups.Get(&group[K]{key: key}); ok {
			found = append(found, g.rows)
		}
	}
	return found
}

// from returns the groups, as they are now, in order, from the first whose key is not
// before key.
func (x *index[K]) from(key K) iter.Seq[*group[K]] {
	groups := x.frozen()
	return func(yield func(*group[K]) bool) { groups.Ascend(&group[K]{key: key}, yield) }
}

// set inserts or replaces a row under a key.
func (x *index[K]) set(key K, r *row) {
	if _, replaced := x.writable(key).rows.Set(r); !replaced {
		x.entries++
	}
}

// load inserts a row that comes behind all others under its key.
func (x *index[K]) load(key K, r *row) {
	x.writable(key).rows.Load(r)
	x.entries++
}

// delete deletes a row that the index has under a key.
func (x *index[K]) delete(key K, r *row) {
	g := x.writable(key)
	if _, ok := g.rows.Delete(r); ok {
		x.entries--
	}
	if g.rows.Len() == 0 {
		x.groups.delete(g)
		x.last = nil
	}
}

// writable returns the group of a key for changing it, a new one if there is none.
func (x *index[K]) writable(key K) *group[K] {
	if x.last != nil && x.compare(x.last.key, key) == 0 {
		return x.last
	}
	if x.owner == nil {
		x.owner = new(owner)
	}
	g, ok := x.groups.get(&group[K]{key: key})
	switch {
	case !ok:
		g = &group[K]{x.clone(key), newRows(), x.owner}
		x.groups.set(g)
	case g.owner != x.owner:
		shared := *g.rows // see tree.writable
		g = &group[K]{g.key, shared.Copy(), x.owner}
		x.groups.set(g)
	}
	x.last = g
	return g
}

// newRows returns an empty tree of rows in the order of their ids.
func newRows() *btree.BTreeG[*row] {
	return btree.NewBTreeGOptions(lessID, btree.Options{NoLocks: true, Degree: treeDegree})
}

func lessID(a, b *row) bool { return a.id() < b.id() }

func compareIDs(a, b *row) int { return cmp.Compare(a.id(), b.id()) }
