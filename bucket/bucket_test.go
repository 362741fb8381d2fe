package bucket_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/buckettest"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

func TestMemoryConforms(t *testing.T) {
	t.Run("generations", func(t *testing.T) {
		buckettest.Run(t, func(*testing.T) *bucket.Bucket {
			return bucket.New(memdriver.New(), "mem://test", "cells/prod", bucket.Options{})
		}, buckettest.Options{})
	})
	t.Run("etags", func(t *testing.T) {
		buckettest.Run(t, func(*testing.T) *bucket.Bucket {
			return bucket.New(memdriver.NewWithETags(), "mem://test", "", bucket.Options{})
		}, buckettest.Options{SameBytesSameVersion: true})
	})
}

// TestPrefixesDoNotMix: two cells of one bucket see nothing of each other.
func TestPrefixesDoNotMix(t *testing.T) {
	d := memdriver.New()
	one := bucket.New(d, "mem://one", "/cells/a/", bucket.Options{})
	two := bucket.New(d, "mem://two", "cells/ab", bucket.Options{})
	if _, err := one.Create(t.Context(), "k", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Create(t.Context(), "k", []byte("two")); err != nil {
		t.Fatal(err)
	}
	for b, want := range map[*bucket.Bucket]string{one: "one", two: "two"} {
		n := 0
		for info, err := range b.List(t.Context(), "", "") {
			if n++; err != nil || info.Key != "k" {
				t.Fatalf("listed %+v, %v", info, err)
			}
		}
		if object, err := b.Get(t.Context(), "k"); err != nil || string(object.Data) != want || n != 1 {
			t.Fatalf("%d objects, k holds %q, %v", n, object.Data, err)
		}
	}
	if keys := strings.Join(d.Keys(), " "); keys != "cells/a/k cells/ab/k" {
		t.Fatalf("the driver has %s", keys)
	}
}

// TestLostReplies: a write that landed unseen is found to be ours, and only ours.
func TestLostReplies(t *testing.T) {
	d := memdriver.New()
	b := bucket.New(d, "mem://test", "", bucket.Options{})
	d.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: memdriver.LoseReply})
	version, err := b.Create(t.Context(), "k", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	d.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LoseReply})
	second, err := b.Replace(t.Context(), "k", []byte("2"), version)
	if err != nil {
		t.Fatal(err)
	}
	if object, err := b.Get(t.Context(), "k"); err != nil || object.Version != second {
		t.Fatalf("version %s, want %s, %v", object.Version, second, err)
	}
	if _, err := b.Replace(t.Context(), "k", []byte("3"), version); !errors.Is(err, bucket.ErrChanged) {
		t.Fatalf("stale: %v", err)
	}
	if _, err := b.Create(t.Context(), "k", []byte("4")); !errors.Is(err, bucket.ErrExists) {
		t.Fatalf("taken: %v", err)
	}
}

// TestWhoseItIsStaysUnknown when the read that should tell fails: whatever it
// fails with, the write may have landed.
func TestWhoseItIsStaysUnknown(t *testing.T) {
	for name, effect := range map[string]memdriver.Effect{"fails": memdriver.Fail, "is denied": memdriver.Deny} {
		d := memdriver.New()
		b := bucket.New(d, "mem://test", "", bucket.Options{})
		version, err := b.Create(t.Context(), "lease", []byte("1"))
		if err != nil {
			t.Fatal(err)
		}
		d.Inject(memdriver.Fault{Operation: memdriver.Create, Do: memdriver.LoseReply})
		d.Inject(memdriver.Fault{Operation: memdriver.Replace, Do: memdriver.LoseReply})
		d.Inject(memdriver.Fault{Operation: memdriver.Get, Do: effect})
		_, created := b.Create(t.Context(), "k", []byte("1"))
		_, replaced := b.Replace(t.Context(), "lease", []byte("2"), version)
		for operation, err := range map[string]error{"create": created, "replace": replaced} {
			if err == nil || errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrExists) || errors.Is(err, bucket.ErrChanged) {
				t.Errorf("the read %s, %s: %v", name, operation, err)
			}
			if effect == memdriver.Fail && !errors.Is(err, memdriver.ErrInjected) {
				t.Errorf("the read %s, %s: the cause is lost: %v", name, operation, err)
			}
		}
	}
}

// causes is a driver whose writes hang, and answer with why their context has ended, as
// net/http does.
type causes struct{ *memdriver.Bucket }

func (causes) Create(ctx context.Context, _ string, _ []byte) (driver.Version, error) {
	<-ctx.Done()
	return "", context.Cause(ctx)
}

func (causes) Replace(ctx context.Context, _ string, _ []byte, _ driver.Version) (driver.Version, error) {
	<-ctx.Done()
	return "", context.Cause(ctx)
}

