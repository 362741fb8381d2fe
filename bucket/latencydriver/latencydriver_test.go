package latencydriver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

func constant(d time.Duration) latencydriver.Distribution {
	return latencydriver.Distribution{Median: d}
}

// each is a profile that tells the kinds apart.
var each = latencydriver.Profile{
	Read:   constant(20 * time.Millisecond),
	Miss:   constant(10 * time.Millisecond),
	Write:  constant(60 * time.Millisecond),
	List:   constant(40 * time.Millisecond),
	Delete: constant(30 * time.Millisecond),
}

func lookup(t *testing.T, name string) latencydriver.Profile {
	t.Helper()
	p, err := latencydriver.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// took is how long a request takes, in the bubble's time.
func took(request func()) time.Duration {
	start := time.Now()
	request()
	return time.Since(start)
}

func list(ctx context.Context, b driver.Bucket) (keys int, err error) {
	for _, err := range b.List(ctx, "", "") {
		if err != nil {
			return keys, err
		}
		keys++
	}
	return keys, nil
}

func TestConformance(t *testing.T) {
	fast := latencydriver.Distribution{
		Median: 20 * time.Microsecond, Sigma: 1, BytesPerSecond: 10e9,
		Tail: latencydriver.Tail{Probability: 0.01, Factor: 10, Alpha: 1, Max: time.Millisecond},
	}
	p := latencydriver.Profile{Read: fast, Write: fast, List: fast, Delete: fast}
	buckettest.Run(t, func(*testing.T) *bucket.Bucket {
		return bucket.New(latencydriver.New(memdriver.New(), p, 1), "mem://test", "cells/prod", bucket.Options{})
	}, buckettest.Options{Keys: 2500, Increments: 10})
}

func TestEachKindHasItsLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, b := t.Context(), latencydriver.New(memdriver.New(), each, 1)
		var version driver.Version
		for _, c := range []struct {
			what    string
			request func() error
			want    time.Duration
			err     error
		}{
			{"get of nothing", func() error { _, _, err := b.Get(ctx, "k"); return err }, 10 * time.Millisecond, driver.ErrNotExist},
			{"range of nothing", func() error { _, err := b.GetRange(ctx, "k", 0, 1); return err }, 10 * time.Millisecond, driver.ErrNotExist},
			{"empty listing", func() error { _, err := list(ctx, b); return err }, 40 * time.Millisecond, nil},
			{"create", func() (err error) { version, err = b.Create(ctx, "k", []byte("x")); return err }, 60 * time.Millisecond, nil},
			{"create of a taken key", func() error { _, err := b.Create(ctx, "k", nil); return err }, 60 * time.Millisecond, driver.ErrExists},
			{"replace", func() error { _, err := b.Replace(ctx, "k", []byte("y"), version); return err }, 60 * time.Millisecond, nil},
			{"replace of an old version", func() error { _, err := b.Replace(ctx, "k", nil, version); return err }, 60 * time.Millisecond, driver.ErrChanged},
			{"get", func() error { _, _, err := b.Get(ctx, "k"); return err }, 20 * time.Millisecond, nil},
			{"range", func() error { _, err := b.GetRange(ctx, "k", 0, 1); return err }, 20 * time.Millisecond, nil},
			{"listing", func() error { _, err := list(ctx, b); return err }, 40 * time.Millisecond, nil},
			{"delete", func() error { return b.Delete(ctx, "k") }, 30 * time.Millisecond, nil},
		} {
			var err error
			if got := took(func() { err = c.request() }); got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s took %v and gave %v, want %v and %v", c.what, got, err, c.want, c.err)
			}
		}
	})
}

// That there is nothing is told as soon as a miss takes, wherever in a read's longer
// latency its effect would come.
func TestAllMissesTakeAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := latencydriver.New(memdriver.New(), each, 1)
		for range 100 {
			if got := took(func() { _, _, _ = b.Get(t.Context(), "none") }); got != 10*time.Millisecond {
				t.Fatalf("it took %v", got)
			}
		}
	})
}

func TestMissWithoutLatencyTakesARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := each
		p.Miss = latencydriver.Distribution{}
		b := latencydriver.New(memdriver.New(), p, 1)
		if got := took(func() { _, _, _ = b.Get(t.Context(), "k") }); got != 20*time.Millisecond {
			t.Errorf("it took %v", got)
		}
	})
}

