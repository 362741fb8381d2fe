// Package report is what a run of the bench found: as data, as text, and as ratios.
package report

import (
	"time"

	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

// Report is one run. A part that was left out is empty.
type Report struct {
	Started     time.Time `json:"started"`
	Machine     string    `json:"machine"` // system, cores, Go's version
	RecordBytes int       `json:"recordBytes"`
	// InTurn are the latencies of one client that called each of some peers in turn,
	// over and over, so that whatever else the machine did hit all alike.
	InTurn []InTurn `json:"inTurn"`
	Cells  []Cell   `json:"cells"`
}

// InTurn is one peer's part of calls in turn.
type InTurn struct {
	Peer    string  `json:"peer"`
	Latency Latency `json:"latency"`
}

// Cell is one peer with so many clients, each of which appends one record after
// another.
type Cell struct {
	Peer             string  `json:"peer"`
	Clients          int     `json:"clients"`
	Seconds          float64 `json:"seconds"`
	Records          int     `json:"records"`
	RecordsPerSecond float64 `json:"recordsPerSecond"`
	Latency          Latency `json:"latency"`
	// Requests to the bucket by operation, as the server counted them; none if the
	// peer has no bucket.
	Requests          map[string]int `json:"requests,omitempty"`
	RequestsPerSecond float64        `json:"requestsPerSecond,omitempty"`
	// CPU seconds for 1,000 records: of this process, in which run the load, the peer,
	// its clients, and the server of etcd; and of the bucket's server.
	ProcessCPU float64 `json:"processCPUSecondsPerThousand"`
	ServerCPU  float64 `json:"serverCPUSecondsPerThousand"`
	// Allocations of this process on the heap, and their bytes, for each record.
	Allocations    float64 `json:"allocationsPerRecord"`
	AllocatedBytes float64 `json:"allocatedBytesPerRecord"`
}

// CPU is the seconds for 1,000 records, of both processes.
func (c *Cell) CPU() float64 { return c.ProcessCPU + c.ServerCPU }

// Latency is a distribution of durations.
type Latency struct {
	benchmark.Percentiles
	// Quantiles in milliseconds, one for each of Thousandths.
	Quantiles []float64 `json:"quantilesMs"`
}

// Thousandths of the durations that each of a Latency's quantiles is not less than:
// whole percents, and some more at the slow end.
var Thousandths = thousandths()

func thousandths() []int {
	all := []int{1}
	for percent := 1; percent < 100; percent++ {
		all = append(all, percent*10)
	}
	return append(all, 995, 998, 999, 1000)
}

// LatencyOf sorts durations and says what they are.
func LatencyOf(took []time.Duration) Latency {
	l := Latency{Percentiles: benchmark.PercentilesOf(took)}
	if len(took) == 0 {
		return l
	}
	for _, t := range Thousandths {
		nearest := (len(took)*t + 999) / 1000 // the rank, from 1 on
		l.Quantiles = append(l.Quantiles, float64(took[nearest-1].Microseconds())/1000)
	}
	return l
}

// Cell finds one, nil if it was not measured.
func (r *Report) Cell(peer string, clients int) *Cell {
	for i, c := range r.Cells {
		if c.Peer == peer && c.Clients == clients {
			return &r.Cells[i]
		}
	}
	return nil
}

func (r *Report) inTurn(peer string) *InTurn {
	for i, t := range r.InTurn {
		if t.Peer == peer {
			return &r.InTurn[i]
		}
	}
	return nil
}

// The peers, as they are named in data and options.
const (
	Raw      = "raw"
	Series   = "series"
	Manifest = "manifest"
	Etcd     = "etcd"
	EtcdOne  = "etcd-one"
	Raft     = "raft"
	Log      = "log"
	Store    = "store"
)

// Peers are all names, in the order of tables and legends.
var Peers = []string{Raw, Series, Manifest, Etcd, EtcdOne, Raft, Log, Store}

// Label says in a few words what a peer is.
func Label(peer string) string {
	return map[string]string{
		Raw:      "raw conditional PUTs",
		Series:   "one PUT each, in series",
		Manifest: "manifest log (as wal3)",
		Etcd:     "etcd, a connection each",
		EtcdOne:  "etcd, one connection",
		Raft:     "raft with raft-wal, one node",
		Log:      "our log",
		Store:    "our store",
	}[peer]
}
