package benchmark

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/cost"
)

// small are options of a run of a few seconds.
func small() Options {
	return Options{RecordBytes: 1024, Clients: []int{1, 8}, Duration: 30 * time.Millisecond, Transactions: 300}
}

// measured runs one experiment on a bucket in memory, and checks that it leaves nothing.
func measured(t *testing.T, name string, o Options) *Report {
	t.Helper()
	mem, report := memdriver.New(), &Report{}
	s := NewScratch(mem, "mem://m", "cells/prod")
	for _, e := range Experiments() {
		if e.Name != name {
			continue
		}
		if err := s.Use(t.Context(), func() error { return e.Run(t.Context(), s, o, report) }); err != nil {
			t.Fatal(err)
		}
		if left := mem.Keys(); len(left) > 0 {
			t.Errorf("%d objects are left", len(left))
		}
		return report
	}
	t.Fatalf("no experiment %q", name)
	return nil
}

func positive(t *testing.T, values map[string]float64) {
	t.Helper()
	for name, value := range values {
		if value <= 0 || math.IsNaN(value) || math.IsInf(value, 0) {
			t.Errorf("%s is %v", name, value)
		}
	}
}

func TestCommit(t *testing.T) {
	c := measured(t, "commit", small()).Commit
	positive(t, map[string]float64{"rounds": float64(c.Rounds), "raw": c.RawPut.P50, "log": c.Log.P99, "transaction": c.Transaction.P50,
		"log over raw": c.LogOverRaw.P50, "transaction over raw": c.TransactionOverRaw.P99})
	if c.EntryBytes < 1024+100 || c.EntryBytes > 1024+300 {
		t.Errorf("an entry of one record of 1024 bytes has %d", c.EntryBytes)
	}
}

func TestClients(t *testing.T) {
	c := measured(t, "clients", small()).Clients
	if len(c.Rows) != 2 || c.Rows[0].Clients != 1 || c.Rows[1].Clients != 8 {
		t.Fatalf("%+v", c.Rows)
	}
	for _, row := range c.Rows {
		positive(t, map[string]float64{"records": row.PerSecond, "PUTs": row.PutsPerSecond, "p50": row.Latency.P50, "allocations": row.Per.Allocations, "over": row.OverSeries})
		if row.EntryBytes < 1024 {
			t.Errorf("an entry has %v bytes", row.EntryBytes)
		}
	}
	// One client's records go into an entry each.
	if one := c.Rows[0]; one.PutsPerSecond < one.PerSecond*0.9 || one.PutsPerSecond > one.PerSecond*1.1 {
		t.Errorf("%v records and %v PUTs a second by one client", one.PerSecond, one.PutsPerSecond)
	}
}

func TestTransactions(t *testing.T) {
	rows := measured(t, "transactions", small()).Transactions.Rows
	if len(rows) != 3 {
		t.Fatalf("%+v", rows)
	}
	for _, row := range rows {
		positive(t, map[string]float64{"transactions": row.PerSecond, "PUTs": row.PutsPerSecond, "p99": row.Latency.P99})
	}
}

func TestRecovery(t *testing.T) {
	r := measured(t, "recovery", small()).Recovery
	if r.Large.Transactions != 300 || r.Small.Transactions != 300 {
		t.Errorf("recovered %d and %d transactions, want 300", r.Large.Transactions, r.Small.Transactions)
	}
	if r.Small.Entries != 301 { // a seal begins the log
		t.Errorf("%d small entries, want 301", r.Small.Entries)
	}
	if r.Large.Entries >= r.Small.Entries || r.Large.Bytes < 300*1024 {
		t.Errorf("large: %+v", r.Large)
	}
	positive(t, map[string]float64{"seconds": r.Large.Seconds, "raw": r.Large.RawSeconds, "over raw": r.Large.OverRaw, "small": r.Small.EntriesPerSecond})
}

