package load

import (
	"math"
	"math/rand/v2"
	"testing"
)

// made makes up a series of minutes.
func made(n int, f func(i float64) float64) []float64 {
	series := make([]float64, n)
	for i := range series {
		series[i] = f(float64(i))
	}
	return series
}

func TestJudge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	saw := func(i float64) float64 { return math.Mod(i, 7) * 10 }
	for name, c := range map[string]struct {
		series []float64
		grows  bool
	}{
		"constant":                    {made(60, func(float64) float64 { return 100 }), false},
		"nothing":                     {made(60, func(float64) float64 { return 0 }), false},
		"falls":                       {made(60, func(i float64) float64 { return 200 - i }), false},
		"saw":                         {made(60, func(i float64) float64 { return 100 + saw(i) }), false},
		"noise":                       {made(60, func(float64) float64 { return 100 + 20*random.Float64() }), false},
		"fills up, then stays":        {made(60, func(i float64) float64 { return 100 + 400*math.Min(i, 12)/12 }), false},
		"a spike at the end":          {made(60, func(i float64) float64 { return 100 + 1e6*math.Max(0, i-58) }), false},
		"leaks":                       {made(60, func(i float64) float64 { return 100 + 3*i }), true},
		"leaks under a saw":           {made(60, func(i float64) float64 { return 100 + saw(i) + 3*i }), true},
		"leaks under noise":           {made(60, func(i float64) float64 { return 100 + 20*random.Float64() + 3*i }), true},
		"begins to leak half way":     {made(60, func(i float64) float64 { return 100 + 5*math.Max(0, i-30) }), true},
		"doubles":                     {made(60, func(i float64) float64 { return 10 * math.Pow(2, i/10) }), true},
		"a step in the third quarter": {made(60, func(i float64) float64 { return 100 + 100*math.Floor(i/40) }), true},
		"from nothing":                {made(60, func(i float64) float64 { return 3 * math.Max(0, i-30) }), true},
		"too short":                   {made(11, func(float64) float64 { return 1 }), true},
	} {
		if err := (Allowance{1.25, 25}).Grows(c.series); (err != nil) != c.grows {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQuantile(t *testing.T) {
	bounds := []float64{1, 2, 4}
	for _, c := range []struct {
		q      float64
		counts []float64
		want   float64
	}{
		{.5, []float64{0, 0, 0, 0}, 0}, {.5, []float64{10, 0, 0, 0}, .5}, {.5, []float64{5, 5, 0, 0}, 1},
		{.75, []float64{0, 10, 10, 0}, 3}, {.99, []float64{0, 100, 0, 0}, 1.99}, {.99, []float64{1, 0, 0, 99}, 4},
	} {
		if got := Quantile(c.q, bounds, c.counts); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v of %v is %v, want %v", c.q, c.counts, got, c.want)
		}
	}
}
