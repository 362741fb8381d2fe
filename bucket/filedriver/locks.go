package filedriver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/sleep"
)

// lockDirectory has one file for each first byte of a key's hash. They are few
// and stay, since a lock file that is removed locks nobody out. Two keys that
// share one wait for each other, which costs little: few objects are replaced.
// All are made with the directory: a disk that is full must not lack one that a
// Delete needs.
const lockDirectory = ".locks"

func lockName(shard byte) string { return fmt.Sprintf("%s/%02x", lockDirectory, shard) }

// How often a lock is tried that another process holds.
const (
	minLockWait = 200 * time.Microsecond
	maxLockWait = 20 * time.Millisecond
)

type locks struct {
	root *os.Root
	// held by this process: a goroutine waits for another without polling.
	held [256]chan struct{}
}

func newLocks(root *os.Root) *locks {
	l := &locks{root: root}
	for i := range l.held {
		l.held[i] = make(chan struct{}, 1)
	}
	return l
}

// lock keeps all others, in this process and in others, from the key until
// unlock is called or this process ends.
func (l *locks) lock(ctx context.Context, key string) (unlock func(), err error) {
	shard := sha256.Sum256([]byte(key))[0]
	select {
	case l.held[shard] <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	file, err := l.lockFile(ctx, lockName(shard))
	if err != nil {
		<-l.held[shard]
		return nil, err
	}
	return func() {
		_ = file.Close() // drops the lock
		<-l.held[shard]
	}, nil
}

func (l *locks) lockFile(ctx context.Context, name string) (*os.File, error) {
	file, err := l.openFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := l.makeAll(); err != nil {
			return nil, err
		}
		file, err = l.openFile(name)
	}
	if err != nil {
		return nil, err
	}
	for wait := minLockWait; ; wait = min(2*wait, maxLockWait) {
		locked, err := tryLock(file)
		if err == nil && !locked {
			err = sleep.For(ctx, wait)
		}
		switch {
		case err != nil:
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		case locked:
			return file, nil
		}
	}
}

func (l *locks) openFile(name string) (*os.File, error) {
	return l.root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
}

// makeAll makes the directory and its files. One that can't be made now is made when it
// is needed.
func (l *locks) makeAll() error {
	if err := l.root.MkdirAll(lockDirectory, directoryMode); err != nil {
		return err
	}
	for shard := range l.held {
		if file, err := l.openFile(lockName(byte(shard))); err == nil {
			_ = file.Close()
		}
	}
	return nil
}
