// Package filedriver keeps a bucket in a directory of a local file system, for
// any number of processes of one host.
//
// Each object is a file of its own, at its key's path below the root, so an
// operator can look at them, copy them and back them up with any tool. What the
// file system lends to each promise:
//
//   - Create writes a temporary file, syncs it, and gives it its name with
//     link(2), which fails if the name is taken: of racing creators one wins, and
//     nobody ever sees half an object.
//   - Replace holds a lock (flock(2), which the kernel drops when its process
//     dies), reads the object, compares, and puts a synced temporary file in its
//     place with rename(2). Delete holds the same lock.
//   - Before either answers, the directory is synced too, and once for each
//     directory all those above it: a file whose name is lost is lost.
//
// The version of an object is the SHA-256 of its bytes.
//
// Names that start with a dot are this package's own and never listed: temporary
// files, which a crash may leave behind and a later Delete clears away, and
// .locks, whose files must not be removed while any process uses the directory.
//
// Network file systems are no place for it: their locks and links may lie.
package filedriver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// How open the files are, before the process's umask: a cell's state is for its
// owner, and for a group that may read.
const (
	directoryMode = 0o750
	fileMode      = 0o640
)

// Bucket is a directory. Its methods may be called by many goroutines, and by
// many processes on the same directory.
type Bucket struct {
	path        string // absolute
	root        *os.Root
	directories *directories
	locks       *locks
}

var _ driver.Bucket = (*Bucket)(nil)

// Open returns the bucket in the directory at path, which it makes if it is
// missing, with those above it.
func Open(path string) (*Bucket, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := makeRoot(path); err != nil {
		return nil, fmt.Errorf("open the directory %s: %w", path, refused(err))
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open the directory %s: %w", path, refused(err))
	}
	return &Bucket{
		path:        path,
		root:        root,
		directories: newDirectories(root),
		locks:       newLocks(root),
	}, nil
}

// Close frees the directory; calls under way may fail.
func (b *Bucket) Close() error {
	b.directories.close()
	return b.root.Close()
}

// Get implements driver.Bucket.
func (b *Bucket) Get(_ context.Context, key string) ([]byte, driver.Version, error) {
	place, err := locate(key)
	if err != nil {
		return nil, "", err
	}
	data, err := b.root.ReadFile(place.path())
	if err != nil {
		return nil, "", b.readError(err)
	}
	return data, versionOf(data), nil
}

// GetRange implements driver.Bucket.
func (b *Bucket) GetRange(_ context.Context, key string, offset, length int64) ([]byte, error) {
	if offset < 0 || length < 0 {
		return nil, fmt.Errorf("invalid range: offset %d, length %d", offset, length)
	}
	place, err := locate(key)
	if err != nil {
		return nil, err
	}
	file, err := b.root.Open(place.path())
	if err != nil {
		return nil, b.readError(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, b.readError(err)
	}
	data := make([]byte, max(0, min(length, info.Size()-offset)))
	n, err := file.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, b.readError(err)
	}
	return data[:n], nil
}

func versionOf(data []byte) driver.Version {
	sum := sha256.Sum256(data)
	return driver.Version(hex.EncodeToString(sum[:]))
}

// readError tells why an object could not be read. That it is not there is
// believed only while the root itself is: a directory that was removed, or whose
// file system was unmounted, is not an empty bucket.
func (b *Bucket) readError(err error) error {
	if !isMissing(err) {
		return refused(err)
	}
	if lost := b.checkRoot(); lost != nil {
		return lost
	}
	return driver.ErrNotExist
}

func (b *Bucket) checkRoot() error {
	now, err := os.Stat(b.path)
	if err == nil {
		var opened fs.FileInfo
		if opened, err = b.root.Stat("."); err == nil && !os.SameFile(now, opened) {
			return fmt.Errorf("%w: another directory was put at %s since it was opened", driver.ErrNoBucket, b.path)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: the directory %s was there when it was opened: %v", driver.ErrNoBucket, b.path, err)
	}
	return nil
}

// isMissing says that there is no such file: its name is free, or what should be
// a directory above it is a file.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// refused marks an error as driver.ErrDenied if it is about permissions. The
// error itself names the path.
func refused(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", driver.ErrDenied, err)
	}
	return err
}
