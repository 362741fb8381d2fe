// Package benchmark measures a store: what a commit costs in time, requests, processor
// and money, against the raw store in the same run, so that a result is a ratio and not
// a machine's.
//
// Load is the load generator: clients in a closed loop. Percentiles and Usage say what
// a run took. Both serve other measurements too.
package benchmark
