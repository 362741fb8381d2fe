package benchmark

import (
	"math"
	"slices"
	"time"
)

// Percentiles of durations, in milliseconds: each is the least of the durations that
// so many of them do not exceed (the nearest rank), so it was really measured. All are
// 0 if nothing was.
type Percentiles struct {
	P50  float64 `json:"p50Ms"`
	P90  float64 `json:"p90Ms"`
	P99  float64 `json:"p99Ms"`
	P999 float64 `json:"p999Ms"`
	Max  float64 `json:"maxMs"`
}

// PercentilesOf sorts durations and says what they are.
func PercentilesOf(took []time.Duration) Percentiles {
	slices.Sort(took)
	return percentilesOfSorted(took)
}

func percentilesOfSorted(took []time.Duration) Percentiles {
	if len(took) == 0 {
		return Percentiles{}
	}
	// In thousandths, because 0.999 of 1,000 is a little more than 999 in binary.
	at := func(thousandths int) float64 {
		return milliseconds(took[(len(took)*thousandths+999)/1000-1])
	}
	return Percentiles{P50: at(500), P90: at(900), P99: at(990), P999: at(999), Max: at(1000)}
}

// milliseconds, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Ratio is a over b to three digits behind the point, 0 if b is.
func Ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return math.Round(a/b*1000) / 1000
}
