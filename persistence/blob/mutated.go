package blob

import (
	"context"
	"errors"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// What mutations need beyond a line at the rule that they break; see package mutation.

// passUnread goes past the entry at the reader's point without applying it.
func (r *Reader) passUnread(ctx context.Context) {
	e, err := r.log.read(ctx, r.at.Epoch, r.at.Next)
	if err != nil || e.Kind == KindSeal {
		return
	}
	at := r.at
	at.Next, at.Hash = at.Next+1, e.Hash
	r.advance(at, e.Size())
	r.consumer.Loaded(at)
}

// tellSent tells that an entry was sent: of its last record, an unknown outcome with the
// point behind it. The hash of the point is the one that the next entry waits for.
func (w *Writer) tellSent(u *upload) {
	hash := make(chan persistence.Hash, 1)
	h := <-w.before
	hash <- h
	w.before = hash
	after := persistence.Point{Epoch: u.header.Epoch, Next: u.position() + 1, Transaction: w.next.Transaction, Hash: h}
	u.records[len(u.records)-1].done(persistence.Ack{After: &after}, persistence.ErrUnknown)
}

// rebind puts the records of an entry of unknown outcome back into the queue, so that
// they go into another entry at its position. It tells whether it did: only with the one
// entry that is on its way.
func (w *Writer) rebind(u *upload) bool {
	if len(w.flight) != 1 || w.flight[0] != u || u.restore || w.ctx.Err() != nil || errors.Is(u.err, bucket.ErrExists) {
		return false
	}
	before := make(chan persistence.Hash, 1)
	before <- u.header.Prev
	w.before, w.flight = before, nil
	w.next = persistence.Point{Epoch: u.header.Epoch, Next: u.position(), Transaction: u.header.First - 1}
	w.mu.Lock()
	w.queue = append(u.records, w.queue...)
	for _, p := range u.records {
		w.queueBytes += len(p.record)
	}
	w.mu.Unlock()
	return true
}

// slotsTaken counts the entries on their way that have not landed.
func (w *Writer) slotsTaken() int {
	n := 0
	for _, u := range w.flight {
		if !u.landed {
			n++
		}
	}
	return n
}
