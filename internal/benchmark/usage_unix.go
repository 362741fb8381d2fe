//go:build unix

package benchmark

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time of all threads of this process, user and system.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
