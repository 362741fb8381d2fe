package benchmark

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// Recovery is a fresh reader that reads a log from its beginning to its end, with the
// records opaque, against reading the same objects without their order.
type Recovery struct {
	Large Replay `json:"large"`
	// Small is a log of many entries of one record each, in memory, whose GETs take
	// SmallGet each.
	Small      Replay  `json:"small"`
	SmallGetMs float64 `json:"smallGetMs"`
}

// Replay is a log that was read back. Durations are the medians of several rounds.
type Replay struct {
	Transactions int     `json:"transactions"`
	Entries      int     `json:"entries"`
	Bytes        int64   `json:"bytes"`
	Seconds      float64 `json:"seconds"`
	// RawSeconds is what GETs of the same objects took, rawParallel at once, with
	// unpacking and decoding them.
	RawSeconds            float64 `json:"rawSeconds"`
	OverRaw               float64 `json:"overRaw"`
	EntriesPerSecond      float64 `json:"entriesPerSecond"`
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	MBPerSecond           float64 `json:"mbPerSecond"`
}

const (
	// rawParallel is what a reader fetches ahead at most.
	rawParallel  = 64
	replayRounds = 3
	// smallEntries and smallGet are those of the log of small entries; see smallOf.
	smallEntries = 10_000
	smallGet     = 20 * time.Millisecond
)

// MeasureRecovery measures a Recovery.
func MeasureRecovery(ctx context.Context, s *Scratch, o Options) (*Recovery, error) {
	r := &Recovery{SmallGetMs: milliseconds(smallGet)}
	large := s.place("recovery", nil)
	if err := o.fill(ctx, large, "writing what is recovered", o.Transactions, blob.Options{}); err != nil {
		return nil, err
	}
	var err error
	if r.Large, err = o.replay(ctx, large, "recovering", replayRounds); err != nil {
		return nil, err
	}
	mem := memdriver.New()
	small := NewScratch(mem, "mem://small", "").place("recovery", nil)
	// An entry takes a record at least, however small it may be.
	if err := o.fill(ctx, small, "writing small entries", smallOf(o.Transactions), blob.Options{EntryBytes: 1}); err != nil {
		return nil, err
	}
	mem.Inject(memdriver.Fault{Operation: memdriver.Get, Do: memdriver.Delay(smallGet)})
	r.Small, err = o.replay(ctx, small, "recovering small entries", 1)
	return r, err
}

// smallOf is smallEntries, or fewer in a run with few transactions.
func smallOf(transactions int) int { return min(smallEntries, transactions) }

// fill writes a log of so many records, as fast as it takes them.
func (o *Options) fill(ctx context.Context, p *place, what string, records int, lo blob.Options) error {
	return withLog(ctx, p, lo, func(_ *blob.Log, w *blob.Writer) error {
		var last chan error
		for i := range records {
			if err := errors.Join(w.WaitRoom(ctx), context.Cause(ctx)); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			done := make(chan error, 1)
			if _, err := w.Append(Noise(o.RecordBytes), func(_ persistence.Ack, err error) { done <- err }); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			last = done // they are acknowledged in order, so the last answers for all
			o.progress(what, float64(i)/float64(records))
		}
		select {
		case err := <-last:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// replay reads a log back by a reader and by raw GETs in turns.
func (o *Options) replay(ctx context.Context, p *place, what string, rounds int) (Replay, error) {
	log, err := blob.Open(ctx, p.bucket(), blob.Options{ReadOnly: true})
	if err != nil {
		return Replay{}, err
	}
	keys, err := log.Keys(ctx)
	if err != nil {
		return Replay{}, err
	}
	r := Replay{Entries: len(keys)}
	for _, k := range keys {
		r.Bytes += k.Size
	}
	var reader, raw []float64
	for round := range rounds {
		o.progress(what, float64(round)/float64(rounds))
		start := time.Now()
		at, err := recoverLog(ctx, log)
		if err != nil {
			return r, fmt.Errorf("%s: %w", what, err)
		}
		reader = append(reader, time.Since(start).Seconds())
		start = time.Now()
		transactions, err := readAll(ctx, log, keys)
		if err != nil {
			return r, fmt.Errorf("%s by raw GETs: %w", what, err)
		}
		raw = append(raw, time.Since(start).Seconds())
		if r.Transactions = transactions; int(at.Transaction) != transactions || int(at.Next) != len(keys) {
			return r, fmt.Errorf("%s: the reader came to %v, but there are %d entries with %d transactions", what, at, len(keys), transactions)
		}
	}
	r.Seconds, r.RawSeconds = median(reader), median(raw)
	r.OverRaw = Ratio(r.Seconds, r.RawSeconds)
	r.EntriesPerSecond, r.TransactionsPerSecond = perSecond(float64(r.Entries), r.Seconds), perSecond(float64(r.Transactions), r.Seconds)
	r.MBPerSecond = perSecond(float64(r.Bytes)/1e6, r.Seconds)
	return r, nil
}

func recoverLog(ctx context.Context, log *blob.Log) (persistence.Point, error) {
	reader := log.NewReader(ignore{})
	err := reader.CatchUp(ctx)
	return reader.At(), err
}

// readAll reads and decodes the entries with these keys, in no order.
func readAll(ctx context.Context, log *blob.Log, keys []blob.EntryKey) (transactions int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rawParallel)
	counts := make([]int, len(keys))
	for i, k := range keys {
		group.Go(func() error {
			entry, err := log.Read(ctx, k)
			if err == nil {
				counts[i] = entry.Count
			}
			return err
		})
	}
	err = group.Wait()
	for _, n := range counts {
		transactions += n
	}
	return transactions, err
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
