package benchmark

import (
	"context"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// Hedging is what sending slow PUTs once more is good for: commits to the log by
// hedgingClients clients, where a share of the PUTs is very slow.
type Hedging struct {
	// Profile is that of the other PUTs.
	Profile    string  `json:"profile"`
	SlowShare  float64 `json:"slowShare"`
	SlowFactor float64 `json:"slowFactor"`
	Off        Hedged  `json:"off"`
	On         Hedged  `json:"on"`
	// OnOverOff is the ratio of latencies, P999 that of the 99.9th percentile.
	OnOverOff Over    `json:"onOverOff"`
	P999      float64 `json:"p999OnOverOff"`
	// MoreRequests is the share of PUTs that were hedges.
	MoreRequests float64 `json:"moreRequests"`
}

// Hedged is one run.
type Hedged struct {
	Throughput
	Requests Requests `json:"requests"`
}

const (
	hedgingClients = 16
	slowShare      = 0.02
	slowFactor     = 20
)

// MeasureHedging measures a Hedging.
func MeasureHedging(ctx context.Context, s *Scratch, o Options) (*Hedging, error) {
	profile, err := latencydriver.Lookup(o.Profile)
	if err != nil {
		return nil, err
	}
	profile.Write.Tail = latencydriver.Tail{Probability: slowShare, Factor: slowFactor}
	h := &Hedging{Profile: o.Profile, SlowShare: slowShare, SlowFactor: slowFactor}
	o.Duration *= 2 // slow PUTs are few
	for _, run := range []struct {
		result  *Hedged
		hedging bucket.Hedging
	}{{&h.Off, bucket.HedgeOff}, {&h.On, bucket.HedgeOn}} {
		p := s.place("hedging-"+run.hedging.String(), withLatencies(profile))
		if err := withLog(ctx, p, blob.Options{Hedge: run.hedging}, func(_ *blob.Log, w *blob.Writer) (err error) {
			before := p.counter.requests()
			run.result.Throughput, err = o.throughput(ctx, p, "commits, hedging "+run.hedging.String(), hedgingClients, func(ctx context.Context, _, _ int) error {
				return commit(ctx, w, Noise(o.RecordBytes))
			})
			run.result.Requests = p.counter.requests().since(before)
			return err
		}); err != nil {
			return nil, err
		}
	}
	h.OnOverOff, h.P999 = over(h.On.Latency, h.Off.Latency), Ratio(h.On.Latency.P999, h.Off.Latency.P999)
	h.MoreRequests = Ratio(float64(h.On.Requests.Hedges), float64(h.On.Requests.Create-h.On.Requests.Hedges))
	return h, nil
}
