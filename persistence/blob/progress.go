package blob

import (
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// Progress is how far a recovery is with the log. What a snapshot holds is not counted.
type Progress struct {
	// At is the point up to which everything is applied.
	At persistence.Point
	// End is known to be the position behind the last entry, or before it: the log may
	// be longer by what has come since. 0 if nothing is known.
	End persistence.Position
	// What was read since the recovery began with the log, and the time that it took.
	Entries, Transactions int
	Bytes                 int64 // of entries, as stored
	Elapsed               time.Duration
	// Done tells that the recovery has come to where no entry is, or to where it was to end.
	Done bool
}

// EntriesPerSecond is the rate so far.
func (p *Progress) EntriesPerSecond() float64 { return rate(float64(p.Entries), p.Elapsed) }

// BytesPerSecond is the rate so far, of entries as stored.
func (p *Progress) BytesPerSecond() float64 { return rate(float64(p.Bytes), p.Elapsed) }

func rate(n float64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return n / in.Seconds()
}

// Left estimates the time to the end at the rate so far; false if the end or the rate
// is not known.
func (p *Progress) Left() (time.Duration, bool) {
	if p.Entries == 0 || p.End == 0 {
		return 0, false
	}
	if p.End <= p.At.Next {
		return 0, true
	}
	return time.Duration(float64(p.Elapsed) / float64(p.Entries) * float64(p.End-p.At.Next)), true
}

// Report has f called with the progress of each recovery: when it begins with the
// log, after each entry, and when it is done. f is called on the goroutine that reads,
// and must be quick. Call Report before the reader is used.
func (r *Reader) Report(f func(Progress)) { r.report = f }

func (r *Reader) startProgress() {
	r.recovering, r.since = true, time.Now()
	r.progress = Progress{At: r.at, End: r.fetch.sure}
	r.tellProgress()
}

// noteProgress counts an entry that was applied.
func (r *Reader) noteProgress(e *Entry) {
	if !r.recovering {
		return
	}
	p := &r.progress
	p.At, p.Elapsed = r.at, time.Since(r.since)
	p.Entries++
	p.Transactions += e.Count
	p.Bytes += e.Size()
	r.tellProgress()
}

func (r *Reader) tellProgress() {
	left, _ := r.progress.Left()
	r.log.metrics.secondsLeft.Set(left.Seconds())
	if r.report != nil {
		r.report(r.progress)
	}
}

func (r *Reader) endProgress() {
	if !r.recovering {
		return
	}
	r.recovering = false
	r.progress.Done, r.progress.Elapsed = true, time.Since(r.since)
	r.tellProgress()
	r.log.metrics.secondsLeft.Set(0)
}

// noteLag says how far this reader is behind what it knows to exist. got is the
// answer that is about to be applied, if there is one. What it has not asked for yet
// it does not know of: that can be as old as the last request.
func (r *Reader) noteLag(got *fetched) {
	first, end := r.fetch.first()
	var since time.Time
	switch {
	case got != nil && got.err == nil:
		since, end = got.came, max(end, r.at.Next+1)
	case first != nil:
		since = first.came
	}
	r.log.metrics.behind.Store(since)
	r.log.metrics.lagPositions.Set(float64(max(end, r.fetch.sure, r.at.Next) - r.at.Next))
}
