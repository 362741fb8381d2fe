package filedriver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest/smalldisk"
)

func TestRoomIsTold(t *testing.T) {
	disk := smalldisk.Mount(t, 1<<20, 100)
	b, err := Open(disk.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	room := b.Settings(t.Context()).Room
	if v := room.Value; room.Err != nil || v.FileSystem != "tmpfs" || v.Network || v.ReadOnly || v.Bytes != 1<<20 || v.FreeBytes > v.Bytes || v.Files != 100 || v.FreeFiles > 99 {
		t.Errorf("%+v", room)
	}
	free := disk.Fill(0)
	if v := b.Settings(t.Context()).Room.Value; v.FreeBytes > 0 {
		t.Errorf("full, and %+v", v)
	}
	free()
	disk.ReadOnly(true)
	if v := b.Settings(t.Context()).Room.Value; !v.ReadOnly {
		t.Errorf("read-only, and %+v", v)
	}
	disk.ReadOnly(false)
}

func TestModeThatLetsOthersIn(t *testing.T) {
	top := t.TempDir()
	// The test's own directories, not the one that all share.
	for above := top; above != filepath.Clean(os.TempDir()) && above != "/"; above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(top, "above", "store")
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range []struct {
		above, mode os.FileMode
		says        string
	}{
		{0o755, 0o750, ""},
		{0o755, 0o755, "may list"},
		{0o755, 0o777, "may write"},
		{0o750, 0o777, ""}, // nobody comes so far
	} {
		for name, mode := range map[string]os.FileMode{filepath.Dir(path): c.above, path: c.mode} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		s := b.Settings(t.Context()).Public
		if s.Err != nil || (s.Value == "") != (c.says == "") || !strings.Contains(s.Value, c.says) {
			t.Errorf("%o in %o: %+v", c.mode, c.above, s)
		}
	}
}
