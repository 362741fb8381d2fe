package storage

import "iter"

// Page skips offset elements of a sequence and ends after limit more; a limit of zero
// or less is none. An offset beyond the end leaves nothing; a negative one is
// ErrInvalidArgument. It is what the offset and limit of a TaskQuery mean.
func Page[T any](all iter.Seq[T], offset, limit int32) (iter.Seq[T], error) {
	if offset < 0 {
		return nil, errorf(ErrInvalidArgument, "offset %d is negative", offset)
	}
	return func(yield func(T) bool) {
		skip, left := offset, limit
		for item := range all {
			if skip > 0 {
				skip--
				continue
			}
			if !yield(item) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}, nil
}
