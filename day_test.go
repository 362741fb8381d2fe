package schedulerstore

import (
	"bufio"
	"cmp"
	"context"
	"iter"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/latencydriver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/cost"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/randomstate"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// dayVariable names a file of JSON lines, the transactions of a cluster's day, that take
// the place of some made-up ones. dayTasksVariable is a number of tasks that are there
// all day, and in which nothing happens.
const (
	dayVariable      = "SCHEDULER_STORE_DAY"
	dayTasksVariable = "SCHEDULER_STORE_DAY_TASKS"
)

// day is a cluster's day: its transactions, spread evenly over 24 hours.
type day struct {
	*testing.T
	mem  *memdriver.Bucket
	real bool
	// target is the time that replaying the log may take.
	target time.Duration

	transactions int
	longest      time.Duration // that replaying was ever estimated to take
	made         []madeSnapshot
}

// madeSnapshot is one that the leader made, and what a full one of that state would be.
type madeSnapshot struct {
	*snapshot.Manifest
	length                 persistence.Position // of the log when it was made, behind the snapshot before
	bytes, fullBytes       int64
	requests, fullRequests int
}

// lines are the transactions of the day.
func (d *day) lines() (n int, all iter.Seq[[]*api.Op]) {
	path := os.Getenv(dayVariable)
	if path == "" {
		made := randomstate.New(1).Transactions(4000)
		return len(made), slices.Values(made)
	}
	file, err := os.Open(path)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = file.Close() })
	count := bufio.NewScanner(file)
	count.Buffer(nil, 16<<20)
	for count.Scan() {
		n++
	}
	if _, err := file.Seek(0, 0); err != nil || count.Err() != nil {
		d.Fatal(err, count.Err())
	}
	return n, func(yield func([]*api.Op) bool) {
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			tx, err := schema.ParseTransaction(scanner.Bytes())
			if err != nil {
				d.Fatal(err)
			}
			if !yield(tx.Ops) {
				return
			}
		}
	}
}

// TestDay holds the promise of the schedule over a cluster's day: the log never needs
// more than the target to be replayed. In virtual time the estimate can be held to that;
// for a day from a file, what replaying really takes is then measured where the log was
// longest, with the latencies of S3. It tells what the snapshots were, and what full ones had been.
func TestDay(t *testing.T) {
	d := &day{T: t, mem: memdriver.New(), real: os.Getenv(dayVariable) != "", target: 10 * time.Second}
	if !d.real {
		d.target = 400 * time.Millisecond
	}
	n, lines := d.lines()
	synctest.Test(t, func(inner *testing.T) {
		d.T = inner
		d.live(n, lines)
	})
	d.T = t
	if t.Failed() {
		return
	}
	if d.longest > d.target || !d.real && d.longest < d.target/4 {
		t.Errorf("replaying the log would have taken %v at most, the target is %v", d.longest, d.target)
	}
	if len(d.made) < 3 {
		t.Fatalf("%d snapshots: too few to say anything", len(d.made))
	}
	if d.real {
		d.recover()
	}
	d.tell()
}

// every is the time between two snapshots: in a made-up day only the target counts.
func (d *day) every() time.Duration {
	if d.real {
		return 0
	}
	return 48 * time.Hour
}

// live lets the day pass.
func (d *day) live(n int, lines iter.Seq[[]*api.Op]) {
	s, err := OpenBucket(d.Context(), bucket.New(d.mem, "mem://day", "", bucket.Options{}),
		Options{Lease: lease.Options{Host: "one"}, Snapshots: snapshot.Schedule{Every: d.every(), Replay: d.target}, History: History{Every: -1}})
	if err != nil {
		d.Fatal(err)
	}
	defer s.Close(context.Background())
	if err := s.Campaign(d.Context()); err != nil {
		d.Fatal(err)
	}
	d.fill(s)
	writer, _ := s.reigning()
	start, last := time.Now(), ""
	for ops := range lines {
		d.transactions++
		time.Sleep(time.Until(start.Add(time.Duration(float64(d.transactions) / float64(n) * float64(24*time.Hour)))))
		m, _ := s.lastSnapshot()
		d.longest = max(d.longest, s.replayEstimate(writer.Backlog()))
		if m != nil && m.Name != last {
			last = m.Name
			d.note(s, m)
		}
		p, err := s.Apply(d.Context(), ops, durability.WriteOptions{})
		if err == nil {
			_, err = p.Wait(d.Context())
		}
		if err != nil {
			d.Fatalf("transaction %d: %v", d.transactions, err)
		}
	}
}

