package filedriver_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest/smalldisk"
)

// A write for which there is no room, of whichever kind, does nothing, says so, and
// leaves nothing behind. What is there can be read and removed, and when there is room
// again writes succeed.
func TestFullDisk(t *testing.T) {
	for name, full := range map[string]struct {
		inodes int
		fill   func(*smalldisk.Disk) (free func())
	}{
		"bytes":  {0, func(d *smalldisk.Disk) func() { return d.Fill(8 << 10) }},
		"inodes": {400, (*smalldisk.Disk).FillInodes},
	} {
		t.Run(name, func(t *testing.T) {
			disk := smalldisk.Mount(t, 1<<20, full.inodes)
			b := openRoot(t, disk.Path)
			mustCreate(t, b, "log/1")
			before, err := b.Get(t.Context(), "log/1")
			if err != nil {
				t.Fatal(err)
			}
			version, err := b.Replace(t.Context(), "log/1", []byte("two"), before.Version)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				mustCreate(t, b, fmt.Sprint("garbage/", i))
			}
			free := full.fill(disk)
			large := bytes.Repeat([]byte("large"), 10<<10)
			_, created := b.Create(t.Context(), "log/2", large)
			_, above := b.Create(t.Context(), "new/below/2", large)
			_, replaced := b.Replace(t.Context(), "log/1", large, version)
			_, locked := b.Replace(t.Context(), "other/1", large, version)
			for operation, err := range map[string]error{"create": created, "create in a new directory": above, "replace": replaced} {
				if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, bucket.ErrNotLanded) || !bucket.NotLanded(err) {
					t.Errorf("%s: %v, want that there is no room and nothing was written", operation, err)
				}
			}
			if !bucket.NotLanded(locked) && !errors.Is(locked, bucket.ErrChanged) {
				t.Errorf("replace of what is not there: %v", locked)
			}
			if left := disk.Temporary(); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			for info, err := range b.List(t.Context(), "", "") {
				if err != nil || info.Key == "log/2" || info.Key == "new/below/2" {
					t.Errorf("listed: %v %v", info, err)
				}
			}
			if object, err := b.Get(t.Context(), "log/1"); err != nil || string(object.Data) != "two" {
				t.Errorf("log/1 is %q, %v", object.Data, err)
			}
			for i := range 20 { // else nothing could be collected
				if err := b.Delete(t.Context(), fmt.Sprint("garbage/", i)); err != nil {
					t.Error(err)
				}
			}
			free()
			mustCreate(t, b, "log/2")
			mustCreate(t, b, "new/below/2")
			if _, err := b.Replace(t.Context(), "log/1", large, version); err != nil {
				t.Error(err)
			}
		})
	}
}

// A file system that has become read-only, as one does after errors of the disk.
func TestReadOnlyFileSystem(t *testing.T) {
	disk := smalldisk.Mount(t, 1<<20, 0)
	b := openRoot(t, disk.Path)
	mustCreate(t, b, "log/1")
	object, err := b.Get(t.Context(), "log/1")
	if err != nil {
		t.Fatal(err)
	}
	disk.ReadOnly(true)
	_, created := b.Create(t.Context(), "log/2", []byte("x"))
	_, replaced := b.Replace(t.Context(), "log/1", []byte("x"), object.Version)
	for operation, err := range map[string]error{"create": created, "replace": replaced, "delete": b.Delete(t.Context(), "log/1")} {
		if !errors.Is(err, bucket.ErrDenied) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", operation, err)
		}
	}
	if _, err := b.Get(t.Context(), "log/1"); err != nil {
		t.Error(err)
	}
	disk.ReadOnly(false)
	mustCreate(t, b, "log/2")
}
