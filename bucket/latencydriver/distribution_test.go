package latencydriver

import (
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// sample draws n latencies and sorts them.
func sample(d Distribution, n int) []time.Duration {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d.latency(draw(r))
	}
	slices.Sort(all)
	return all
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

func near(got time.Duration, want, tolerance float64) bool {
	return math.Abs(float64(got)-want) <= tolerance*want
}

func TestBodyIsLogNormal(t *testing.T) {
	d := Distribution{Median: 60 * time.Millisecond, Sigma: 0.3}
	all := sample(d, 50_000)
	for q, z := range map[float64]float64{0.01: -2.3263, 0.5: 0, 0.9: 1.2816, 0.99: 2.3263} {
		want := float64(d.Median) * math.Exp(d.Sigma*z)
		if got := quantile(all, q); !near(got, want, 0.01) {
			t.Errorf("quantile %v is %v, want %v", q, got, time.Duration(want))
		}
	}
}

func TestWithoutSigmaAllTakeTheMedian(t *testing.T) {
	all := sample(Distribution{Median: 20 * time.Millisecond}, 1000)
	if all[0] != 20*time.Millisecond || all[999] != all[0] {
		t.Errorf("from %v to %v", all[0], all[999])
	}
}

// 2 % of requests 20 times slower, and nothing between.
func TestTailOfOneFactor(t *testing.T) {
	d := Distribution{Median: 60 * time.Millisecond, Tail: Tail{Probability: 0.02, Factor: 20}}
	slow := 0
	for _, latency := range sample(d, 100_000) {
		switch latency {
		case 1200 * time.Millisecond:
			slow++
		case d.Median:
		default:
			t.Fatalf("one took %v", latency)
		}
	}
	if slow < 1900 || slow > 2100 {
		t.Errorf("%d of 100,000 were slow", slow)
	}
}

// Of the slow, one in x^alpha is more than x times slower still, up to the bound.
func TestTailIsParetoAndBounded(t *testing.T) {
	d := Distribution{
		Median: 10 * time.Millisecond,
		Tail:   Tail{Probability: 1, Factor: 2, Alpha: 1.5, Max: time.Second},
	}
	all := sample(d, 100_000)
	if all[0] < 20*time.Millisecond || all[len(all)-1] != time.Second {
		t.Errorf("from %v to %v", all[0], all[len(all)-1])
	}
	for _, x := range []float64{2, 4, 8} {
		above := 0
		for _, latency := range all {
			if latency > time.Duration(x*20*float64(time.Millisecond)) {
				above++
			}
		}
		want := math.Pow(x, -d.Tail.Alpha)
		if got := float64(above) / float64(len(all)); math.Abs(got-want) > 0.05*want {
			t.Errorf("%.4f are %v times slower still, want %.4f", got, x, want)
		}
	}
}

func TestNoDrawOverflows(t *testing.T) {
	d := Distribution{Median: time.Hour, Sigma: 50, BytesPerSecond: 1e-9, Tail: Tail{Probability: 1, Factor: 1e9, Alpha: 0.01}}
	for _, latency := range sample(d, 1000) {
		if latency < 0 || latency > longest {
			t.Fatalf("%v", latency)
		}
	}
	if got := d.transfer(1 << 40); got != longest {
		t.Errorf("transfer takes %v", got)
	}
}

// The table of docs/latency-profiles.md is what the profiles give.
func TestDocumentedPercentiles(t *testing.T) {
	text, err := os.ReadFile("../../docs/latency-profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\w+) \| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|`)
	documented := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		documented[m[1]+" "+m[2]] = m[3:]
	}
	percentiles := []struct{ q, tolerance float64 }{{0.5, 0.01}, {0.9, 0.02}, {0.99, 0.05}, {0.999, 0.1}}
	for _, p := range Profiles() {
		for kind, d := range map[string]Distribution{
			"read": p.Read, "miss": p.miss(), "write": p.Write, "list": p.List, "delete": p.Delete,
		} {
			want := documented[p.Name+" "+kind]
			if want == nil {
				t.Errorf("%s %s is not documented", p.Name, kind)
				continue
			}
			all := sample(d, 150_000)
			for i, c := range percentiles {
				milliseconds, err := strconv.ParseFloat(want[i], 64)
				if err != nil {
					t.Fatal(err)
				}
				if got := quantile(all, c.q); !near(got, milliseconds*1e6, c.tolerance) {
					t.Errorf("%s %s: quantile %v is %v, documented as %v ms", p.Name, kind, c.q, got, want[i])
				}
			}
		}
	}
}
