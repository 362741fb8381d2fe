package main

import (
	"fmt"
	"runtime"
	"time"
)

// suite is a target of the Makefile that leaves a result.
type suite struct {
	name, target string
	// what is said of it in the report
	title, about string
	// weight is its share of the time that suites of a fixed size leave; 0 is one of those.
	weight int
	// variables tell the target how long it has.
	variables func(time.Duration) []string
}

func whole(time.Duration) []string { return nil }

// suites are all, those of a fixed size first: the others divide what is left.
var suites = []suite{
	{"model", "model", "The protocol's model",
		"A Promela model of the log, the lease's epochs, snapshots, restores and the collector, searched exhaustively by spin: what must hold does, and each rule that is taken out is missed. See [model](../model/README.md).", 0, whole},
	{"mutations", "teeth", "Mutations that the simulation must catch",
		"A build with the tag `mutations` can break one rule of the protocol at a time; the simulation has to notice within a stated number of seeds. A build without the tag has none of it.", 0, whole},
	{"damage", "damage", "Damage",
		"Every bit of every object of a small cell flipped, every object cut at each length, emptied, removed, and swapped with another. Each is detected and named, or harmless by the protocol with the state right.", 0, whole},
	{"coverage", "coverage", "Coverage",
		"Statements of the packages below the line of [architecture](architecture.md); what is not covered is explained in [coverage](coverage.md).", 0, whole},
	{"simulation", "simulate", "Simulation",
		"Whole clusters in one process and in virtual time, with faults drawn from a seed; a seed repeats its run exactly. Checked: the history that the bucket had, clients' histories by porcupine, every state that a process showed.", 3, func(d time.Duration) []string {
			return []string{fmt.Sprintf("SEEDS=%d", max(300, int(d/perSeed)))}
		}},
	{"processes", "chaos", "Real processes on MinIO",
		"Daemons killed, frozen past their lease and cut off by toxiproxy, MinIO killed and restarted, while clients check every answer against the log that is read back.", 3, func(d time.Duration) []string {
			kills := max(4, int(d/perKill))
			return []string{fmt.Sprintf("KILLS=%d", kills), fmt.Sprintf("FREEZES=%d", max(2, kills/10)), fmt.Sprintf("CUTS=%d", max(2, kills/10)), fmt.Sprintf("RESTARTS=%d", max(1, kills/25))}
		}},
	{"fuzz", "fuzz", "Fuzzing",
		"Each fuzzer asserts more than that nothing panics: what is decoded encodes to the same, errors name the object and no secret, memory is bounded. Corpora are in the packages' testdata/fuzz.", 3, func(d time.Duration) []string {
			each := d * time.Duration(runtime.GOMAXPROCS(0)) / fuzzers
			return []string{fmt.Sprintf("FUZZTIME=%v", max(10*time.Second, each).Round(time.Second))}
		}},
	{"load", "soak", "Load",
		"A thousand clients against a daemon on MinIO with a standby, snapshots and collection; what must stay flat is judged by its slope.", 3, func(d time.Duration) []string {
			return []string{fmt.Sprintf("SOAK=%v", max(time.Minute, d).Round(time.Second))}
		}},
}

// What one of each takes, roughly, on two cores; the report says what it took.
const (
	perSeed = 60 * time.Millisecond
	perKill = 6 * time.Second // of a leader, with its share of freezes, cuts and restarts
	fuzzers = 24
)

func suiteNames() []string {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return names
}

// share is the first suite's part of the time that is left for all.
func share(left []suite, until time.Duration) time.Duration {
	weights := 0
	for _, s := range left {
		weights += s.weight
	}
	if weights == 0 {
		return 0
	}
	return max(0, until) * time.Duration(left[0].weight) / time.Duration(weights)
}
