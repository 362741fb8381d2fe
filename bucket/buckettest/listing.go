package buckettest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/race"
)

// prefixes: names that a directory's separator sorts between, and that only
// share a beginning.
func (s suite) prefixes(t *testing.T, b *bucket.Bucket) {
	keys := []string{"log!", "log-1", "log/0000000001/1", "log/0000000001/2", "log/0000000002/1", "log/z", "log0", "logs/1", "snapshot/1-a/manifest.json"}
	for _, key := range keys {
		mustCreate(t, b, key, unique(key))
	}
	s.mustList(t, b, "", "", keys...)
	s.mustList(t, b, "log/", "", keys[2:6]...)
	s.mustList(t, b, "log", "", keys[:8]...)
	s.mustList(t, b, "log/0000000001/", "", keys[2:4]...)
	s.mustList(t, b, "log/000000000", "", keys[2:5]...)
	s.mustList(t, b, "log/0000000001/2", "", keys[3])
	s.mustList(t, b, "snapshot/1-a", "", keys[8])
	s.mustList(t, b, "nothing/", "")
	s.mustList(t, b, "log/0000000003/", "")
}

func (s suite) listPrefixAndAfter(t *testing.T, b *bucket.Bucket) {
	keys := []string{"a/1", "a/2", "b/1/x", "b/1/y", "b/10", "b/2/x", "c"}
	for _, key := range keys {
		mustCreate(t, b, key, unique(key))
	}
	s.mustList(t, b, "", "a/1", keys[1:]...) // after is exclusive
	s.mustList(t, b, "", "a/10", keys[1:]...)
	s.mustList(t, b, "", "a/2", keys[2:]...)
	s.mustList(t, b, "", "b/1", keys[2:]...)
	s.mustList(t, b, "", "b/1/x", keys[3:]...)
	s.mustList(t, b, "", "b/1/z", keys[4:]...)
	s.mustList(t, b, "", "b/1~", keys[5:]...)
	s.mustList(t, b, "", "c")
	s.mustList(t, b, "b/", "a/2", keys[2:6]...) // after is before all with the prefix
	s.mustList(t, b, "b/", "b/1/x", keys[3:6]...)
	s.mustList(t, b, "b/", "c")
	s.mustList(t, b, "a/", "a/2")
	s.mustList(t, b, "b/1", "b/1/y", "b/10")
}

func (s suite) listRightAfterWrite(t *testing.T, b *bucket.Bucket) {
	const writers, each = 8, 25
	race.Together(t.Context(), writers, func(ctx context.Context, w int) {
		for i := range each {
			key := fmt.Sprintf("w%d/%03d", w, i)
			if _, err := b.Create(ctx, key, unique(key)); err != nil {
				t.Error(err)
				return
			}
			found := 0
			for info, err := range b.List(ctx, fmt.Sprintf("w%d/", w), "") {
				if err != nil {
					t.Error(err)
					return
				}
				if info.Key == key {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%s is %d times in the listing right after it was made", key, found)
			}
		}
	})
}

func (s suite) listMany(t *testing.T, b *bucket.Bucket) {
	const writers = 16
	want := make([]string, s.Keys)
	for i := range want {
		want[i] = fmt.Sprintf("log/0000000001/%020d", i)
	}
	began := time.Now()
	race.Together(t.Context(), writers, func(ctx context.Context, w int) {
		for i := w; i < len(want); i += writers {
			if _, err := b.Create(ctx, want[i], []byte(want[i])); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if t.Failed() {
		return
	}
	wrote := time.Now()
	s.mustList(t, b, "log/", "", want...)
	t.Logf("%d objects made in %v, listed in %v", len(want), wrote.Sub(began).Round(time.Millisecond), time.Since(wrote).Round(time.Millisecond))
	middle := len(want) / 2
	s.mustList(t, b, "log/", want[middle], want[middle+1:]...)
	for info, err := range b.List(t.Context(), "log/", want[len(want)-2]) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != want[len(want)-1] || info.Size != int64(len(info.Key)) {
			t.Fatalf("listed %+v", info)
		}
		if age := time.Since(info.Modified); age < -time.Hour || age > time.Hour {
			t.Fatalf("%s was modified at %v", info.Key, info.Modified)
		}
	}
}

func (s suite) listStopsEarly(t *testing.T, b *bucket.Bucket) {
	for i := range 10 {
		mustCreate(t, b, fmt.Sprintf("k/%d", i), unique("x"))
	}
	var keys []string
	for info, err := range b.List(t.Context(), "k/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, info.Key); len(keys) == 3 {
			break
		}
	}
	if !s.Unsorted && !slices.Equal(keys, []string{"k/0", "k/1", "k/2"}) {
		t.Fatalf("the first three are %q", keys)
	}
}
