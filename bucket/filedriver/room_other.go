//go:build !linux

package filedriver

import (
	"errors"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// roomOf is not known: each system tells it in another way.
func roomOf(string) (driver.Room, error) { return driver.Room{}, errors.ErrUnsupported }