func TestFailover(t *testing.T) {
	f := measured(t, "failover", small()).Failover
	positive(t, map[string]float64{"hand-over": f.HandOver.FirstCommitMs, "closed": f.HandOver.ClosedMs, "crash": f.Crash.FirstCommitMs,
		"commit": f.Lag.Commit.P50, "writes": f.Lag.TransactionsPerSecond, "idle": f.Idle.Seconds})
	if f.HandOver.Rounds != handOvers || f.Crash.Rounds != crashes {
		t.Errorf("%+v", f)
	}
	// The lease of who is cut off is not released: nobody leads before it has run out,
	// counted from its last renewal.
	if least := f.CrashTTLSeconds * 1000 * 0.6; f.Crash.FirstCommitMs < least {
		t.Errorf("after a crash the successor committed in %v ms", f.Crash.FirstCommitMs)
	}
	if f.HandOver.LeadsMs > f.HandOver.FirstCommitMs {
		t.Errorf("%+v", f.HandOver)
	}
}

func TestRequests(t *testing.T) {
	r := measured(t, "requests", small()).Requests
	if r.Transactions != 300 || r.Entries == 0 || r.Requests.Create != int64(r.Entries) || r.PutsPerEntry != 1 || r.Others != 0 {
		t.Errorf("%+v", r)
	}
}

func TestProfile(t *testing.T) {
	o := small()
	o.Profile, o.Duration = "s3express", 100*time.Millisecond
	p := measured(t, "profile", o).Profile
	positive(t, map[string]float64{"PUT": p.Put.P50, "transactions": p.Transactions.PerSecond, "over": p.OverPut})
	if p.Profile != "s3express" || p.Transactions.Clients != profileClients {
		t.Errorf("%+v", p)
	}
}

func TestHedging(t *testing.T) {
	o := small()
	o.Profile, o.Duration = "s3express", 200*time.Millisecond
	h := measured(t, "hedging", o).Hedging
	positive(t, map[string]float64{"off": h.Off.Latency.P99, "on": h.On.Latency.P99, "ratio": h.OnOverOff.P99})
	if h.Off.Requests.Hedges != 0 || h.Off.Requests.Create == 0 {
		t.Errorf("hedging off: %+v", h.Off.Requests)
	}
}

// What was sent although the same was on its way is counted apart, and whether it may
// be is up to the store itself.
func TestCounterKnowsHedges(t *testing.T) {
	mem := memdriver.New()
	c := &counter{driver: latencydriver.New(mem, latencydriver.Profile{}, 1)}
	if !c.Hedgeable() || !(&cut{Bucket: c}).Hedgeable() || (&counter{driver: mem}).Hedgeable() {
		t.Error("whether requests may be hedged is not told as the store does")
	}
	for _, ctx := range []context.Context{t.Context(), driver.OnFreshConnection(t.Context())} {
		_, _ = c.Create(ctx, "a", []byte("abc"))
		_, _, _ = c.Get(ctx, "a")
	}
	_, _, _ = c.Get(t.Context(), "b")
	if got, want := c.requests(), (Requests{Create: 2, Get: 3, Misses: 1, Hedges: 2, CreateBytes: 6, GetBytes: 6}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDollarsAreThoseOfAMonth(t *testing.T) {
	prices, _ := cost.PricesOf("s3")
	// A PUT a second is 2,628,000 a month, at $5 a million.
	if got := (Requests{Create: 5, Replace: 5}).dollarsPerMonth(prices, 10); got != 13.14 {
		t.Errorf("$%v, want 13.14", got)
	}
	gcs, _ := cost.PricesOf("gcs")
	if got := (Requests{Get: 10, Misses: 10}).dollarsPerMonth(gcs, 1); got != 0 {
		t.Errorf("misses cost $%v on GCS, want 0", got)
	}
	if got := (Requests{Create: 1}).dollarsPerMonth(prices, 0); got != 0 {
		t.Errorf("$%v in no time", got)
	}
}

func TestSnapshots(t *testing.T) {
	s := measured(t, "snapshots", small()).Snapshots
	positive(t, map[string]float64{"state": s.StateBytes, "without": s.Without.Commit.P50, "full": s.Full.Commit.P99, "incremental": s.Incremental.PerSecond,
		"full over": s.FullOver.P50, "incremental over": s.IncrementalOver.P99, "made full": float64(s.Full.Made), "made": float64(s.Incremental.Made),
		"bytes of a full one": float64(s.Full.Bytes), "recovery": s.Recovery.Seconds, "raw": s.Recovery.RawSeconds, "recovery over raw": s.Recovery.OverRaw})
	if s.Tasks != 300 || s.Without.Made != 0 || s.Recovery.Bytes == 0 {
		t.Errorf("%+v", s)
	}
}
