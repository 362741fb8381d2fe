package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/buckettest/faultproxy"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// tally is what became of writes.
type tally struct{ acked, refused, other atomic.Int64 }

// flood has one client write until stop is closed: what is refused comes again when it
// was told to, with another transaction.
func (y *tally) flood(t *testing.T, client *http.Client, url, name string, stop <-chan struct{}) {
	for n := 1; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		answer, err := client.Post(url+"/v1/transactions", "application/json", bytes.NewReader(save(fmt.Sprint(name, "-", n), n)))
		if err != nil {
			if y.other.Add(1) <= 3 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		var p struct{ Type, Outcome string }
		_ = json.Unmarshal(body, &p) // what it is not, is told below
		switch {
		case answer.StatusCode == http.StatusOK:
			y.acked.Add(1)
		case answer.StatusCode == http.StatusServiceUnavailable && strings.HasSuffix(p.Type, ":overloaded") && p.Outcome == "not committed" && answer.Header.Get("Retry-After") != "":
			y.refused.Add(1)
			select {
			case <-time.After(time.Second + rand.N(time.Second)): // as Retry-After says, and not all together
			case <-stop:
			}
		default:
			if y.other.Add(1) <= 3 {
				t.Errorf("%s: %d %v %s", name, answer.StatusCode, answer.Header, body)
			}
		}
	}
}

// TestOverload: thousands of clients write at once, on a store whose PUTs take a second.
// What is too much is refused, and told so; the leader keeps its lease, readers notice
// nothing, memory is bounded; and when the crowd has gone all is as before.
func TestOverload(t *testing.T) {
	const crowd, lasts = 5000, 10 * time.Second
	proxy := faultproxy.Start(t, minio(t).Endpoint, faultproxy.Options{})
	d := servers.StartDaemon(t, servers.S3URL(proxy.URL, "cells", "overload"), "--backup-every", "0")
	d.WaitFor("/leaderz", http.StatusOK)
	client := ask(t)
	before := latency(t, client, d.URL, "before")

	proxy.Inject(faultproxy.Fault{Match: faultproxy.Containing("/log/", http.MethodPut), Do: func(p *faultproxy.Proxy, w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		faultproxy.Pass(p, w, r)
	}})
	var y tally
	var running sync.WaitGroup
	stop := make(chan struct{})
	for i := range crowd {
		running.Go(func() { y.flood(t, client, d.URL, fmt.Sprint("crowd-", i), stop) })
	}
	most := 0.0
	for start := time.Now(); time.Since(start) < lasts; time.Sleep(500 * time.Millisecond) {
		healthy(t, d)
		most = max(most, must(t, d, resident))
	}
	close(stop)
	running.Wait()
	proxy.Heal()
	client.CloseIdleConnections()
	ended := time.Now()
	after := latency(t, client, d.URL, "after")
	recovered := time.Since(ended)

	t.Logf("%d acknowledged, %d refused, %.0f MB at most; a commit took %v before and %v after, which was known %v after the end", y.acked.Load(), y.refused.Load(), most/1e6, before, after, recovered)
	if y.refused.Load() == 0 || y.acked.Load() == 0 {
		t.Error("want some acknowledged and some refused")
	}
	if n := y.other.Load(); n > 0 {
		t.Errorf("%d writes had another answer", n)
	}
	if most > 1<<30 {
		t.Errorf("it had %.0f MB in memory", most/1e6)
	}
	if after > 4*before+250*time.Millisecond {
		t.Errorf("a commit takes %v after, %v before", after, before)
	}
	if got, want := must(t, d, transaction), float64(y.acked.Load()+2*probes); got != want {
		t.Errorf("%v transactions, %v were answered", got, want)
	}
	if n := strings.Count(d.Log(), "msg=leading "); n != 1 {
		t.Errorf("it began to lead %d times", n)
	}
	table := evidence.Table{Title: fmt.Sprintf("Overload: %d clients at once for %v, PUTs that take a second", crowd, lasts),
		Header: []string{"acknowledged", "refused", "other answers", "most MB", "commit before", "commit after"}}
	table.Add(y.acked.Load(), y.refused.Load(), y.other.Load(), int(most/1e6), before, after)
	keep(table)
}

const probes = 21

// latency is the median time of a few commits, one after another.
func latency(t *testing.T, client *http.Client, url, name string) time.Duration {
	t.Helper()
	var took []float64
	for i := range probes {
		start := time.Now()
		answer, err := client.Post(url+"/v1/transactions", "application/json", bytes.NewReader(save(fmt.Sprint(name, "-", i), i)))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", answer.StatusCode, body)
		}
		took = append(took, float64(time.Since(start)))
	}
	return time.Duration(median(took)).Round(100 * time.Microsecond)
}
