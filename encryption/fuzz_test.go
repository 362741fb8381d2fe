package encryption

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/checked"
	"github.com/scheduler-store/scheduler-store/internal/hostile"
)

// keyed is a bucket with the first key object of a cell.
func keyed(t testing.TB, keeper *Keeper, cell string) (mem *memdriver.Bucket, key string, object []byte) {
	t.Helper()
	mem = memdriver.New()
	if _, _, err := Open(t.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), cell, keeper, true); err != nil {
		t.Fatal(err)
	}
	key = prefix + Name{1, 1}.String()
	return mem, key, mem.Data(key)
}

// FuzzKeyObject: whatever a key object is, it is refused by name, with no secret in the
// error, and nothing is changed or made; or it is what would be written, and gives the
// data key that was wrapped for this cell.
func FuzzKeyObject(f *testing.F) {
	keeper := NewLocalKeeper([32]byte{1, 2, 3})
	_, key, object := keyed(f, keeper, "cell")
	_, _, foreign := keyed(f, keeper, "other")
	_, _, locked := keyed(f, NewLocalKeeper([32]byte{9}), "cell")
	for _, object := range [][]byte{object, foreign, locked} {
		f.Add(object, false)
		f.Add(hostile.Unvouched(object), true)
	}
	f.Fuzz(func(t *testing.T, object []byte, vouch bool) {
		if vouch {
			object = hostile.Vouched(object)
		}
		mem := memdriver.New()
		mem.Put(key, object)
		b := bucket.New(mem, "mem://test", "", bucket.Options{})
		var r *Ring
		var err error
		got := hostile.Allocated(func() { r, _, err = Open(context.Background(), b, "cell", keeper, true) })
		if got > uint64(1<<20+100*len(object)) {
			t.Errorf("%d bytes allocated for %d", got, len(object))
		}
		if !bytes.Equal(mem.Data(key), object) || len(mem.Keys()) != 1 {
			t.Errorf("the bucket was changed: %v", mem.Keys())
		}
		if err != nil {
			_, damage := errors.AsType[*ObjectError](err)
			if !strings.Contains(err.Error(), key) || !damage && !errors.Is(err, ErrWrongKey) && !errors.Is(err, checked.ErrNewerFormat) {
				t.Errorf("%v, want what is wrong with %s", err, key)
			}
			return
		}
		objects, err := List(context.Background(), b)
		if err != nil || len(objects) != 1 || r.Newest() != 1 {
			t.Fatalf("opened, and listed as %v, %v", objects, err)
		}
		if again, err := checked.Encode(objects[0]); err != nil || !bytes.Equal(again, object) {
			t.Errorf("taken, and is written as %s (%v)", again, err)
		}
	})
}

// FuzzSealed: whatever is opened, it is refused, or is what was sealed with just this.
func FuzzSealed(f *testing.F) {
	mem, _, _ := keyed(f, NewLocalKeeper([32]byte{1, 2, 3}), "cell")
	r, _, err := Open(f.Context(), bucket.New(mem, "mem://test", "", bucket.Options{}), "cell", NewLocalKeeper([32]byte{1, 2, 3}), false)
	if err != nil {
		f.Fatal(err)
	}
	plain, extra := []byte("what is sealed"), []byte{1, 0, 0, 0, 14}
	f.Add([]byte{}, extra, false)
	f.Add([]byte{0, 0, 0, 2}, extra, false)
	f.Add(make([]byte, Overhead), extra, false)
	f.Add(make([]byte, Overhead), []byte{1, 0, 0, 0, 15}, true)
	f.Fuzz(func(t *testing.T, change, with []byte, onTop bool) {
		sealed := r.Seal(nil, plain, extra)
		body := change
		if onTop { // the change is one of what was sealed: its bytes are added to those
			body = bytes.Clone(sealed)
			for i := range min(len(body), len(change)) {
				body[i] ^= change[i]
			}
		}
		body = body[:len(body):len(body)]
		got, err := r.Open(t.Context(), nil, body, with)
		switch genuine := bytes.Equal(body, sealed) && bytes.Equal(with, extra); {
		case genuine && (err != nil || !bytes.Equal(got, plain)):
			t.Errorf("it opens to %q, %v", got, err)
		case !genuine && err == nil:
			t.Errorf("%x, which was not sealed with %x, opens to %q", body, with, got)
		case !genuine && (errors.Is(err, ErrLocked) || got != nil):
			t.Errorf("%q, %v", got, err)
		case !genuine && strings.Contains(err.Error(), string(plain)):
			t.Errorf("the error has what is sealed: %v", err)
		}
	})
}
