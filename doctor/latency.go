package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
)

// Latency is how long requests of one kind took, one after another.
type Latency struct {
	Operation string  `json:"operation"` // as the metrics call it
	Is        string  `json:"is"`
	Requests  int     `json:"requests"`
	P50       float64 `json:"p50Ms"`
	P99       float64 `json:"p99Ms"`
}

const (
	samples     = 100
	sampleBytes = 1 << 10
	// failoverRequests go one after another between a free lease and the first commit.
	failoverRequests = 7
	slowCommit       = 500 * time.Millisecond
)

// timing is one kind of request, and how long each took.
type timing struct {
	operation, is string
	do            func(i int) error
	took          []time.Duration
}

// at is the nearest rank of so many hundredths.
func (t *timing) at(hundredths int) time.Duration {
	return t.took[(len(t.took)*hundredths+99)/100-1]
}

// latency measures one request after another: what a commit takes that waits for none
// before it. Each object is written twice only, for the store that takes one change of
// an object in a second.
func latency(ctx context.Context, p *patient) []Finding {
	b := p.own[0]
	key := func(i int) string { return fmt.Sprintf("latency/%03d", i) }
	var timings []*timing
	var replace, create *timing
	if p.writes {
		versions := make([]bucket.Version, samples)
		create = &timing{operation: "create", is: "conditional PUT of 1 KiB if absent: an entry of the log", do: func(i int) (err error) {
			versions[i], err = b.Create(ctx, key(i), random())
			return err
		}}
		replace = &timing{operation: "replace", is: "conditional PUT of 1 KiB if unchanged: a renewal of the lease", do: func(i int) error {
			_, err := b.Replace(ctx, key(i), random(), versions[i])
			return err
		}}
		timings = []*timing{create, replace}
	}
	timings = append(timings, &timing{operation: "get", is: "GET of 1 KiB: recovering, following", do: func(i int) error {
		_, err := b.Get(ctx, key(i))
		if !p.writes && errors.Is(err, bucket.ErrNotExist) {
			err = nil
		}
		return err
	}}, &timing{operation: "list", is: "LIST: making sure of the log's end", do: func(int) error {
		for _, err := range b.List(ctx, "latency/", "") {
			if err != nil {
				return err
			}
		}
		return nil
	}})
	for _, t := range timings {
		for i := range samples {
			start := time.Now()
			if err := t.do(i); err != nil {
				return undecided(err, "how long requests take")
			}
			t.took = append(t.took, time.Since(start))
		}
		slices.Sort(t.took)
		p.report.Latencies = append(p.report.Latencies, Latency{t.operation, t.is, samples, milliseconds(t.at(50)), milliseconds(t.at(99))})
	}
	if !p.writes {
		t := timings[0]
		return ok(fmt.Sprintf("a GET takes %v, one in a hundred %v: a follower is behind by that at least", round(t.at(50)), round(t.at(99))))
	}
	return p.judgeLatency(create, replace)
}

func random() []byte {
	data := make([]byte, sampleBytes)
	_, _ = rand.Read(data) // never fails
	return data
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func round(d time.Duration) time.Duration {
	if d > 100*time.Millisecond {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// judgeLatency tells what it means for commits and for the lease, which is renewed each
// third of its TTL.
func (p *patient) judgeLatency(create, replace *timing) []Finding {
	found := fmt.Sprintf("a commit takes %v, one in a hundred %v; a fail-over after a release about %v; the lease of %v is renewed each %v, which takes %v, one in a hundred %v",
		round(create.at(50)), round(create.at(99)), round(failoverRequests*create.at(50)),
		p.LeaseTTL, (p.LeaseTTL / 3).Round(time.Millisecond), round(replace.at(50)), round(replace.at(99)))
	const least = 3 * time.Second
	wanted := max(least, (10*replace.at(99)).Round(time.Second)+time.Second)
	fix := fmt.Sprintf("run the daemons in the bucket's region, and look at what is between; or give a longer lease, --lease-ttl %v", wanted)
	switch {
	case replace.at(50) > p.LeaseTTL/3:
		return unfit(found, "a renewal takes longer than the time between two: leadership is lost again and again", fix)
	case replace.at(99) > p.LeaseTTL/6:
		return warning(found, "the data is safe, but a few slow renewals one after another lose leadership", fix)
	case create.at(99) > slowCommit:
		return warning(found, "the data is safe, but who waits for a commit waits long", "run the daemons in the bucket's region, and look at what is between")
	}
	return ok(found)
}
