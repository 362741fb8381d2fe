package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/scheduler-store/scheduler-store/bench/report"
	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

// RecordBytes is the size of a record.
const RecordBytes = 1024

// warmUp is how long the clients call before it counts: connections are made, buffers
// have grown.
const warmUp = 500 * time.Millisecond

// Bench measures peers, one after another. It has a directory for all of them, and a
// server for those that need one.
type Bench struct {
	directory string
	server    *Server
	opened    int
}

// Start makes a directory in another one, which should be on a disk and not in memory,
// and starts the server there.
func Start(ctx context.Context, minio, in string) (*Bench, error) {
	directory, err := os.MkdirTemp(in, "bench-")
	if err != nil {
		return nil, err
	}
	server, err := StartMinIO(ctx, minio, directory)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	return &Bench{directory: directory, server: server}, nil
}

// Close stops the server and removes what was written.
func (b *Bench) Close() error { return errors.Join(b.server.Stop(), os.RemoveAll(b.directory)) }

// open makes a peer that has written nothing yet.
func (b *Bench) open(ctx context.Context, k Kind, clients int) (Peer, error) {
	b.opened++
	at := place{server: b.server, clients: clients, prefix: fmt.Sprintf("%s-%d", k.Name, b.opened)}
	at.directory = filepath.Join(b.directory, at.prefix)
	if err := os.Mkdir(at.directory, 0o700); err != nil {
		return nil, err
	}
	p, err := k.open(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k.Name, err)
	}
	return p, nil
}

// InTurn lets one client call the peers of these names in turn.
func (b *Bench) InTurn(ctx context.Context, rounds int, names ...string) (_ []report.InTurn, err error) {
	const unmeasured = 50 // rounds, at the beginning
	peers := make([]Peer, len(names))
	for i, name := range names {
		if peers[i], err = b.open(ctx, kind(name), 1); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, peers[i].Close()) }()
	}
	took := make([][]time.Duration, len(names))
	runtime.GC()
	for round := range unmeasured + rounds {
		for i, p := range peers {
			record := benchmark.Noise(RecordBytes)
			start := time.Now()
			if err := p.Append(ctx, record); err != nil {
				return nil, fmt.Errorf("%s: %w", names[i], err)
			}
			if round >= unmeasured {
				took[i] = append(took[i], time.Since(start))
			}
		}
	}
	var turns []report.InTurn
	for i, name := range names {
		turns = append(turns, report.InTurn{Peer: name, Latency: report.LatencyOf(took[i])})
	}
	return turns, nil
}

// Cell lets clients append one record after another for so long. Any error of any
// client is the cell's.
func (b *Bench) Cell(ctx context.Context, k Kind, clients int, duration time.Duration) (c report.Cell, err error) {
	p, err := b.open(ctx, k, clients)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	call := func(ctx context.Context, _, _ int) error { return p.Append(ctx, benchmark.Noise(RecordBytes)) }
	if _, err := (benchmark.Load{Clients: clients, Duration: warmUp}).Run(ctx, call); err != nil {
		return c, fmt.Errorf("%s, %d clients: %w", k.Name, clients, err)
	}
	runtime.GC()
	before, err := b.serverUsage(ctx, k)
	if err != nil {
		return c, err
	}
	run, err := (benchmark.Load{Clients: clients, Duration: duration}).Run(ctx, call)
	if err != nil {
		return c, fmt.Errorf("%s, %d clients: %w", k.Name, clients, err)
	}
	after, err := b.serverUsage(ctx, k)
	if err != nil {
		return c, err
	}
	return cell(k.Name, clients, run, before, after), nil
}

// serverUsage is what the bucket's server has done so far, if the peer uses it.
type serverUsage struct {
	requests   map[string]int
	cpuSeconds float64
}

func (b *Bench) serverUsage(ctx context.Context, k Kind) (u serverUsage, err error) {
	if !k.Bucket {
		return u, nil
	}
	if u.cpuSeconds, err = b.server.cpuSeconds(); err != nil {
		return u, err
	}
	u.requests, err = b.server.requests(ctx)
	return u, err
}

func cell(peer string, clients int, run *benchmark.Run, before, after serverUsage) report.Cell {
	each := run.Usage.Per(run.Count)
	c := report.Cell{Peer: peer, Clients: clients, Seconds: run.Seconds, Records: run.Count, RecordsPerSecond: run.PerSecond(),
		Latency: report.LatencyOf(run.Took), ProcessCPU: each.CPUSeconds * 1000,
		ServerCPU:   (after.cpuSeconds - before.cpuSeconds) / float64(run.Count) * 1000,
		Allocations: each.Allocations, AllocatedBytes: each.AllocatedBytes}
	for name, n := range after.requests {
		if n -= before.requests[name]; n > 0 {
			if c.Requests == nil {
				c.Requests = map[string]int{}
			}
			c.Requests[name] = n
			c.RequestsPerSecond += float64(n) / run.Seconds
		}
	}
	return c
}
