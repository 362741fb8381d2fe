package benchmark

import (
	"context"
	"fmt"

	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// Clients is the log's throughput.
type Clients struct {
	RecordBytes int `json:"recordBytes"`
	// Series are PUTs of one record each, one after another.
	Series Series `json:"putsInSeries"`
	// Rows are by the number of clients that each commit one record after another.
	Rows []Throughput `json:"rows"`
}

// Series is one request after another.
type Series struct {
	PerSecond float64     `json:"perSecond"`
	Latency   Percentiles `json:"latency"`
}

// Throughput is what a number of clients come to.
type Throughput struct {
	Clients       int         `json:"clients"`
	PerSecond     float64     `json:"perSecond"`
	PutsPerSecond float64     `json:"putsPerSecond"`
	EntryBytes    float64     `json:"entryBytes"`
	Latency       Percentiles `json:"latency"`
	// Per is what this process used for each, the clients themselves included, and the
	// store too if that is memory or a directory.
	Per Usage `json:"usagePerCommit"`
	// OverSeries is the ratio to PUTs in series, 0 where these were not measured.
	OverSeries float64 `json:"overSeries,omitzero"`
}

// MeasureClients measures Clients.
func MeasureClients(ctx context.Context, s *Scratch, o Options) (*Clients, error) {
	c := &Clients{RecordBytes: o.RecordBytes}
	raw := s.place("clients-raw", nil)
	series, err := o.run(ctx, "PUTs in series", 1, nil, func(ctx context.Context, _, i int) error {
		return raw.put(ctx, fmt.Sprintf("%020d", i), Noise(o.RecordBytes))
	})
	if err != nil {
		return nil, err
	}
	c.Series = Series{series.PerSecond(), series.Latency()}
	for _, n := range o.Clients {
		row, err := o.commits(ctx, s.place(fmt.Sprintf("clients-%d", n), nil), "commits to the log", n)
		if err != nil {
			return nil, err
		}
		row.OverSeries = Ratio(row.PerSecond, c.Series.PerSecond)
		c.Rows = append(c.Rows, row)
	}
	return c, nil
}

// commits measures a log of its own.
func (o *Options) commits(ctx context.Context, p *place, what string, clients int) (row Throughput, err error) {
	err = withLog(ctx, p, blob.Options{}, func(_ *blob.Log, w *blob.Writer) (err error) {
		row, err = o.throughput(ctx, p, what, clients, func(ctx context.Context, _, _ int) error {
			return commit(ctx, w, Noise(o.RecordBytes))
		})
		return err
	})
	return row, err
}

// throughput lets clients make calls that write to a place.
func (o *Options) throughput(ctx context.Context, p *place, what string, clients int, call Call) (Throughput, error) {
	var before Requests
	r, err := o.run(ctx, fmt.Sprintf("%s by %d clients", what, clients), clients, func() { before = p.counter.requests() }, call)
	if err != nil {
		return Throughput{}, err
	}
	made := p.counter.requests().since(before)
	return Throughput{Clients: clients, PerSecond: r.PerSecond(), PutsPerSecond: perSecond(float64(made.Create), r.Seconds),
		EntryBytes: Ratio(float64(made.CreateBytes), float64(made.Create)), Latency: r.Latency(), Per: r.Usage.Per(r.Count)}, nil
}