// Requests through the driver take what the profile's distributions say.
func TestPercentilesOfS3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests = 40_000
		ctx, inner := t.Context(), memdriver.New()
		b := latencydriver.New(inner, lookup(t, "s3"), 1)
		inner.Put("k", nil)
		for _, c := range []struct {
			what        string
			request     func() error
			median, p99 float64 // milliseconds, of docs/latency-profiles.md
		}{
			{"write", func() error { return create(ctx, b, inner) }, 60.3, 197},
			{"read", func() error { _, _, err := b.Get(ctx, "k"); return err }, 26.7, 124},
		} {
			all := make([]time.Duration, requests)
			for i := range all {
				all[i] = took(func() {
					if err := c.request(); err != nil {
						t.Fatal(err)
					}
				})
			}
			slices.Sort(all)
			for at, want := range map[int]float64{requests / 2: c.median, requests * 99 / 100: c.p99} {
				got := all[at].Seconds() * 1000
				if got < 0.95*want || got > 1.05*want {
					t.Errorf("of %d, %s %d took %.1f ms, want %.1f", requests, c.what, at, got, want)
				}
			}
		}
	})
}

func create(ctx context.Context, b driver.Bucket, inner *memdriver.Bucket) error {
	_, err := b.Create(ctx, "new", nil)
	inner.Remove("new")
	return err
}

func TestSameSeedSameLatencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(seed uint64) (latencies []time.Duration) {
			inner := memdriver.New()
			b := latencydriver.New(inner, lookup(t, "s3"), seed)
			for range 100 {
				latencies = append(latencies,
					took(func() { _ = create(t.Context(), b, inner) }),
					took(func() { _, _, _ = b.Get(t.Context(), "none") }),
					took(func() { _, _ = list(t.Context(), b) }))
			}
			return latencies
		}
		one, again, other := run(1), run(1), run(2)
		if !slices.Equal(one, again) {
			t.Error("the same seed gave other latencies")
		}
		if slices.Equal(one, other) {
			t.Error("another seed gave the same latencies")
		}
	})
}

func TestSizesTakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := each
		p.Write.BytesPerSecond, p.Read.BytesPerSecond = 1000, 2000
		ctx, b := t.Context(), latencydriver.New(memdriver.New(), p, 1)
		body := bytes.Repeat([]byte("x"), 500)
		var version driver.Version
		for _, c := range []struct {
			what    string
			request func() error
			want    time.Duration
		}{
			{"create", func() (err error) { version, err = b.Create(ctx, "k", body); return err }, 560 * time.Millisecond},
			{"replace", func() error { _, err := b.Replace(ctx, "k", body, version); return err }, 560 * time.Millisecond},
			{"get", func() error { _, _, err := b.Get(ctx, "k"); return err }, 270 * time.Millisecond},
			{"range", func() error { _, err := b.GetRange(ctx, "k", 100, 100); return err }, 70 * time.Millisecond},
		} {
			var err error
			if got := took(func() { err = c.request() }); got != c.want || err != nil {
				t.Errorf("%s took %v, want %v; %v", c.what, got, c.want, err)
			}
		}
	})
}

// A listing is one request for each 1,000 keys, of the instant of the first.
func TestListingPageByPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for keys, want := range map[int]time.Duration{
			1: 40 * time.Millisecond, 1000: 40 * time.Millisecond, 1001: 80 * time.Millisecond, 2500: 120 * time.Millisecond,
		} {
			inner := memdriver.New()
			for i := range keys {
				inner.Put(fmt.Sprintf("k/%06d", i), nil)
			}
			b := latencydriver.New(inner, each, 1)
			listed := 0
			got := took(func() {
				for _, err := range b.List(t.Context(), "", "") {
					if err != nil {
						t.Fatal(err)
					}
					if listed++; listed == 1 {
						inner.Put("l", nil)
					}
				}
			})
			if got != want || listed != keys {
				t.Errorf("%d keys: listed %d in %v, want %v", keys, listed, got, want)
			}
		}
	})
}

// A write whose caller gives up has landed exactly if its effect came first, and
// the caller hears of the end of its context only, at once. Effects come at all
// parts of the latency.
func TestGivingUpOnWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memdriver.New()
		b := latencydriver.New(inner, each, 1)
		var landed [3]int
		for i, patience := range []time.Duration{6 * time.Millisecond, 30 * time.Millisecond, 54 * time.Millisecond} {
			for n := range 1000 {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				key := fmt.Sprintf("%d/%d", i, n)
				var version driver.Version
				var err error
				if got := took(func() { version, err = b.Create(ctx, key, []byte("x")) }); got != patience {
					t.Fatalf("it returned after %v, want %v", got, patience)
				}
				if !errors.Is(err, context.DeadlineExceeded) || version != "" {
					t.Fatalf("it gave version %q and %v", version, err)
				}
				cancel()
				at := inner.Data(key) != nil
				time.Sleep(time.Second)
				if later := inner.Data(key) != nil; later != at {
					t.Fatal("it landed after its caller had given up")
				}
				if at {
					landed[i]++
				}
			}
		}
		for i, want := range []int{100, 500, 900} { // the effect's instant is uniform
			if landed[i] < want-50 || landed[i] > want+50 {
				t.Errorf("%d of 1,000 landed, want about %d", landed[i], want)
			}
		}
	})
}

