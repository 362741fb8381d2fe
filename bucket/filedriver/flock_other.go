//go:build !unix || solaris || aix

package filedriver

import (
	"errors"
	"fmt"
	"os"
)

// tryLock refuses: without flock(2) there is no lock that dies with its process.
func tryLock(*os.File) (locked bool, err error) {
	return false, fmt.Errorf("%w: a bucket in a directory needs flock(2), which this operating system lacks", errors.ErrUnsupported)
}
