package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

// usual is what a request takes in these tests, hedgedAfter how long one takes until
// it is sent once more: twice that.
const (
	usual       = 50 * time.Millisecond
	hedgedAfter = 2 * usual
)

// sent is a request as it came to the store.
type sent struct {
	data    []byte
	isFresh bool // on a connection of its own
	at      time.Time
	took    time.Duration
}

// store is a bucket in memory of which each request takes as long as usual, and that
// keeps what it was sent.
type store struct {
	*memdriver.Bucket
	mu   sync.Mutex
	sent map[string][]*sent
}

func newStore() *store {
	s := &store{Bucket: memdriver.New(), sent: map[string][]*sent{}}
	s.Inject(memdriver.Fault{Key: memdriver.Under("usual/"), Do: memdriver.Delay(usual)})
	return s
}

func (s *store) Create(ctx context.Context, key string, data []byte) (driver.Version, error) {
	defer s.keep(ctx, key, data)()
	return s.Bucket.Create(ctx, key, data)
}

func (s *store) Get(ctx context.Context, key string) ([]byte, driver.Version, error) {
	defer s.keep(ctx, key, nil)()
	return s.Bucket.Get(ctx, key)
}

func (s *store) keep(ctx context.Context, key string, data []byte) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &sent{bytes.Clone(data), driver.WantsFreshConnection(ctx), time.Now(), -1}
	s.sent[key] = append(s.sent[key], r)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.took = time.Since(r.at)
	}
}

// hedger returns one that has seen enough, and has a budget for five hedges.
func (s *store) hedger(t *testing.T, o bucket.Options) *bucket.Hedger {
	t.Helper()
	h := bucket.NewHedger(bucket.New(s, "mem://test", "", o), bucket.HedgeOn)
	s.use(t, h, 100)
	return h
}

// use makes n uploads and n reads that take as long as usual.
func (s *store) use(t *testing.T, h *bucket.Hedger, n int) {
	t.Helper()
	for range n {
		key := fmt.Sprintf("usual/%d", s.Count(memdriver.Create))
		if _, err := h.Create(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}

// tries is what happens to the requests of an operation for "k", in their turn.
func (s *store) tries(op memdriver.Operation, tries ...[]memdriver.Effect) {
	for n := len(tries) - 1; n >= 0; n-- { // an effect that settles a request hides it from those after it
		for _, do := range tries[n] {
			s.Inject(memdriver.Fault{Operation: op, Key: memdriver.Is("k"), Skip: n, Times: 1, Do: do})
		}
	}
}

// other is a seal, say, that another writer puts in the way.
func (s *store) other() memdriver.Effect {
	return memdriver.Before(func(key string) { s.Put(key, []byte("another's")) })
}

func effects(all ...memdriver.Effect) []memdriver.Effect { return all }

const (
	slow = memdriver.Delay(time.Hour)
	late = memdriver.DelayReply(time.Hour)
	soon = memdriver.Delay(time.Second)
)

// Every pair of what two tries of one upload may end with. first and second are what
// happens to them; a GET is that by which "exists" is looked into.
func TestHedgedCreateHasOneOutcome(t *testing.T) {
	denied, exists, unknown := bucket.ErrDenied, bucket.ErrExists, memdriver.ErrInjected
	for name, test := range map[string]struct {
		first, second func(*store) []memdriver.Effect
		get           []memdriver.Effect
		want          error
		took          time.Duration
	}{
		"the second lands while the first is slow":                          {first: does(slow), second: does(), took: hedgedAfter},
		"the first lands while the second is slow":                          {first: does(soon), second: does(slow), took: time.Second},
		"the first's reply is slow, the second says exists, and it is ours": {first: does(late), second: does(), took: hedgedAfter},
		"the first says exists, and it is the second's":                     {first: does(soon), second: does(late), took: time.Second},
		"the first's reply is lost":                                         {first: does(soon, memdriver.LoseReply), second: does(slow), took: time.Second},
		"the second's reply is lost":                                        {first: does(slow), second: does(memdriver.LoseReply), took: hedgedAfter},
		"the first lands and fails, the second finds it":                    {first: does(memdriver.Delay(hedgedAfter+1), memdriver.LandAndFail), second: does(soon), took: hedgedAfter + time.Second},
		"the second finds another's":                                        {first: does(slow), second: another(), want: exists, took: hedgedAfter},
		"the first finds another's":                                         {first: another(soon), second: does(slow), want: exists, took: time.Second},
		"the first fails, the second lands":                                 {first: does(memdriver.Delay(hedgedAfter+1), memdriver.Fail), second: does(soon), took: hedgedAfter + time.Second},
		"the second fails, the first lands":                                 {first: does(soon), second: does(memdriver.Fail), took: time.Second},
		"the first is denied, the second lands":                             {first: does(memdriver.Delay(hedgedAfter+1), memdriver.Deny), second: does(soon), took: hedgedAfter + time.Second},
		"the second is denied, the first lands":                             {first: does(soon), second: does(memdriver.Deny), took: time.Second},
		"the second is denied, the first finds another's":                   {first: another(soon), second: does(memdriver.Deny), want: exists, took: time.Second},
		"both fail":                              {first: does(soon, memdriver.Fail), second: does(memdriver.Fail), want: unknown, took: time.Second},
		"the first is denied, the second fails":  {first: does(soon, memdriver.Deny), second: does(memdriver.Fail), want: unknown, took: time.Second},
		"the second is denied, the first fails":  {first: does(soon, memdriver.Fail), second: does(memdriver.Deny), want: unknown, took: time.Second},
		"the second is denied, the first landed": {first: does(soon, memdriver.LandAndFail), second: does(memdriver.Deny), want: unknown, took: time.Second},
		"both are denied":                        {first: does(soon, memdriver.Deny), second: does(memdriver.Deny), want: denied, took: time.Second},
		"whose the other's is can't be read":     {first: does(soon, memdriver.Deny), second: another(), get: effects(memdriver.Fail), want: unknown, took: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				h := s.hedger(t, bucket.Options{})
				s.tries(memdriver.Create, test.first(s), test.second(s))
				s.tries(memdriver.Get, test.get)
				start := time.Now()
				version, err := h.Create(t.Context(), "k", []byte("ours"))
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				for _, sentinel := range []error{denied, exists, unknown} {
					if errors.Is(err, sentinel) != (sentinel == test.want) {
						t.Errorf("%v; want %v", err, test.want)
					}
				}
				if (err == nil) != (test.want == nil) || (err == nil) != (version != "") {
					t.Errorf("version %q, %v; want %v", version, err, test.want)
				}
				if err == nil && string(s.Data("k")) != "ours" {
					t.Errorf("the object holds %q", s.Data("k"))
				}
				puts := 0
				for _, r := range s.sent["k"] {
					if r.took < 0 {
						t.Error("a request is still on its way")
					}
					if r.data != nil {
						puts++
					}
				}
				if puts != 2 {
					t.Errorf("%d PUTs, want 2", puts)
				}
			})
		})
	}
}

