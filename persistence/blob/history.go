package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// historyAhead is the number of entries that History fetches ahead.
const historyAhead = 8

// History yields the entries that hold the transactions from one number to another,
// in order, each checked and the chain between them too; seals are left out. The
// caller must know that all of these transactions are durable. An error ends the
// sequence. It matches ErrCollected if the log does not reach back that far, and
// ErrDamaged if an object is missing or wrong.
//
// It costs one listing of the log and a few headers, to find the first entry, and
// then a request for each entry. Few are in memory at once.
func (l *Log) History(ctx context.Context, from, to persistence.TransactionNumber) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		if from = max(from, 1); from > to {
			return
		}
		first, err := l.find(ctx, from)
		if err != nil {
			yield(nil, err)
			return
		}
		fetch := newFetcher(l, nothing{}, historyAhead, historyAhead)
		defer fetch.drop()
		at := persistence.Point{Epoch: first.Epoch, Next: first.Position, Transaction: first.First - 1, Hash: first.Prev}
		for at.Transaction < to {
			got := fetch.get(ctx, at.Epoch, at.Next)
			if errors.Is(got.err, bucket.ErrNotExist) {
				got.err = l.gone(ctx, at.Epoch, at.Next, to)
			} else if got.err == nil {
				if err := got.entry.checkChain(at); err != nil {
					got.err = &DamageError{Key(at.Epoch, at.Next), err}
				}
			}
			if got.err != nil {
				yield(nil, got.err)
				return
			}
			at = got.entry.after()
			if got.entry.Count > 0 && !yield(got.entry, nil) {
				return
			}
		}
	}
}

// find returns the header of the entry that holds a transaction, which is durable.
func (l *Log) find(ctx context.Context, number persistence.TransactionNumber) (*Header, error) {
	keys, err := l.Keys(ctx)
	if err != nil {
		return nil, err
	}
	keys = WithoutOrphans(keys)
	// First numbers grow along the log, also over what is no part of the history:
	// entries beyond a gap or a seal at its end, seals where the rest was collected.
	var found *Header     // of the last entry that was seen to begin at number or before
	var missing *EntryKey // seen after it, and gone since the listing
	after := sort.Search(len(keys), func(i int) bool {
		if err != nil {
			return true
		}
		h, e := l.header(ctx, keys[i].Epoch, keys[i].Position)
		switch {
		case errors.Is(e, bucket.ErrNotExist): // collected, as all before it
			missing = &keys[i]
			return false
		case e != nil:
			err = e
			return true
		case h.First > number:
			return true
		}
		found, missing = &h, nil
		return false
	})
	switch {
	case err != nil:
		return nil, err
	case found != nil && number < found.First+persistence.TransactionNumber(found.Count):
		return found, nil
	case missing != nil:
		return nil, l.gone(ctx, missing.Epoch, missing.Position, number)
	case after == len(keys): // it is missing at the end
		last := EntryKey{}
		if after > 0 {
			last = keys[after-1]
		}
		return nil, l.gone(ctx, last.Epoch, last.Position+1, number)
	}
	return nil, l.gone(ctx, keys[after].Epoch, keys[after].Position-1, number)
}

// WithoutOrphans returns the keys, which are in order, without those of what a deposed
// writer landed beyond its seal, where the keys alone show it: an entry of a larger
// epoch is at their position or before. Of one position at most one is left.
func WithoutOrphans(keys []EntryKey) []EntryKey {
	kept := make([]EntryKey, 0, len(keys))
	var newest persistence.Epoch
	for i, k := range keys { // by position, then epoch
		if last := i+1 == len(keys) || keys[i+1].Position != k.Position; last && k.Epoch >= newest {
			kept, newest = append(kept, k), k.Epoch
		}
	}
	return kept
}

// gone tells why the entry of a durable transaction is not there: it was collected if
// a snapshot covers its position, else it is missing.
func (l *Log) gone(ctx context.Context, epoch persistence.Epoch, position persistence.Position, number persistence.TransactionNumber) error {
	names, err := l.snapshots(ctx, nil)
	if err != nil {
		return err
	}
	if len(names) > 0 && names[len(names)-1].Position >= position {
		return fmt.Errorf("transaction %d: %w: snapshot %s covers it", number, ErrCollected, names[len(names)-1])
	}
	return &DamageError{Key(epoch, position), fmt.Errorf("missing, but transaction %d is durable", number)}
}
