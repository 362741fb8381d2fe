package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/internal/packed"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// fetched is one entry, read, checked by itself and prepared for its consumer.
type fetched struct {
	entry *Entry
	apply func() error
	err   error
	came  time.Time // when the answer did
}

// missing: the entry was not there when it was asked for.
func (g *fetched) missing() bool { return errors.Is(g.err, bucket.ErrNotExist) }

// fetcher asks for the entries of one epoch by their computed keys, ahead of the
// one that is wanted, so that a recovery waits for one round trip and not for each;
// what came is checked, unpacked and prepared on all cores.
//
// How far ahead is bounded by
//   - the requests on their way at once,
//   - the bytes of what is on its way or waits, see roomFor,
//   - what is known to be there (sure),
//   - and what was found: one more for each entry, so twice as many each round trip.
//     It begins with one, also behind what was sure. So behind a seal, or an end that
//     was not known, no more are asked for in vain than were found before it.
//
// At the end of the log it asks in waves, for the next few entries at once: as many
// as the last wave found, and some more if those were several. What is found behind one that is missing is
// kept, and no entry is asked for twice in a wave.
//
// The state that a restore names is not fetched ahead: it may be large, and replaces
// all that is on its way. A fetcher is for one goroutine.
type fetcher struct {
	log      *Log
	consumer persistence.Consumer
	requests int // on their way at once, at most
	window   int // entries ahead, at most
	// sure is known to be below the end of the log: all positions before it exist,
	// in this epoch or a later one. Only how much is asked for rests on it.
	sure persistence.Position

	// What is ahead: the entries of epoch from position next on.
	epoch persistence.Epoch
	next  persistence.Position
	ahead []*slot
	asked int // of ahead: none before it is idle
	run   int // entries that may be ahead, by what was found
	found int // entries since one was missing
	waves bool
	wave  int  // this one's number
	hole  bool // one that was asked for in it is missing, so nothing is asked for behind it

	flight   int // requests on their way
	held     int // bytes of what came and waits
	sizes    sizes
	arrived  chan *slot
	ctx      context.Context // of all that is on its way; nil with cancel
	cancel   context.CancelFunc
	fetching sync.WaitGroup
}

// slot is one entry ahead.
type slot struct {
	fetched
	position persistence.Position
	state    slotState
	wave     int // in which it was asked for
}

type slotState uint8

const (
	idle   slotState = iota // to be asked for
	flying                  // asked for
	here                    // answered
)

// aheadBytes bounds what the entries ahead may take, those on their way included.
const aheadBytes = 64 << 20

func newFetcher(l *Log, consumer persistence.Consumer, requests, window int) *fetcher {
	return &fetcher{log: l, consumer: consumer, requests: requests, window: window, arrived: make(chan *slot, requests+1), run: 1}
}

// get returns the entry at a place, and begins to fetch those after it. An entry
// that is not there has an error that matches bucket.ErrNotExist; the next call asks
// for it again.
func (f *fetcher) get(ctx context.Context, epoch persistence.Epoch, position persistence.Position) fetched {
	if f.epoch != epoch || f.next != position {
		f.drop()
		f.epoch, f.next = epoch, position
	}
	for {
		f.ask(ctx)
		if head := f.ahead[0]; head.state == here {
			if !head.missing() || head.wave == f.wave {
				return f.take()
			}
			f.missed() // that was long ago
			continue
		}
		select {
		case s := <-f.arrived:
			f.settle(s)
		case <-ctx.Done():
			f.drop()
			return fetched{err: context.Cause(ctx)}
		}
	}
}

// ask sends what should be on its way. The requests end with ctx, or when drop is
// called. The entry that is wanted is always asked for.
func (f *fetcher) ask(ctx context.Context) {
	if f.cancel == nil {
		f.ctx, f.cancel = context.WithCancel(ctx)
	}
	if !f.hole && (!f.waves || len(f.ahead) == 0 || f.ahead[0].state == idle) { // a wave ends before the next begins
		for most := f.reach(); len(f.ahead) < most; {
			f.ahead = append(f.ahead, &slot{position: f.next + persistence.Position(len(f.ahead))})
		}
	}
	for ; f.asked < len(f.ahead); f.asked++ {
		s := f.ahead[f.asked]
		if s.state != idle {
			continue
		}
		if f.asked > 0 && (f.hole || f.flight >= f.requests || !f.roomFor(f.flight+1)) {
			return
		}
		s.state, s.wave = flying, f.wave
		f.flight++
		ctx, epoch := f.ctx, f.epoch
		f.fetching.Go(func() {
			s.fetched = f.fetch(ctx, epoch, s.position)
			f.arrived <- s // has room for all that can be on their way
		})
	}
}

