package filedriver_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/filedriver"
)

func openPrefix(t *testing.T, path, prefix string) *bucket.Bucket {
	t.Helper()
	d, err := filedriver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b := bucket.New(d, "file://"+path, prefix, bucket.Options{})
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func openRoot(t *testing.T, path string) *bucket.Bucket {
	t.Helper()
	return openPrefix(t, path, "")
}

func TestConformance(t *testing.T) {
	options := buckettest.Options{SameBytesSameVersion: true, KeyBelowKey: buckettest.Refused, Keys: 2000, Increments: 20}
	buckettest.Run(t, func(t *testing.T) *bucket.Bucket { return openPrefix(t, t.TempDir(), "cells/test") }, options)
}

// files are all files below a directory, whatever they are.
func files(t *testing.T, directory string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, directory+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func keys(t *testing.T, b *bucket.Bucket) []string {
	t.Helper()
	var found []string
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, info.Key)
	}
	return found
}

func mustCreate(t *testing.T, b *bucket.Bucket, key string) {
	t.Helper()
	if _, err := b.Create(t.Context(), key, []byte("data of "+key)); err != nil {
		t.Fatal(err)
	}
}

func TestKeysAreSafeNames(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	for key, want := range map[string]string{
		"log/0000000001/00000000000000000007": "log/0000000001/00000000000000000007",
		"lease.json":                          "lease.json",
		".hidden/.locks":                      "%2Ehidden/%2Elocks",
		"a b/c*":                              "a%20b/c%2A",
		"100%":                                "100%25",
		`back\slash`:                          "back%5Cslash",
		"ключ":                                "ключ",
		"...":                                 "%2E..",
	} {
		mustCreate(t, b, key)
		if data, err := os.ReadFile(filepath.Join(directory, want)); err != nil || string(data) != "data of "+key {
			t.Errorf("%s: %q, %v", key, data, err)
		}
	}
	if found := files(t, directory); len(found) != 8 {
		t.Errorf("there are %q", found)
	}
}

func TestNothingOutsideIsReached(t *testing.T) {
	outside := t.TempDir()
	directory := filepath.Join(outside, "root")
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := filedriver.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.Symlink(outside, filepath.Join(directory, "link")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"../secret", "a/../../secret", "/etc/passwd", "link/secret"} {
		if data, _, err := d.Get(t.Context(), key); err == nil {
			t.Errorf("%s reads %q", key, data)
		}
		if _, err := d.Create(t.Context(), key+"2", []byte("x")); err == nil {
			t.Errorf("%s2 was made", key)
		}
		_ = d.Delete(t.Context(), key)
		for info, err := range d.List(t.Context(), key, "") {
			if err == nil {
				t.Errorf("listed %s", info.Key)
			}
		}
	}
	if found := files(t, outside); !slices.Contains(found, "secret") || slices.Contains(found, "secret2") {
		t.Errorf("outside there are %q", found)
	}
}

// TestLeftovers: what a crash leaves behind is not listed, hinders nobody, and
// goes in the end.
func TestLeftovers(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "log/1/1")
	mustCreate(t, b, "log/2/1")
	stale, fresh := filepath.Join(directory, "log/1/.tmp-STALE"), filepath.Join(directory, "log/2/.tmp-FRESH")
	for _, name := range []string{stale, fresh} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(stale, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	if found := keys(t, b); !slices.Equal(found, []string{"log/1/1", "log/2/1"}) {
		t.Fatalf("listed %q", found)
	}
	for _, key := range []string{"log/1/1", "log/2/1"} {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Dir(stale)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory with only a crash's leftovers must go: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("a file that may be in use must stay: %v", err)
	}
}

func TestForeignFilesAreNotListed(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "a/1")
	for _, name := range []string{"README file", "a/bad%2", "a/bad%zz", "a/%41", "a/.DS_Store", "100%"} {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("1", filepath.Join(directory, "a/2")); err != nil {
		t.Fatal(err)
	}
	if found := keys(t, b); !slices.Equal(found, []string{"a/1"}) {
		t.Fatalf("listed %q", found)
	}
}

