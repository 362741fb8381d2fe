package benchmark

import (
	"context"
	"fmt"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// Commit is what one client waits for, in turns: a raw conditional PUT of as many bytes
// as a record's entry has, a commit of a record to the log, and a transaction of one
// task through the whole store.
type Commit struct {
	RecordBytes int         `json:"recordBytes"`
	EntryBytes  int         `json:"entryBytes"`
	Rounds      int         `json:"rounds"`
	RawPut      Percentiles `json:"rawPut"`
	Log         Percentiles `json:"log"`
	Transaction Percentiles `json:"transaction"`
	// Over raw are the ratios to the raw PUT.
	LogOverRaw         Over `json:"logOverRaw"`
	TransactionOverRaw Over `json:"transactionOverRaw"`
}

// Over are ratios of percentiles.
type Over struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func over(a, b Percentiles) Over { return Over{Ratio(a.P50, b.P50), Ratio(a.P99, b.P99)} }

// MeasureCommit measures a Commit.
func MeasureCommit(ctx context.Context, s *Scratch, o Options) (c *Commit, err error) {
	raw, logs, stores := s.place("commit-raw", nil), s.place("commit-log", nil), s.place("commit-store", nil)
	err = withLog(ctx, logs, blob.Options{}, func(_ *blob.Log, w *blob.Writer) error {
		return withStore(ctx, stores, storeOptions(), func(store *schedulerstore.Store) error {
			before := logs.counter.requests()
			if err := commit(ctx, w, Noise(o.RecordBytes)); err != nil {
				return err
			}
			entryBytes := int(logs.counter.requests().since(before).CreateBytes)
			c, err = measureCommit(ctx, o, []func(ctx context.Context, i int) error{
				func(ctx context.Context, i int) error {
					return raw.put(ctx, fmt.Sprintf("%020d", i), Noise(entryBytes))
				},
				func(ctx context.Context, _ int) error { return commit(ctx, w, Noise(o.RecordBytes)) },
				func(ctx context.Context, i int) error { return write(ctx, store, 0, i, o.RecordBytes) },
			})
			if err == nil {
				c.RecordBytes, c.EntryBytes = o.RecordBytes, entryBytes
			}
			return err
		})
	})
	return c, err
}

// measureCommit takes the steps in turn, so that whatever else the machine and the
// store do hits all alike; each begins as often as the others.
func measureCommit(ctx context.Context, o Options, steps []func(ctx context.Context, i int) error) (*Commit, error) {
	const warmUp = 20
	took := make([][]time.Duration, len(steps))
	var round Call = func(ctx context.Context, _, i int) error {
		for turn := range steps {
			step := (i + turn) % len(steps)
			start := time.Now()
			if err := steps[step](ctx, i); err != nil {
				return err
			}
			if i >= warmUp {
				took[step] = append(took[step], time.Since(start))
			}
		}
		return nil
	}
	const what = "commits of one client"
	if _, err := (Load{Count: warmUp}).Run(ctx, round); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	start := time.Now()
	if _, err := (Load{Duration: 2 * o.Duration,
		Progress: func(int) { o.progress(what, float64(time.Since(start))/float64(2*o.Duration)) },
	}).Run(ctx, func(ctx context.Context, client, i int) error { return round(ctx, client, warmUp+i) }); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	c := &Commit{Rounds: len(took[0]), RawPut: PercentilesOf(took[0]), Log: PercentilesOf(took[1]), Transaction: PercentilesOf(took[2])}
	c.LogOverRaw, c.TransactionOverRaw = over(c.Log, c.RawPut), over(c.Transaction, c.RawPut)
	return c, nil
}
