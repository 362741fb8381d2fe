// Package hostile has what tests share that put bytes before a reader which no writer of
// this program made.
package hostile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
)

// Allocated is what a call allocates, in bytes. Whatever else the process does meanwhile
// counts too, so a bound on it has room.
func Allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Vouched gives a JSON object the checksum that package checked wants of it, whatever else
// it is: so that hostile bytes get behind the checksum.
func Vouched(object []byte) []byte {
	end := []byte("\n}\n")
	start := bytes.TrimSuffix(object, end)
	sum := sha256.Sum256(append(bytes.Clone(start), end...))
	return fmt.Appendf(bytes.Clone(start), ",\n  \"sha256\": \"%x\"\n}\n", sum)
}

// Unvouched takes the checksum out of an object that has one.
func Unvouched(object []byte) []byte {
	start, _, _ := bytes.Cut(object, []byte(",\n  \"sha256\": "))
	return append(bytes.Clone(start), "\n}\n"...)
}
