package snapshot

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/packed"
)

// Checker reads whole states and checks every bit of them. A part that several
// manifests name is read once: so the work grows with what is in the bucket, not with
// how many snapshots share it. It is for one goroutine.
type Checker struct {
	bucket *bucket.Bucket
	codec  *packed.Codec
	// checked has what was found wrong with each part, nil if nothing was.
	checked map[claim]error
}

// claim is what a manifest says of a part's object. Two that say different things of
// one can't both be right, so each is checked.
type claim struct {
	key  string
	part Part
}

// NewChecker returns a Checker of the states in a bucket.
func NewChecker(b *bucket.Bucket, c *packed.Codec) *Checker {
	return &Checker{bucket: b, codec: c, checked: map[claim]error{}}
}

func claimOf(m *Manifest, i int) claim {
	part := m.Parts[i]
	part.Object = ""
	return claim{m.PartKey(i), part}
}

// Unchecked is the number of a state's parts that are still to be read.
func (c *Checker) Unchecked(m *Manifest) int { return len(c.unchecked(m)) }

// unchecked are the indices of those parts, one for each object.
func (c *Checker) unchecked(m *Manifest) []int {
	var parts []int
	seen := map[claim]bool{}
	for i := range m.Parts {
		claim := claimOf(m, i)
		if _, ok := c.checked[claim]; !ok && !seen[claim] {
			parts, seen[claim] = append(parts, i), true
		}
	}
	return parts
}

// checkParallel is the number of parts that are read at once.
const checkParallel = 4

// Check reads those parts of a state that were not read before. Its error has all that
// is wrong with any part of it, joined, and matches ErrDamaged then; any other error
// kept it from knowing. read, if not nil, is called after each part.
func (c *Checker) Check(ctx context.Context, m *Manifest, read func()) error {
	var mu sync.Mutex
	reading, readCtx := errgroup.WithContext(ctx)
	reading.SetLimit(checkParallel)
	for _, i := range c.unchecked(m) {
		reading.Go(func() error {
			claim := claimOf(m, i)
			_, err := readPart(readCtx, c.bucket, c.codec, claim.key, claim.part)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if c.checked[claim] = err; read != nil {
				read()
			}
			return nil
		})
	}
	if err := reading.Wait(); err != nil {
		return err
	}
	var all []error
	for i := range m.Parts {
		all = append(all, c.checked[claimOf(m, i)])
	}
	return errors.Join(all...)
}
