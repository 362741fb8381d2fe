package storage

import (
	"bytes"
	"crypto/sha256"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// pooledConfig is a task configuration that all tasks with an equal one share. Most
// tasks of a job have the same, and it is by far the largest part of a task.
//
// The pool is part of the version like every other tree. It is keyed by the SHA-256 of
// the canonical encoding, so that equal hashes mean equal configurations even if
// somebody tries to make them collide. What is in the pool never changes: the tree
// holds pointers, as each write copies nodes of it.
type pooledConfig struct {
	sum    [sha256.Size]byte
	config *api.TaskConfig
	tasks  int // tasks that have it, at least 1
}

func lessConfig(a, b *pooledConfig) bool { return bytes.Compare(a.sum[:], b.sum[:]) < 0 }

// configChanges are the configurations that the tasks of one call take and leave. The
// zero value with a pool is good. However many of the tasks share a configuration, it
// is hashed once, and the pool is told once, by apply.
type configChanges struct {
	pool *tree[*pooledConfig]
	// Changes are found by any pointer that was met, and by the hash.
	byPointer map[*api.TaskConfig]*configChange
	byHash    map[[sha256.Size]byte]*configChange
	last      *configChange
}

type configChange struct {
	entry pooledConfig // as it is in the pool, or as it will be
	delta int          // tasks that take it, less those that leave it
}

// replace notes that a task that had the pooled configuration old now has one equal to
// next, and returns the pooled one to use for it. Either may be nil.
func (c *configChanges) replace(old, next *api.TaskConfig) *api.TaskConfig {
	if old == next || old != nil && next != nil && old.Equal(next) {
		return old
	}
	if old != nil {
		c.find(old).delta--
	}
	if next == nil {
		return nil
	}
	taken := c.find(next)
	taken.delta++
	return taken.entry.config
}

func (c *configChanges) find(config *api.TaskConfig) *configChange {
	if known, ok := c.byPointer[config]; ok {
		return known
	}
	if c.byPointer == nil {
		c.byPointer = map[*api.TaskConfig]*configChange{}
	}
	// The tasks of a job come together, often each with a copy. To compare two copies
	// costs less than to hash one.
	if c.last == nil || !c.last.entry.config.Equal(config) {
		c.last = c.hash(config)
	}
	c.byPointer[config] = c.last
	return c.last
}

func (c *configChanges) hash(config *api.TaskConfig) *configChange {
	var buf [2048]byte
	sum := sha256.Sum256(config.AppendCanonical(buf[:0]))
	known, ok := c.byHash[sum]
	if !ok {
		known = &configChange{entry: pooledConfig{sum: sum, config: config}}
		if pooled, ok := c.pool.get(&known.entry); ok {
			known.entry = *pooled
		}
		if c.byHash == nil {
			c.byHash = map[[sha256.Size]byte]*configChange{}
		}
		c.byHash[sum] = known
	}
	return known
}

// apply brings the pool up to date.
func (c *configChanges) apply() {
	for _, change := range c.byHash {
		entry := change.entry
		entry.tasks += change.delta
		switch {
		case change.delta == 0:
		case entry.tasks > 0:
			c.pool.set(&entry)
		default:
			c.pool.delete(&entry)
		}
	}
}
