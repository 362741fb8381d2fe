package main

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// pauses is how long a reader waited for one task of the newest state, in microseconds,
// and what the garbage collector stopped the program for meanwhile.
type pauses struct {
	What                  string  `json:"what"`
	Reads                 int     `json:"reads"`
	P50                   float64 `json:"p50Micros"`
	P99                   float64 `json:"p99Micros"`
	P999                  float64 `json:"p999Micros"`
	Max                   float64 `json:"maxMicros"`
	TransactionsPerSecond float64 `json:"transactionsPerSecond"`
	GCPauses              int     `json:"gcPauses"`
	GCPauseP50            float64 `json:"gcPauseP50Micros"`
	GCPauseMax            float64 `json:"gcPauseMaxMicros"`
}

// measurePauses lets one goroutine read, first alone and then beside one that writes
// transactions of one task without a rest. In the middle of each the garbage is
// collected: with so large a heap that comes too seldom to be met by chance.
func (s *stores) measurePauses(c *cluster, state *storage.State) error {
	for _, writing := range []bool{false, true} {
		p := pauses{What: "no writer"}
		if writing {
			p.What = "beside a writer"
		}
		if err := p.measure(c, state, writing); err != nil {
			return err
		}
		s.Pauses = append(s.Pauses, p)
	}
	return nil
}

func (p *pauses) measure(c *cluster, state *storage.State, writing bool) error {
	const duration = 5 * time.Second
	ids := make([]string, 1<<16)
	random := rand.New(rand.NewPCG(4, 4))
	for i := range ids {
		ids[i] = taskID(random.IntN(c.tasks))
	}
	runtime.GC() // so that none is due
	var newest atomic.Pointer[storage.State]
	newest.Store(state)
	var ended atomic.Bool
	var running sync.WaitGroup
	var failed error
	transactions := 0
	before, start := gcPauses(), time.Now()
	if writing {
		running.Go(func() {
			for ; !ended.Load() && failed == nil; transactions++ {
				tx := newest.Load().Begin()
				_, failed = tx.Tasks().Mutate(ids[transactions*7919%len(ids)], func(task *api.ScheduledTask) error {
					task.TaskEvents = task.TaskEvents[:min(6, len(task.TaskEvents))] // so that tasks don't grow
					return move(task)
				})
				newest.Store(tx.Commit())
			}
		})
	}
	running.Go(func() {
		time.Sleep(duration / 2)
		runtime.GC()
	})
	var reads histogram
	for i := 0; time.Since(start) < duration; i++ {
		begin := time.Now()
		newest.Load().Tasks().Fetch(ids[i%len(ids)])
		reads.add(time.Since(begin))
	}
	seconds := time.Since(start).Seconds()
	ended.Store(true)
	running.Wait()
	p.Reads, p.P50, p.P99, p.P999, p.Max = reads.n, reads.micros(0.50), reads.micros(0.99), reads.micros(0.999), float64(reads.max.Nanoseconds())/1000
	p.TransactionsPerSecond = float64(transactions) / seconds
	p.countGC(before, gcPauses())
	return failed
}

// histogram counts durations in classes that are 1/16 wide of where they begin.
type histogram struct {
	classes [64 * 16]int
	n       int
	max     time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.n++
	h.max = max(h.max, d)
	v := uint64(max(d, 16))
	shift := bits.Len64(v) - 5
	h.classes[shift*16+int(v>>shift)-16]++
}

// micros is the upper end of the class that the quantile is in.
func (h *histogram) micros(quantile float64) float64 {
	left := int(quantile * float64(h.n))
	for class, n := range h.classes {
		if left -= n; left < 0 {
			shift, mantissa := class/16, class%16+16
			return float64(uint64(mantissa+1)<<shift) / 1000
		}
	}
	return float64(h.max.Nanoseconds()) / 1000
}

func gcPauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

// countGC takes the pauses between two moments; a class of the runtime's histogram
// counts as its upper end.
func (p *pauses) countGC(before, after *metrics.Float64Histogram) {
	classes := make([]int, len(after.Counts))
	for i := range classes {
		classes[i] = int(after.Counts[i] - before.Counts[i])
		p.GCPauses += classes[i]
	}
	seen := 0
	for i, n := range classes {
		if n == 0 {
			continue
		}
		end := after.Buckets[i+1]
		if math.IsInf(end, 1) {
			end = after.Buckets[i]
		}
		if seen <= p.GCPauses/2 {
			p.GCPauseP50 = end * 1e6
		}
		seen += n
		p.GCPauseMax = end * 1e6
	}
}