func does(effects ...memdriver.Effect) func(*store) []memdriver.Effect {
	return func(*store) []memdriver.Effect { return effects }
}

// another does the effects, then finds what another writer has put there just before.
func another(effects ...memdriver.Effect) func(*store) []memdriver.Effect {
	return func(s *store) []memdriver.Effect { return append(effects, s.other()) }
}

// Both tries carry the same bytes; the second goes over a connection of its own, and
// at the end none is on its way.
func TestHedgeIsTheSameRequestOnAFreshConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		h := s.hedger(t, bucket.Options{})
		s.tries(memdriver.Any, effects(slow))
		if _, err := h.Create(t.Context(), "k", []byte("ours")); err != nil {
			t.Fatal(err)
		}
		tries := s.sent["k"]
		if len(tries) != 2 || string(tries[0].data) != "ours" || string(tries[1].data) != "ours" {
			t.Fatalf("%d tries: %v", len(tries), tries)
		}
		if tries[0].isFresh || !tries[1].isFresh {
			t.Errorf("a connection of its own: %t, then %t", tries[0].isFresh, tries[1].isFresh)
		}
		if after := tries[1].at.Sub(tries[0].at); after != hedgedAfter {
			t.Errorf("sent once more after %v", after)
		}
		for i, r := range tries {
			if r.took < 0 {
				t.Errorf("try %d is still on its way", i)
			}
		}
	})
}

func TestHedgedGetHasOneOutcome(t *testing.T) {
	denied, missing, unknown := bucket.ErrDenied, bucket.ErrNotExist, memdriver.ErrInjected
	for name, test := range map[string]struct {
		isMissing     bool
		first, second []memdriver.Effect
		want          error
		took          time.Duration
	}{
		"the second is there while the first is slow": {first: effects(slow), took: hedgedAfter},
		"the first is there while the second is slow": {first: effects(soon), second: effects(slow), took: time.Second},
		"the second says that there is none":          {isMissing: true, first: effects(slow), want: missing, took: hedgedAfter},
		"the first says that there is none":           {isMissing: true, first: effects(soon), second: effects(slow), want: missing, took: time.Second},
		"the second fails":                            {first: effects(soon), second: effects(memdriver.Fail), took: time.Second},
		"the second is denied":                        {first: effects(soon), second: effects(memdriver.Deny), took: time.Second},
		"both fail":                                   {first: effects(soon, memdriver.Fail), second: effects(memdriver.Fail), want: unknown, took: time.Second},
		"both are denied":                             {first: effects(soon, memdriver.Deny), second: effects(memdriver.Deny), want: denied, took: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				h := s.hedger(t, bucket.Options{})
				if !test.isMissing {
					s.Put("k", []byte("data"))
				}
				s.tries(memdriver.Get, test.first, test.second)
				start := time.Now()
				object, err := h.Get(t.Context(), "k")
				if took := time.Since(start); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				for _, sentinel := range []error{denied, missing, unknown} {
					if errors.Is(err, sentinel) != (sentinel == test.want) {
						t.Errorf("%v; want %v", err, test.want)
					}
				}
				if test.want == nil && (err != nil || string(object.Data) != "data" || object.Version == "") {
					t.Errorf("got %q, version %q, %v", object.Data, object.Version, err)
				}
			})
		})
	}
}

