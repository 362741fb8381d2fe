package schedulerstore

import (
	"context"
	"iter"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// history yields the changes with numbers in from … to, which are durable, as the log
// tells them to those who watch. An error matches ErrCollected if it does not reach
// back that far.
func (s *Store) history(ctx context.Context, from, to persistence.TransactionNumber) iter.Seq2[*durability.Change, error] {
	return func(yield func(*durability.Change, error) bool) {
		for e, err := range s.log.History(ctx, from, to) {
			var changes []*durability.Change
			if err == nil {
				changes, err = s.changesOf(e)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, c := range changes {
				if c.Transaction >= from && c.Transaction <= to && !yield(c, nil) {
					return
				}
			}
		}
	}
}

// changesOf is what an entry of the log tells those who watch. What is neither a group
// of transactions nor a seal has replaced the state.
func (s *Store) changesOf(e *blob.Entry) ([]*durability.Change, error) {
	batch := persistence.Batch{Object: blob.Key(e.Epoch, e.Position), Records: e.Records,
		First: e.First, Position: e.Position, Epoch: e.Epoch, Time: e.Time}
	switch e.Kind {
	case blob.KindRecords:
		return s.storage.ChangesOf(batch)
	case blob.KindSeal:
		return nil, nil
	}
	return []*durability.Change{{Commit: batch.Commit(0), Reset: true}}, nil
}
