package latencydriver

import (
	"math"
	"math/rand/v2"
	"time"
)

// Distribution says how long the requests of one kind take:
//
//	body × slowness + bytes / BytesPerSecond
//
// The body is log-normal: Median × e^(Sigma × z), z being normal. Slowness is 1
// but for the requests of the Tail. So Distribution{Median: 20 * time.Millisecond}
// takes 20 ms each time. The zero value takes no time.
type Distribution struct {
	// Median of the body.
	Median time.Duration
	// Sigma is the standard deviation of the body's logarithm: 84 % of requests
	// take less than e^Sigma medians. With 0 all take the median.
	Sigma float64
	// Tail is what some requests suffer on top.
	Tail Tail
	// BytesPerSecond is how fast one request carries its object; 0 is at once.
	BytesPerSecond float64
}

// Tail says which requests are slow, and how slow. With Alpha 0, each takes
// Factor times as long: Tail{Probability: 0.02, Factor: 20} makes 2 % of
// requests 20 times slower.
type Tail struct {
	// Probability of a request to be slow, from 0 to 1.
	Probability float64
	// Factor is how many times its body a slow request takes at least.
	Factor float64
	// Alpha is the index of the Pareto distribution that the factor follows: of
	// the slow requests, one in x^Alpha is more than x × Factor times slower. The
	// smaller it is, the heavier the tail. 0 means Factor exactly.
	Alpha float64
	// Max bounds what a slow request takes, transfer aside; 0 means a day.
	Max time.Duration
}

// longest bounds what any request takes, so that no draw overflows.
const longest = 24 * time.Hour

// luck is what chance gives one request. It is drawn before it is known which
// distribution applies (a read may find nothing), and means the same in each.
type luck struct {
	body   float64 // normal: the body's deviation from its median
	tail   float64 // in [0, 1): slow if below the tail's probability
	factor float64 // in [0, 1): how slow
	split  float64 // in [0, 1): the part of the latency before the effect
}

func draw(r *rand.Rand) luck {
	return luck{body: r.NormFloat64(), tail: r.Float64(), factor: r.Float64(), split: r.Float64()}
}

// latency is how long a request without bytes takes.
func (d Distribution) latency(l luck) time.Duration {
	body := float64(d.Median) * math.Exp(d.Sigma*l.body)
	if l.tail >= d.Tail.Probability {
		return bounded(body)
	}
	factor := d.Tail.Factor
	if d.Tail.Alpha > 0 {
		factor *= math.Pow(1-l.factor, -1/d.Tail.Alpha)
	}
	slow := body * factor
	if d.Tail.Max > 0 {
		slow = min(slow, float64(d.Tail.Max))
	}
	return bounded(max(slow, body))
}

// transfer is how long the bytes take.
func (d Distribution) transfer(bytes int) time.Duration {
	if d.BytesPerSecond <= 0 {
		return 0
	}
	return bounded(float64(bytes) / d.BytesPerSecond * float64(time.Second))
}

func bounded(nanoseconds float64) time.Duration {
	return time.Duration(min(nanoseconds, float64(longest)))
}
