package buckettest

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
)

func (s suite) createThenRead(t *testing.T, b *bucket.Bucket) {
	data := unique("hello")
	version := mustCreate(t, b, "log/1", data)
	mustHold(t, b, "log/1", data, version)
	mustHold(t, b, "log/1", data, version) // reading changes nothing
}

func (s suite) createOfATakenKey(t *testing.T, b *bucket.Bucket) {
	first := unique("first")
	version := mustCreate(t, b, "k", first)
	_, err := b.Create(t.Context(), "k", unique("second"))
	mustBe(t, err, bucket.ErrExists)
	mustHold(t, b, "k", first, version)

	// The same bytes are the same write, tried again.
	again, err := b.Create(t.Context(), "k", first)
	if err != nil || again != version {
		t.Fatalf("create with the bytes that are there: version %s, error %v; want %s", again, err, version)
	}
}

func (s suite) replace(t *testing.T, b *bucket.Bucket) {
	ctx := t.Context()
	v1 := mustCreate(t, b, "lease", unique("1"))
	two := unique("2")
	v2, err := b.Replace(ctx, "lease", two, v1)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, b, "lease", two, v2)
	_, err = b.Replace(ctx, "lease", unique("stale"), v1)
	mustBe(t, err, bucket.ErrChanged)
	mustHold(t, b, "lease", two, v2)

	object, err := b.Get(ctx, "lease") // a version that was read is as good as one from a write
	if err != nil {
		t.Fatal(err)
	}
	three := unique("3")
	v3, err := b.Replace(ctx, "lease", three, object.Version)
	if err != nil {
		t.Fatal(err)
	}
	if v3 == v2 || v3 == v1 {
		t.Fatalf("version %s was there before", v3)
	}
	mustHold(t, b, "lease", three, v3)
}

func (s suite) replaceOfAMissingKey(t *testing.T, b *bucket.Bucket) {
	version := mustCreate(t, b, "other", unique("x"))
	_, err := b.Replace(t.Context(), "missing", unique("y"), version)
	mustBe(t, err, bucket.ErrChanged)
	if keys := list(t, b, "", ""); !slices.Equal(keys, []string{"other"}) {
		t.Fatalf("there are %q", keys)
	}
	if err := b.Delete(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	_, err = b.Replace(t.Context(), "other", unique("z"), version)
	mustBe(t, err, bucket.ErrChanged)
	_, err = b.Get(t.Context(), "other")
	mustBe(t, err, bucket.ErrNotExist)
}

func (s suite) sameBytes(t *testing.T, b *bucket.Bucket) {
	one, two := unique("one"), unique("two")
	first := mustCreate(t, b, "k", one)
	middle, err := b.Replace(t.Context(), "k", two, first)
	if err != nil {
		t.Fatal(err)
	}
	last, err := b.Replace(t.Context(), "k", one, middle)
	if err != nil {
		t.Fatal(err)
	}
	if (first == last) != s.SameBytesSameVersion {
		t.Fatalf("the same bytes have the versions %s and %s; SameBytesSameVersion says %t", first, last, s.SameBytesSameVersion)
	}
}

func (s suite) missingKey(t *testing.T, b *bucket.Bucket) {
	_, err := b.Get(t.Context(), "missing")
	mustBe(t, err, bucket.ErrNotExist)
	_, err = b.Get(t.Context(), "directory/missing")
	mustBe(t, err, bucket.ErrNotExist)
	_, err = b.GetRange(t.Context(), "missing", 0, 10)
	mustBe(t, err, bucket.ErrNotExist)
	if err := b.Delete(t.Context(), "missing"); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "directory/missing"); err != nil {
		t.Fatal(err)
	}
}

func (s suite) delete(t *testing.T, b *bucket.Bucket) {
	ctx := t.Context()
	mustCreate(t, b, "a/b/1", unique("1"))
	mustCreate(t, b, "a/b/2", unique("2"))
	if err := b.Delete(ctx, "a/b/1"); err != nil {
		t.Fatal(err)
	}
	_, err := b.Get(ctx, "a/b/1")
	mustBe(t, err, bucket.ErrNotExist)
	s.mustList(t, b, "", "", "a/b/2")
	if err := b.Delete(ctx, "a/b/2"); err != nil {
		t.Fatal(err)
	}
	s.mustList(t, b, "", "")

	data := unique("again") // a key may be used again
	version := mustCreate(t, b, "a/b/1", data)
	mustHold(t, b, "a/b/1", data, version)
}

func (s suite) ranges(t *testing.T, b *bucket.Bucket) {
	mustCreate(t, b, "k", []byte("0123456789"))
	for _, test := range []struct {
		offset, length int64
		want           string
	}{
		{0, 10, "0123456789"},
		{0, 4, "0123"},
		{3, 4, "3456"},
		{9, 1, "9"},
		{6, 100, "6789"}, // reaches beyond the end
		{10, 1, ""},      // begins at the end
		{1000, 5, ""},    // begins beyond it
		{5, 0, ""},
	} {
		data, err := b.GetRange(t.Context(), "k", test.offset, test.length)
		if err != nil || string(data) != test.want {
			t.Errorf("%d bytes from %d: %q, error %v; want %q", test.length, test.offset, data, err, test.want)
		}
	}
}

