package benchmark

import (
	"runtime"
	"time"
)

// Usage is what this process used: all of it, whatever it did beside.
type Usage struct {
	// CPUSeconds of user and system; 0 where the system does not tell.
	CPUSeconds float64 `json:"cpuSeconds"`
	// Allocations on the heap, and their bytes, freed or not.
	Allocations    float64 `json:"allocations"`
	AllocatedBytes float64 `json:"allocatedBytes"`
}

// Per is the usage for each of n.
func (u Usage) Per(n int) Usage {
	if n <= 0 {
		return Usage{}
	}
	return Usage{u.CPUSeconds / float64(n), u.Allocations / float64(n), u.AllocatedBytes / float64(n)}
}

// Measure says what this process used while f ran.
func Measure(f func() error) (Usage, error) {
	before := readUsage()
	err := f()
	return readUsage().since(before), err
}

// reading is what the process has used since it began.
type reading struct {
	cpu                time.Duration
	allocations, bytes uint64
}

func readUsage() reading {
	var m runtime.MemStats
	runtime.ReadMemStats(&m) // stops the program for some microseconds
	return reading{cpuTime(), m.Mallocs, m.TotalAlloc}
}

func (r reading) since(before reading) Usage {
	return Usage{(r.cpu - before.cpu).Seconds(), float64(r.allocations - before.allocations), float64(r.bytes - before.bytes)}
}
