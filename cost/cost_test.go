package cost_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/cost"
)

func prices(t *testing.T, name string) cost.Prices {
	t.Helper()
	p, ok := cost.PricesOf(name)
	if !ok {
		t.Fatalf("no prices %q", name)
	}
	return p
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*max(1, math.Abs(b)) }

// The examples that the providers give, to the cent.
func TestProvidersOwnExamples(t *testing.T) {
	for name, c := range map[string]struct {
		prices   string
		requests cost.Requests
		stored   float64
		want     float64
	}{
		// https://aws.amazon.com/s3/faqs/, example 1 of S3 Express One Zone
		"s3 express": {"s3express", cost.Requests{Writes: 1e6, Reads: 9e6, Deletes: 1e6, UploadedBytes: 1e6 * 10 << 10, RetrievedBytes: 9e6 * 10 << 10}, 10 << 30, 2.58},
		// https://cloud.google.com/storage/pricing-examples, without the transfer out
		"gcs": {"gcs", cost.Requests{Writes: 10_000, Reads: 50_000}, 50 << 30, 1.07},
		"s3":  {"s3", cost.Requests{Writes: 1000, Lists: 1000, Reads: 1000, Deletes: 1000}, 1 << 30, 0.005 + 0.005 + 0.0004 + 0.023},
	} {
		p := prices(t, c.prices)
		if got := p.Dollars(c.requests) + p.StorageDollars(c.stored); math.Abs(got-c.want) > 0.006 {
			t.Errorf("%s: $%.4f, want $%.2f", name, got, c.want)
		}
	}
}

// GCS takes nothing for what it refuses; S3 bills a 404 as any other answer.
func TestRefusedRequests(t *testing.T) {
	polls := cost.Requests{Reads: 1e6, RefusedReads: 1e6, Writes: 1000, RefusedWrites: 500}
	if got := prices(t, "s3").Dollars(polls); !near(got, 0.4+0.005) {
		t.Errorf("s3: $%v", got)
	}
	if got := prices(t, "gcs").Dollars(polls); !near(got, 0.0025) {
		t.Errorf("gcs: $%v", got)
	}
}

func TestListsSayWhereTheyAreFrom(t *testing.T) {
	for _, p := range cost.Lists() {
		if p.Name == "" || p.Title == "" || p.Region == "" || p.Date == "" || p.Source == "" || p.Write <= 0 || p.List <= 0 || p.Read <= 0 || p.Storage <= 0 {
			t.Errorf("%+v has gaps", p)
		}
	}
	if p := prices(t, ""); p.Dollars(cost.Requests{Writes: 1e9}) != 0 {
		t.Errorf("what nobody bills costs something: %+v", p)
	}
	if _, ok := cost.PricesOf("unknown"); ok {
		t.Error("an unknown list was found")
	}
}

// What a bucket has counted is told by cause.
func TestReportByCause(t *testing.T) {
	b := bucket.New(memdriver.New(), "mem://test", "p", bucket.Options{})
	for _, key := range []string{"cell.json", "lease.json", "log/0/0", "snapshot/a/part-00000", "restore/a/part-00000", "backup/a/part-00000", "else"} {
		version, err := b.Create(t.Context(), key, []byte("1234"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Replace(t.Context(), key, []byte("12345"), version); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		for range b.List(t.Context(), key, "") {
		}
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = b.Get(t.Context(), "log/0/1")
	written := cost.Requests{Writes: 2, UploadedBytes: 9}
	want := []cost.Line{
		{Cause: cost.LogWrites, Requests: written},
		{Cause: cost.LeaseRenewals, Requests: written},
		{Cause: cost.LeaseWatching, Requests: cost.Requests{Reads: 1, RetrievedBytes: 5}},
		{Cause: cost.Following, Requests: cost.Requests{Reads: 2, RefusedReads: 1, RetrievedBytes: 5}},
		{Cause: cost.EndChecks, Requests: cost.Requests{Lists: 2}},
		{Cause: cost.Snapshots, Requests: cost.Requests{Writes: 2, Reads: 1, Deletes: 1, UploadedBytes: 9, RetrievedBytes: 5}},
		{Cause: cost.Backups, Requests: cost.Requests{Writes: 2, Lists: 1, Reads: 1, Deletes: 1, UploadedBytes: 9, RetrievedBytes: 5}},
		// cell, restore, else; and the deletes and listings of log and lease
		{Cause: cost.Other, Requests: cost.Requests{Writes: 6, Lists: 4, Reads: 3, Deletes: 5, UploadedBytes: 27, RetrievedBytes: 15}},
	}
	free := cost.NewReport(prices(t, ""), time.Hour, b.Usage())
	if !reflect.DeepEqual(free.Causes, want) || free.Requests != 36 || free.Dollars != 0 {
		t.Errorf("%+v\nwant %+v", free, want)
	}
	s3 := free.At(prices(t, "s3"))
	sum := (14*0.005 + 7*0.005 + 8*0.0004) / 1000 // PUTs, LISTs, GETs; deletes are free
	if !near(s3.Dollars, sum) || !near(s3.DollarsPerMonth, sum*730) || s3.Prices != "s3" || s3.Seconds != 3600 {
		t.Errorf("at S3's prices: %+v, want $%v", s3, sum)
	}
	if again := s3.At(prices(t, "")); !reflect.DeepEqual(again, free) {
		t.Errorf("other prices have changed the requests: %+v", again)
	}
	both := s3.Plus(cost.NewReport(prices(t, "gcs"), time.Hour, b.Usage()))
	if both.Requests != 72 || !near(both.Dollars, 2*sum-0.0004/1000) { // GCS does not bill the GET that found nothing
		t.Errorf("two buckets: %+v", both)
	}
	if fresh := cost.NewReport(prices(t, "s3"), 0, b.Usage()); fresh.DollarsPerMonth != 0 {
		t.Errorf("a month at the rate of no time at all: $%v", fresh.DollarsPerMonth)
	}
}
