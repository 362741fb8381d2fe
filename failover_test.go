package schedulerstore

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/lease"
)

// standby is a follower that campaigns, with what it logs and measures.
type standby struct {
	*Store
	leads    chan error
	log      bytes.Buffer
	registry *prometheus.Registry
}

func (c *cell) standby(host string) *standby {
	c.Helper()
	s := &standby{leads: make(chan error, 1), registry: prometheus.NewRegistry()}
	s.Store = c.open(host, Options{Logger: slog.New(slog.NewJSONHandler(&s.log, nil)), Registerer: s.registry})
	go func() { s.leads <- s.Campaign(c.Context()) }()
	return s
}

// stages are those of its only fail-over, from the metrics, which the log must repeat.
func (s *standby) stages(t *testing.T) map[string]time.Duration {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]time.Duration{}
	for _, family := range families {
		if family.GetName() != "scheduler_store_failover_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			if n := m.GetHistogram().GetSampleCount(); n != 1 {
				t.Errorf("%d samples of %s", n, m.GetLabel()[0].GetValue())
			}
			all[m.GetLabel()[0].GetValue()] = time.Duration(m.GetHistogram().GetSampleSum() * float64(time.Second)).Round(time.Millisecond)
		}
	}
	var total time.Duration
	line := map[string]any{}
	for text := range strings.Lines(s.log.String()) {
		if strings.Contains(text, `"msg":"took over"`) {
			if len(line) > 0 {
				t.Error("said twice")
			}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, took := range all {
		total += took
		if line[name] != float64(took) {
			t.Errorf("%s took %v, the log says %v ns", name, took, line[name])
		}
	}
	if line["took"] != float64(total) || line["epoch"] != 2.0 {
		t.Errorf("the log says %v, all took %v", line, total)
	}
	return all
}

func (s *standby) entriesRead(t *testing.T) float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "scheduler_store_log_entries_read_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no metric of the entries read")
	return 0
}

func read(t *testing.T, s *Store) lease.State {
	t.Helper()
	state, err := lease.Read(t.Context(), s.bucket)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// Every request takes 100 ms here, so that time counts the requests in series from
// the end of the leader to the first commit of the next. What a standby has read it
// does not read again.
func TestRequestsOfAFailOver(t *testing.T) {
	const request = 100 * time.Millisecond
	for name, c := range map[string]struct {
		crash    bool
		silent   time.Duration
		requests time.Duration
		stages   map[string]time.Duration // in requests
	}{
		// The look; a GET at the end with the claim; a LIST of the log with the lease; the
		// manifests; the seal; the manifests; the commit.
		"hand-over": {false, 0, 7, map[string]time.Duration{"detect": 1, "claim": 1, "replay": 0, "seal": 4, "ready": 0}},
		// No look, but the TTL.
		"crash": {true, ttl, 6, map[string]time.Duration{"detect": 150, "claim": 1, "replay": 0, "seal": 4, "ready": 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cell := newCell(t)
				one, two := cell.leader("one"), cell.standby("two")
				for range 20 {
					cell.write(one, "a")
				}
				time.Sleep(10 * time.Second)
				if c.crash { // as good as one: it can't renew the lease
					cell.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Fail})
					time.Sleep(ttl - time.Second - time.Since(read(t, two.Store).Renewed))
					cell.mem.Heal()
				} else if err := one.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				cell.mem.Inject(memdriver.Fault{Do: memdriver.Delay(request)})
				two.LookAtLease()
				before := two.entriesRead(t)
				if err := <-two.leads; err != nil {
					t.Fatal(err)
				}
				if got := two.entriesRead(t) - before; got != 0 || before < 20 {
					t.Errorf("%v entries were read while taking over, %v before", got, before)
				}
				cell.write(two.Store, "b")
				start := two.progress.lease.Claim().LastSign.Add(c.silent)
				if took := time.Since(start); took/request != c.requests {
					t.Errorf("the first commit came after %v, want %d requests", took, c.requests)
				}
				cell.mem.Heal()
				for name, took := range two.stages(t) {
					if want, ok := c.stages[name]; !ok || took/request != want {
						t.Errorf("%s took %v, want %d requests", name, took, want)
					}
				}
			})
		})
	}
}

