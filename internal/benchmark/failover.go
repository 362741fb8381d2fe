package benchmark

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Failover is what a warm standby is good for, and what it costs.
type Failover struct {
	// HandOver is when the leader closes, Crash when it is cut off from the store and
	// its lease has to run out.
	HandOver Takeover `json:"handOver"`
	Crash    Takeover `json:"crash"`
	// CrashTTLSeconds is the lease's TTL at a crash; else it is the default.
	CrashTTLSeconds float64 `json:"crashTtlSeconds"`
	Lag             Lag     `json:"lag"`
	Idle            Idle    `json:"idle"`
}

// Takeover is how long it took, in milliseconds from the moment when the leader began
// to close or was cut off.
type Takeover struct {
	Rounds int `json:"rounds"`
	// FirstCommit is when the successor's first transaction was durable.
	FirstCommitMs    float64 `json:"firstCommitMs"`
	MaxFirstCommitMs float64 `json:"maxFirstCommitMs"`
	// The leader had closed, the successor led: medians.
	ClosedMs float64 `json:"closedMs,omitzero"`
	LeadsMs  float64 `json:"leadsMs"`
	// Stages are those that the successor tells of in its metrics, medians, from the last
	// sign of life of the leader that it saw: that is before the leader's end.
	Stages []Stage `json:"stages"`
}

// Stage is a part of taking over.
type Stage struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

// stageNames are the stages in their order.
var stageNames = []string{"detect", "claim", "replay", "seal", "ready"}

const (
	handOvers = 5
	crashes   = 2
	crashTTL  = 3 * time.Second // the shortest that there is
)

// MeasureFailover measures a Failover.
func MeasureFailover(ctx context.Context, s *Scratch, o Options) (*Failover, error) {
	f := &Failover{CrashTTLSeconds: crashTTL.Seconds()}
	err := withPair(ctx, s, "failover", 0, func(p *pair) (err error) {
		if f.HandOver, err = o.takeovers(ctx, p, "handing over", handOvers, p.handOver); err != nil {
			return err
		}
		if f.Lag, err = o.lag(ctx, p); err != nil {
			return err
		}
		f.Idle, err = o.idle(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = withPair(ctx, s, "crash", crashTTL, func(p *pair) (err error) {
		f.Crash, err = o.takeovers(ctx, p, "crashing", crashes, p.crash)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// took is one takeover.
type took struct {
	closed, leads, commit time.Duration
	stages                map[string]float64 // in milliseconds
}

// takeovers lets the standby take over again and again.
func (o *Options) takeovers(ctx context.Context, p *pair, what string, rounds int, takeOver func(context.Context, int) (took, error)) (t Takeover, err error) {
	var closed, leads, commits []float64
	stages := map[string][]float64{}
	for round := range rounds {
		o.progress(what, float64(round)/float64(rounds))
		got, err := takeOver(ctx, round)
		if err == nil {
			err = p.replace(ctx)
		}
		if err != nil {
			return t, fmt.Errorf("%s: %w", what, err)
		}
		closed, leads = append(closed, milliseconds(got.closed)), append(leads, milliseconds(got.leads))
		commits = append(commits, milliseconds(got.commit))
		for stage, ms := range got.stages {
			stages[stage] = append(stages[stage], ms)
		}
	}
	t = Takeover{Rounds: rounds, FirstCommitMs: median(commits), MaxFirstCommitMs: slices.Max(commits), ClosedMs: median(closed), LeadsMs: median(leads), Stages: []Stage{}}
	for _, name := range stageNames {
		if all := stages[name]; len(all) > 0 {
			t.Stages = append(t.Stages, Stage{name, median(all)})
		}
	}
	return t, nil
}

// handOver closes the leader, and lets the standby hear of it as daemons do, but not over
// HTTP.
func (p *pair) handOver(ctx context.Context, round int) (got took, err error) {
	released, standby := p.leader.store.LeaseReleased(), p.standby.store
	go func() {
		<-released
		standby.LookAtLease()
	}()
	start := time.Now()
	closed := make(chan error, 1)
	go func() {
		err := closeStore(ctx, p.leader.store, nil)
		got.closed = time.Since(start)
		closed <- err
	}()
	err = p.firstCommit(ctx, start, round, &got)
	if failed := <-closed; err == nil {
		err = failed
	}
	return got, err
}

// crash cuts the leader off.
func (p *pair) crash(ctx context.Context, round int) (got took, err error) {
	start := time.Now()
	p.leader.cut.off.Store(true)
	err = p.firstCommit(ctx, start, round, &got)
	return got, err
}

// firstCommit waits until the standby leads, and writes.
func (p *pair) firstCommit(ctx context.Context, start time.Time, round int, got *took) error {
	select {
	case err := <-p.standby.won:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	got.leads = time.Since(start)
	err := write(ctx, p.standby.store, 0, round, 1)
	got.commit = time.Since(start)
	got.stages = p.standby.stages()
	return err
}
