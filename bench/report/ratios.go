package report

import "github.com/scheduler-store/scheduler-store/internal/benchmark"

// Ratio is a figure that means something on other machines too.
type Ratio struct {
	What  string
	Value float64
	// AtMost or AtLeast is what is aimed at; 0 where nothing is.
	AtMost, AtLeast float64
}

// Met says that the aim, if there is one, is reached.
func (r Ratio) Met() bool {
	return (r.AtMost == 0 || r.Value <= r.AtMost) && r.Value >= r.AtLeast
}

// most is the number of clients at which the peers are set against each other.
const most = 256

// Ratios are those whose two sides were measured.
func (r *Report) Ratios() []Ratio {
	var ratios []Ratio
	if raw, log, store := r.inTurn(Raw), r.inTurn(Log), r.inTurn(Store); raw != nil && log != nil && store != nil {
		ratios = append(ratios,
			Ratio{What: "one client, in turn: p50 of log / raw", Value: benchmark.Ratio(log.Latency.P50, raw.Latency.P50), AtMost: 1.10},
			Ratio{What: "one client, in turn: p99 of log / raw", Value: benchmark.Ratio(log.Latency.P99, raw.Latency.P99), AtMost: 1.5},
			Ratio{What: "one client, in turn: p50 of store / raw", Value: benchmark.Ratio(store.Latency.P50, raw.Latency.P50)})
	}
	rate := func(c *Cell) float64 { return c.RecordsPerSecond }
	perCPU := func(c *Cell) float64 { return benchmark.Ratio(1000, c.CPU()) }
	p50 := func(c *Cell) float64 { return c.Latency.P50 }
	for _, pair := range []struct {
		what, above, below string
		of                 func(*Cell) float64
		atLeast            float64
	}{
		{"256 clients: records/s of log / etcd", Log, Etcd, rate, 4},
		{"256 clients: records/s of log / series", Log, Series, rate, 20},
		{"256 clients: records/s of log / manifest", Log, Manifest, rate, 0},
		{"256 clients: records/s of log / raft", Log, Raft, rate, 0},
		{"256 clients: records/s of store / etcd", Store, Etcd, rate, 2},
		{"256 clients: records/s of log / etcd, one connection", Log, EtcdOne, rate, 0},
		{"256 clients: records/s of store / etcd, one connection", Store, EtcdOne, rate, 0},
		{"256 clients: p50 of etcd / log", Etcd, Log, p50, 0},
		{"256 clients: records a CPU second of log / etcd", Log, Etcd, perCPU, 0},
		{"256 clients: records a CPU second of store / etcd", Store, Etcd, perCPU, 0},
	} {
		if above, below := r.Cell(pair.above, most), r.Cell(pair.below, most); above != nil && below != nil {
			ratios = append(ratios, Ratio{What: pair.what, Value: benchmark.Ratio(pair.of(above), pair.of(below)), AtLeast: pair.atLeast})
		}
	}
	return ratios
}