func TestNoTemporaryFilesStay(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "k")
	if _, err := b.Create(t.Context(), "k", []byte("other")); !errors.Is(err, bucket.ErrExists) {
		t.Fatal(err)
	}
	object, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Replace(t.Context(), "k", []byte("new"), object.Version); err != nil {
		t.Fatal(err)
	}
	_, err = b.Create(t.Context(), strings.Repeat("x", 300), []byte("data")) // longer than a file's name may be
	if !errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrExists) {
		t.Fatalf("error %v", err)
	}
	found := slices.DeleteFunc(files(t, directory), func(name string) bool { return strings.HasPrefix(name, ".locks/") })
	if !slices.Equal(found, []string{"k"}) {
		t.Fatalf("there are %q", found)
	}
}

// TestDirectoriesComeAndGo: one process removes a directory that another one
// keeps open to write to.
func TestDirectoriesComeAndGo(t *testing.T) {
	directory := t.TempDir()
	one, other := openRoot(t, directory), openRoot(t, directory)
	for range 3 {
		mustCreate(t, one, "snapshot/1/part")
		if err := other.Delete(t.Context(), "snapshot/1/part"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(directory, "snapshot")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("an empty directory must go: %v", err)
		}
	}
	var all sync.WaitGroup
	for i, b := range []*bucket.Bucket{one, other, one, other} {
		all.Go(func() {
			for n := range 100 {
				key := fmt.Sprintf("a/b/%d-%d", i, n)
				data := []byte(key)
				if _, err := b.Create(t.Context(), key, data); err != nil {
					t.Error(err)
				} else if object, err := one.Get(t.Context(), key); err != nil || string(object.Data) != key {
					t.Errorf("%s: %q, %v", key, object.Data, err)
				} else if err := b.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if found := keys(t, one); len(found) > 0 {
		t.Fatalf("listed %q", found)
	}
}

func TestManyDirectories(t *testing.T) {
	b := openRoot(t, t.TempDir())
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 300 { // more than are kept open
				mustCreate(t, b, fmt.Sprintf("d%d/%d", i%150, w*1000+i))
			}
		})
	}
	all.Wait()
	if found := keys(t, b); len(found) != 1200 {
		t.Fatalf("listed %d", len(found))
	}
}

// TestALostDirectory: that the root is gone does not mean that its objects never
// were.
func TestALostDirectory(t *testing.T) {
	for name, lose := range map[string]func(directory string) error{
		"removed": os.RemoveAll,
		"replaced": func(directory string) error {
			return errors.Join(os.Rename(directory, directory+"-old"), os.Mkdir(directory, 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			directory := filepath.Join(t.TempDir(), "root")
			b := openRoot(t, directory)
			if name == "removed" {
				mustCreate(t, b, "log/1")
			}
			if err := lose(directory); err != nil {
				t.Fatal(err)
			}
			_, got := b.Get(t.Context(), "log/2")
			results := map[string]error{"get": got, "delete": b.Delete(t.Context(), "log/2")}
			_, results["replace"] = b.Replace(t.Context(), "log/2", []byte("x"), "v")
			for _, err := range b.List(t.Context(), "", "") {
				results["list"] = err
			}
			if name == "removed" {
				_, results["create"] = b.Create(t.Context(), "log/2", []byte("x"))
			}
			for operation, err := range results {
				if errors.Is(err, bucket.ErrNotExist) || errors.Is(err, bucket.ErrChanged) || err == nil {
					t.Errorf("%s: error %v", operation, err)
				}
			}
			if !errors.Is(results["get"], bucket.ErrNoBucket) || !errors.Is(results["list"], bucket.ErrNoBucket) {
				t.Errorf("get: %v, list: %v", results["get"], results["list"])
			}
		})
	}
}

func TestOpenNeedsADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "/below"} {
		if _, err := filedriver.Open(path); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

// TestALockThatIsHeld by a process that does not go on holds nobody longer than
// its context.
func TestALockThatIsHeld(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	mustCreate(t, b, "k")
	object, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = b.Replace(t.Context(), "k", []byte("1"), object.Version); err != nil { // makes the locks' files
		t.Fatal(err)
	}
	locks, err := filepath.Glob(filepath.Join(directory, ".locks", "*"))
	if err != nil || len(locks) != 256 {
		t.Fatalf("locks %q, %v", locks, err)
	}
	for _, name := range locks { // one of them is the key's
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Delete(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	if _, err := b.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
}
