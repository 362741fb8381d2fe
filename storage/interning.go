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
// somebody tries to make them collide.
type pooledConfig struct {
	sum    [sha256.Size]byte
	config *api.TaskConfig
	tasks  int // tasks that have it, at least 1
}

func lessConfig(a, b pooledConfig) bool { return bytes.Compare(a.sum[:], b.sum[:]) < 0 }

func configProbe(config *api.TaskConfig) pooledConfig {
	var buf [2048]byte
	return pooledConfig{sum: sha256.Sum256(config.AppendCanonical(buf[:0]))}
}

// replaceConfig notes that a task that had the pooled configuration old now has one
// equal to next, and returns the pooled one to use for it. Either may be nil.
func replaceConfig(pool *tree[pooledConfig], old, next *api.TaskConfig) *api.TaskConfig {
	if old == next {
		return next
	}
	if next != nil {
		entry := configProbe(next)
		if pooled, ok := pool.get(entry); ok {
			entry = pooled
		} else {
			entry.config = next
		}
		if entry.config == old {
			return old
		}
		entry.tasks++
		pool.set(entry)
		next = entry.config
	}
	if old != nil {
		if entry, ok := pool.get(configProbe(old)); ok {
			if entry.tasks--; entry.tasks > 0 {
				pool.set(entry)
			} else {
				pool.delete(entry)
			}
		}
	}
	return next
}
