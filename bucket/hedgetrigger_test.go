package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// Before twenty requests are known, none is called slow.
func TestNothingIsHedgedBeforeEnoughIsKnown(t *testing.T) {
	for n, tries := range map[int]int{19: 1, 20: 2} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			h := bucket.NewHedger(bucket.New(s, "mem://test", "", bucket.Options{}), bucket.HedgeOn)
			s.use(t, h, n)
			s.tries(memdriver.Create, effects(soon))
			if _, err := h.Create(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			if got := len(s.sent["k"]); got != tries {
				t.Errorf("after %d requests: %d tries, want %d", n, got, tries)
			}
		})
	}
}

// Only answers are known times: what failed, or was given up, says nothing.
func TestFailuresAreNoTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		h := bucket.NewHedger(bucket.New(s, "mem://test", "", bucket.Options{}), bucket.HedgeOn)
		s.use(t, h, 19)
		s.Inject(memdriver.Fault{Key: memdriver.Under("fails/"), Do: memdriver.Fail})
		for i := range 50 {
			if _, err := h.Create(t.Context(), fmt.Sprintf("fails/%d", i), nil); err == nil {
				t.Fatal("did not fail")
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := h.Create(ended, fmt.Sprintf("usual/ended-%d", i), nil); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		s.tries(memdriver.Create, effects(soon))
		if _, err := h.Create(t.Context(), "k", nil); err != nil || len(s.sent["k"]) != 1 {
			t.Errorf("%d tries, %v: times of failures were taken for known ones", len(s.sent["k"]), err)
		}
	})
}

// A store that answers within a millisecond is not asked twice when it takes ten.
func TestWhatTakesLessThanTheFloorIsNotHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		h := bucket.NewHedger(bucket.New(s, "mem://test", "", bucket.Options{}), bucket.HedgeOn)
		for i := range 100 { // these take no time at all
			if _, err := h.Create(t.Context(), fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
		}
		s.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is("quick"), Do: memdriver.Delay(19 * time.Millisecond)})
		s.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Is("slow"), Do: memdriver.Delay(21 * time.Millisecond)})
		for key, tries := range map[string]int{"quick": 1, "slow": 2} {
			if _, err := h.Create(t.Context(), key, nil); err != nil || len(s.sent[key]) != tries {
				t.Errorf("%s: %d tries, want %d, %v", key, len(s.sent[key]), tries, err)
			}
		}
	})
}

// One request in twenty may be sent twice; what was not used is kept for five.
func TestHedgesKeepToTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		h := s.hedger(t, bucket.Options{})
		s.use(t, h, 1000) // far more than can be kept
		s.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("slow/"), Do: soon})
		hedged := 0
		for i := range 9 {
			key := fmt.Sprintf("slow/%d", i)
			if _, err := h.Create(t.Context(), key, nil); err != nil {
				t.Fatal(err)
			}
			hedged += len(s.sent[key]) - 1
		}
		if hedged != 5 {
			t.Errorf("of nine slow ones in a row %d were sent once more, want 5", hedged)
		}
		s.tries(memdriver.Get, effects(soon))
		s.Put("k", nil)
		if _, err := h.Get(t.Context(), "k"); err != nil || len(s.sent["k"]) != 2 {
			t.Errorf("reads have no budget of their own: %d tries, %v", len(s.sent["k"]), err)
		}
	})
}

// Large uploads take longer than small ones, and are compared with their like.
func TestSizesAreNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		h := s.hedger(t, bucket.Options{})
		s.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("large/"), Do: soon})
		large := make([]byte, 1<<20)
		for i := range 100 {
			if _, err := h.Create(t.Context(), fmt.Sprintf("large/%d", i), large); err != nil {
				t.Fatal(err)
			}
			if n := len(s.sent[fmt.Sprintf("large/%d", i)]); n != 1 {
				t.Fatalf("large one %d: %d tries", i, n)
			}
		}
		s.tries(memdriver.Create, effects(slow))
		start := time.Now()
		if _, err := h.Create(t.Context(), "k", nil); err != nil || time.Since(start) != hedgedAfter {
			t.Errorf("a small one after the large: %v, %v", time.Since(start), err)
		}
	})
}

