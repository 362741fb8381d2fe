// Package collector registers metrics that several parts of a process share, such as
// two buckets, or one lease after another.
package collector

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers a collector and returns it, or the same one that was
// registered before: a process may open two buckets with one registry. With a
// nil Registerer the collector is used unregistered.
func Register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	err := r.Register(c)
	if err == nil {
		return c
	}
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if same, ok := already.ExistingCollector.(C); ok {
			return same
		}
	}
	panic(fmt.Sprintf("register metrics: %v", err)) // two metrics of one name: a mistake in the program
}
