package storage

import (
	"iter"

	"github.com/tidwall/btree"
)

// treeDegree is a compromise: small nodes make a write copy less, large ones make a
// lookup touch fewer of them.
const treeDegree = 32

// tree is an ordered set, copied on write. A copy of the struct shares the items, so
// before one is made the tree must be frozen; after that, whichever of the two is
// written first takes its own copy, and the shared items never change again.
type tree[T any] struct {
	items *btree.BTreeG[T]
	// owned: items is reachable from this struct alone and may be written in place.
	owned bool
}

func newTree[T any](less func(a, b T) bool) tree[T] {
	return tree[T]{items: btree.NewBTreeGOptions(less, btree.Options{NoLocks: true, Degree: treeDegree})}
}

// frozen returns the items, which nobody changes from now on. It writes to the struct
// only if it was owned, so goroutines may call it at the same time on one that is not.
func (t *tree[T]) frozen() *btree.BTreeG[T] {
	if t.owned {
		t.owned = false
	}
	return t.items
}

// writable returns the items for changing them.
func (t *tree[T]) writable() *btree.BTreeG[T] {
	if !t.owned {
		// Copy changes the tree that it copies. Two transactions may begin from one
		// state at the same time, so it must be given a struct of our own.
		shared := *t.items
		t.items = shared.Copy()
		t.owned = true
	}
	return t.items
}

func (t *tree[T]) len() int { return t.items.Len() }

func (t *tree[T]) get(probe T) (T, bool) { return t.items.Get(probe) }

// set inserts or replaces and returns what it replaced.
func (t *tree[T]) set(item T) (T, bool) { return t.writable().Set(item) }

// delete returns what it deleted. It copies nothing if there is nothing to delete.
func (t *tree[T]) delete(probe T) (T, bool) {
	if prev, ok := t.items.Get(probe); !ok {
		return prev, false
	}
	return t.writable().Delete(probe)
}

// clear empties the tree.
func (t *tree[T]) clear() {
	if t.len() > 0 {
		t.writable().Clear()
	}
}

// all returns the items as they are now, in order.
func (t *tree[T]) all() iter.Seq[T] {
	items := t.frozen()
	return func(yield func(T) bool) { items.Scan(yield) }
}

// from returns the items as they are now, in order, from the first that is not less
// than pivot to the last before one that does not belong.
func (t *tree[T]) from(pivot T, belongs func(T) bool) iter.Seq[T] {
	items := t.frozen()
	return func(yield func(T) bool) {
		items.Ascend(pivot, func(item T) bool { return belongs(item) && yield(item) })
	}
}
