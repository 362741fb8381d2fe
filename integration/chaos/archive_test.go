package chaos_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/bucketurl"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/simulation/check"
)

// archive copies the log as it is written, by a way of its own to MinIO. It goes from key
// to key, and takes what it finds first at each: that is the history (protocol §6),
// whatever comes to lie there once it was collected. It shares with the daemons the
// decoder of an entry, and nothing else.
type archive struct {
	*chaos
	bucket *bucket.Bucket
	log    *blob.Log
	done   chan struct{}

	mu           sync.Mutex
	at           persistence.Point
	writer       persistence.WriterID // whom the last seal names
	transactions []check.Transaction
	seals        int
	failed       bool
}

func startArchive(c *chaos) *archive {
	b, err := bucketurl.Open(c.Context(), c.minio.BucketURL("cells", cellURL), bucketurl.Options{})
	if err != nil {
		c.Fatal(err)
	}
	log, err := blob.Open(c.Context(), b, blob.Options{ReadOnly: true})
	if err != nil {
		c.Fatal(err)
	}
	cell, err := b.Get(c.Context(), "cell.json")
	if err != nil {
		c.Fatal(err)
	}
	a := &archive{chaos: c, bucket: b, log: log, done: make(chan struct{}), at: persistence.Point{Hash: sha256.Sum256(cell.Data)}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Context()))
	go a.run(ctx)
	c.Cleanup(func() {
		cancel()
		<-a.done
		_ = b.Close()
	})
	return a
}

// archivePoll is how often it asks for an entry that is not there yet.
const archivePoll = 10 * time.Millisecond

func (a *archive) run(ctx context.Context) {
	defer close(a.done)
	for ctx.Err() == nil {
		entry, err := a.log.Read(ctx, blob.EntryKey{Epoch: a.at.Epoch, Position: a.at.Next})
		if err == nil {
			err = a.take(entry)
		}
		switch {
		case err == nil:
		case errors.Is(err, blob.ErrDamaged):
			a.problem("the log: %v", err)
			a.mu.Lock()
			a.failed = true
			a.mu.Unlock()
			return
		default: // it is not there, or MinIO is away
			time.Sleep(archivePoll)
		}
	}
}

// take appends an entry.
func (a *archive) take(e *blob.Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := blob.Key(e.Epoch, e.Position)
	switch {
	case e.Prev != a.at.Hash:
		return fmt.Errorf("%w: %s goes on from %s, not from %s", blob.ErrDamaged, key, e.Prev, a.at.Hash)
	case e.First != a.at.Transaction+1:
		return fmt.Errorf("%w: %s begins with transaction %d, want %d", blob.ErrDamaged, key, e.First, a.at.Transaction+1)
	case e.Committed > e.Position:
		return fmt.Errorf("%w: %s says that %d positions are durable", blob.ErrDamaged, key, e.Committed)
	case e.Kind != blob.KindSeal && e.Writer != a.writer:
		return fmt.Errorf("%w: %s is by %s, but the seal before names %s", blob.ErrDamaged, key, e.Writer, a.writer)
	case e.Kind == blob.KindSeal && e.NextEpoch <= e.Epoch:
		return fmt.Errorf("%w: %s goes on with epoch %d", blob.ErrDamaged, key, e.NextEpoch)
	}
	if err := a.append(e); err != nil {
		return fmt.Errorf("%w: %s: %w", blob.ErrDamaged, key, err)
	}
	a.at.Next, a.at.Hash, a.at.Transaction = e.Position+1, e.Hash, e.First-1+persistence.TransactionNumber(e.Count)
	if e.Kind == blob.KindSeal {
		a.at.Epoch, a.writer = e.NextEpoch, e.Writer
		a.seals++
	}
	return nil
}

// append appends what an entry has for clients.
func (a *archive) append(e *blob.Entry) error {
	commit := persistence.Commit{Transaction: e.First, Position: e.Position, Epoch: e.Epoch}
	switch e.Kind {
	case blob.KindRestore:
		of, err := restored(e.Restore.Reason)
		if err != nil {
			return err
		}
		a.transactions = append(a.transactions, check.Transaction{Commit: commit, Wrote: a.state(of), Restore: true})
	case blob.KindRecords:
		for _, record := range e.Records {
			tx := new(api.Transaction)
			if err := tx.UnmarshalBinary(record); err != nil {
				return err
			}
			t := check.Transaction{Commit: commit, Wrote: check.Written(tx.Ops)}
			if tx.Idempotency != nil {
				t.Key = tx.Idempotency.Key.Value
			}
			a.transactions = append(a.transactions, t)
			commit.Transaction++
		}
	}
	return nil
}

// stateOf is what the reason of a restore says of which state it is to bring back: the
// state that comes of it is then compared with that, not with what it wrote.
const stateOf = "state of transaction %d, restore %d"

var reasonPattern = regexp.MustCompile(`state of transaction (\d+), restore \d+`)

func restored(reason string) (persistence.TransactionNumber, error) {
	found := reasonPattern.FindStringSubmatch(reason)
	if found == nil {
		return 0, fmt.Errorf("a restore that nobody asked for: %q", reason)
	}
	n, err := strconv.ParseUint(found[1], 10, 64)
	return persistence.TransactionNumber(n), err
}

// state are the registers after a transaction. It needs mu.
func (a *archive) state(n persistence.TransactionNumber) map[string]string {
	begin := int(n)
	for begin > 0 && !a.transactions[begin-1].Restore {
		begin--
	}
	state := map[string]string{}
	if begin > 0 {
		begin-- // that restore's own
	}
	for _, t := range a.transactions[begin:n] {
		maps.Copy(state, t.Wrote)
	}
	return state
}

// reaches waits until it has a position. It is asked before anything is collected.
func (a *archive) reaches(ctx context.Context, p persistence.Position) bool {
	for began := time.Now(); time.Since(began) < stuck && ctx.Err() == nil; time.Sleep(archivePoll) {
		a.mu.Lock()
		there, failed := a.at.Next > p, a.failed
		a.mu.Unlock()
		if there || failed {
			return there
		}
	}
	return false
}

// history is what it has.
func (a *archive) history() ([]check.Transaction, persistence.Point, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.transactions, a.at, a.seals
}

// leaseHolder is the name of the slot whose daemon holds the lease.
func (a *archive) leaseHolder() (string, error) {
	ctx, cancel := context.WithTimeout(a.Context(), time.Second)
	defer cancel()
	state, err := lease.Read(ctx, a.bucket)
	return state.Host, err
}
