package filedriver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

var _ driver.Describer = (*Bucket)(nil)

// ServerTime implements driver.Describer: a local file system has no clock of its own.
func (b *Bucket) ServerTime(context.Context) (time.Time, error) {
	return time.Time{}, errors.ErrUnsupported
}

// Settings implements driver.Describer. Public is who may open the directory by its mode
// and those of the directories above it.
func (b *Bucket) Settings(context.Context) driver.Settings {
	public, err := b.public()
	room, roomErr := roomOf(b.path)
	return driver.Settings{
		Versioning:    driver.Setting[driver.Versioning]{Err: errors.ErrUnsupported},
		Rules:         driver.Setting[[]driver.Rule]{Err: errors.ErrUnsupported},
		Retention:     driver.Setting[driver.Retention]{Err: errors.ErrUnsupported},
		Public:        driver.Setting[string]{Value: public, Err: refused(err)},
		PublicBlocked: driver.Setting[bool]{Err: errors.ErrUnsupported},
		Room:          driver.Setting[driver.Room]{Value: room, Err: refused(roomErr)},
	}
}

func (b *Bucket) public() (string, error) {
	if runtime.GOOS == "windows" {
		return "", errors.ErrUnsupported
	}
	info, err := os.Stat(b.path)
	if err != nil {
		return "", err
	}
	others := info.Mode().Perm() & 0o007
	for above := filepath.Dir(b.path); ; above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return "", nil // nobody else comes past it
		}
		if above == filepath.Dir(above) {
			break
		}
	}
	switch {
	case others&0o002 != 0:
		return fmt.Sprintf("mode %04o, by which every user of the host may write", info.Mode().Perm()), nil
	case others&0o005 == 0o005:
		return fmt.Sprintf("mode %04o, by which every user of the host may list", info.Mode().Perm()), nil
	}
	return "", nil
}
