package storage

import (
	"iter"
	"time"
)

// timed returns the same sequence, and tells how long its items took to be found, and
// how many were read, whenever a reading ends. What the reader does meanwhile does not
// count. A look at the clock costs more than an item, so they are found some at a time:
// more and more, as whoever stops soon should not pay for what it does not read.
func timed[T any](items iter.Seq[T], done func(took time.Duration, read int)) iter.Seq[T] {
	const most = 256
	return func(yield func(T) bool) {
		var took time.Duration
		var ahead []T
		read, size, start := 0, 1, time.Now()
		defer func() { done(took, read) }()
		handOver := func() bool {
			took += time.Since(start)
			for _, item := range ahead {
				read++
				if !yield(item) {
					return false
				}
			}
			ahead, size, start = ahead[:0], min(2*size, most), time.Now()
			return true
		}
		for item := range items {
			if ahead = append(ahead, item); len(ahead) == size && !handOver() {
				return
			}
		}
		handOver()
	}
}
