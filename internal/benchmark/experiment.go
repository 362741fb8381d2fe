package benchmark

import (
	"context"
	"fmt"
	"time"

	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Options of the experiments. All must be set, but for Profile, Prices and Progress.
type Options struct {
	// RecordBytes is the size of a record; records don't compress.
	RecordBytes int
	// Clients are the numbers of clients that commit at once.
	Clients []int
	// Duration of each measurement.
	Duration time.Duration
	// Transactions are written for recovery, and counted requests of; a large state has as
	// many tasks.
	Transactions int
	// Profile names the latencies that are put before the store; see package
	// latencydriver. Empty leaves out what needs them.
	Profile string
	// Prices are those by which requests are billed; the zero value costs nothing.
	Prices cost.Prices
	// Progress, if set, is told what is being done and how much of it is done, from 0
	// to 1.
	Progress func(what string, done float64)
}

// Report is what was found. What was left out is absent.
type Report struct {
	Commit       *Commit       `json:"commit,omitzero"`
	Clients      *Clients      `json:"clients,omitzero"`
	Transactions *Transactions `json:"transactions,omitzero"`
	Profile      *Profiled     `json:"profile,omitzero"`
	Hedging      *Hedging      `json:"hedging,omitzero"`
	Recovery     *Recovery     `json:"recovery,omitzero"`
	Snapshots    *Snapshots    `json:"snapshots,omitzero"`
	Failover     *Failover     `json:"failover,omitzero"`
	Requests     *Accounting   `json:"requests,omitzero"`
}

// Experiment is a part of the report.
type Experiment struct {
	Name string
	// What it measures, for people.
	What string
	// Run adds its part to the report. Nothing of it is open in the scratch when it
	// returns.
	Run func(context.Context, *Scratch, Options, *Report) error
	// Profiled tells that it needs a profile of latencies.
	Profiled bool
	// Estimate is what it asks of a store whose PUTs take estimatedPut.
	Estimate func(Options) Estimate
}

// Estimate is about how many requests there will be.
type Estimate struct {
	Puts int `json:"puts"`
	Gets int `json:"gets"`
}

// Dollars is what they cost.
func (e Estimate) Dollars(p cost.Prices) float64 {
	return p.Dollars(cost.Requests{Writes: float64(e.Puts), Reads: float64(e.Gets)})
}

const (
	// A cloud's PUT takes about 50 ms; whatever the number of clients, a log makes
	// about as many PUTs a second as six that are always on their way.
	estimatedPut  = 50 * time.Millisecond
	estimatedMost = 120
)

// puts are those of so many clients for a number of durations.
func (o *Options) puts(clients int, durations float64) int {
	rate := min(float64(clients)/estimatedPut.Seconds(), estimatedMost)
	return int(rate * durations * 1.1 * o.Duration.Seconds())
}

// Experiments are all, in the order in which they are run.
func Experiments() []Experiment {
	return []Experiment{
		{Name: "commit", What: "one client: a raw conditional PUT, a commit to the log, a transaction",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Commit, err = MeasureCommit(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				return Estimate{Puts: o.puts(1, 2)}
			}},
		{Name: "clients", What: "throughput of the log by clients",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Clients, err = MeasureClients(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				e := Estimate{Puts: o.puts(1, 1)}
				for _, n := range o.Clients {
					e.Puts += o.puts(n, 1)
				}
				return e
			}},
		{Name: "transactions", What: "throughput of the whole store by clients",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Transactions, err = MeasureTransactions(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				e := Estimate{}
				for _, n := range transactionClients {
					e.Puts += o.puts(n, 1)
				}
				return e
			}},
		{Name: "profile", What: "the whole store with the latencies of a cloud", Profiled: true,
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Profile, err = MeasureProfile(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				return Estimate{Puts: o.puts(putClients, 1) + o.puts(profileClients, 1)}
			}},
		{Name: "hedging", What: "commits where some PUTs are very slow, with and without hedging", Profiled: true,
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Hedging, err = MeasureHedging(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				return Estimate{Puts: 2 * o.puts(hedgingClients, 2)}
			}},
		{Name: "recovery", What: "reading it all back, against raw GETs",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Recovery, err = MeasureRecovery(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				entries := o.Transactions*o.RecordBytes>>20 + 1
				return Estimate{Puts: entries, Gets: 2 * replayRounds * entries}
			}},
		{Name: "snapshots", What: "commits beside snapshots of a state of so many tasks, and recovering it",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Snapshots, err = MeasureSnapshots(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				parts := o.Transactions*o.RecordBytes/snapshot.PartBytes + 2
				return Estimate{Puts: o.Transactions/tasksPerWrite + o.puts(snapshotClients, 3*snapshotRounds) + 2*snapshotRounds*parts,
					Gets: o.puts(snapshotClients, 3*snapshotRounds) + (2*snapshotRounds+1)*parts}
			}},
		{Name: "failover", What: "hand-over, crash, a follower's lag and what it costs idle",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Failover, err = MeasureFailover(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				return Estimate{Puts: o.puts(lagClients, 1) + 100, Gets: 2*o.puts(lagClients, 1) + o.puts(1, idleFor)/4 + 100}
			}},
		{Name: "requests", What: "every request that transactions cost",
			Run: func(ctx context.Context, s *Scratch, o Options, r *Report) (err error) {
				r.Requests, err = MeasureRequests(ctx, s, o)
				return err
			},
			Estimate: func(o Options) Estimate {
				return Estimate{Puts: o.Transactions/requestClients*4 + 1}
			}},
	}
}

// progress tells of one measurement.
func (o *Options) progress(what string, done float64) {
	if o.Progress != nil {
		o.Progress(what, min(done, 1))
	}
}

// run is a load of so many clients for the duration, after a tenth of that to warm up:
// connections are open then, and caches filled. begin, if not nil, is called in between.
func (o *Options) run(ctx context.Context, what string, clients int, begin func(), call Call) (*Run, error) {
	o.progress(what, 0)
	warm, err := Load{Clients: clients, Duration: o.Duration/10 + 1}.Run(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if begin != nil {
		begin()
	}
	start := time.Now()
	r, err := Load{Clients: clients, Duration: o.Duration,
		Progress: func(int) { o.progress(what, float64(time.Since(start))/float64(o.Duration)) },
	}.Run(ctx, func(ctx context.Context, client, i int) error { return call(ctx, client, warm.Count+i) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return r, nil
}
