package blob

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/mutation"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Lead ends the epoch before and returns the writer of this one (protocol §6):
// it reads to the sure end, puts a seal there that names epoch and writer, and,
// once the seal is there, looks at the newest manifest again, and at what lies beyond
// the seal. Only then it leads.
//
// While the writer lives the reader belongs to it: it moves on with each
// acknowledged entry, and may follow again when the writer has ended.
//
// An *EpochError says that the epoch is too small to lead; any other error leaves
// everything as it was, but for a seal that may be there: the next leader, this
// process or another, then follows it.
func (r *Reader) Lead(ctx context.Context, epoch persistence.Epoch, id persistence.WriterID) (*Writer, error) {
	seals := map[persistence.Point][]byte{} // a key once tried keeps its bytes
	sure := r.begun && r.prepared == r.at
	for ; ; sure = false {
		if !sure {
			if err := r.CatchUp(ctx); err != nil {
				return nil, err
			}
		}
		r.prepared = persistence.Point{}
		if r.at.Epoch == epoch && mutation.On(mutation.EqualEpochGoesOn) {
			return newWriter(r, epoch, id, 0), nil
		}
		if r.at.Epoch >= epoch {
			return nil, &EpochError{epoch, r.at.Epoch + 1, fmt.Sprintf("the log is in epoch %d already", r.at.Epoch)}
		}
		object := r.seal(seals, epoch, id)
		sent := time.Now()
		_, err := r.log.bucket.Create(ctx, Key(r.at.Epoch, r.at.Next), object)
		took := time.Since(sent)
		if errors.Is(err, bucket.ErrExists) {
			if mutation.On(mutation.SealMetIsNotRead) {
				r.passUnread(ctx)
			}
			continue // an entry, or another's seal: it is read, and followed
		} else if err != nil {
			return nil, err
		}
		err = r.checkOwnSeal(ctx)
		if errors.Is(err, errBeginAgain) {
			r.begun = false
			return nil, &EpochError{epoch, epoch + 1, fmt.Sprintf("its seal %s may be on a key that was collected", Key(r.at.Epoch, r.at.Next))}
		} else if err != nil {
			return nil, err
		}
		sealed, err := decode(ctx, r.log.codec, object)
		if err != nil {
			return nil, err
		}
		r.advance(sealed.after(), sealed.Size())
		r.consumer.Loaded(r.at)
		return newWriter(r, epoch, id, took), nil
	}
}

// Prepare does the part of Lead that needs no epoch, so that it can be done while the
// lease is being acquired: it reads to the sure end. Lead goes on from there, unless
// the reader has moved, or followed, since.
func (r *Reader) Prepare(ctx context.Context) error {
	r.prepared = persistence.Point{}
	if err := r.CatchUp(ctx); err != nil {
		return err
	}
	r.prepared = r.at
	return nil
}

// seal returns the object of the seal for the reader's point, the same for the
// same point however often it is tried.
func (r *Reader) seal(seals map[persistence.Point][]byte, epoch persistence.Epoch, id persistence.WriterID) []byte {
	host := r.log.options.Host
	if len(host) > maxHost {
		host = host[:maxHost]
	}
	object := seals[r.at]
	if object == nil {
		object, _ = encode(r.log.codec, &Header{Kind: KindSeal, Position: r.at.Next, Epoch: r.at.Epoch, Writer: id,
			Prev: r.at.Hash, Committed: r.at.Next, First: r.at.Transaction + 1, Time: time.Now(), namesHost: host != ""}, sealBody(epoch, host))
		seals[r.at] = object
	}
	return object
}
