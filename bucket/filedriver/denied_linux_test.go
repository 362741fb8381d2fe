package filedriver_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/filedriver"
)

// asNobody runs do without root's right to go everywhere, if it has that.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setfsuid(0); err != nil {
			t.Error(err)
		}
	}()
	do()
}

func TestPermissions(t *testing.T) {
	outer := t.TempDir()
	directory := filepath.Join(outer, "store")
	b := openRoot(t, directory)
	mustCreate(t, b, "log/1")
	for path := directory; path != os.TempDir() && len(path) > 1; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"log", "log/1"} {
		if err := os.Chmod(filepath.Join(directory, name), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, name := range []string{filepath.Dir(outer), outer, directory, filepath.Join(directory, "log")} {
			_ = os.Chmod(name, 0o755)
		}
	})
	asNobody(t, func() {
		other := openRoot(t, directory) // reading needs no right to write
		object, err := other.Get(t.Context(), "log/1")
		if err != nil {
			t.Fatal(err)
		}
		_, created := other.Create(t.Context(), "log/2", []byte("x"))
		_, createdAbove := other.Create(t.Context(), "new/2", []byte("x"))
		_, replaced := other.Replace(t.Context(), "log/1", []byte("x"), object.Version)
		for operation, err := range map[string]error{
			"create": created, "create in a new directory": createdAbove, "replace": replaced, "delete": other.Delete(t.Context(), "log/1"),
		} {
			if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), directory) {
				t.Errorf("%s: error %v", operation, err)
			}
		}
		_, err = filedriver.Open(filepath.Join(directory, "below", "it"))
		if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), filepath.Join(directory, "below")) {
			t.Errorf("open: error %v", err)
		}
	})
	if err := os.Chmod(filepath.Join(directory, "log", "1"), 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if _, err := b.Get(t.Context(), "log/1"); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("get: error %v", err)
		}
	})
}

// A directory that can't be read is no empty one, and an object that can't be is none
// that is missing: either would pass for the end of a log.
func TestWhatCantBeReadIsNotMissing(t *testing.T) {
	outer := t.TempDir()
	directory := filepath.Join(outer, "store")
	b := openRoot(t, directory)
	mustCreate(t, b, "log/1")
	mustCreate(t, b, "other/1")
	for path := directory; path != os.TempDir() && len(path) > 1; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	closed := filepath.Join(directory, "log")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(closed, 0o755) })
	asNobody(t, func() {
		other := openRoot(t, directory)
		var last error
		for _, err := range other.List(t.Context(), "", "") {
			last = err
		}
		if !errors.Is(last, bucket.ErrDenied) || !strings.Contains(last.Error(), "log") {
			t.Errorf("listing: %v", last)
		}
		if _, err := other.Get(t.Context(), "log/1"); !errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrNotExist) {
			t.Errorf("reading: %v", err)
		}
		if _, err := other.GetRange(t.Context(), "log/1", 0, 1); !errors.Is(err, bucket.ErrDenied) {
			t.Errorf("reading a range: %v", err)
		}
	})
	if err := os.Chmod(closed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(directory, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(directory, 0o755) })
	asNobody(t, func() {
		if _, err := filedriver.Open(directory); !errors.Is(err, driver.ErrDenied) || !strings.Contains(err.Error(), directory) {
			t.Errorf("opening: %v", err)
		}
	})
}