// reach is how many entries may be ahead, the wanted one included.
func (f *fetcher) reach() int {
	most := min(f.run, f.window)
	if f.next < f.sure {
		most = min(most, int(f.sure-f.next))
	}
	return most
}

// commonSize is what writers make an entry no larger than, but for a single record that
// is, unless they are told otherwise.
const commonSize = 1 << 20

// roomFor tells whether this many requests may be on their way. How large an answer
// is shows only when it is there; it is taken to be no larger than the largest of
// late, and than commonSize. Only larger entries, one right after another and after
// none for hundreds of entries, can take more room than aheadBytes, once.
func (f *fetcher) roomFor(flight int) bool {
	return f.held+flight*max(f.sizes.largest(), commonSize) <= aheadBytes
}

func (f *fetcher) fetch(ctx context.Context, epoch persistence.Epoch, position persistence.Position) (got fetched) {
	got.entry, got.err = f.log.read(ctx, epoch, position)
	if got.came = time.Now(); got.err != nil || got.entry.Kind != KindRecords {
		return got
	}
	got.apply, got.err = f.consumer.Prepare(got.entry.batch())
	if got.err != nil {
		got.err = fmt.Errorf("%w: %s: %w", ErrReplay, Key(epoch, position), got.err)
	}
	return got
}

// settle notes that an answer is there.
func (f *fetcher) settle(s *slot) {
	f.flight--
	s.state = here
	f.hole = f.hole || s.missing()
	if s.err == nil {
		f.held += weight(s.entry)
		f.sizes.add(weight(s.entry))
	}
}

// weight is about what an entry takes in memory until it is applied, in bytes.
func weight(e *Entry) int {
	if e.Compression == packed.None {
		return int(e.Size()) // the records lie in what was read
	}
	return int(e.Size()) + e.RawSize
}

// take hands out the answer for the wanted entry, and draws its conclusions.
func (f *fetcher) take() fetched {
	got := f.ahead[0].fetched
	switch {
	case got.missing():
		f.missed()
		return got
	case got.err != nil || got.entry.Kind == KindSeal:
		f.drop()
		return got
	}
	f.ahead[0] = nil // for the collector
	f.ahead = f.ahead[1:]
	f.asked = max(0, f.asked-1)
	f.held -= weight(got.entry)
	f.next++
	f.found++
	if len(f.ahead) == 0 {
		f.waves = false // all of the wave was there, so more may be
	}
	switch {
	case f.next == f.sure:
		f.run = 1
	case !f.waves:
		f.run = min(f.run+1, f.window)
	}
	return got
}

// firstWave is how many entries the first wave asks for behind a long run, which says
// nothing of how many will come.
const firstWave = 4

// missed begins a new wave: the wanted entry was not there.
func (f *fetcher) missed() {
	if f.run = max(f.found, f.run/2); f.found > 1 { // they come faster than they are asked for
		f.run = max(f.run, f.found+f.found/4+1)
	}
	if f.run = max(f.run, 1); f.run > f.log.cell.Window {
		f.run = firstWave
	}
	f.found, f.asked, f.waves, f.hole = 0, 0, true, false
	f.wave++
	for _, s := range f.ahead {
		if s.state == here && s.missing() {
			s.fetched, s.state = fetched{}, idle
		}
	}
	for n := len(f.ahead); n > f.run && f.ahead[n-1].state == idle; n-- {
		f.ahead = f.ahead[:n-1]
	}
}

// first returns the first entry that is here and not yet handed out, if any, and the
// position behind the last one.
func (f *fetcher) first() (first *slot, end persistence.Position) {
	for _, s := range f.ahead {
		if s.state == here && s.err == nil {
			if first == nil {
				first = s
			}
			end = s.position + 1
		}
	}
	return first, end
}

// drop gives up what is on its way and waits until it is gone.
func (f *fetcher) drop() {
	if f.cancel != nil {
		f.cancel()
		f.ctx, f.cancel = nil, nil
	}
	f.fetching.Wait()
	for range f.flight {
		<-f.arrived
	}
	f.ahead = nil
	f.flight, f.held, f.asked = 0, 0, 0
	f.run, f.found, f.waves, f.hole = 1, 0, false, false
}

// sizes remembers the largest of the last few hundred sizes.
type sizes struct {
	now, before, count int // the largest of this block and of the last
}

const sizesBlock = 256

func (s *sizes) add(size int) {
	if s.count++; s.count > sizesBlock {
		s.now, s.before, s.count = 0, s.now, 1
	}
	s.now = max(s.now, size)
}

func (s *sizes) largest() int { return max(s.now, s.before) }
