package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Writer appends records to the log as the leader of one epoch. Records that wait
// go together into one entry (group commit), up to the cell's window of entries
// are on their way at once (pipelining), and they are acknowledged in order.
//
// A writer that can't be sure of an answer ends: all that waits is told what
// became of it, and nothing is acknowledged any more. Its methods may be called
// by many goroutines.
type Writer struct {
	log    *Log
	reader *Reader // moves on with each acknowledged entry
	epoch  persistence.Epoch
	id     persistence.WriterID

	mu         sync.Mutex
	queue      []pending
	queueBytes int
	room       chan struct{} // closed and replaced when the queue shrinks
	last       persistence.TransactionNumber
	closing    bool  // no more records; end when all are acknowledged
	restoring  bool  // closing is set because a restore is the last of them
	ended      error // why the writer ended

	wake    chan struct{} // there is something in the queue, or closing is set
	answers chan answer   // of uploads
	bases   chan base
	first   *snapshot.Name // the manifest in hand when it began; nil if none was that is whole
	stop    context.CancelCauseFunc
	ctx     context.Context // of the uploads
	done    chan struct{}   // the writer has ended and told everyone
	uploads sync.WaitGroup

	// Of the run goroutine alone.
	next   persistence.Point     // where the next entry goes; its hash is in before
	before chan persistence.Hash // gets the hash of the entry before next, once that is encoded
	flight []*upload             // on their way or waiting for earlier ones, by position
	pace   pace
}

// base is a snapshot that the writer is told of; known is closed when it is noted.
type base struct {
	name  snapshot.Name
	known chan struct{}
}

// pending is a record that waits.
type pending struct {
	record []byte
	done   func(persistence.Ack, error)
	since  time.Time
	// restore is what the record says if it is that of a restore, else nil.
	restore *Restore
}

// newWriter starts the writer behind the reader's point. latency is what the
// seal's PUT took: the first guess of what others will take.
func newWriter(r *Reader, epoch persistence.Epoch, id persistence.WriterID, latency time.Duration) *Writer {
	w := &Writer{log: r.log, reader: r, epoch: epoch, id: id, last: r.at.Transaction, next: r.at,
		room: make(chan struct{}), wake: make(chan struct{}, 1), answers: make(chan answer, r.log.cell.Window),
		bases: make(chan base), done: make(chan struct{}), pace: newPace(r.log.options, latency), before: make(chan persistence.Hash, 1)}
	w.before <- r.at.Hash
	if r.base != nil && r.bad[*r.base] == nil {
		w.first = r.base
	}
	w.ctx, w.stop = context.WithCancelCause(context.Background())
	go w.run()
	return w
}

// Epoch is the epoch that this writer leads.
func (w *Writer) Epoch() persistence.Epoch { return w.epoch }

// Append hands over a record and returns its transaction number. It does not wait:
// done is called once, on the writer's own goroutine and in the order of the
// numbers, when the record is durable or when the writer has ended without knowing
// it to be; it must not block. The record must not be changed any more.
//
// An error means that the record was not taken and done will not be called; it
// matches ErrTooLarge, or persistence.ErrNotCommitted if the writer has ended.
func (w *Writer) Append(record []byte, done func(persistence.Ack, error)) (persistence.TransactionNumber, error) {
	if len(record) > w.log.options.MaxRecordBytes {
		return 0, fmt.Errorf("%w: %d bytes, %d are allowed; split the transaction", ErrTooLarge, len(record), w.log.options.MaxRecordBytes)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil || w.closing {
		return 0, &commitError{persistence.ErrNotCommitted, w.reason()}
	}
	return w.enqueue(pending{record: record, done: done, since: time.Now()}), nil
}

// enqueue numbers a record and puts it into the queue. It needs the lock.
func (w *Writer) enqueue(p pending) persistence.TransactionNumber {
	w.last++
	w.queue = append(w.queue, p)
	w.queueBytes += len(p.record)
	w.poke()
	return w.last
}

func (w *Writer) reason() error {
	switch {
	case w.ended != nil:
		return w.ended
	case w.restoring:
		return errRestoring
	}
	return ErrStopped
}

func (w *Writer) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// WaitRoom waits until the records that wait to be sent are few enough for one
// more, or the writer has ended. It gives up when ctx ends.
func (w *Writer) WaitRoom(ctx context.Context) error {
	for {
		w.mu.Lock()
		full, room := w.queueBytes >= w.log.options.QueueBytes && w.ended == nil, w.room
		w.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-room:
		case <-w.done:
		case <-ctx.Done():
			return &commitError{persistence.ErrNotCommitted, fmt.Errorf("the log's queue is full: %w", context.Cause(ctx))}
		}
	}
}

