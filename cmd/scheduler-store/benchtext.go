package main

import (
	"fmt"
	"strings"

	"github.com/scheduler-store/scheduler-store/internal/benchmark"
)

// printBench prints one part of a report as text.
func (c *command) printBench(name string, r *benchmark.Report) error {
	switch name {
	case "commit":
		return c.printBenchCommit(r.Commit)
	case "clients":
		return c.printBenchClients(r.Clients)
	case "transactions":
		return c.printBenchTransactions(r.Transactions)
	case "profile":
		return c.printBenchProfile(r.Profile)
	case "hedging":
		return c.printBenchHedging(r.Hedging)
	case "recovery":
		return c.printBenchRecovery(r.Recovery)
	case "snapshots":
		return c.printBenchSnapshots(r.Snapshots)
	case "failover":
		return c.printBenchFailover(r.Failover)
	}
	return c.printBenchRequests(r.Requests)
}

// benchTable begins a part with its title.
func (c *command) benchTable(title string, header ...string) *table {
	fmt.Fprintf(c.stdout, "\n%s\n", title)
	return c.table(header...)
}

func ms(v float64) string    { return fmt.Sprintf("%.2f", v) }
func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

func (c *command) printBenchCommit(r *benchmark.Commit) error {
	t := c.benchTable(fmt.Sprintf("commit: one client, records of %d bytes, %d rounds", r.RecordBytes, r.Rounds),
		" ", "p50 ms", "p99 ms", "p50/raw", "p99/raw")
	row := func(what string, p benchmark.Percentiles, over benchmark.Over) {
		t.row(what, ms(p.P50), ms(p.P99), ms(over.P50), ms(over.P99))
	}
	row(fmt.Sprintf("raw conditional PUT of %d bytes", r.EntryBytes), r.RawPut, benchmark.Over{P50: 1, P99: 1})
	row("commit to the log, a PUT of as many", r.Log, r.LogOverRaw)
	row("transaction of one task", r.Transaction, r.TransactionOverRaw)
	return t.flush()
}

var throughputHeader = []string{"clients", "/s", "PUTs/s", "bytes/PUT", "p50 ms", "p99 ms", "CPU us", "allocs"}

func throughputRow(r *benchmark.Throughput) []string {
	return []string{fmt.Sprint(r.Clients), whole(r.PerSecond), whole(r.PutsPerSecond), whole(r.EntryBytes), ms(r.Latency.P50), ms(r.Latency.P99),
		fmt.Sprintf("%.1f", 1e6*r.Per.CPUSeconds), fmt.Sprintf("%.1f", r.Per.Allocations)}
}

func (c *command) printBenchClients(r *benchmark.Clients) error {
	t := c.benchTable(fmt.Sprintf("clients: commits to the log, records of %d bytes; PUTs in series: %.0f/s", r.RecordBytes, r.Series.PerSecond),
		append(throughputHeader, "/series")...)
	for _, row := range r.Rows {
		t.row(append(throughputRow(&row), fmt.Sprintf("%.1f", row.OverSeries))...)
	}
	return t.flush()
}

func (c *command) printBenchTransactions(r *benchmark.Transactions) error {
	t := c.benchTable("transactions: one task saved in each, through the whole store", throughputHeader...)
	for _, row := range r.Rows {
		t.row(throughputRow(&row)...)
	}
	return t.flush()
}

func (c *command) printBenchProfile(r *benchmark.Profiled) error {
	t := c.benchTable(fmt.Sprintf("profile: with %s's latencies; a PUT alone: p50 %s ms, p99 %s ms", r.Profile, ms(r.Put.P50), ms(r.Put.P99)),
		append(append([]string{" "}, throughputHeader...), "p50/PUT")...)
	t.row(append(append([]string{"log"}, throughputRow(&r.Commits)...), ms(r.CommitsOverPut))...)
	t.row(append(append([]string{"store"}, throughputRow(&r.Transactions)...), ms(r.OverPut))...)
	return t.flush()
}

func (c *command) printBenchHedging(r *benchmark.Hedging) error {
	t := c.benchTable(fmt.Sprintf("hedging: %s's latencies, %.0f %% of PUTs %.0f times slower; %d clients", r.Profile, 100*r.SlowShare, r.SlowFactor, r.On.Clients),
		" ", "p50 ms", "p99 ms", "p99.9 ms", "commits/s", "PUTs", "hedges")
	row := func(what string, h *benchmark.Hedged) {
		t.row(what, ms(h.Latency.P50), ms(h.Latency.P99), ms(h.Latency.P999), whole(h.PerSecond), fmt.Sprint(h.Requests.Create), fmt.Sprint(h.Requests.Hedges))
	}
	row("off", &r.Off)
	row("on", &r.On)
	t.row("on/off", ms(r.OnOverOff.P50), ms(r.OnOverOff.P99), ms(r.P999), ms(benchmark.Ratio(r.On.PerSecond, r.Off.PerSecond)), "",
		fmt.Sprintf("%.1f %% more", 100*r.MoreRequests))
	return t.flush()
}

