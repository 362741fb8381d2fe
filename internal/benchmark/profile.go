package benchmark

import (
	"context"
	"fmt"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
)

// Profiled is the log's and the whole store's throughput with the latencies of a cloud, which come on
// top of those of the store itself.
type Profiled struct {
	Profile     string `json:"profile"`
	RecordBytes int    `json:"recordBytes"`
	// Put is how long raw conditional PUTs of one record take with these latencies.
	Put          Percentiles `json:"put"`
	Commits      Throughput  `json:"commits"`
	Transactions Throughput  `json:"transactions"`
	// CommitsOverPut and OverPut are the median commit to the log and the median
	// transaction over the median PUT.
	CommitsOverPut float64 `json:"commitsOverPut"`
	OverPut        float64 `json:"overPut"`
}

const (
	profileClients = 1000
	// putClients make the raw PUTs at once: few enough to be no load.
	putClients = 8
	// seed makes the latencies of two runs those of the same chance.
	seed = 1
)

// withLatencies gives a store the latencies of a profile.
func withLatencies(p latencydriver.Profile) wrapper {
	return func(d driver.Bucket) driver.Bucket { return latencydriver.New(d, p, seed) }
}

// MeasureProfile measures a Profiled.
func MeasureProfile(ctx context.Context, s *Scratch, o Options) (*Profiled, error) {
	profile, err := latencydriver.Lookup(o.Profile)
	if err != nil {
		return nil, err
	}
	wrap := withLatencies(profile)
	raw := s.place("profile-raw", wrap)
	puts, err := o.run(ctx, "PUTs like "+o.Profile+"'s", putClients, nil, func(ctx context.Context, _, i int) error {
		return raw.put(ctx, fmt.Sprintf("%020d", i), Noise(o.RecordBytes))
	})
	if err != nil {
		return nil, err
	}
	p := &Profiled{Profile: o.Profile, RecordBytes: o.RecordBytes, Put: puts.Latency()}
	if p.Commits, err = o.commits(ctx, s.place("profile-log", wrap), "commits as on "+o.Profile, profileClients); err != nil {
		return nil, err
	}
	p.CommitsOverPut = Ratio(p.Commits.Latency.P50, p.Put.P50)
	p.Transactions, err = o.transactions(ctx, s.place("profile", wrap), "transactions as on "+o.Profile, profileClients, storeOptions())
	p.OverPut = Ratio(p.Transactions.Latency.P50, p.Put.P50)
	return p, err
}
