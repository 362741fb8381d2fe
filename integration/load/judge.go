package load

import (
	"fmt"
	"slices"
)

// Allowance is by how much a series may have grown and still be flat.
type Allowance struct {
	// Times is a factor, and Plus is added: small numbers may grow by it in any case.
	Times, Plus float64
}

// Grows tells what is wrong with a series that should be flat, or returns nil.
//
// The rule: the first quarter does not count, since pools, caches and what is kept for
// watchers fill up then. The median of the last quarter must be at most Times that of the
// second quarter, and Plus. Medians, as single values say little: a heap goes up and down
// with the collector, objects with the snapshots. So a quarter must be longer than the
// time from one snapshot, or collection, to the next. What falls is flat.
//
// A leak at a constant rate shows once what leaks in half of the time is more than the
// allowance: the longer, the finer.
func (a Allowance) Grows(series []float64) error {
	const least = 12
	if len(series) < least {
		return fmt.Errorf("%d values say nothing, want %d", len(series), least)
	}
	quarter := len(series) / 4
	early, late := median(series[quarter:2*quarter]), median(series[len(series)-quarter:])
	if most := early*a.Times + a.Plus; late > most {
		return fmt.Errorf("it grows: %.4g in the second quarter, %.4g in the last, %.4g is allowed", early, late, most)
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Quantile is that of the observations of a histogram, by the upper bounds of its buckets
// and how many came to each, not cumulated: between two bounds they are taken to be
// spread evenly. 0 if there are none.
func Quantile(q float64, bounds, counts []float64) float64 {
	sum := 0.0
	for _, n := range counts {
		sum += n
	}
	rank, below := q*sum, 0.0
	for i, n := range counts {
		lower := 0.0
		if i > 0 {
			lower = bounds[i-1]
		}
		if below+n >= rank && n > 0 {
			if i == len(counts)-1 { // beyond the last bound
				return lower
			}
			return lower + (bounds[i]-lower)*(rank-below)/n
		}
		below += n
	}
	return 0
}
