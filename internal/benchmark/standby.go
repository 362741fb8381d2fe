package benchmark

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// Lag is how far a standby is behind while clients write.
type Lag struct {
	Clients               int     `json:"clients"`
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	// Commit is how long the transactions took on the leader, Lag how long after the
	// leader's answer the standby had them; 0 for those that it had before.
	Commit Percentiles `json:"commit"`
	Lag    Percentiles `json:"lag"`
	// OverCommit are the ratios of Lag to Commit.
	OverCommit Over `json:"overCommit"`
	// RequestsPerSecond are the standby's.
	RequestsPerSecond float64 `json:"requestsPerSecond"`
}

// Idle is what a standby asks of a store in which nothing happens, the watch on the
// lease included.
type Idle struct {
	Seconds           float64  `json:"seconds"`
	Requests          Requests `json:"requests"`
	RequestsPerMinute float64  `json:"requestsPerMinute"`
	// DollarsPerMonth is what a standby costs that is always idle.
	DollarsPerMonth float64 `json:"dollarsPerMonth"`
}

const lagClients = 16

// applied is when a transaction had come somewhere.
type applied struct {
	transaction persistence.TransactionNumber
	at          time.Time
}

// arrivals are transactions in the order in which they came.
type arrivals struct {
	mu  sync.Mutex
	all []applied
	err error // why no more come
}

func (a *arrivals) add(transaction persistence.TransactionNumber) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, applied{transaction, time.Now()})
}

// has tells whether a transaction has come, or no more do.
func (a *arrivals) has(transaction persistence.TransactionNumber) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err != nil || len(a.all) > 0 && a.all[len(a.all)-1].transaction >= transaction
}

// watch notes what comes to a member, until ctx ends.
func (a *arrivals) watch(ctx context.Context, m *member, from persistence.TransactionNumber) {
	for c, err := range m.store.Watch(ctx, from) {
		if err != nil {
			a.mu.Lock()
			a.err = err
			a.mu.Unlock()
			return
		}
		a.add(c.Transaction)
	}
}

// lag writes on the leader and watches the standby.
func (o *Options) lag(ctx context.Context, p *pair) (l Lag, err error) {
	const what = "a standby's lag"
	var answered, seen arrivals
	var watching sync.WaitGroup
	watchCtx, stop := context.WithCancel(ctx)
	watching.Go(func() { seen.watch(watchCtx, p.standby, p.standby.store.Status().Transaction+1) })
	var before Requests
	measured := persistence.TransactionNumber(0) // those after it count
	run, err := o.run(ctx, what, lagClients, func() {
		before, measured = p.standby.place.counter.requests(), p.leader.store.Status().Transaction
	}, func(ctx context.Context, client, i int) error {
		pending, err := p.leader.store.Submit(ctx, saveTask(taskID(client, i), dataOf(o.RecordBytes)), durability.WriteOptions{})
		if err != nil {
			return err
		}
		commit, err := pending.Wait(ctx)
		answered.add(commit.Transaction)
		return err
	})
	made := p.standby.place.counter.requests().since(before)
	if err == nil {
		newest := p.leader.store.Status().Transaction
		err = until(ctx, "the standby to come to the end", func() bool { return seen.has(newest) })
	}
	stop()
	watching.Wait()
	if err = errors.Join(err, seen.err); err != nil {
		return l, fmt.Errorf("%s: %w", what, err)
	}
	l = Lag{Clients: lagClients, TransactionsPerSecond: run.PerSecond(), Commit: run.Latency(), Lag: PercentilesOf(lags(answered.all, seen.all, measured)),
		RequestsPerSecond: perSecond(float64(made.all()), run.Seconds)}
	l.OverCommit = over(l.Lag, l.Commit)
	return l, nil
}

// lags are how much later than they were answered the transactions after a number were
// seen.
func lags(answered, seen []applied, after persistence.TransactionNumber) []time.Duration {
	var all []time.Duration
	for _, a := range answered {
		if a.transaction <= after {
			continue
		}
		i, _ := slices.BinarySearchFunc(seen, a.transaction, func(s applied, n persistence.TransactionNumber) int { return cmp.Compare(s.transaction, n) })
		if i < len(seen) {
			all = append(all, max(0, seen[i].at.Sub(a.at)))
		}
	}
	return all
}

// idleFor is how many durations a standby is watched: proofs that the end of the log is
// its end come every half minute.
const idleFor = 6

// idle counts what the standby asks while nothing happens.
func (o *Options) idle(ctx context.Context, p *pair) (Idle, error) {
	const what = "an idle standby"
	o.progress(what, 0)
	// It asks ever more rarely: what it does for the first seconds does not count.
	if err := sleep.For(ctx, o.Duration); err != nil {
		return Idle{}, err
	}
	before, start := p.standby.place.counter.requests(), time.Now()
	for i := range idleFor {
		o.progress(what, float64(i)/idleFor)
		if err := sleep.For(ctx, o.Duration); err != nil {
			return Idle{}, err
		}
	}
	i := Idle{Seconds: time.Since(start).Seconds(), Requests: p.standby.place.counter.requests().since(before)}
	i.RequestsPerMinute = 60 * perSecond(float64(i.Requests.all()), i.Seconds)
	i.DollarsPerMonth = i.Requests.dollarsPerMonth(o.Prices, i.Seconds)
	return i, nil
}
