package durability

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// unused is a replacement that must not be called.
func unused(t *testing.T) func(*Checkpoint, iter.Seq2[[]byte, error]) error {
	return func(*Checkpoint, iter.Seq2[[]byte, error]) error {
		t.Error("the state was replaced")
		return nil
	}
}

func TestReplaceWaitsUntilTheHeadIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := led(t, false)
		for _, id := range []string{"a", "b"} {
			_, err := s.Submit(t.Context(), save(id), WriteOptions{})
			must(t, err)
		}
		var at *Checkpoint
		replaced := make(chan error, 1)
		go func() {
			replaced <- s.Replace(t.Context(), func(c *Checkpoint, _ iter.Seq2[[]byte, error]) error { at = c; return nil })
		}()
		synctest.Wait()
		l.ack(1)
		synctest.Wait()
		if at != nil {
			t.Fatal("the state was replaced before all of it was durable")
		}
		l.ack(1)
		must(t, <-replaced)
		if at.At.Transaction != 2 || at != s.Checkpoint() || at.version.stores.Tasks().Len() != 2 {
			t.Errorf("replaced at %v", at.At)
		}
	})
}

// Writes wait while the state is replaced, each as long as its context lets it, and
// are refused when it is done.
func TestWritesWaitWhileTheStateIsReplaced(t *testing.T) {
	for name, outcome := range map[string]error{"replaced": nil, "nobody knows": persistence.ErrUnknown, "failed": errWork} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := led(t, true)
				must(t, s.Write(t.Context(), save("a")))
				replaced := make(chan error, 1)
				go func() {
					replaced <- s.Replace(t.Context(), func(*Checkpoint, iter.Seq2[[]byte, error]) error {
						time.Sleep(time.Minute)
						return outcome
					})
				}()
				synctest.Wait()
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				if err := s.Write(short, save("b")); !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
					t.Errorf("with a second to wait: %v after %v", err, time.Since(start))
				}
				err := s.Write(t.Context(), save("c"))
				if took := time.Since(start); took < 59*time.Second {
					t.Errorf("a write ran after %v, while the state was replaced", took)
				}
				nothing := s.Write(t.Context(), func(context.Context, storage.Mutable) error { return nil })
				if outcome == errWork {
					must(t, err)
					must(t, nothing)
				} else if !errors.Is(err, persistence.ErrNotCommitted) || !errors.Is(err, ErrNotLeader) || !errors.Is(nothing, ErrNotLeader) {
					t.Errorf("afterwards: %v; of a write that changes nothing: %v", err, nothing)
				}
				if s.Leading() != (outcome == errWork) {
					t.Errorf("leading: %t", s.Leading())
				}
				if err := <-replaced; !errors.Is(err, outcome) {
					t.Errorf("%v, want %v", err, outcome)
				}
			})
		})
	}
}

func TestReplaceIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := led(t, true)
		must(t, s.Write(t.Context(), func(ctx context.Context, tx storage.Mutable) error {
			if err := s.Replace(ctx, unused(t)); !errors.Is(err, persistence.ErrNotCommitted) {
				t.Errorf("within a transaction: %v", err)
			}
			return tx.SaveFrameworkID("id")
		}))
		s.StepDown()
		if err := s.Replace(t.Context(), unused(t)); !errors.Is(err, ErrNotLeader) || !errors.Is(err, persistence.ErrNotCommitted) {
			t.Errorf("without leading: %v", err)
		}

		s, l := led(t, false)
		first, err := s.Submit(t.Context(), save("a"), WriteOptions{})
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Replace(ctx, unused(t)); !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whose time is up: %v", err)
		}
		if !s.Leading() {
			t.Error("a replacement that never began ended the leadership")
		}
		// The write before is of unknown outcome; the replacement is not.
		l.fail(fmt.Errorf("log: %w", persistence.ErrUnknown))
		if err := s.Replace(t.Context(), unused(t)); !errors.Is(err, persistence.ErrNotCommitted) || errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("after a write that failed: %v", err)
		}
		if _, err := first.Wait(t.Context()); !errors.Is(err, persistence.ErrUnknown) {
			t.Error(err)
		}
	})
}

