package filedriver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/filedriver"
)

// What no file can be called is refused by each operation, before anything is touched.
func TestKeysThatAreNone(t *testing.T) {
	directory := t.TempDir()
	b, err := filedriver.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx := t.Context()
	for _, key := range []string{"", "/", "a//b", "../a"} {
		for name, call := range map[string]func() error{
			"get":     func() error { _, _, err := b.Get(ctx, key); return err },
			"range":   func() error { _, err := b.GetRange(ctx, key, 0, 1); return err },
			"create":  func() error { _, err := b.Create(ctx, key, nil); return err },
			"replace": func() error { _, err := b.Replace(ctx, key, nil, "v"); return err },
			"delete":  func() error { return b.Delete(ctx, key) },
		} {
			if err := call(); !errors.Is(err, driver.ErrInvalidKey) {
				t.Errorf("%s of %q: %v", name, key, err)
			}
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {0, -1}} {
		if _, err := b.GetRange(ctx, "k", r[0], r[1]); err == nil || !strings.Contains(err.Error(), "invalid range") {
			t.Errorf("range %v: %v", r, err)
		}
	}
	if left := files(t, directory); len(left) != 0 {
		t.Errorf("there is %q now", left)
	}
}

// Who waits for another goroutine of the same process gives up with its context, too.
func TestALockThatAnotherGoroutineWaitsFor(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "k")
	if err := b.Delete(t.Context(), "nothing"); err != nil { // makes the lock files' directory
		t.Fatal(err)
	}
	locks := filepath.Join(directory, ".locks")
	object, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	version, err := b.Replace(t.Context(), "k", []byte("1"), object.Version)
	if err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	names, err := filepath.Glob(filepath.Join(locks, "*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		held = append(held, file)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 2)
	for _, text := range []string{"2", "3"} { // one waits for the file, one for the other
		go func() { _, err := b.Replace(ctx, "k", []byte(text), version); done <- err }()
	}
	for range 2 {
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want %v", err, context.DeadlineExceeded)
		}
	}
	for _, file := range held {
		file.Close()
	}
	if object, err := b.Get(t.Context(), "k"); err != nil || string(object.Data) != "1" {
		t.Errorf("it has %q, %v", object.Data, err)
	}
	if _, err := b.Replace(t.Context(), "k", []byte("4"), version); err != nil {
		t.Errorf("when the lock is free: %v", err)
	}
}

// Without locks nothing is replaced or deleted.
func TestNoLocks(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "k")
	object, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	locks := filepath.Join(directory, ".locks")
	if err := os.WriteFile(locks, nil, 0o600); err != nil { // a file where their directory should be
		t.Fatal(err)
	}
	if _, err := b.Replace(t.Context(), "k", []byte("x"), object.Version); err == nil || !strings.Contains(err.Error(), ".locks") {
		t.Errorf("replace: %v", err)
	}
	if err := b.Delete(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), ".locks") {
		t.Errorf("delete: %v", err)
	}
	if now, err := b.Get(t.Context(), "k"); err != nil || now.Version != object.Version {
		t.Errorf("it was changed: %q, %v", now.Data, err)
	}
}

// What objects lie below is no object: a delete of it is one of nothing.
func TestDeleteOfADirectory(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "log/1")
	if err := b.Delete(t.Context(), "log"); err != nil {
		t.Error(err)
	}
	if got := keys(t, b); len(got) != 1 || got[0] != "log/1" {
		t.Errorf("there is %q", got)
	}
}
