package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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
	bases   chan snapshot.Name
	stop    context.CancelCauseFunc
	ctx     context.Context // of the uploads
	done    chan struct{}   // the writer has ended and told everyone
	uploads sync.WaitGroup

	// Of the run goroutine alone.
	next     persistence.Point // where the next entry goes
	flight   []*upload         // on their way or waiting for earlier ones, by position
	lastSend time.Time
	pace     pace
}

// pending is a record that waits.
type pending struct {
	record []byte
	done   func(persistence.Ack, error)
	since  time.Time
	// restore is what the record says if it is that of a restore, else nil.
	restore *Restore
}

// upload is one entry from its first PUT on.
type upload struct {
	object  []byte
	records []pending
	after   persistence.Point // the point behind the entry
	epoch   persistence.Epoch
	first   persistence.TransactionNumber
	restore bool
	sent    time.Time
	landed  bool
	err     error // its answer, once the run goroutine has it
}

// answer is what became of an upload's PUT.
type answer struct {
	*upload
	err error
}

func (u *upload) position() persistence.Position { return u.after.Next - 1 }

// newWriter starts the writer behind the reader's point. latency is what the
// seal's PUT took: the first guess of what others will take.
func newWriter(r *Reader, epoch persistence.Epoch, id persistence.WriterID, latency time.Duration) *Writer {
	w := &Writer{log: r.log, reader: r, epoch: epoch, id: id, last: r.at.Transaction, next: r.at,
		room: make(chan struct{}), wake: make(chan struct{}, 1), answers: make(chan answer, r.log.cell.Window),
		bases: make(chan snapshot.Name), done: make(chan struct{}), pace: pace{latency}}
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
		case name := <-w.bases:
			if w.reader.fits(name) {
				w.reader.rebase(name)
			}
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
		if len(w.flight) >= w.log.cell.Window || w.queue[0].restore != nil && len(w.flight) > 0 {
			w.mu.Unlock()
			return 0, nil
		}
		if len(w.flight) > 0 && w.queueBytes < w.log.options.EntryBytes {
			if wait := w.pace.wait(time.Since(w.lastSend)); wait > 0 {
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

// take removes one entry's records from the queue. A restore, which is the last, goes
// alone.
func (w *Writer) take() []pending {
	n, size := 0, 0
	for n < len(w.queue) && (n == 0 || w.queue[n].restore == nil && size+packed.RecordSize(len(w.queue[n].record)) <= w.log.options.EntryBytes) {
		size += packed.RecordSize(len(w.queue[n].record))
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

// upload makes an entry of the records and sends it. From here on its position
// belongs to these bytes.
func (w *Writer) upload(records []pending) error {
	h := Header{Kind: KindRecords, Position: w.next.Next, Epoch: w.epoch, Writer: w.id, Prev: w.next.Hash,
		Committed: w.acknowledged(), First: w.next.Transaction + 1, Count: len(records), Time: time.Now()}
	object, hash, err := w.encode(&h, records)
	if err != nil {
		w.mu.Lock()
		w.queue = append(records, w.queue...) // never sent
		w.mu.Unlock()
		return err
	}
	u := &upload{object: object, records: records, epoch: w.epoch, first: h.First, restore: h.Kind == KindRestore, sent: time.Now(),
		after: persistence.Point{Epoch: w.epoch, Next: h.Position + 1, Transaction: w.next.Transaction + persistence.TransactionNumber(len(records)), Hash: hash}}
	w.next, w.lastSend = u.after, u.sent
	w.flight = append(w.flight, u)
	w.log.metrics.uploads.Set(float64(len(w.flight)))
	w.uploads.Go(func() {
		_, err := w.log.hedger.Create(w.ctx, Key(u.epoch, u.position()), u.object)
		w.answers <- answer{u, err}
	})
	return nil
}

// encode makes the entry's object, which is a restore if its only record is.
func (w *Writer) encode(h *Header, records []pending) (object []byte, hash persistence.Hash, err error) {
	if restore := records[0].restore; restore != nil {
		h.Kind = KindRestore
		if err := restore.check(h); err != nil {
			return nil, hash, err
		}
	}
	size := 0
	for _, p := range records {
		size += packed.RecordSize(len(p.record))
	}
	raw := make([]byte, 0, size)
	for _, p := range records {
		raw = packed.AppendRecord(raw, p.record)
	}
	return encode(w.log.codec, h, raw)
}

// acknowledged counts the positions known to be durable.
func (w *Writer) acknowledged() persistence.Position {
	if len(w.flight) > 0 {
		return w.flight[0].position()
	}
	return w.next.Next
}

// settle takes an upload's answer: an entry is acknowledged when it and all before
// it have landed. An error ends the writer: after a restore it is ErrRestored.
func (w *Writer) settle(u *upload, err error) error {
	if u.err = err; err != nil {
		return err
	}
	u.landed = true
	w.pace.observe(time.Since(u.sent))
	for len(w.flight) > 0 && w.flight[0].landed {
		w.acknowledge(w.flight[0])
		w.flight[0] = nil
		w.flight = w.flight[1:]
	}
	w.log.metrics.uploads.Set(float64(len(w.flight)))
	if u.restore {
		return ErrRestored
	}
	return nil
}

func (w *Writer) acknowledge(u *upload) {
	if !u.restore { // whose state the reader has yet to load
		w.reader.advance(u.after)
	}
	now := time.Now()
	for i, p := range u.records {
		ack := persistence.Ack{Commit: persistence.Commit{Transaction: u.first + persistence.TransactionNumber(i), Position: u.position(), Epoch: u.epoch}}
		if i == len(u.records)-1 {
			ack.After = &u.after
		}
		w.log.metrics.commitSeconds.Observe(now.Sub(p.since).Seconds())
		p.done(ack, nil)
	}
	m := w.log.metrics
	m.entriesWritten.Inc()
	m.recordsWritten.Add(float64(len(u.records)))
	m.bytesWritten.Add(float64(len(u.object)))
	m.entryRecords.Observe(float64(len(u.records)))
}

// pace spaces out the entries of a busy log, so that each carries more and fewer
// requests are paid for: an idle log sends at once; a busy one keeps about
// paceParallel uploads on their way, unless an entry is full.
type pace struct {
	latency time.Duration // of uploads lately
}

const paceParallel = 6

func (p *pace) observe(latency time.Duration) {
	p.latency += (latency - p.latency) / 8
}

func (p *pace) wait(sinceLast time.Duration) time.Duration { return p.latency/paceParallel - sinceLast }

// Snapshotted tells the writer of a snapshot of its own history, so that what the
// reader keeps to compare newer ones with does not grow for ever.
func (w *Writer) Snapshotted(name snapshot.Name) {
	select {
	case w.bases <- name:
	case <-w.done:
	}
}
