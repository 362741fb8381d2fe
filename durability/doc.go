// Package durability makes the stores durable: transactions over the in-memory
// state, whose ops go to a log as one record each, and the replay that rebuilds
// the state from them (Aurora: DurableStorage, WriteAheadStorage, Persistence,
// Loader).
//
// There is one line of versions of the state, each made by one transaction from
// the one before:
//
//	durable ──► … ──► … ──► head
//	   │                      │
//	 readers               writers
//
// A write runs on the head, under the write lock, and makes a new head; its record
// is handed to the log in the same order. When the log acknowledges it, its
// version becomes the durable one, which is what readers see. If the log's writer
// ends, everything behind the durable version is thrown away. As the state is a
// copy-on-write structure, keeping many versions and undoing a transaction cost
// nothing.
//
//	storage.go     the versions, leading and stepping down
//	write.go       a transaction from the lock to its outcome
//	recorder.go    the stores as a transaction sees them: each change recorded
//	coalesce.go    neighbouring ops merged
//	apply.go       ops that come from outside, checked
//	backfill.go    what older schemas left out
//	replay.go      the state rebuilt from records
//	checkpoint.go  the durable state, for snapshots
//	records.go     a state as records, tasks with each configuration once
//	import.go      a stream of ops as records, and records as a stream of ops
//	feed.go        what became durable, for those who watch
//	events.go      what it means to a scheduler
//	keys.go        idempotency keys
package durability
