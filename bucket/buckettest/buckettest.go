// Package buckettest is what every store must pass before anything is kept in
// it: races with one winner, compare-and-swap, reads that see what was written,
// whole listings, and awkward keys.
//
//	func TestConformance(t *testing.T) {
//		buckettest.Run(t, func(t *testing.T) *bucket.Bucket { … }, buckettest.Options{})
//	}
//
// How the stores differ within what the contract allows is said in Options, as
// data, and is tested too, so that a table of them can be believed.
package buckettest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// Options say what is known of a store. The zero value is a store that follows
// the contract to the letter and is quick.
type Options struct {
	// Keys in the large listing; 10,000 if zero.
	Keys int
	// Increments of the counter by each of 16 workers; 50 if zero.
	Increments int
	// Unsorted: a listing is not in byte-wise order.
	Unsorted bool
	// SameBytesSameVersion: the version is made of the content, so writing the
	// same bytes again gives the same version.
	SameBytesSameVersion bool
	// DeleteIsNotAtomic: a replacement that races with a delete may bring the
	// object back, or end with a strange error. The one difference that is only
	// noted and not tested, since it shows now and then.
	DeleteIsNotAtomic bool
	// KeyBelowKey is what becomes of k/below when there is an object k. No key
	// may be such a directory of another, and this is why.
	KeyBelowKey KeyBelowKey
	// Impossible are the keys of OddKeys that the store cannot hold.
	Impossible []string
}

// KeyBelowKey is what a store does with a key below another object's key.
type KeyBelowKey string

const (
	Listed  KeyBelowKey = ""        // it is an object like any other
	Hidden  KeyBelowKey = "hidden"  // it can be read, but listings leave it out
	Refused KeyBelowKey = "refused" // it cannot be made
)

// Run tests a store. open returns a bucket over it with a prefix of its own,
// under which there is nothing; each subtest opens one.
func Run(t *testing.T, open func(t *testing.T) *bucket.Bucket, options Options) {
	options.Keys = cmp.Or(options.Keys, 10_000)
	options.Increments = cmp.Or(options.Increments, 50)
	s := suite{options}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bucket.Bucket)
	}{
		{"CreateThenRead", s.createThenRead},
		{"CreateOfATakenKey", s.createOfATakenKey},
		{"Replace", s.replace},
		{"ReplaceOfAMissingKey", s.replaceOfAMissingKey},
		{"SameBytes", s.sameBytes},
		{"MissingKey", s.missingKey},
		{"Delete", s.delete},
		{"Ranges", s.ranges},
		{"EmptyObject", s.emptyObject},
		{"LargeObject", s.largeObject},
		{"OddKeys", s.oddKeys},
		{"InvalidKeys", s.invalidKeys},
		{"KeyBelowKey", s.keyBelowKey},
		{"Prefixes", s.prefixes},
		{"ListPrefixAndAfter", s.listPrefixAndAfter},
		{"ListRightAfterWrite", s.listRightAfterWrite},
		{"ListMany", s.listMany},
		{"ListStopsEarly", s.listStopsEarly},
		{"RacingCreators", s.racingCreators},
		{"RacingReplacers", s.racingReplacers},
		{"DeleteAgainstReplace", s.deleteAgainstReplace},
		{"Counter", s.counter},
		{"CheckConditions", s.checkConditions},
		{"EndedContext", s.endedContext},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test.run(t, b)
		})
	}
}

type suite struct{ Options }

// unique is bytes that nobody wrote before, as the contract of Create and
// Replace asks for.
func unique(text string) []byte { return []byte(text + " " + rand.Text()) }

func mustCreate(t *testing.T, b *bucket.Bucket, key string, data []byte) bucket.Version {
	t.Helper()
	version, err := b.Create(t.Context(), key, data)
	if err != nil {
		t.Fatal(err)
	}
	if version == "" {
		t.Fatalf("create %s: the version is empty", key)
	}
	return version
}

// mustHold reads an object and compares.
func mustHold(t *testing.T, b *bucket.Bucket, key string, data []byte, version bucket.Version) {
	t.Helper()
	object, err := b.Get(t.Context(), key)
	switch {
	case err != nil:
		t.Fatal(err)
	case !bytes.Equal(object.Data, data):
		t.Fatalf("%s holds %d bytes %.60q, want %d bytes %.60q", key, len(object.Data), object.Data, len(data), data)
	case object.Version != version:
		t.Fatalf("%s has version %s, want %s", key, object.Version, version)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func list(t *testing.T, b *bucket.Bucket, prefix, after string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// mustList compares a listing, in order unless the store has none.
func (s suite) mustList(t *testing.T, b *bucket.Bucket, prefix, after string, want ...string) {
	t.Helper()
	got := list(t, b, prefix, after)
	if s.Unsorted {
		slices.Sort(got)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list prefix %q after %q: %q, want %q", prefix, after, got, want)
	}
}
