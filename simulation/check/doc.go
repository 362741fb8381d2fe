// Package check tells whether what happened in a run is what docs/protocol.md
// promises.
//
// A run is told as a History by an observer who sees all: every change of the bucket
// in order, what clients did and were told, what processes showed. Nothing in it is
// what a process thinks of itself.
//
// The landings give the ghost, as in the protocol's model: the history of the cell from
// its first position on, through the seals, over whatever landed first at each key, up
// to the first gap. It can only grow. Everything else is compared with it.
//
//	types.go        what a run is told as         registers.go  what clients write
//	ghost.go        the ghost                     snapshots.go  snapshots and garbage
//	outcomes.go     what clients were told        states.go     what processes showed
//	writers.go      who may write, who may lead   reads.go      linearizable reads
//	linearizable.go the clients alone, by porcupine
//	clients.go      real processes: clients and the log read back, no landings
package check