func (s suite) emptyObject(t *testing.T, b *bucket.Bucket) {
	version := mustCreate(t, b, "empty", nil)
	mustHold(t, b, "empty", nil, version)
	data, err := b.GetRange(t.Context(), "empty", 0, 10)
	if err != nil || len(data) != 0 {
		t.Fatalf("range of an empty object: %q, %v", data, err)
	}
	_, err = b.Create(t.Context(), "empty", unique("x"))
	mustBe(t, err, bucket.ErrExists)
	next := unique("no longer empty")
	after, err := b.Replace(t.Context(), "empty", next, version)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, b, "empty", next, after)
	if _, err := b.Replace(t.Context(), "empty", []byte{}, after); err != nil {
		t.Fatal(err)
	}
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil || info.Key != "empty" || info.Size != 0 {
			t.Fatalf("listed %+v, %v", info, err)
		}
	}
}

func (s suite) largeObject(t *testing.T, b *bucket.Bucket) {
	data := make([]byte, 8<<20)
	_, _ = rand.Read(data)
	version := mustCreate(t, b, "large", data)
	mustHold(t, b, "large", data, version)
	part, err := b.GetRange(t.Context(), "large", 5<<20, 1<<20)
	if err != nil || !bytes.Equal(part, data[5<<20:6<<20]) {
		t.Fatalf("range: %d bytes, %v", len(part), err)
	}
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil || info.Size != int64(len(data)) {
			t.Fatalf("listed %+v, %v", info, err)
		}
	}
}

// OddKeys are keys that some layer between here and the store may get wrong.
func OddKeys() []string {
	return []string{
		"with space", "two  spaces", " leading and trailing ",
		"plus+plus", "percent%41percent", "percent%", "a%2Fb", "odd/%2e%2e/key",
		"ünïcödé/ключ/鍵/🔑", "equals=1&and=2", "colon:colon", "~tilde", "question?mark", "hash#hash",
		"quote'single", `quote"double`, "star*", "(paren)", "[bracket]", "{brace}", "<angle>", "semi;colon", "comma,at@dollar$",
		`back\slash`, "pipe|caret^tick`", "exclam!", "__0", "dots/...", "dots/.hidden", "dots/trailing.", "-dash", ".tmp-abc",
		"2026-11-22T23:38:00Z", strings.Repeat("long", 50),
	}
}

func (s suite) oddKeys(t *testing.T, b *bucket.Bucket) {
	var keys []string
	for _, key := range OddKeys() {
		if !slices.Contains(s.Impossible, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		data := unique(key)
		version, err := b.Create(t.Context(), key, data)
		if err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		mustHold(t, b, key, data, version)
		next := unique(key)
		if version, err = b.Replace(t.Context(), key, next, version); err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		mustHold(t, b, key, next, version)
		if listed := list(t, b, key, ""); !slices.Equal(listed, []string{key}) {
			t.Errorf("list %q: %q", key, listed)
		}
	}
	s.mustList(t, b, "", "", keys...)
	for _, key := range keys {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	s.mustList(t, b, "", "")
}

func (s suite) invalidKeys(t *testing.T, b *bucket.Bucket) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b",
		"nul\x00", "line\nbreak", "\x7f", "not UTF-8 \xff", "__0x2f__", strings.Repeat("x", 1025),
	} {
		_, err := b.Create(t.Context(), key, unique("x"))
		mustBe(t, err, bucket.ErrInvalidKey)
		_, err = b.Replace(t.Context(), key, unique("x"), "1")
		mustBe(t, err, bucket.ErrInvalidKey)
		_, err = b.Get(t.Context(), key)
		mustBe(t, err, bucket.ErrInvalidKey)
		_, err = b.GetRange(t.Context(), key, 0, 1)
		mustBe(t, err, bucket.ErrInvalidKey)
		mustBe(t, b.Delete(t.Context(), key), bucket.ErrInvalidKey)
	}
	s.mustList(t, b, "", "")
}

func (s suite) keyBelowKey(t *testing.T, b *bucket.Bucket) {
	mustCreate(t, b, "k", unique("above"))
	data := unique("below")
	_, err := b.Create(t.Context(), "k/below", data)
	found := Listed
	switch {
	case err != nil:
		found = Refused
	case !slices.Contains(list(t, b, "", ""), "k/below"):
		found = Hidden
	}
	if found != s.KeyBelowKey {
		t.Fatalf("an object below another object is %q (error %v), known as %q", found, err, s.KeyBelowKey)
	}
	if _, err := b.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
}

func (s suite) checkConditions(t *testing.T, b *bucket.Bucket) {
	data := unique("cell")
	version := mustCreate(t, b, "cell.json", data)
	if err := b.CheckConditions(t.Context(), "cell.json", bucket.Object{Data: data, Version: version}); err != nil {
		t.Fatal(err)
	}
	mustHold(t, b, "cell.json", data, version)
}

func (s suite) endedContext(t *testing.T, b *bucket.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Create(ctx, "k", unique("x"))
	mustBe(t, err, context.Canceled)
	for _, sentinel := range []error{bucket.ErrExists, bucket.ErrDenied, bucket.ErrNotExist} {
		if err == nil || strings.Contains(err.Error(), sentinel.Error()) {
			t.Fatalf("an ended context gives %v", err)
		}
	}
	for _, err := range b.List(ctx, "", "") {
		mustBe(t, err, context.Canceled)
	}
}
