package durability

import (
	"bytes"

	"github.com/tidwall/btree"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// keptKeys is the number of idempotency keys that are remembered: those of the
// newest transactions that had one. A repeat must come before so many others.
const keptKeys = 1 << 16

// keyed is what is remembered of a transaction with an idempotency key.
type keyed struct {
	fingerprint []byte
	pending     *Pending // has its outcome, or will have
	number      persistence.TransactionNumber
}

// keys are the idempotency keys of recent transactions. Like the stores they are
// copied when they are first written in a transaction: a version's keys never
// change.
type keys struct {
	byKey    *btree.Map[string, *keyed]
	byNumber *btree.Map[persistence.TransactionNumber, string]
}

func newKeys() keys {
	return keys{new(btree.Map[string, *keyed]), new(btree.Map[persistence.TransactionNumber, string])}
}

// with returns the keys and one more, without what is too old to be kept. An earlier
// transaction of the key, and another key of the transaction, which a state that is
// restored can bring, are forgotten.
func (k keys) with(key string, entry *keyed) keys {
	// Copy writes to what it copies, and a transaction of a term that has ended may copy
	// the same keys as the reader.
	byKey, byNumber := *k.byKey, *k.byNumber
	k = keys{byKey.Copy(), byNumber.Copy()}
	if earlier, ok := k.byKey.Get(key); ok {
		k.byNumber.Delete(earlier.number)
	}
	if other, ok := k.byNumber.Get(entry.number); ok {
		k.byKey.Delete(other)
	}
	k.byKey.Set(key, entry)
	k.byNumber.Set(entry.number, key)
	for k.byNumber.Len() > keptKeys {
		_, oldest, _ := k.byNumber.PopMin()
		k.byKey.Delete(oldest)
	}
	return k
}

// committed lists the keys of transactions after one with their results, oldest first,
// for a snapshot. All their transactions must be durable.
func (k keys) committed(after persistence.TransactionNumber) []*api.CommittedKey {
	var list []*api.CommittedKey
	k.byNumber.Ascend(after+1, func(_ persistence.TransactionNumber, key string) bool {
		e, _ := k.byKey.Get(key)
		c := e.pending.commit
		list = append(list, &api.CommittedKey{Key: api.Some(key), Fingerprint: e.fingerprint,
			Transaction: int64(c.Transaction), Position: int64(c.Position), Epoch: int64(c.Epoch)})
		return true
	})
	return list
}

// find returns the transaction that had the key. A key that comes back with
// another fingerprint is a client's mistake.
func (k keys) find(key string, fingerprint []byte) (*Pending, error) {
	e, ok := k.byKey.Get(key)
	switch {
	case !ok:
		return nil, nil
	case !bytes.Equal(e.fingerprint, fingerprint):
		return nil, ErrKeyReused
	}
	return e.pending, nil
}
