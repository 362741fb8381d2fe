package buckettest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/race"
)

const racers = 64

func (s suite) racingCreators(t *testing.T, b *bucket.Bucket) {
	for round := range 8 {
		mustHaveOneWinner(t, b, race.Creators(t.Context(), []*bucket.Bucket{b}, fmt.Sprintf("race/%d", round), racers))
	}
}

func (s suite) racingReplacers(t *testing.T, b *bucket.Bucket) {
	const key = "lease.json"
	old := mustCreate(t, b, key, unique("begin"))
	for range 8 {
		outcome := race.Replacers(t.Context(), []*bucket.Bucket{b}, key, old, racers)
		mustHaveOneWinner(t, b, outcome)
		old = outcome.Version
	}
}

func mustHaveOneWinner(t *testing.T, b *bucket.Bucket, outcome race.Outcome) {
	t.Helper()
	if err := outcome.Check(t.Context(), b); err != nil {
		t.Fatal(err)
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
		race.Together(t.Context(), 2, func(ctx context.Context, i int) {
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

// counter: compare-and-swap loses no increment.
func (s suite) counter(t *testing.T, b *bucket.Bucket) {
	const workers = 16
	mustCreate(t, b, "counter", unique("0"))
	race.Together(t.Context(), workers, func(ctx context.Context, w int) {
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
