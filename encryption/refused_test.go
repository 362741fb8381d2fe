package encryption

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// Whichever of its requests is refused, no step takes that for a lost or a wrong key. It
// names the bucket, and goes well when it may be done again.
func TestARefusedRequestIsNoLostKey(t *testing.T) {
	key := NewLocalKeeper([32]byte{1})
	other := NewLocalKeeper([32]byte{2})
	for name, step := range map[string]func(ctx context.Context, c *cell, r *Ring, body []byte) error{
		"open": func(ctx context.Context, c *cell, _ *Ring, _ []byte) error {
			_, _, err := Open(ctx, c.bucket(), "cell", key, true)
			return err
		},
		"open a body": func(ctx context.Context, c *cell, _ *Ring, body []byte) error {
			fresh, _, err := Open(ctx, c.bucket(), "cell", key, false)
			if err == nil {
				_, err = fresh.Open(ctx, nil, body, []byte("extra"))
			}
			return err
		},
		"rotate":  func(ctx context.Context, _ *cell, r *Ring, _ []byte) error { _, err := r.Rotate(ctx); return err },
		"refresh": func(ctx context.Context, _ *cell, r *Ring, _ []byte) error { return r.Refresh(ctx) },
		"rewrap": func(ctx context.Context, _ *cell, r *Ring, _ []byte) error {
			_, err := r.Rewrap(ctx, other)
			return err
		},
		"list": func(ctx context.Context, c *cell, _ *Ring, _ []byte) error {
			_, err := List(ctx, c.bucket())
			return err
		},
		"look for the key of a body": func(ctx context.Context, _ *cell, r *Ring, body []byte) error { return r.HasKeyOf(ctx, body) },
		"carry": func(ctx context.Context, c *cell, r *Ring, _ []byte) error {
			_, err := r.Carry(ctx, c.bucket(), "backup/one")
			return err
		},
	} {
		for skip := 0; ; skip++ {
			c := newCell(t)
			r := c.mustOpen(key)
			body := seal(r, "secret")
			if name == "open a body" {
				if _, err := r.Rotate(t.Context()); err != nil { // so that it is not the newest that is needed
					t.Fatal(err)
				}
			}
			rule := c.mem.Inject(memdriver.Fault{Skip: skip, Times: 1, Do: memdriver.Deny})
			err := step(t.Context(), c, r, body)
			c.mem.Heal()
			if rule.Hits() == 0 {
				if err != nil || skip == 0 {
					t.Errorf("%s: %v, after %d requests", name, err, skip)
				}
				break
			}
			_, damage := errors.AsType[*ObjectError](err)
			if !errors.Is(err, bucket.ErrDenied) || damage || errors.Is(err, ErrWrongKey) || errors.Is(err, ErrKeyNeeded) || Lasting(err) ||
				!strings.Contains(err.Error(), "mem://test") {
				t.Errorf("%s, request %d refused: %v", name, skip, err)
			}
			if err := step(t.Context(), c, r, body); err != nil {
				t.Errorf("%s, again: %v", name, err)
			}
			c.opens(c.mustOpen(key), body, "secret")
		}
	}
}

// Who waits for another that reads key objects can give up. Nothing was asked then.
func TestWaitingForAnotherCanBeGivenUp(t *testing.T) {
	c := newCell(t)
	key := NewLocalKeeper([32]byte{1})
	r := c.mustOpen(key)
	body := seal(r, "secret")
	waiting, _, err := Open(t.Context(), c.bucket(), "cell", key, false)
	if err != nil {
		t.Fatal(err)
	}
	waiting.keys.Store(&keys{})
	release, err := waiting.hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("the caller is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	before := len(c.mem.Keys())
	for name, step := range map[string]func() error{
		"rotate":  func() error { _, err := waiting.Rotate(ctx); return err },
		"rewrap":  func() error { _, err := waiting.Rewrap(ctx, key); return err },
		"refresh": func() error { return waiting.Refresh(ctx) },
		"open":    func() error { _, err := waiting.Open(ctx, nil, body, []byte("extra")); return err },
	} {
		if err := step(); !errors.Is(err, gone) {
			t.Errorf("%s: %v, want %v", name, err, gone)
		}
	}
	if len(c.mem.Keys()) != before {
		t.Error("something was written")
	}
	release()
	c.opens(waiting, body, "secret")
}

// A ring without a keeper, or of which nothing is encrypted, has nothing to take up or to
// carry.
func TestNothingEncrypted(t *testing.T) {
	c := newCell(t)
	r := c.mustOpen(nil)
	if err := r.Refresh(t.Context()); err != nil || r.Keeper() != nil {
		t.Error(err)
	}
	carried, err := r.Carry(t.Context(), c.bucket(), "backup/one")
	if err != nil || carried != r || len(c.mem.Keys()) != 0 {
		t.Error(err, c.mem.Keys())
	}
	key := NewLocalKeeper([32]byte{1})
	later, _, err := Open(t.Context(), c.bucket(), "cell", key, false)
	if err != nil || later.Keeper() != key {
		t.Fatal(err)
	}
	if err := later.Refresh(t.Context()); err != nil || later.Newest() != 0 {
		t.Error(err)
	}
}

// What lies among the key objects and is none is named, by all who list them.
func TestStrayAmongTheKeys(t *testing.T) {
	c := newCell(t)
	r := c.mustOpen(NewLocalKeeper([32]byte{1}))
	for _, stray := range []string{"key/notes.txt", "key/0000000000-0001.json", "key/0000000001-0000.json", "key/1-1.json"} {
		c.mem.Put(stray, []byte("x"))
		_, err := List(t.Context(), c.bucket())
		c.says(err, nil, stray, "remove it")
		_, err = r.Rotate(t.Context())
		c.says(err, nil, stray)
		c.mem.Remove(stray)
	}
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Error(err)
	}
}

// One damaged key object does not hide the others from whoever lists them.
func TestListGoesOnBehindADamagedKey(t *testing.T) {
	c := newCell(t)
	r := c.mustOpen(NewLocalKeeper([32]byte{1}))
	if _, err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const first = "key/0000000001-0001.json"
	c.mem.Put(first, []byte("{}"))
	objects, err := List(t.Context(), c.bucket())
	c.says(err, nil, first)
	if len(objects) != 1 || objects[0].Number != 2 {
		t.Errorf("listed %v", objects)
	}
	_, err = r.Rewrap(t.Context(), NewLocalKeeper([32]byte{2}))
	c.says(err, nil, first)
	if r.HasKeyOf(t.Context(), []byte{0, 0}) == nil {
		t.Error("a body without a number has a key")
	}
}
