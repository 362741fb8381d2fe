package filedriver

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// fileSystems are those that are worth a name.
var fileSystems = map[uint32]struct {
	name    string
	network bool
}{
	unix.NFS_SUPER_MAGIC:       {"nfs", true},
	unix.SMB_SUPER_MAGIC:       {"smb", true},
	unix.SMB2_SUPER_MAGIC:      {"smb2", true},
	unix.CIFS_SUPER_MAGIC:      {"cifs", true},
	unix.CEPH_SUPER_MAGIC:      {"ceph", true},
	unix.AFS_SUPER_MAGIC:       {"afs", true},
	unix.V9FS_MAGIC:            {"9p", true},
	unix.FUSE_SUPER_MAGIC:      {"fuse", false}, // of any kind: the races tell whether it will do
	unix.EXT4_SUPER_MAGIC:      {"ext4", false},
	unix.XFS_SUPER_MAGIC:       {"xfs", false},
	unix.BTRFS_SUPER_MAGIC:     {"btrfs", false},
	unix.TMPFS_MAGIC:           {"tmpfs", false},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", false},
}

func roomOf(path string) (driver.Room, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return driver.Room{}, fmt.Errorf("statfs %s: %w", path, err)
	}
	known := fileSystems[uint32(s.Type)]
	size := int64(s.Bsize)
	return driver.Room{
		FileSystem: known.name, Network: known.network, ReadOnly: s.Flags&unix.ST_RDONLY != 0,
		Bytes: int64(s.Blocks) * size, FreeBytes: int64(s.Bavail) * size,
		Files: int64(s.Files), FreeFiles: int64(s.Ffree),
	}, nil
}