// An upload takes effect when its last byte is there.
func TestUploadLandsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memdriver.New()
		b := latencydriver.New(inner, latencydriver.Profile{
			Write: latencydriver.Distribution{BytesPerSecond: 1000},
		}, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 999*time.Millisecond)
		defer cancel()
		if _, err := b.Create(ctx, "k", make([]byte, 1000)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if inner.Data("k") != nil {
			t.Error("it landed before all of it was sent")
		}
	})
}

func TestGivingUpOnReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memdriver.New()
		inner.Put("k", []byte("data"))
		b := latencydriver.New(inner, each, 1)
		for n := range 20 { // the reply under way or not
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Millisecond)
			var data, part []byte
			var keys int
			var err error
			switch n % 3 {
			case 0:
				data, _, err = b.Get(ctx, "k")
			case 1:
				part, err = b.GetRange(ctx, "k", 0, 1)
			case 2:
				keys, err = list(ctx, b)
			}
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || data != nil || part != nil || keys != 0 {
				t.Fatalf("got %q, %q, %d keys, %v", data, part, keys, err)
			}
		}
	})
}

// The cause tells why, as with the net/http of a real store.
func TestEndedContextGivesItsCause(t *testing.T) {
	why := errors.New("the other try won")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	inner := memdriver.New()
	for _, p := range []latencydriver.Profile{{}, each} {
		if _, err := latencydriver.New(inner, p, 1).Create(ctx, "k", nil); !errors.Is(err, why) {
			t.Error(err)
		}
	}
	if len(inner.Keys()) != 0 || inner.Count(memdriver.Any) != 0 {
		t.Error("it was sent")
	}
}

// What the inner driver takes is part of the latency, not on top.
func TestInnerDriversTimeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memdriver.New()
		inner.Put("k", nil)
		b := latencydriver.New(inner, each, 1)
		for _, c := range []struct{ takes, least, most time.Duration }{
			{0, 20 * time.Millisecond, 20 * time.Millisecond},
			{time.Second, time.Second, time.Second + 20*time.Millisecond - 1},
		} {
			inner.Heal()
			inner.Inject(memdriver.Fault{Do: memdriver.Delay(c.takes)})
			got := took(func() {
				if _, _, err := b.Get(t.Context(), "k"); err != nil {
					t.Error(err)
				}
			})
			if got < c.least || got > c.most {
				t.Errorf("with an inner driver that takes %v it took %v", c.takes, got)
			}
		}
	})
}

func TestRequestsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := latencydriver.New(memdriver.New(), each, 1)
		got := took(func() {
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					if _, err := b.Create(t.Context(), fmt.Sprint(i), nil); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
		if got != 60*time.Millisecond {
			t.Errorf("100 at once took %v", got)
		}
	})
}

func TestUnwrapAndClose(t *testing.T) {
	inner := &closing{Bucket: memdriver.New()}
	b := latencydriver.New(inner, each, 1)
	if b.Unwrap() != driver.Bucket(inner) {
		t.Error("it is another driver")
	}
	if err := b.Close(); err != nil || !inner.closed {
		t.Errorf("closed: %v, %v", inner.closed, err)
	}
}

type closing struct {
	driver.Bucket
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return c.Bucket.Close()
}

func TestOnlyGCSPunishesHedging(t *testing.T) {
	for _, p := range append(latencydriver.Profiles(), each) {
		if got := latencydriver.New(memdriver.New(), p, 1).Hedgeable(); got != (p.Name != "gcs") {
			t.Errorf("profile %q is hedgeable: %v", p.Name, got)
		}
	}
}

func TestLookup(t *testing.T) {
	var names []string
	for _, p := range latencydriver.Profiles() {
		if got, err := latencydriver.Lookup(p.Name); got != p || err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		names = append(names, p.Name)
	}
	if !slices.Equal(names, []string{"s3", "s3express", "gcs"}) {
		t.Errorf("there are %v", names)
	}
	_, err := latencydriver.Lookup("floppy")
	for _, want := range append(names, "floppy") {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
