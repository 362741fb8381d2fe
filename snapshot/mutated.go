package snapshot

import (
	"context"
	"sync"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// What a mutation needs; see package mutation.

// putOff returns a create that does nothing yet, and what does it then.
func putOff(ctx context.Context, b *bucket.Bucket) (create creating, late func() error) {
	var mu sync.Mutex
	var put []func() error
	create = func(_ context.Context, key string, data []byte) (bucket.Version, error) {
		mu.Lock()
		defer mu.Unlock()
		put = append(put, func() error {
			_, err := b.Create(ctx, key, data)
			return err
		})
		return "", nil
	}
	return create, func() error {
		for _, do := range put {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
}
