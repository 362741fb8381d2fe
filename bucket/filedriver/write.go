package filedriver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

const (
	temporaryPrefix = ".tmp-"
	// staleAfter is the age at which a temporary file is taken for a crash's. If
	// it is a slow writer's after all, that writer begins again.
	staleAfter = time.Hour
	// maxAttempts bounds how often a write begins again because its directory or
	// temporary file was removed; once is rare.
	maxAttempts = 100
)

// errLanded: the object has its new bytes, but they may not outlive a power cut.
var errLanded = errors.New("written, but perhaps not to disk")

// Create implements driver.Bucket.
func (b *Bucket) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	place, err := locate(key)
	if err != nil {
		return "", err
	}
	err = b.write(ctx, place, data, func(d *directory, temporary string) error {
		err := d.root.Link(temporary, place.name)
		_ = d.root.Remove(temporary) // if this fails, a stale temporary file remains
		switch {
		case errors.Is(err, fs.ErrExist):
			// The winner may not have come to its sync yet, and the loser may
			// build on what it finds here.
			if err := d.file.Sync(); err != nil {
				return fmt.Errorf("sync the directory of an object that exists: %w", err)
			}
			return driver.ErrExists
		case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP):
			return fmt.Errorf("the file system refuses hard links, which put-if-absent needs; use another: %v", err)
		}
		return noRoom(err)
	})
	if err != nil {
		return "", err
	}
	return versionOf(data), nil
}

// Replace implements driver.Bucket.
func (b *Bucket) Replace(ctx context.Context, key string, data []byte, old driver.Version) (driver.Version, error) {
	place, err := locate(key)
	if err != nil {
		return "", err
	}
	unlock, err := b.locks.lock(ctx, key)
	if err != nil {
		return "", notLanded(err)
	}
	defer unlock()
	_, version, err := b.Get(ctx, key)
	switch {
	case errors.Is(err, driver.ErrNotExist):
		return "", fmt.Errorf("%w: it is gone", driver.ErrChanged)
	case err != nil:
		return "", notLanded(err)
	case version != old:
		// An earlier try may have renamed it and died before the sync: who reads its
		// own bytes back takes them for written.
		if err := syncDirectory(b.root.Open(place.directory)); err != nil {
			return "", err
		}
		return "", driver.ErrChanged
	}
	err = b.write(ctx, place, data, func(d *directory, temporary string) error {
		return noRoom(d.root.Rename(temporary, place.name))
	})
	if err != nil {
		return "", err
	}
	return versionOf(data), nil
}

// write puts data into a synced temporary file, lets land give it its name, and
// syncs the directory. What ends before land began is ErrNotLanded or ErrDenied.
func (b *Bucket) write(ctx context.Context, place place, data []byte, land func(d *directory, temporary string) error) error {
	for range maxAttempts {
		if err := ctx.Err(); err != nil {
			return notLanded(err)
		}
		err := b.attempt(place.directory, data, land)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b.directories.forget(place.directory)
		if err := b.checkRoot(); err != nil {
			return notLanded(err)
		}
	}
	return notLanded(fmt.Errorf("the directory %s is removed again and again", path.Join(b.path, place.directory)))
}

// attempt fails with fs.ErrNotExist, having done nothing, if the directory or
// the temporary file is removed under it.
func (b *Bucket) attempt(name string, data []byte, land func(d *directory, temporary string) error) error {
	d, err := b.directories.use(name)
	if err != nil {
		return notLanded(err)
	}
	defer b.directories.done(d)
	temporary := temporaryPrefix + rand.Text()
	if err := writeSynced(d.root, temporary, data); err != nil {
		return notLanded(err)
	}
	if err := land(d, temporary); err != nil {
		_ = d.root.Remove(temporary)
		return refused(err)
	}
	if err := d.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errLanded, err)
	}
	return nil
}

// notLanded marks an error from before an object got its name.
func notLanded(err error) error {
	if err = refused(err); errors.Is(err, driver.ErrDenied) {
		return err
	}
	return fmt.Errorf("%w: %w", driver.ErrNotLanded, err)
}

// noRoom marks the error of a link or rename for which there was no room, which did
// nothing then. Of others, such as of the disk, nobody knows.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return notLanded(err)
	}
	return err
}

func writeSynced(root *os.Root, name string, data []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = root.Remove(name)
	}
	return err
}

// Delete implements driver.Bucket. It is on disk when Delete returns.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	place, err := locate(key)
	if err != nil {
		return err
	}
	unlock, err := b.locks.lock(ctx, key)
	if err != nil {
		return refused(err)
	}
	defer unlock()
	switch err := b.root.Remove(place.path()); {
	case isMissing(err):
		return b.checkRoot()
	case errors.Is(err, syscall.ENOTEMPTY): // a directory, so no object
		return nil
	case err != nil:
		return refused(err)
	}
	if err := syncDirectory(b.root.Open(place.directory)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b.prune(place.directory)
	return nil
}

// prune removes a directory that became empty, and those above it. It is tidying
// only, so it stops at the first trouble.
func (b *Bucket) prune(name string) {
	for name != "." {
		if b.root.Remove(name) != nil {
			if !b.removeStale(name) || b.root.Remove(name) != nil {
				return
			}
		}
		b.directories.forget(name)
		name = path.Dir(name)
	}
}

// removeStale removes what crashes left in a directory that has nothing else,
// and says whether it is empty now. It looks at few names: a directory in use
// has others.
func (b *Bucket) removeStale(name string) bool {
	directory, err := b.root.Open(name)
	if err != nil {
		return false
	}
	defer directory.Close()
	entries, err := directory.ReadDir(16)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !strings.HasPrefix(entry.Name(), temporaryPrefix) || time.Since(info.ModTime()) < staleAfter {
			return false
		}
	}
	for _, entry := range entries {
		if err := b.root.Remove(path.Join(name, entry.Name())); err != nil {
			return false
		}
	}
	return true
}
