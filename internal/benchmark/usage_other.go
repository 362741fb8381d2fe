//go:build !unix

package benchmark

import "time"

// cpuTime is not known without getrusage(2).
func cpuTime() time.Duration { return 0 }
