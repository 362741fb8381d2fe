// Package blob is the log: one writer at a time, any number of readers, nothing
// but a bucket. Records are opaque here; any Go program can keep its own.
//
// Each entry is one immutable object, made by one put-if-absent:
//
//	log/0000000000/00000000000000000000   seal: epoch 0 ends, epoch 1 begins
//	log/0000000001/00000000000000000001   records 1–3
//	log/0000000001/00000000000000000002   records 4–9
//	log/0000000001/00000000000000000003   seal: epoch 1 ends, epoch 2 begins
//	log/0000000002/00000000000000000004   records 10–11
//
// Only one writer ever has an epoch's key space: the one that the seal before it
// names. So the store's put-if-absent alone decides who may write where, and no
// clock is trusted. A writer that was deposed meets the seal and acknowledges
// nothing from there on; what it still lands beyond the seal is never read. Every
// entry carries the hash of the one before it in the history, across epochs.
//
// docs/protocol.md has the rules and why each is needed. Where to find them:
//
//	entry.go    the format              fetch.go    fetching ahead
//	keys.go     the keys                reader.go   recovering and following
//	log.go      the cell, opening       end.go      is this the end, or damage?
//	lead.go     sealing, taking over    writer.go   group commit, pipelining
//	verify.go   checking it all         outcome.go  what became of a record
//	restore.go  replacing the state     history.go  entries by transaction
//
// A log used alone, with records of one's own:
//
//	log, err := blob.Open(ctx, b, blob.Options{})
//	reader := log.NewReader(consumer)            // consumer rebuilds the state
//	err = reader.Follow(ctx, blob.FollowOptions{}) // a standby, until ctx ends
//	writer, err := reader.Lead(ctx, lease.Epoch(), persistence.NewWriterID())
//	_, err = writer.Append(record, func(ack persistence.Ack, err error) { … })
package blob
