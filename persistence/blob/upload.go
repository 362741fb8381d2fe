package blob

import (
	"errors"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/encryption"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// upload is one entry from being formed until it is acknowledged.
//
// Its goroutine packs and hashes the body while those of the entries before it do
// the same, or are on their way. Only the header waits for another entry: it holds
// the hash of the one before, which hands it over as soon as it is encoded.
type upload struct {
	header  Header
	records []pending
	restore bool
	before  <-chan persistence.Hash // gets the hash of the entry before
	encoded chan<- persistence.Hash // is given this entry's

	// Of the upload's goroutine until it has answered.
	object []byte
	hash   persistence.Hash
	times  persistence.EntryTimes

	landed bool
	err    error // its answer, once the run goroutine has it
}

func (u *upload) position() persistence.Position { return u.header.Position }

// after is the point behind the entry, which has answered.
func (u *upload) after() persistence.Point {
	return persistence.Point{Epoch: u.header.Epoch, Next: u.position() + 1,
		Transaction: u.header.First - 1 + persistence.TransactionNumber(len(u.records)), Hash: u.hash}
}

// answer is what became of an upload's PUT.
type answer struct {
	*upload
	err error
}

// upload makes an entry of the records and sends it. From here on its position
// belongs to these bytes.
func (w *Writer) upload(records []pending) error {
	u := &upload{records: records, before: w.before, header: Header{Kind: KindRecords, Position: w.next.Next, Epoch: w.epoch, Writer: w.id,
		Committed: w.acknowledged(), First: w.next.Transaction + 1, Count: len(records), Time: time.Now()}}
	if restore := records[0].restore; restore != nil {
		u.restore, u.header.Kind = true, KindRestore
		u.header.Prev = w.reader.at.Hash // nothing is on its way
		if err := restore.check(&u.header); err != nil {
			w.mu.Lock()
			w.queue = append(records, w.queue...) // never sent
			w.mu.Unlock()
			return err
		}
	}
	u.times.Records, u.times.Formed = len(records), u.header.Time
	encoded := make(chan persistence.Hash, 1)
	u.encoded, w.before = encoded, encoded
	w.next = u.after()
	w.pace.sent(u.header.Time)
	w.flight = append(w.flight, u)
	w.log.metrics.uploads.Set(float64(len(w.flight)))
	w.uploads.Go(func() {
		u.encode(w.log.codec)
		u.times.Sent = time.Now()
		_, err := w.log.hedger.Create(w.ctx, Key(u.header.Epoch, u.position()), u.object)
		u.times.Landed = time.Now()
		if errors.Is(err, bucket.ErrExists) && mutation.On(mutation.ExistsIsSuccess) {
			err = nil
		}
		w.answers <- answer{u, err}
	})
	if mutation.On(mutation.SnapshotOfTheUnacknowledged) && !u.restore {
		w.tellSent(u)
	}
	return nil
}

// encode makes the entry's object. Each record is copied once, into the object.
func (u *upload) encode(c *packed.Codec) {
	size := headerSize
	for _, p := range u.records {
		size += packed.RecordSize(len(p.record))
	}
	object := make([]byte, headerSize, size+encryption.Overhead)
	for _, p := range u.records {
		object = packed.AppendRecord(object, p.record)
	}
	u.object = u.header.pack(c, object)
	u.header.Prev = <-u.before
	u.hash = u.header.put(u.object)
	u.encoded <- u.hash
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
		if mutation.On(mutation.NewBytes) && w.rebind(u) {
			return nil
		}
		return err
	}
	u.landed = true
	w.pace.observe(u.times.Landed.Sub(u.times.Sent))
	records := 0
	for len(w.flight) > 0 && (w.flight[0].landed || mutation.On(mutation.LandingAcknowledges) && w.flight[0].position() < u.position()) {
		records += len(w.flight[0].records)
		w.acknowledge(w.flight[0])
		w.flight[0] = nil
		w.flight = w.flight[1:]
	}
	if records > 0 {
		w.pace.acknowledged(time.Now(), records)
	}
	w.log.metrics.uploads.Set(float64(len(w.flight)))
	if u.restore {
		return ErrRestored
	}
	return nil
}

func (w *Writer) acknowledge(u *upload) {
	after := u.after()
	if !u.restore { // whose state the reader has yet to load
		w.reader.advance(after, int64(len(u.object)))
	}
	now := time.Now()
	for i, p := range u.records {
		ack := persistence.Ack{Entry: &u.times, Commit: persistence.Commit{Transaction: u.header.First + persistence.TransactionNumber(i), Position: u.position(), Epoch: u.header.Epoch}}
		if i == len(u.records)-1 {
			ack.After = &after
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