// Who else leads is known from the lease, and forgotten when this process leads itself.
func TestOtherLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one := c.leader("one")
		if leader, _ := one.OtherLeader(); leader != nil {
			t.Errorf("the leader sees %+v", leader)
		}
		two := c.standby("two")
		leader, changed := two.OtherLeader()
		for leader == nil {
			<-changed
			leader, changed = two.OtherLeader()
		}
		if leader.URL != "http://one" || leader.Epoch != 1 {
			t.Errorf("the standby sees %+v", leader)
		}
		time.Sleep(time.Minute)
		select {
		case <-changed:
			t.Error("renewals are no news")
		default:
		}
		again := c.open("one", Options{}) // as after a restart that was too fast to be noticed
		go func() { _ = again.Campaign(t.Context()) }()
		synctest.Wait()
		if leader, _ := again.OtherLeader(); leader != nil || again.Status().Leader == nil {
			t.Errorf("it would ask itself: %+v", leader)
		}
		if err := again.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-two.leads; err != nil {
			t.Fatal(err)
		}
		<-changed
		if leader, _ := two.OtherLeader(); leader != nil {
			t.Errorf("the new leader sees %+v", leader)
		}
	})
}

func TestLeaseReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		two := c.open("two", Options{})
		<-two.LeaseReleased() // it has none
		one := c.leader("one")
		released := one.LeaseReleased()
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Do: memdriver.Delay(time.Second)})
		closed := make(chan error, 1)
		go func() { closed <- one.Close(t.Context()) }()
		start := time.Now()
		<-one.Leadership().Done()
		select {
		case <-released:
			t.Error("said before the lease was released")
		default:
		}
		<-released
		if state := read(t, two); !state.Released || time.Since(start) != time.Second {
			t.Errorf("after %v the lease is at %v", time.Since(start), state)
		}
		slow.Stop()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// A claim fails and the next one wins, while what began with the first goes on: then the
// process leads, and does not begin with the second what leading does anyway.
func TestClaimThatIsWonAtTheSecondTry(t *testing.T) {
	for range 12 { // which of two things that are ready comes first is left to chance
		synctest.Test(t, func(t *testing.T) {
			c := newCell(t)
			one, two := c.leader("one"), c.standby("two")
			time.Sleep(time.Minute + time.Second)
			if err := one.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			const slow = claimPatience + time.Second
			c.mem.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is("log/"), Do: memdriver.Delay(slow)})
			failed := c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Times: 1, Do: memdriver.Fail})
			start := time.Now()
			two.LookAtLease()
			if err := <-two.leads; err != nil || failed.Hits() != 1 {
				t.Fatal(err, failed.Hits())
			}
			if took := time.Since(start); took > claimPatience+slow+time.Second {
				t.Errorf("took over after %v", took)
			}
		})
	}
}

// Who loses the race for the lease goes on following soon, and what it began for that
// is not kept for later.
func TestClaimInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		one, two, three := c.leader("one"), c.standby("two"), c.standby("three")
		time.Sleep(time.Minute + time.Second)
		if err := one.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The claim of the second is on its way while the third is faster.
		slow := c.mem.Inject(memdriver.Fault{Operation: memdriver.Replace, Key: memdriver.Is(lease.Key), Times: 1, Do: memdriver.Delay(500 * time.Millisecond)})
		two.LookAtLease()
		synctest.Wait()
		three.LookAtLease()
		if err := <-three.leads; err != nil || slow.Hits() != 1 {
			t.Fatal(err, slow.Hits())
		}
		c.write(three.Store, "a")
		time.Sleep(3 * claimPatience / 2)
		c.want(two.Store, "a")
		for _, id := range []string{"b", "c", "d"} {
			time.Sleep(time.Minute)
			c.write(three.Store, id)
			time.Sleep(5 * time.Second / 2)
		}
		c.want(two.Store, "a b c d")
		if err := three.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-two.leads; err != nil {
			t.Fatal(err)
		}
		c.write(two.Store, "e")
		c.want(two.Store, "a b c d e")
	})
}
