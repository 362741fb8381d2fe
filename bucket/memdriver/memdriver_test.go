package memdriver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

func TestConditionsOfWrites(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	if _, err := b.Replace(ctx, "k", []byte("x"), "1"); !errors.Is(err, driver.ErrChanged) {
		t.Fatalf("replace of nothing: %v", err)
	}
	v1, err := b.Create(ctx, "k", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "k", []byte("two")); !errors.Is(err, driver.ErrExists) {
		t.Fatalf("second create: %v", err)
	}
	v2, err := b.Replace(ctx, "k", []byte("two"), v1)
	if err != nil || v2 == v1 {
		t.Fatalf("replace: version %s after %s, %v", v2, v1, err)
	}
	if _, err := b.Replace(ctx, "k", []byte("three"), v1); !errors.Is(err, driver.ErrChanged) {
		t.Fatalf("replace of an old version: %v", err)
	}
	if data, v, err := b.Get(ctx, "k"); string(data) != "two" || v != v2 || err != nil {
		t.Fatalf("read %q %s %v", data, v, err)
	}
	for range 2 {
		if err := b.Delete(ctx, "k"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.Get(ctx, "k"); !errors.Is(err, driver.ErrNotExist) {
		t.Fatalf("read of a deleted object: %v", err)
	}
	if _, err := b.Replace(ctx, "k", []byte("four"), v2); !errors.Is(err, driver.ErrChanged) {
		t.Fatalf("replace of a deleted object: %v", err)
	}
}

func TestOneOfManyRacersWins(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	var wg sync.WaitGroup
	var mu sync.Mutex
	wins := map[string]int{}
	for i := range 16 {
		wg.Go(func() {
			body := fmt.Append(nil, i)
			won := func(what string, err error, lost error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					wins[what]++
				} else if !errors.Is(err, lost) {
					t.Error(err)
				}
			}
			_, err := b.Create(ctx, "k", body)
			won("create", err, driver.ErrExists)
			_, err = b.Replace(ctx, "k", body, "1")
			won("replace", err, driver.ErrChanged)
		})
	}
	wg.Wait()
	if wins["create"] != 1 || wins["replace"] != 1 {
		t.Fatalf("winners: %v", wins)
	}
}

func TestWhatIsInTheBucketCantBeReached(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	data := []byte("abc")
	if _, err := b.Create(ctx, "k", data); err != nil {
		t.Fatal(err)
	}
	data[0] = 'x'
	got, _, _ := b.Get(ctx, "k")
	got[1] = 'x'
	b.Data("k")[2] = 'x'
	if s := string(b.Data("k")); s != "abc" {
		t.Fatalf("the object became %q", s)
	}
}

func TestRanges(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	b.Put("k", []byte("0123456789"))
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, 4, "0123"}, {8, 4, "89"}, {10, 1, ""}, {99, 1, ""}, {3, 0, ""}, {2, 1<<63 - 1, "23456789"}} {
		if got, err := b.GetRange(ctx, "k", c.offset, c.length); string(got) != c.want || err != nil {
			t.Errorf("%d bytes from %d: %q %v", c.length, c.offset, got, err)
		}
	}
	if _, err := b.GetRange(ctx, "k", -1, 1); err == nil {
		t.Error("a negative offset was taken")
	}
	if _, err := b.GetRange(ctx, "none", 0, 1); !errors.Is(err, driver.ErrNotExist) {
		t.Errorf("range of nothing: %v", err)
	}
}

func list(t *testing.T, b *memdriver.Bucket, prefix, after string) (keys []string) {
	t.Helper()
	for info, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func TestListing(t *testing.T) {
	b := memdriver.New()
	for _, key := range []string{"b/2", "a", "b/1", "b/10", "c", "b"} {
		b.Put(key, []byte(key))
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", []string{"a", "b", "b/1", "b/10", "b/2", "c"}},
		{"b/", "", []string{"b/1", "b/10", "b/2"}},
		{"b/", "a", []string{"b/1", "b/10", "b/2"}},
		{"b/", "b/1", []string{"b/10", "b/2"}},
		{"b/", "b/15", []string{"b/2"}},
		{"b/", "b/2", nil},
		{"b/", "c", nil},
		{"", "c", nil},
	} {
		if got := list(t, b, c.prefix, c.after); !slices.Equal(got, c.want) {
			t.Errorf("prefix %q after %q: %v, want %v", c.prefix, c.after, got, c.want)
		}
	}
	for info, err := range b.List(t.Context(), "b/10", "") {
		if err != nil || info.Size != 4 || time.Since(info.Modified) > time.Minute {
			t.Errorf("%+v %v", info, err)
		}
	}
}

func TestListingIsOfOneInstant(t *testing.T) {
	b := memdriver.New()
	b.Put("a", nil)
	b.Put("b", nil)
	var got []string
	for info := range b.List(t.Context(), "", "") {
		b.Put("c", nil)
		b.Remove("b")
		got = append(got, info.Key)
	}
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("listed %v", got)
	}
}

func TestKeysNoStoreCouldHave(t *testing.T) {
	for _, key := range []string{"", ".", "/a", "a/", "a//b", "a/../b", "\xff"} {
		if _, err := memdriver.New().Create(t.Context(), key, nil); err == nil {
			t.Errorf("%q was taken", key)
		}
	}
}

func TestETagsAreOfTheContent(t *testing.T) {
	ctx, b := t.Context(), memdriver.NewWithETags()
	a, _ := b.Create(ctx, "k", []byte("a"))
	other, _ := b.Replace(ctx, "k", []byte("b"), a)
	again, _ := b.Replace(ctx, "k", []byte("a"), other)
	if a != again || a == other {
		t.Fatalf("versions %s %s %s", a, other, again)
	}
}

func TestCloneIsOfOneInstant(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	v, _ := b.Create(ctx, "k", []byte("old"))
	c := b.Clone()
	b.Put("k", []byte("new"))
	b.Put("l", nil)
	if got := string(c.Data("k")); got != "old" || len(c.Keys()) != 1 {
		t.Fatalf("clone has %q in %v", got, c.Keys())
	}
	if _, err := c.Replace(ctx, "k", []byte("other"), v); err != nil {
		t.Fatal(err)
	}
	if got := string(b.Data("k")); got != "new" {
		t.Fatalf("the original became %q", got)
	}
}

func TestContextThatEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := memdriver.New()
	if _, err := b.Create(ctx, "k", nil); !errors.Is(err, context.Canceled) || len(b.Keys()) != 0 {
		t.Fatalf("%v, and %v is there", err, b.Keys())
	}
}

func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, b := t.Context(), memdriver.New()
		b.Inject(memdriver.Fault{Do: memdriver.Delay(time.Second)})
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 20 {
			wg.Go(func() {
				key := fmt.Sprintf("k%d", i)
				if _, err := b.Create(ctx, key, nil); err != nil {
					t.Error(err)
				}
				for range b.List(ctx, "", "") {
					_ = b.Clone()
				}
			})
		}
		wg.Wait()
		if waited := time.Since(start); waited != 2*time.Second {
			t.Fatalf("they waited for each other: %v", waited)
		}
	})
}

func TestEmptyObjectsAreThere(t *testing.T) {
	b := memdriver.New()
	if _, err := b.Create(t.Context(), "k", nil); err != nil || b.Data("k") == nil || b.Data("none") != nil {
		t.Fatalf("%v, %v, %v", err, b.Data("k"), b.Data("none"))
	}
}
