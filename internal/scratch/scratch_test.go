package scratch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// contents are all objects of a bucket.
func contents(t *testing.T, b driver.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, version, err := b.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Key] = fmt.Sprint(version, data)
	}
	return all
}

func put(t *testing.T, b driver.Bucket, key string) {
	t.Helper()
	if _, err := b.Create(t.Context(), key, []byte(key)); err != nil {
		t.Fatal(err)
	}
}

// write makes an object in a scratch.
func write(ctx context.Context, s *Scratch, name string) error {
	_, err := s.Driver.Create(ctx, s.Prefix+name, nil)
	return err
}

// neighbours are keys that a careless removal would take as well.
func neighbours(t *testing.T, b driver.Bucket, s *Scratch) map[string]string {
	t.Helper()
	folder := strings.TrimSuffix(s.Prefix, "/")
	for _, key := range []string{"cells/prod/cell.json", "cells/prod/log/0000000000/00000000000000000000", "cells/prod/bench-other/cell.json",
		folder + "x", folder + "-2/a", "bench-a/a", "a", "z"} {
		put(t, b, key)
	}
	return contents(t, b)
}

func TestScratchIsRemovedAndNothingElse(t *testing.T) {
	for _, prefix := range []string{"", "cells/prod", "/cells/prod/"} {
		mem := memdriver.New()
		s := New(mem, "mem://m", prefix, "bench-")
		before := neighbours(t, mem, s)
		if err := s.Use(t.Context(), func() error {
			for i := range removeBatch + 10 { // more than one batch
				if err := write(t.Context(), s, fmt.Sprintf("one/a/%d", i)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if after := contents(t, mem); !maps.Equal(before, after) {
			t.Errorf("prefix %q: %d objects, there were %d", prefix, len(after), len(before))
		}
	}
}

func TestScratchesAreRandomAndBelowThePrefix(t *testing.T) {
	one, two := New(nil, "s3://b/cells/prod", "cells/prod", "bench-"), New(nil, "s3://b/cells/prod", "cells/prod", "bench-")
	if one.Prefix == two.Prefix || one.Name() == two.Name() {
		t.Error("two scratches are one")
	}
	if want := "cells/prod/bench-"; !strings.HasPrefix(one.Prefix, want) || !strings.HasSuffix(one.Prefix, "/") || len(one.Prefix) != len(want)+17 {
		t.Errorf("prefix is %s", one.Prefix)
	}
	if want := "s3://b/" + strings.TrimSuffix(one.Prefix, "/"); one.Name() != want {
		t.Errorf("name is %s, want %s", one.Name(), want)
	}
}

// Also when the run fails or is interrupted, with what was on its way then.
func TestScratchIsRemovedAfterErrors(t *testing.T) {
	failed := errors.New("failed")
	for name, end := range map[string]func(context.CancelFunc) error{
		"failed":      func(context.CancelFunc) error { return failed },
		"interrupted": func(cancel context.CancelFunc) error { cancel(); return context.Canceled },
	} {
		synctest.Test(t, func(t *testing.T) {
			mem := memdriver.New()
			s := New(mem, "mem://m", "", "bench-")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := s.Use(ctx, func() error {
				time.AfterFunc(straggle/2, func() { _ = write(t.Context(), s, "one/late") })
				return errors.Join(write(ctx, s, "one/a"), end(cancel))
			})
			if err == nil || strings.Contains(err.Error(), "left") {
				t.Errorf("%s: %v", name, err)
			}
			time.Sleep(straggle) // what was late has landed
			if left := contents(t, mem); len(left) > 0 {
				t.Errorf("%s: left %v", name, left)
			}
		})
	}
}

func TestWhatCantBeRemovedIsTold(t *testing.T) {
	for name, fault := range map[string]memdriver.Fault{
		"denied":  {Operation: memdriver.Delete, Do: memdriver.Deny},
		"hanging": {Operation: memdriver.Delete, Do: memdriver.LandLater}, // it is still listed
		"unknown": {Operation: memdriver.List, Skip: 1, Do: memdriver.Fail},
	} {
		mem := memdriver.New()
		s := New(mem, "mem://m/x", "x", "bench-")
		mem.Inject(fault)
		err := s.Use(t.Context(), func() error { return write(t.Context(), s, "one/a") })
		if err == nil || !strings.Contains(err.Error(), s.Name()) || !strings.Contains(err.Error(), "may be left") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sleepy deletes nothing, and says that it did.
type sleepy struct{ driver.Bucket }

func (sleepy) Delete(context.Context, string) error { return nil }

func TestRemovalOfWhatStaysEnds(t *testing.T) {
	s := New(sleepy{memdriver.New()}, "mem://m", "", "bench-")
	err := s.Use(t.Context(), func() error { return write(t.Context(), s, "one/a") })
	if err == nil || !strings.Contains(err.Error(), "still listed") {
		t.Error(err)
	}
}

// stray lists what was not asked for.
type stray struct{ driver.Bucket }

func (s stray) List(ctx context.Context, _, _ string) iter.Seq2[driver.Info, error] {
	return s.Bucket.List(ctx, "", "")
}

func TestStoreThatListsOthersIsNotBelieved(t *testing.T) {
	mem := memdriver.New()
	put(t, mem, "precious")
	before := contents(t, mem)
	s := New(stray{mem}, "mem://m", "", "bench-")
	if err := s.Remove(t.Context()); err == nil || !strings.Contains(err.Error(), "precious") {
		t.Error(err)
	}
	if !maps.Equal(before, contents(t, mem)) {
		t.Error("what the store listed was deleted")
	}
}

func TestTakenPrefixIsRefused(t *testing.T) {
	mem := memdriver.New()
	s := New(mem, "mem://m", "", "bench-")
	put(t, mem, s.Prefix+"a")
	if err := s.Use(t.Context(), func() error { t.Error("it ran"); return nil }); err == nil {
		t.Error("no error")
	}
	if len(contents(t, mem)) != 1 {
		t.Error("somebody else's object was deleted")
	}
}