// times is a store whose uploads take what a seeded random says: a log-normal time
// around the usual, and some twenty times that.
type times struct {
	*memdriver.Bucket
	sigma float64 // of the logarithm
	slow  float64 // share
	keys  int     // that were used
	// landsFirst says that what takes its time is the reply: a second try then finds
	// the object there, and reads it.
	landsFirst bool

	mu     sync.Mutex
	random *rand.Rand
	factor float64 // of all, now
	sent   int
}

func newTimes(sigma, slow float64) *times {
	return &times{Bucket: memdriver.New(), sigma: sigma, slow: slow, random: rand.New(rand.NewPCG(1, 2)), factor: 1}
}

func (s *times) Create(ctx context.Context, key string, data []byte) (version driver.Version, err error) {
	if s.landsFirst {
		version, err = s.Bucket.Create(ctx, key, data)
	}
	select { // unless it lands first, one that is cancelled never does
	case <-time.After(s.next()):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if !s.landsFirst {
		version, err = s.Bucket.Create(ctx, key, data)
	}
	return version, err
}

// Get reads back what an upload found there. A read takes half the time of an upload.
func (s *times) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	s.mu.Lock()
	s.sent++
	s.mu.Unlock()
	select {
	case <-time.After(usual / 2):
		return s.Bucket.Get(ctx, key)
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// next is what the next upload takes.
func (s *times) next() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	t := math.Exp(s.sigma*s.random.NormFloat64()) * s.factor
	if s.random.Float64() < s.slow {
		t *= 20
	}
	return time.Duration(t * float64(usual))
}

// run makes uploads one after another, and returns what each took.
func (s *times) run(t *testing.T, h *bucket.Hedger, n int) []time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		start, key := time.Now(), fmt.Sprintf("log/%d", s.keys)
		s.keys++
		if _, err := h.Create(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	return took
}

func (s *times) hedger(hedging bucket.Hedging) *bucket.Hedger {
	return bucket.NewHedger(bucket.New(s, "mem://test", "", bucket.Options{}), hedging)
}

func quantile(took []time.Duration, q float64) time.Duration {
	slices.Sort(took)
	return took[int(q*float64(len(took)))]
}

// What hedging is for: one upload in fifty takes twenty times as long as the rest,
// whether it is slow to land or to be answered.
func TestHedgingTakesTheTailAway(t *testing.T) {
	const n = 10_000
	for _, sigma := range []float64{0, 0.2, 0.35, 0.5} {
		for _, landsFirst := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				plain, hedged := newTimes(sigma, 0.02), newTimes(sigma, 0.02)
				hedged.landsFirst = landsFirst
				without := quantile(plain.run(t, plain.hedger(bucket.HedgeOff), n), 0.99)
				with := quantile(hedged.run(t, hedged.hedger(bucket.HedgeOn), n), 0.99)
				ratio, requests := float64(with)/float64(without), float64(hedged.sent)/n
				t.Logf("deviation %.2f, lands first %t: p99 %v instead of %v (%.2f), %.3f requests for each", sigma, landsFirst, with, without, ratio, requests)
				if ratio > 0.3 || requests > 1.05 {
					t.Errorf("deviation %.2f, lands first %t: p99 is %.2f of that without, for %.3f requests", sigma, landsFirst, ratio, requests)
				}
			})
		}
	}
}

// A store whose times only scatter has next to nothing to pay for.
func TestSteadyStoreIsNotHedged(t *testing.T) {
	const n = 10_000
	for sigma, most := range map[float64]int{0: 0, 0.2: n / 1000, 0.5: n / 150} {
		synctest.Test(t, func(t *testing.T) {
			s := newTimes(sigma, 0)
			s.run(t, s.hedger(bucket.HedgeOn), n)
			if hedges := s.sent - n; hedges > most {
				t.Errorf("deviation %.1f: %d of %d were sent once more", sigma, hedges, n)
			}
		})
	}
}

// When all gets slow, the budget holds, and what is slow is soon seen anew.
func TestStoreThatGetsSlowAsAWholeIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTimes(0.2, 0)
		h := s.hedger(bucket.HedgeOn)
		s.run(t, h, 5000)
		s.factor = 10
		before := s.sent
		s.run(t, h, 1000)
		if hedges := s.sent - before - 1000; hedges == 0 || hedges > 10 {
			t.Errorf("%d of 1000 were sent once more, want a few until it is known", hedges)
		}
	})
}