// What the caller gives up ends both tries, and is of unknown outcome.
func TestHedgedCreateEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		h := s.hedger(t, bucket.Options{})
		s.tries(memdriver.Create, effects(slow), effects(slow))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := h.Create(ctx, "k", []byte("ours"))
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, took)
		}
		if errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrExists) {
			t.Errorf("%v claims an outcome", err)
		}
		if n := len(s.sent["k"]); n != 2 {
			t.Errorf("%d tries", n)
		}
	})
}

// A try that has ended before it was slow is no matter of hedging.
func TestWhatFailsAtOnceIsNotHedged(t *testing.T) {
	for name, test := range map[string]struct {
		effect memdriver.Effect
		want   error
	}{"fails": {memdriver.Fail, memdriver.ErrInjected}, "is denied": {memdriver.Deny, bucket.ErrDenied}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			h := s.hedger(t, bucket.Options{})
			s.tries(memdriver.Any, effects(test.effect))
			if _, err := h.Create(t.Context(), "k", []byte("ours")); !errors.Is(err, test.want) {
				t.Errorf("%s: %v", name, err)
			}
			time.Sleep(time.Hour)
			if n := len(s.sent["k"]); n != 1 {
				t.Errorf("%s: %d tries", name, n)
			}
		})
	}
}

// Auto goes by what the driver says of its store; one that says nothing is spared.
func TestStoreSaysWhetherToHedge(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		says    *bool
		hedging bucket.Hedging
		tries   int
	}{
		{nil, bucket.HedgeAuto, 1}, {&no, bucket.HedgeAuto, 1}, {&yes, bucket.HedgeAuto, 2},
		{nil, bucket.HedgeOn, 2}, {&no, bucket.HedgeOn, 2}, {&yes, bucket.HedgeOff, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			var d driver.Bucket = s
			if test.says != nil {
				d = hedgeable{s, *test.says}
			}
			h := bucket.NewHedger(bucket.New(d, "mem://test", "", bucket.Options{}), test.hedging)
			s.use(t, h, 100)
			s.tries(memdriver.Create, effects(soon))
			if _, err := h.Create(t.Context(), "k", []byte("ours")); err != nil {
				t.Fatal(err)
			}
			if n := len(s.sent["k"]); n != test.tries {
				t.Errorf("%v, and the driver says %v: %d tries, want %d", test.hedging, test.says, n, test.tries)
			}
		})
	}
}

type hedgeable struct {
	*store
	is bool
}

func (h hedgeable) Hedgeable() bool { return h.is }

// Both tries are requests that are paid for, so both are counted.
func TestHedgesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		s := newStore()
		h := s.hedger(t, bucket.Options{Registerer: registry})
		s.tries(memdriver.Create, effects(slow))
		s.tries(memdriver.Get, effects(soon), effects(slow))
		if _, err := h.Create(t.Context(), "k", []byte("ours")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP scheduler_store_bucket_hedges_total Requests to the bucket that were slow and sent once more, by operation (get, create). The second is counted as a request too.
# TYPE scheduler_store_bucket_hedges_total counter
scheduler_store_bucket_hedges_total{operation="create"} 1
scheduler_store_bucket_hedges_total{operation="get"} 1
# HELP scheduler_store_bucket_hedges_won_total Requests to the bucket that were sent once more and answered by that, by operation (get, create).
# TYPE scheduler_store_bucket_hedges_won_total counter
scheduler_store_bucket_hedges_won_total{operation="create"} 1
scheduler_store_bucket_hedges_won_total{operation="get"} 0
# HELP scheduler_store_bucket_requests_total Requests to the bucket by operation (get, create, replace, list, delete), object (cell, lease, log, snapshot, restore, backup, key, other) and result (ok, not_found, exists, changed, denied, cancelled, error). Retries of one request count once here (Aurora: scheduler_log_native_*_failures).
# TYPE scheduler_store_bucket_requests_total counter
scheduler_store_bucket_requests_total{object="other",operation="create",result="cancelled"} 1
scheduler_store_bucket_requests_total{object="other",operation="create",result="ok"} 101
scheduler_store_bucket_requests_total{object="other",operation="get",result="cancelled"} 1
scheduler_store_bucket_requests_total{object="other",operation="get",result="ok"} 101
`), "scheduler_store_bucket_hedges_total", "scheduler_store_bucket_hedges_won_total", "scheduler_store_bucket_requests_total")
		if err != nil {
			t.Error(err)
		}
	})
}

func TestHedgingIsText(t *testing.T) {
	for _, h := range []bucket.Hedging{bucket.HedgeAuto, bucket.HedgeOn, bucket.HedgeOff} {
		var got bucket.Hedging = -1
		text, err := h.MarshalText()
		if err == nil {
			err = got.UnmarshalText(text)
		}
		if err != nil || got != h {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	var h bucket.Hedging
	if err := h.UnmarshalText([]byte("On")); err == nil {
		t.Error("took On")
	}
}
