package benchmark

import (
	"bytes"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestPercentilesAreTheNearestRank(t *testing.T) {
	upTo := func(n int) []time.Duration {
		var took []time.Duration
		for i := n; i > 0; i-- {
			took = append(took, time.Duration(i)*time.Millisecond)
		}
		return took
	}
	for _, c := range []struct {
		n    int
		want Percentiles
	}{
		{0, Percentiles{}},
		{1, Percentiles{1, 1, 1, 1, 1}},
		{2, Percentiles{1, 2, 2, 2, 2}},
		{3, Percentiles{2, 3, 3, 3, 3}},
		{100, Percentiles{50, 90, 99, 100, 100}},
		{1000, Percentiles{500, 900, 990, 999, 1000}},
		{10000, Percentiles{5000, 9000, 9900, 9990, 10000}},
	} {
		if got := PercentilesOf(upTo(c.n)); got != c.want {
			t.Errorf("of %d: %+v, want %+v", c.n, got, c.want)
		}
	}
}

func TestRatioOfNothingIsNone(t *testing.T) {
	if Ratio(3, 2) != 1.5 || Ratio(1, 3) != 0.333 || Ratio(1, 0) != 0 {
		t.Error(Ratio(3, 2), Ratio(1, 3), Ratio(1, 0))
	}
}

func TestNoiseDoesNotCompress(t *testing.T) {
	var all []byte
	for range 64 {
		b := Noise(1023)
		if len(b) != 1023 {
			t.Fatalf("%d bytes, want 1023", len(b))
		}
		all = append(all, b...)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if packed := encoder.EncodeAll(all, nil); len(packed) < len(all) {
		t.Errorf("%d bytes became %d", len(all), len(packed))
	}
	if len(Noise(0)) != 0 || bytes.Equal(Noise(16), Noise(16)) {
		t.Error("noise is the same twice")
	}
}

// What allocates and computes is seen, and divided by what it was for.
func TestUsageIsWhatWasUsed(t *testing.T) {
	var kept [][]byte
	u, err := Measure(func() error {
		for range 100 {
			kept = append(kept, make([]byte, 1<<16))
		}
		return nil
	})
	if err != nil || len(kept) != 100 {
		t.Fatal(err, len(kept))
	}
	if u.Allocations < 100 || u.AllocatedBytes < 100<<16 || u.CPUSeconds < 0 {
		t.Errorf("%+v", u)
	}
	if got := u.Per(100); got.AllocatedBytes != u.AllocatedBytes/100 || got.Allocations != u.Allocations/100 {
		t.Errorf("%+v of %+v", got, u)
	}
	if (u.Per(0) != Usage{}) {
		t.Error("per nothing")
	}
}
