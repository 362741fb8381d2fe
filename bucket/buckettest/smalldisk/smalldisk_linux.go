package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a tmpfs.
type Disk struct {
	Path string
	t    testing.TB
}

// Mount mounts one of so many bytes and inodes, 0 for no limit, until the test ends. The
// test is skipped where that is not allowed.
func Mount(t testing.TB, bytes, inodes int) *Disk {
	t.Helper()
	d := &Disk{t.TempDir(), t}
	if err := unix.Mount("tmpfs", d.Path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,nr_inodes=%d,mode=0755", bytes, inodes)); err != nil {
		t.Skipf("mount a small tmpfs, which root may do: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.Path, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", d.Path, err)
		}
	})
	return d
}

// Fill takes all the room that is left but for so many bytes. What it returns gives it
// back.
func (d *Disk) Fill(leave int64) (free func()) {
	d.t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.Path, &s); err != nil {
		d.t.Fatal(err)
	}
	ballast := filepath.Join(d.Path, ".ballast") // no name of an object
	file, err := os.Create(ballast)
	if err == nil {
		err = unix.Fallocate(int(file.Fd()), 0, 0, int64(s.Bavail)*s.Bsize-leave)
		_ = file.Close()
	}
	if err != nil {
		d.t.Fatalf("fill %s: %v", d.Path, err)
	}
	return func() {
		d.t.Helper()
		if err := os.Remove(ballast); err != nil {
			d.t.Fatal(err)
		}
	}
}

// ReadOnly lets nothing be written any more, or again.
func (d *Disk) ReadOnly(on bool) {
	d.t.Helper()
	flags := uintptr(unix.MS_REMOUNT | unix.MS_NOSUID | unix.MS_NODEV)
	if on {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("tmpfs", d.Path, "tmpfs", flags, ""); err != nil {
		d.t.Fatalf("mount %s again, read-only %v: %v", d.Path, on, err)
	}
}

// Temporary is the names of the files below the disk that are on their way to become
// objects, or were left on it.
func (d *Disk) Temporary() []string {
	d.t.Helper()
	var found []string
	err := filepath.WalkDir(d.Path, func(path string, _ os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // removed meanwhile
		}
		if name := filepath.Base(path); len(name) > 5 && name[:5] == ".tmp-" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

// FillInodes takes all inodes that are left. What it returns gives them back.
func (d *Disk) FillInodes() (free func()) {
	d.t.Helper()
	ballast := filepath.Join(d.Path, ".ballast") // no name of an object
	if err := os.Mkdir(ballast, 0o700); err != nil {
		d.t.Fatal(err)
	}
	for n := 0; ; n++ {
		file, err := os.Create(filepath.Join(ballast, fmt.Sprint(n)))
		if errors.Is(err, unix.ENOSPC) {
			break
		}
		if err != nil {
			d.t.Fatal(err)
		}
		_ = file.Close()
	}
	return func() {
		d.t.Helper()
		if err := os.RemoveAll(ballast); err != nil {
			d.t.Fatal(err)
		}
	}
}
