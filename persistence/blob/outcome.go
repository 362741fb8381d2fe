package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// end ends the writer: nothing is acknowledged any more, and every record that
// waits is told which of the three outcomes is its own (protocol §7).
func (w *Writer) end(cause error) {
	shutOut, cause := w.deposedFrom(cause)
	w.mu.Lock()
	w.ended = cause
	queue := w.queue
	w.queue, w.queueBytes = nil, 0
	w.mu.Unlock()
	w.stop(cause)
	w.uploads.Wait()

	gap := w.gap()
	for _, u := range w.flight {
		outcome := persistence.ErrUnknown
		switch {
		case u.position() >= shutOut:
			outcome = persistence.ErrDeposed
		case u.position() >= gap:
			outcome = persistence.ErrNotCommitted
		}
		tell(u.records, &commitError{outcome, cause})
	}
	tell(queue, &commitError{persistence.ErrNotCommitted, cause})
	w.flight = nil
	w.log.metrics.uploads.Set(0)
	w.log.metrics.queueBytes.Set(0)
	w.log.metrics.ended.WithLabelValues(endReason(shutOut, cause)).Inc()
	close(w.done)
}

// gap is the first position of which it is sure that nothing landed there, and so never
// will: nobody else has this epoch's keys but for a seal. The history goes on elsewhere
// then, whatever landed behind the gap. It needs all uploads to have ended.
func (w *Writer) gap() persistence.Position {
	for len(w.answers) > 0 {
		a := <-w.answers
		a.upload.err = a.err
	}
	for _, u := range w.flight {
		if bucket.NotLanded(u.err) {
			return u.position()
		}
	}
	return nowhere
}

func tell(records []pending, err error) {
	for _, p := range records {
		p.done(persistence.Ack{}, err)
	}
}

// endReasons are all that endReason returns.
var endReasons = []string{"stopped", "deposed", "restored", "failed"}

func endReason(shutOut persistence.Position, cause error) string {
	switch {
	case errors.Is(cause, ErrStopped):
		return "stopped"
	case errors.Is(cause, ErrRestored):
		return "restored"
	case shutOut != nowhere:
		return "deposed"
	}
	return "failed"
}

// nowhere is larger than any position.
const nowhere = ^persistence.Position(0)

// resolveTimeout bounds the reading that tells a deposed writer what became of
// its records.
const resolveTimeout = 10 * time.Second

// deposedFrom finds out whether an upload failed because another leader's seal has
// taken its position. From that position on nothing of this writer can be in the
// history: that is returned, with a cause that names the seal. But if a manifest
// is at or beyond the seal's position, the seal may have fallen on a key that was
// collected after this writer's entry had become history: then nothing is known.
// The manifests must be listed after the seal was read.
func (w *Writer) deposedFrom(cause error) (persistence.Position, error) {
	if !errors.Is(cause, bucket.ErrExists) {
		return nowhere, cause
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	for _, u := range w.flight {
		if !errors.Is(u.err, bucket.ErrExists) {
			continue
		}
		key := Key(u.header.Epoch, u.position())
		found, err := w.log.read(ctx, u.header.Epoch, u.position())
		if err != nil {
			return nowhere, fmt.Errorf("%w (reading what is there: %v)", cause, err)
		}
		if found.Kind != KindSeal && !mutation.On(mutation.ExistsIsFailure) && !mutation.On(mutation.NewBytes) {
			return nowhere, fmt.Errorf("another writer %s has put an entry at %s of this writer's epoch: was the lease object deleted?", found.Writer, key)
		}
		cause = fmt.Errorf("epoch %d was ended at position %d by writer %s, the leader of epoch %d", u.header.Epoch, u.position(), found.Writer, found.NextEpoch)
		names, err := snapshot.List(ctx, w.log.bucket, nil)
		if err != nil {
			return nowhere, fmt.Errorf("%w (listing the snapshots: %v)", cause, err)
		}
		if len(names) > 0 && names[len(names)-1].Position >= u.position() && !mutation.On(mutation.NothingCoversDeposed) {
			return nowhere, cause
		}
		return u.position(), cause
	}
	return nowhere, cause
}