// Many writes are given up because one of them was denied: that says nothing of the
// others.
func TestWhyAWriteIsGivenUpIsNotItsAnswer(t *testing.T) {
	b := bucket.New(causes{memdriver.New()}, "mem://test", "", bucket.Options{})
	for _, cause := range []error{bucket.ErrDenied, bucket.ErrNotLanded, errors.New("closed")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		_, created := b.Create(ctx, "k", nil)
		_, replaced := b.Replace(ctx, "k", nil, "1")
		for operation, err := range map[string]error{"create": created, "replace": replaced} {
			if err == nil || bucket.NotLanded(err) || !strings.Contains(err.Error(), cause.Error()) {
				t.Errorf("%s, given up as %v: %v", operation, cause, err)
			}
		}
	}
}

func TestCheckConditionsFindsAStoreThatIgnoresThem(t *testing.T) {
	for _, operation := range []memdriver.Operation{memdriver.Create, memdriver.Replace} {
		for _, d := range []*memdriver.Bucket{memdriver.New(), memdriver.NewWithETags()} {
			b := bucket.New(d, "mem://test", "", bucket.Options{})
			object := bucket.Object{Data: []byte("cell")}
			var err error
			if object.Version, err = b.Create(t.Context(), "cell.json", object.Data); err != nil {
				t.Fatal(err)
			}
			if err := b.CheckConditions(t.Context(), "cell.json", object); err != nil {
				t.Fatal(err)
			}
			d.Inject(memdriver.Fault{Operation: operation, Do: memdriver.IgnoreConditions})
			if err := b.CheckConditions(t.Context(), "cell.json", object); !errors.Is(err, bucket.ErrConditionsIgnored) {
				t.Errorf("%s: %v", operation, err)
			}
		}
	}
}

func TestErrorsNameTheObject(t *testing.T) {
	b := bucket.New(memdriver.New(), "mem://test/cell", "p", bucket.Options{})
	if _, err := b.Get(t.Context(), "log/1"); err == nil || !strings.HasPrefix(err.Error(), "read log/1 of mem://test/cell: ") {
		t.Errorf("error %v", err)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	b := bucket.New(memdriver.New(), "mem://test", "", bucket.Options{Registerer: registry})
	second := bucket.New(memdriver.New(), "mem://other", "", bucket.Options{Registerer: registry}) // shares them
	for _, b := range []*bucket.Bucket{b, second} {
		_, _ = b.Create(t.Context(), "k", []byte("12345"))
		_, _ = b.Create(t.Context(), "k", []byte("other")) // and a read, to see whose it is
		_, _ = b.Get(t.Context(), "missing")
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP scheduler_store_bucket_bytes_total Bytes of object bodies read (get) and written (create, replace) (Aurora: scheduler_log_bytes_read).
# TYPE scheduler_store_bucket_bytes_total counter
scheduler_store_bucket_bytes_total{operation="create"} 20
scheduler_store_bucket_bytes_total{operation="get"} 10
# HELP scheduler_store_bucket_requests_total Requests to the bucket by operation (get, create, replace, list, delete), object (cell, lease, log, snapshot, restore, backup, key, other) and result (ok, not_found, exists, changed, denied, cancelled, error). Retries of one request count once here (Aurora: scheduler_log_native_*_failures).
# TYPE scheduler_store_bucket_requests_total counter
scheduler_store_bucket_requests_total{object="other",operation="create",result="exists"} 2
scheduler_store_bucket_requests_total{object="other",operation="create",result="ok"} 2
scheduler_store_bucket_requests_total{object="other",operation="get",result="not_found"} 2
scheduler_store_bucket_requests_total{object="other",operation="get",result="ok"} 2
`), "scheduler_store_bucket_requests_total", "scheduler_store_bucket_bytes_total")
	if err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// A store that does not answer has not been found to ignore conditions, nor to honour them.
func TestConditionsThatCantBeChecked(t *testing.T) {
	mem := memdriver.New()
	mem.Put("k", []byte("x"))
	b := bucket.New(mem, "mem://test", "", bucket.Options{})
	object, err := b.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []memdriver.Operation{memdriver.Create, memdriver.Replace} {
		rule := mem.Inject(memdriver.Fault{Operation: operation, Do: memdriver.Deny})
		err := b.CheckConditions(t.Context(), "k", object)
		if !errors.Is(err, bucket.ErrDenied) || errors.Is(err, bucket.ErrConditionsIgnored) || !strings.Contains(err.Error(), "k of mem://test") {
			t.Errorf("%s: %v", operation, err)
		}
		rule.Stop()
	}
	if err := b.CheckConditions(t.Context(), "k", object); err != nil {
		t.Error(err)
	}
}
