package buckettest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
)

const racers = 64

// outcome is what the racers of one object got.
type outcome struct {
	mu      sync.Mutex
	winners []int
	version bucket.Version
}

func (o *outcome) won(i int, version bucket.Version) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.winners = append(o.winners, i)
	o.version = version
}

func (s suite) racingCreators(t *testing.T, b *bucket.Bucket) {
	for round := range 8 {
		key := fmt.Sprintf("race/%d", round)
		var result outcome
		data := racersData(key)
		together(t.Context(), racers, func(ctx context.Context, i int) {
			version, err := b.Create(ctx, key, data[i])
			switch {
			case err == nil:
				result.won(i, version)
			case !errors.Is(err, bucket.ErrExists):
				t.Errorf("racer %d: %v", i, err)
			}
		})
		result.check(t, b, key, data)
	}
}

func (s suite) racingReplacers(t *testing.T, b *bucket.Bucket) {
	const key = "lease.json"
	old := mustCreate(t, b, key, unique("begin"))
	for range 8 {
		var result outcome
		data := racersData(key)
		together(t.Context(), racers, func(ctx context.Context, i int) {
			version, err := b.Replace(ctx, key, data[i], old)
			switch {
			case err == nil:
				result.won(i, version)
			case !errors.Is(err, bucket.ErrChanged):
				t.Errorf("racer %d: %v", i, err)
			}
		})
		result.check(t, b, key, data)
		old = result.version
	}
}

// deleteAgainstReplace: whichever comes first, the object is gone in the end; a
// replacement must not bring it back.
func (s suite) deleteAgainstReplace(t *testing.T, b *bucket.Bucket) {
	if s.DeleteIsNotAtomic {
		t.Skip("the store is known not to hold this")
	}
	for round := range 50 {
		key := fmt.Sprintf("k/%d", round)
		old := mustCreate(t, b, key, unique("old"))
		together(t.Context(), 2, func(ctx context.Context, i int) {
			if i == 0 {
				if err := b.Delete(ctx, key); err != nil {
					t.Error(err)
				}
			} else if _, err := b.Replace(ctx, key, unique("new"), old); err != nil && !errors.Is(err, bucket.ErrChanged) {
				t.Error(err)
			}
		})
		if _, err := b.Get(t.Context(), key); !errors.Is(err, bucket.ErrNotExist) {
			t.Fatalf("%s was deleted, and reading it gives %v", key, err)
		}
	}
}

func racersData(key string) [][]byte {
	data := make([][]byte, racers)
	for i := range data {
		data[i] = unique(fmt.Sprintf("%s by %d", key, i))
	}
	return data
}

func (o *outcome) check(t *testing.T, b *bucket.Bucket, key string, data [][]byte) {
	t.Helper()
	if len(o.winners) != 1 {
		t.Fatalf("%s has %d winners: %d", key, len(o.winners), o.winners)
	}
	mustHold(t, b, key, data[o.winners[0]], o.version)
}

// counter: compare-and-swap loses no increment.
func (s suite) counter(t *testing.T, b *bucket.Bucket) {
	const workers = 16
	mustCreate(t, b, "counter", unique("0"))
	together(t.Context(), workers, func(ctx context.Context, w int) {
		for range s.Increments {
			if err := increment(ctx, b, "counter"); err != nil {
				t.Errorf("worker %d: %v", w, err)
				return
			}
		}
	})
	object, err := b.Get(t.Context(), "counter")
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := strings.Cut(string(object.Data), " "); got != strconv.Itoa(workers*s.Increments) {
		t.Fatalf("counted %s, want %d", got, workers*s.Increments)
	}
}

func increment(ctx context.Context, b *bucket.Bucket, key string) error {
	for {
		object, err := b.Get(ctx, key)
		if err != nil {
			return err
		}
		text, _, _ := strings.Cut(string(object.Data), " ")
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s holds %q", key, object.Data)
		}
		_, err = b.Replace(ctx, key, unique(strconv.Itoa(n+1)), object.Version)
		if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
	}
}
