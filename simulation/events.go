package simulation

import (
	"container/heap"
	"testing/synctest"
	"time"
)

// event is something that happens at an instant. Those of one instant happen in the
// order in which they were planned.
type event struct {
	due    time.Duration
	number int
	do     func()
}

type queue []*event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].due < q[j].due || q[i].due == q[j].due && q[i].number < q[j].number
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(e any)   { *q = append(*q, e.(*event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// loop is the run's driver. Its goroutine is the only one that draws, plans, and lets
// anything happen.
type loop struct {
	began   time.Time
	events  queue
	planned int
	timer   *time.Timer
	// news gets a value when a goroutine has something for the driver.
	news chan struct{}
}

func newLoop() *loop {
	return &loop{began: time.Now(), timer: time.NewTimer(0), news: make(chan struct{}, 1)}
}

// now is the time since the run began.
func (l *loop) now() time.Duration { return time.Since(l.began) }

// after plans something.
func (l *loop) after(d time.Duration, do func()) {
	l.planned++
	heap.Push(&l.events, &event{l.now() + d, l.planned, do})
}

// tell wakes the driver. Any goroutine may call it.
func (l *loop) tell() {
	select {
	case l.news <- struct{}{}:
	default: // it is awake
	}
}

// until lets things happen until an instant, or until done says so. take is called
// whenever all goroutines wait, to take what they have for the driver.
func (l *loop) until(end time.Duration, take func(), done func() bool) {
	for {
		synctest.Wait()
		take()
		now := l.now()
		if now >= end || done() {
			return
		}
		next := end
		if len(l.events) > 0 {
			next = min(next, l.events[0].due)
		}
		if next <= now {
			heap.Pop(&l.events).(*event).do()
			continue
		}
		l.timer.Reset(next - now)
		select {
		case <-l.timer.C:
		case <-l.news:
		}
	}
}