// Done is closed when the writer has ended and every record has its answer.
func (w *Writer) Done() <-chan struct{} { return w.done }

// Err says why the writer ended; nil while it lives.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// Stop ends the writer at once: what was sent is of unknown outcome, what was not
// is not committed. It waits until everyone is told.
func (w *Writer) Stop(cause error) {
	w.stop(fmt.Errorf("%w: %w", ErrStopped, cause))
	<-w.done
}

// Close takes no more records, waits until those that it has are durable, and
// ends the writer. If ctx ends before, the writer is stopped.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.poke()
	select {
	case <-w.done:
	case <-ctx.Done():
		w.Stop(context.Cause(ctx))
	}
	if err := w.Err(); !errors.Is(err, errClosed) && !errors.Is(err, ErrRestored) {
		return err
	}
	return nil
}

// errClosed is the end of a writer that had everything acknowledged.
var errClosed = fmt.Errorf("%w: closed", ErrStopped)

// run is the writer's own goroutine: it forms entries, sends them, and tells of
// them in order.
func (w *Writer) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, err := w.send()
		if err != nil {
			w.end(err)
			return
		}
		var tick <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			tick = timer.C
		}
		select {
		case <-w.wake:
		case <-tick:
		case a := <-w.answers:
			if err := w.settle(a.upload, a.err); err != nil {
				if w.ctx.Err() != nil && !errors.Is(err, ErrRestored) { // the answer is that of being stopped
					err = context.Cause(w.ctx)
				}
				w.end(err)
				return
			}
		case b := <-w.bases:
			if w.reader.fits(b.name) {
				w.reader.rebase(b.name)
			}
			close(b.known)
		case <-w.ctx.Done():
			w.end(context.Cause(w.ctx))
			return
		}
	}
}

// send forms and sends entries as long as it should. It returns how long to wait
// before the next may go, 0 for until something happens.
func (w *Writer) send() (time.Duration, error) {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			closed := w.closing && len(w.flight) == 0
			w.mu.Unlock()
			if closed {
				return 0, errClosed
			}
			return 0, nil
		}
		// The window is of positions: the oldest that is not acknowledged counts,
		// however many after it have landed. A restore waits for all before it.
		if w.inWindow() >= w.log.cell.Window || w.queue[0].restore != nil && len(w.flight) > 0 {
			w.mu.Unlock()
			return 0, nil
		}
		if !w.closing { // else nobody else comes, and the next leader waits
			if wait := w.pace.wait(time.Now(), w.queue[0].since, len(w.queue), len(w.flight) > 0, w.full()); wait > 0 {
				w.mu.Unlock()
				return wait, nil
			}
		}
		records := w.take()
		w.mu.Unlock()
		if err := w.upload(records); err != nil {
			return 0, err
		}
	}
}

// inWindow counts the positions that are in the window.
func (w *Writer) inWindow() int {
	if mutation.On(mutation.WindowOfSlots) {
		return w.slotsTaken()
	}
	return len(w.flight)
}

// full tells whether what waits fills an entry. It needs the lock.
func (w *Writer) full() bool {
	return w.queueBytes >= w.pace.entryBytes || len(w.queue) >= maxEntryRecords
}

// maxEntryRecords bounds the records of one entry, so that many tiny ones do not
// make one that takes a reader much more memory than its bytes.
const maxEntryRecords = 1 << 16

// take removes one entry's records from the queue. A restore, which is the last, goes
// alone.
func (w *Writer) take() []pending {
	n, size := 0, 0
	for n < min(len(w.queue), maxEntryRecords) {
		size += packed.RecordSize(len(w.queue[n].record))
		if n > 0 && (w.queue[n].restore != nil || size > w.pace.entryBytes) {
			break
		}
		n++
	}
	records := w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	for _, p := range records {
		w.queueBytes -= len(p.record)
	}
	w.log.metrics.queueBytes.Set(float64(w.queueBytes))
	close(w.room)
	w.room = make(chan struct{})
	return records
}

// Snapshotted tells the writer of a snapshot of its own history: from then on Backlog
// is what lies behind that, and what the reader keeps to compare newer ones with does
// not grow for ever.
func (w *Writer) Snapshotted(name snapshot.Name) {
	b := base{name, make(chan struct{})}
	select {
	case w.bases <- b:
		<-b.known
	case <-w.done:
	}
}

// Base is the newest snapshot as the writer began, which is of its own history; false
// if there was none, or if it was found damaged.
func (w *Writer) Base() (snapshot.Name, bool) {
	if w.first == nil {
		return snapshot.Name{}, false
	}
	return *w.first, true
}

// Backlog is the log behind the newest snapshot.
func (w *Writer) Backlog() Backlog { return *w.reader.backlog.Load() }
