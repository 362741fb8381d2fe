package benchmark

import (
	"context"
	"fmt"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
)

// Accounting is every request that a leader made while transactions were written by
// requestClients goroutines. Nothing is hedged: what is slow now and then would be sent
// again, and counted.
type Accounting struct {
	Transactions          int      `json:"transactions"`
	Entries               int      `json:"entries"`
	Requests              Requests `json:"requests"`
	Seconds               float64  `json:"seconds"`
	TransactionsPerSecond float64  `json:"transactionsPerSecond"`
	// LeaseRenewals are replacements of the lease, which go by time: the only requests
	// that are no entry's.
	LeaseRenewals int64 `json:"leaseRenewals"`
	// PutsPerEntry is 1 if there was one PUT for each entry.
	PutsPerEntry float64 `json:"putsPerEntry"`
	// Others are the requests that are neither an entry's PUT nor a renewal.
	Others int64 `json:"others"`
	// DollarsPerMonth is what the requests cost at this rate, all the time, and
	// DollarsPerMillion those of a million transactions.
	DollarsPerMonth   float64 `json:"dollarsPerMonth"`
	DollarsPerMillion float64 `json:"dollarsPerMillion"`
}

const requestClients = 256

// MeasureRequests measures an Accounting.
func MeasureRequests(ctx context.Context, s *Scratch, o Options) (*Accounting, error) {
	p := s.place("requests", nil)
	a := &Accounting{}
	const what = "counting requests"
	so := storeOptions()
	so.Log.Hedge = bucket.HedgeOff
	err := withStore(ctx, p, so, func(store *schedulerstore.Store) error {
		if err := p.settle(ctx); err != nil {
			return err
		}
		before, status := p.counter.requests(), store.Status()
		run, err := Load{Clients: requestClients, Count: o.Transactions,
			Progress: func(done int) { o.progress(what, float64(done)/float64(o.Transactions)) },
		}.Run(ctx, func(ctx context.Context, client, i int) error { return write(ctx, store, client, i, o.RecordBytes) })
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		after := store.Status()
		a.Requests = p.counter.requests().since(before)
		a.Transactions, a.Entries = int(after.Transaction-status.Transaction), int(after.Position-status.Position)
		a.Seconds, a.TransactionsPerSecond = run.Seconds, run.PerSecond()
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.LeaseRenewals = a.Requests.Replace
	a.PutsPerEntry = Ratio(float64(a.Requests.Create), float64(a.Entries))
	a.DollarsPerMonth = a.Requests.dollarsPerMonth(o.Prices, a.Seconds)
	a.DollarsPerMillion = Ratio(1e6*a.DollarsPerMonth, cost.Month.Seconds()*a.TransactionsPerSecond)
	a.Others = a.Requests.Get + a.Requests.List + a.Requests.Delete
	return a, nil
}

// settle waits until nothing is asked any more of what a leader asks when it begins,
// such as for the newest snapshot.
func (p *place) settle(ctx context.Context) error {
	const quiet = 100 * time.Millisecond
	for last := int64(-1); last != p.counter.requests().all(); {
		last = p.counter.requests().all()
		if err := sleep.For(ctx, quiet); err != nil {
			return err
		}
	}
	return nil
}
