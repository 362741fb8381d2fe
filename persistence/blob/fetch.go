package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// fetched is one entry, read, checked by itself and prepared for its consumer.
type fetched struct {
	entry *Entry
	apply func() error
	err   error
}

// fetcher asks for the entries of one epoch by their computed keys, ahead of the
// one that is wanted, so that a recovery waits for one round trip and not for
// each. How far ahead grows while entries are there and shrinks at the end, where
// asking costs requests for nothing. The state that a restore names is not fetched
// ahead: it may be large, and replaces all that is on its way.
type fetcher struct {
	log      *Log
	consumer persistence.Consumer
	depth    int
	most     int // of depth
	// What is on its way: the entries of epoch from position next on.
	epoch    persistence.Epoch
	next     persistence.Position
	ahead    []chan fetched
	ctx      context.Context // of all that is on its way; nil with cancel
	cancel   context.CancelFunc
	fetching sync.WaitGroup
	// largest is the raw size of the largest entry lately: it bounds the depth.
	largest int
}

// aheadBytes bounds what the entries fetched ahead may take, unpacked.
const aheadBytes = 64 << 20

func newFetcher(l *Log, consumer persistence.Consumer, most int) *fetcher {
	return &fetcher{log: l, consumer: consumer, depth: 1, most: most}
}

// get returns the entry at a place, and begins to fetch those after it. An entry
// that is not there has an error that matches bucket.ErrNotExist.
func (f *fetcher) get(ctx context.Context, epoch persistence.Epoch, position persistence.Position) fetched {
	if len(f.ahead) == 0 || f.epoch != epoch || f.next != position {
		f.drop()
		f.epoch, f.next = epoch, position
	}
	f.start(ctx)
	select {
	case got := <-f.ahead[0]:
		f.ahead = f.ahead[1:]
		f.next++
		f.adapt(got)
		return got
	case <-ctx.Done():
		f.drop()
		return fetched{err: context.Cause(ctx)}
	}
}

// start fills the window ahead. The requests end with ctx, or when drop is called.
func (f *fetcher) start(ctx context.Context) {
	if f.cancel == nil {
		f.ctx, f.cancel = context.WithCancel(ctx)
	}
	ctx = f.ctx
	for len(f.ahead) < f.depth {
		position, result := f.next+persistence.Position(len(f.ahead)), make(chan fetched, 1)
		epoch := f.epoch
		f.ahead = append(f.ahead, result)
		f.fetching.Go(func() { result <- f.fetch(ctx, epoch, position) })
	}
}

func (f *fetcher) fetch(ctx context.Context, epoch persistence.Epoch, position persistence.Position) (got fetched) {
	if got.entry, got.err = f.log.read(ctx, epoch, position); got.err != nil || got.entry.Kind != KindRecords {
		return got
	}
	e := got.entry
	got.apply, got.err = f.consumer.Prepare(persistence.Batch{Object: Key(epoch, position), Records: e.Records,
		First: e.First, Position: position, Epoch: epoch, Time: e.Time})
	if got.err != nil {
		got.err = fmt.Errorf("%w: %s: %w", ErrReplay, Key(epoch, position), got.err)
	}
	return got
}

// adapt sets how far ahead to fetch by what was found.
func (f *fetcher) adapt(got fetched) {
	if got.err != nil || got.entry.Kind == KindSeal {
		f.drop()
		if errors.Is(got.err, bucket.ErrNotExist) {
			f.depth = 1
		}
		return
	}
	f.largest = max(got.entry.RawSize, f.largest-f.largest/16)
	f.depth = max(1, min(2*f.depth, f.most, aheadBytes/max(f.largest, 1)))
}

// drop gives up what is on its way and waits until it is gone.
func (f *fetcher) drop() {
	if f.cancel != nil {
		f.cancel()
		f.ctx, f.cancel = nil, nil
	}
	f.fetching.Wait()
	f.ahead = nil
}
