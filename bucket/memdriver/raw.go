package memdriver

import (
	"bytes"
	"maps"
)

// What a test does to the bucket behind everyone's back: no faults happen to
// these, no conditions hold, and nothing is counted.

// Keys returns all keys in byte-wise order.
func (b *Bucket) Keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects.Keys()
}

// Data returns what an object holds, or nil if it is not there.
func (b *Bucket) Data(key string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, _ := b.objects.Get(key)
	return bytes.Clone(o.data)
}

// Put writes an object.
func (b *Bucket) Put(key string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(key, append([]byte{}, data...))
}

// Remove deletes an object.
func (b *Bucket) Remove(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects.Delete(key)
}

// Count is the number of requests of an operation so far, with any outcome.
func (b *Bucket) Count(op Operation) int {
	return b.CountOf(op, func(string) bool { return true })
}

// CountOf is Count for the keys that match; a listing's key is its prefix.
func (b *Bucket) CountOf(op Operation, match func(string) bool) int {
	b.mu.Lock()
	counts := maps.Clone(b.counts)
	b.mu.Unlock()
	total := 0
	for r, n := range counts {
		if (op == Any || r.operation == op) && match(r.key) {
			total += n
		}
	}
	return total
}

// Clone returns a bucket with the same objects at the same versions, without
// faults, counts or requests on their way: the store as it is at this instant.
func (b *Bucket) Clone() *Bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := New()
	c.etags, c.changes, c.objects = b.etags, b.changes, b.objects.Copy()
	return c
}