// fill writes the tasks that are there all day, in which nothing happens.
func (d *day) fill(s *Store) {
	n := 4000
	if tasks := os.Getenv(dayTasksVariable); tasks != "" {
		var err error
		if n, err = strconv.Atoi(tasks); err != nil {
			d.Fatal(err)
		}
	} else if d.real {
		return
	}
	for from := 0; from < n; from += 1000 {
		bulky(d.T, s, from, min(1000, n-from))
	}
}

// note notes a snapshot, and writes a full one of the same state aside.
func (d *day) note(s *Store, m *snapshot.Manifest) {
	made := madeSnapshot{Manifest: m, bytes: m.OwnBytes(), requests: 1} // the manifest
	for _, part := range m.Parts {
		if part.Object == "" {
			made.requests++
		}
	}
	aside := bucket.New(memdriver.New(), "mem://aside", "", bucket.Options{})
	full, err := snapshot.Write(d.Context(), aside, s.log.Codec(), s.sourceOf(s.storage.Checkpoint(), "aside"), 1)
	if err != nil {
		d.Fatal(err)
	}
	made.fullBytes, made.fullRequests = full.Bytes(), len(full.Parts)+1
	made.length = m.At.Next
	if n := len(d.made); n > 0 {
		made.length -= d.made[n-1].At.Next
	}
	d.made = append(d.made, made)
}

// recover measures recoveries where the log was longest: with the latencies of S3 and the
// time that this machine takes.
func (d *day) recover() {
	profile, err := latencydriver.Lookup("s3")
	if err != nil {
		d.Fatal(err)
	}
	worst := slices.Clone(d.made)
	slices.SortFunc(worst, func(a, b madeSnapshot) int { return cmp.Compare(b.length, a.length) })
	slow := bucket.New(latencydriver.New(d.mem, profile, 1), "mem://slow", "", bucket.Options{})
	log, err := blob.Open(d.Context(), slow, blob.Options{ReadOnly: true})
	if err != nil {
		d.Fatal(err)
	}
	for _, w := range worst[:min(len(worst), 8)] {
		last := w.At.Next - 2 // the snapshot itself is of no use there
		var replay blob.Progress
		start := time.Now()
		at, err := log.Past(d.Context(), durability.New(durability.Options{}), blob.Until{Position: &last}, func(p blob.Progress) { replay = p })
		took := time.Since(start)
		if err != nil || at.Next != last+1 {
			d.Fatalf("%v, %v; want the state of position %v", at, err, last)
		}
		if replay.Elapsed > d.target {
			d.Errorf("replaying %d entries took %v, the target is %v", replay.Entries, replay.Elapsed, d.target)
		}
		d.Logf("at position %d: snapshot loaded in %v, then %d entries replayed in %v", last, (took - replay.Elapsed).Round(time.Millisecond),
			replay.Entries, replay.Elapsed.Round(time.Millisecond))
	}
}

// tell tells what was written, and what it costs at S3's list price.
func (d *day) tell() {
	prices, _ := cost.PricesOf("s3")
	var bytes, full int64
	var requests, fulls int
	for _, m := range d.made {
		bytes, full, requests, fulls = bytes+m.bytes, full+m.fullBytes, requests+m.requests, fulls+m.fullRequests
	}
	entries := int(d.made[len(d.made)-1].At.Next)
	dollars := func(puts int) float64 { return prices.Dollars(cost.Requests{Writes: float64(puts)}) }
	last := d.made[len(d.made)-1]
	d.Logf("%d transactions, %d entries by the last snapshot: $%.3f of PUTs", d.transactions, entries, dollars(entries))
	d.Logf("longest replay by the estimate: %v of %v", d.longest.Round(time.Millisecond), d.target)
	d.Logf("%-12s %7s %9s %7s %9s %9s %15s", "snapshots", "number", "MB", "PUTs", "$", "% of all", "kept: $ a month")
	for _, row := range []struct {
		what     string
		bytes    int64
		requests int
	}{{"as made", bytes, requests}, {"full each", full, fulls}} {
		d.Logf("%-12s %7d %9.1f %7d %9.4f %9.2f %15.4f", row.what, len(d.made), float64(row.bytes)/1e6, row.requests, dollars(row.requests),
			100*dollars(row.requests)/(dollars(row.requests)+dollars(entries)), prices.StorageDollars(float64(row.bytes)))
	}
	d.Logf("the last one has %d records in %d parts of %.1f MB, a full one %.1f MB", last.Records, len(last.Parts), float64(last.Manifest.Bytes())/1e6, float64(last.fullBytes)/1e6)
}