func (c *command) printBenchRecovery(r *benchmark.Recovery) error {
	t := c.benchTable("recovery: a fresh reader, against raw parallel GETs with decoding",
		" ", "transactions", "entries", "seconds", "raw s", "/raw", "entries/s", "MB/s")
	row := func(what string, p *benchmark.Replay) {
		t.row(what, fmt.Sprint(p.Transactions), fmt.Sprint(p.Entries), ms(p.Seconds), ms(p.RawSeconds), ms(p.OverRaw), whole(p.EntriesPerSecond), whole(p.MBPerSecond))
	}
	row("this store", &r.Large)
	row(fmt.Sprintf("memory, %.0f ms a GET", r.SmallGetMs), &r.Small)
	return t.flush()
}

func (c *command) printBenchSnapshots(r *benchmark.Snapshots) error {
	const mb = 1e6
	t := c.benchTable(fmt.Sprintf("snapshots of a state of %d tasks, %.0f MB of heap; a full one takes %.0f MB more", r.Tasks, r.StateBytes/mb, r.HeapAbove/mb),
		"commits beside", "/s", "p50 ms", "p99 ms", "/p50", "/p99", "longest read ms", "made", "MB", "seconds")
	row := func(what string, u *benchmark.UnderSnapshot, over benchmark.Over) {
		t.row(what, whole(u.PerSecond), ms(u.Commit.P50), ms(u.Commit.P99), ms(over.P50), ms(over.P99), ms(u.LongestReadMs),
			fmt.Sprint(u.Made), ms(float64(u.Bytes)/mb), ms(u.Seconds))
	}
	row("no snapshot", &r.Without, benchmark.Over{P50: 1, P99: 1})
	row("full ones", &r.Full, r.FullOver)
	row("incremental ones", &r.Incremental, r.IncrementalOver)
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "\nrecovering it: %.0f MB in %.2f s, raw GETs and decoding %.2f s, ratio %.2f\n",
		float64(r.Recovery.Bytes)/mb, r.Recovery.Seconds, r.Recovery.RawSeconds, r.Recovery.OverRaw)
	return err
}

func (c *command) printBenchFailover(r *benchmark.Failover) error {
	t := c.benchTable("failover: a leader and a warm standby, ms from the end of the leader on", " ", "closed", "leads", "first commit", "the slowest", "of")
	row := func(what string, o *benchmark.Takeover) {
		closed := ""
		if o.ClosedMs > 0 {
			closed = whole(o.ClosedMs)
		}
		t.row(what, closed, whole(o.LeadsMs), whole(o.FirstCommitMs), whole(o.MaxFirstCommitMs), fmt.Sprint(o.Rounds))
	}
	row("hand-over", &r.HandOver)
	row(fmt.Sprintf("crash, TTL %.0f s", r.CrashTTLSeconds), &r.Crash)
	if err := t.flush(); err != nil {
		return err
	}
	c.printBenchStages("hand-over", r.HandOver.Stages)
	c.printBenchStages("crash", r.Crash.Stages)
	l := &r.Lag
	t = c.benchTable(fmt.Sprintf("the standby under %.0f transactions/s of %d clients", l.TransactionsPerSecond, l.Clients), " ", "p50 ms", "p99 ms")
	t.row("commit", ms(l.Commit.P50), ms(l.Commit.P99))
	t.row("lag after the commit", ms(l.Lag.P50), ms(l.Lag.P99))
	t.row("lag/commit", ms(l.OverCommit.P50), ms(l.OverCommit.P99))
	if err := t.flush(); err != nil {
		return err
	}
	i := &r.Idle
	_, err := fmt.Fprintf(c.stdout, "\nthe standby idle: %d GETs, %d LISTs in %.0f s, $%.2f a month\n", i.Requests.Get, i.Requests.List, i.Seconds, i.DollarsPerMonth)
	return err
}

func (c *command) printBenchStages(what string, stages []benchmark.Stage) {
	parts := []string{}
	for _, s := range stages {
		parts = append(parts, fmt.Sprintf("%s %.0f", s.Name, s.Ms))
	}
	if len(parts) > 0 {
		fmt.Fprintf(c.stdout, "stages of a %s, ms: %s\n", what, strings.Join(parts, ", "))
	}
}

func (c *command) printBenchRequests(r *benchmark.Accounting) error {
	t := c.benchTable(fmt.Sprintf("requests of %d transactions, %.0f/s", r.Transactions, r.TransactionsPerSecond),
		"entries", "PUTs", "hedges", "PUTs/entry", "renewals", "others", "$/month", "$/million")
	t.row(fmt.Sprint(r.Entries), fmt.Sprint(r.Requests.Create), fmt.Sprint(r.Requests.Hedges), fmt.Sprintf("%.3f", r.PutsPerEntry),
		fmt.Sprint(r.LeaseRenewals), fmt.Sprint(r.Others), fmt.Sprintf("%.2f", r.DollarsPerMonth), fmt.Sprintf("%.3f", r.DollarsPerMillion))
	return t.flush()
}