// What the new state must keep: with these records a repeat has its old answer.
func TestReplaceHandsOverTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := led(t, true)
		const n = 2*keysPerRecord + 3
		for i := range n {
			p, err := s.Submit(t.Context(), save("a"), WriteOptions{Key: fmt.Sprint(i), Fingerprint: []byte{byte(i)}})
			must(t, err)
			_, err = p.Wait(t.Context())
			must(t, err)
		}
		restored := New(Options{})
		must(t, restored.Reset(persistence.Point{Transaction: n + 1}))
		count := 0
		must(t, s.Replace(t.Context(), func(_ *Checkpoint, keys iter.Seq2[[]byte, error]) error {
			for record, err := range keys {
				must(t, err)
				apply, err := restored.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
				must(t, err)
				must(t, apply())
				count++
			}
			for range keys { // it may stop early
				break
			}
			return nil
		}))
		restored.Loaded(persistence.Point{Transaction: n + 1})
		if count != 3 || restored.View().Tasks().Len() != 0 {
			t.Errorf("%d records with %d tasks, want 3 with none", count, restored.View().Tasks().Len())
		}
		must(t, restored.Lead(t.Context(), &tape{auto: true, records: make([][]byte, n+1)}, nil))
		p, err := restored.Submit(t.Context(), save("again"), WriteOptions{Key: "7", Fingerprint: []byte{7}})
		must(t, err)
		if commit, err := p.Wait(t.Context()); err != nil || commit.Transaction != 8 {
			t.Errorf("a repeat has the answer %+v, %v", commit, err)
		}
	})
}

// A state that is restored may bring keys of its own, of this history or of another.
// What is remembered is as bounded as ever, and this store's own keys win.
func TestKeysOfARestoredState(t *testing.T) {
	k := newKeys()
	with := func(key string, number persistence.TransactionNumber) {
		k = k.with(key, &keyed{pending: settled(persistence.Commit{Transaction: number}), number: number})
	}
	with("one's own", 1)
	with("of another cell", 2)
	with("used again", 3)
	// Now those of this store.
	with("one's own", 1)
	with("of this cell", 2)
	with("used again", 9)
	want := []*api.CommittedKey{{Key: api.Some("one's own"), Transaction: 1}, {Key: api.Some("of this cell"), Transaction: 2}, {Key: api.Some("used again"), Transaction: 9}}
	got := k.committed(0)
	for i := range want {
		if len(got) != 3 || got[i].Key != want[i].Key || got[i].Transaction != want[i].Transaction {
			t.Fatalf("kept are %+v", got)
		}
	}
	if k.byKey.Len() != 3 || k.byNumber.Len() != 3 {
		t.Errorf("%d keys, %d numbers", k.byKey.Len(), k.byNumber.Len())
	}
}

// Keys of transactions that this history has not come to are another cell's: they must
// not push out those of the transactions to come, nor answer for them.
func TestKeysOfAnotherCellAreNotTaken(t *testing.T) {
	s := New(Options{})
	at := persistence.Point{Epoch: 1, Next: 3, Transaction: 5}
	must(t, s.Reset(at))
	record, err := (&api.Transaction{Ops: []*api.Op{}, SchemaVersion: api.CurrentSchemaVersion, CommittedKeys: []*api.CommittedKey{
		{Key: api.Some("own"), Transaction: 5, Position: 2, Epoch: 1}, {Key: api.Some("foreign"), Transaction: 6, Position: 2, Epoch: 1}}}).AppendBinary(nil)
	must(t, err)
	apply, err := s.Prepare(persistence.Batch{Records: [][]byte{record}, Snapshot: true})
	must(t, err)
	must(t, apply())
	s.Loaded(at)
	kept := s.durable.Load().keys
	if own, err := kept.find("own", nil); own == nil || err != nil {
		t.Errorf("its own key: %v, %v", own, err)
	}
	if foreign, err := kept.find("foreign", nil); foreign != nil || err != nil {
		t.Errorf("another's key: %v, %v", foreign, err)
	}
}
