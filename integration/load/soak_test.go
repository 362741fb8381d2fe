package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/internal/evidence"
)

// soakVariable is how long the soak takes; without it, a short form does.
const soakVariable = "SOAK"

func soaked() bool { return os.Getenv(soakVariable) != "" }

// soak is many clients of a leader with a standby, and what was measured of the two.
type soak struct {
	*testing.T
	minio           *servers.MinIO
	leader, standby *servers.Daemon
	clients         int
	window          time.Duration // one line of the table
	every           time.Duration // between two snapshots, and between two collections
	http            *http.Client

	acked  []atomic.Int64 // by client: the number that it wrote last
	errors atomic.Int64
	series map[string][]float64
}

// written is how many transactions a second the clients offer, all together: the load is
// the same whatever their number.
const written = 300

// flat is what may not grow, and by how much it may all the same. Latencies vary most: the
// machine has other work.
var flat = map[string]Allowance{
	"leader heap MB": {1.25, 40}, "leader RSS MB": {1.25, 60}, "leader goroutines": {1.1, 50}, "leader files": {1.1, 40},
	"standby heap MB": {1.25, 40}, "standby RSS MB": {1.25, 60}, "standby goroutines": {1.1, 50}, "standby files": {1.1, 40},
	"objects": {1.25, 100}, "p50 ms": {2, 200}, "p99 ms": {2, 1000},
}

// TestSoak has very many clients write the same rows again and again, while snapshots are
// made and garbage is collected: the state has one size, so nothing may grow. make soak
// runs it for an hour, with 1,000 clients.
func TestSoak(t *testing.T) {
	s := &soak{T: t, clients: 200, window: 3 * time.Second, every: 3 * time.Second, http: ask(t), series: map[string][]float64{}}
	duration := 36 * time.Second
	if soaked() {
		var err error
		if duration, err = time.ParseDuration(os.Getenv(soakVariable)); err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
		s.clients, s.window, s.every = 1000, max(duration/60, 3*time.Second), max(duration/120, 3*time.Second)
	}
	s.acked = make([]atomic.Int64, s.clients)
	s.minio = minio(t)
	store := s.minio.BucketURL("cells", "soak")
	flags := []string{"--lease-ttl", "10s", "--snapshot-every", s.every.String(), "--gc-every", s.every.String(), "--keep-snapshots", "2", "--window", "1s", "--grace", "1s",
		"--backup-every", "0", "--rehearse", (4 * s.every).String()}
	s.leader = servers.StartDaemon(t, store, flags...)
	s.leader.WaitFor("/leaderz", http.StatusOK)
	s.standby = servers.StartDaemon(t, store, flags...)
	s.standby.WaitFor("/readyz", http.StatusOK)
	s.run(duration)
	s.judge()
	s.check()
}

// run lets the clients write, and measures by the window.
func (s *soak) run(duration time.Duration) {
	ctx, stop := context.WithCancel(s.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for i := range s.clients {
		running.Go(func() { s.write(ctx, i) })
	}
	for range 4 {
		running.Go(func() { s.watch(ctx) })
	}
	start := time.Now()
	table := evidence.Table{Title: fmt.Sprintf("%d clients for %v", s.clients, duration),
		Header: []string{"after", "transactions/s", "p50 ms", "p99 ms", "leader heap MB", "leader RSS MB", "leader goroutines", "leader files", "standby heap MB", "standby RSS MB", "objects"}}
	s.Log(strings.Join(table.Header, "  "))
	before := s.buckets()
	for w := 1; time.Duration(w)*s.window <= duration; w++ {
		s.sample(start.Add(time.Duration(w) * s.window))
		after := s.buckets()
		bounds, counts, sum := since(before, after)
		before = after
		s.add("p50 ms", 1000*Quantile(.5, bounds, counts))
		s.add("p99 ms", 1000*Quantile(.99, bounds, counts))
		row := []any{time.Since(start).Round(time.Second), int(sum / s.window.Seconds())}
		for _, name := range table.Header[2:] {
			row = append(row, fmt.Sprintf("%.4g", s.series[name][w-1]))
		}
		table.Add(row...)
		s.Log(strings.Join(table.Rows[w-1], "  "))
	}
	keep(table)
}

func (s *soak) add(name string, value float64) { s.series[name] = append(s.series[name], value) }

// sample looks at the daemons and the bucket until an instant, and notes the medians.
func (s *soak) sample(until time.Time) {
	looks := map[string][]float64{}
	for first := true; first || time.Now().Before(until); first = false {
		for name, d := range map[string]*servers.Daemon{"leader": s.leader, "standby": s.standby} {
			samples, err := d.Metrics()
			if err != nil {
				s.Fatal(err)
			}
			for _, m := range []struct {
				name, metric string
				unit         float64
			}{{"heap MB", "go_memstats_heap_inuse_bytes", 1 << 20}, {"RSS MB", resident, 1 << 20}, {"goroutines", "go_goroutines", 1}, {"files", openFiles, 1}} {
				value, ok := samples[m.metric]
				if !ok {
					s.Fatalf("no metric %s", m.metric)
				}
				looks[name+" "+m.name] = append(looks[name+" "+m.name], value/m.unit)
			}
		}
		looks["objects"] = append(looks["objects"], s.objects())
		time.Sleep(min(time.Until(until), s.window/6))
	}
	for name, values := range looks {
		s.add(name, median(values))
	}
}

// objects counts what is in the bucket, asked without this project's own code.
func (s *soak) objects() float64 {
	n := 0
	pages := s3.NewListObjectsV2Paginator(s.minio.Client(), &s3.ListObjectsV2Input{Bucket: aws.String("cells")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		n += len(page.Contents)
	}
	return float64(n)
}

const requestSeconds = `scheduler_store_http_request_seconds_bucket{code="200",method="POST",route="/v1/transactions",le="`

// buckets are the cumulated buckets of the answers to transactions, by their bounds.
func (s *soak) buckets() map[float64]float64 {
	samples, err := s.leader.Metrics()
	if err != nil {
		s.Fatal(err)
	}
	found := map[float64]float64{}
	for name, value := range samples {
		if le, ok := strings.CutPrefix(name, requestSeconds); ok {
			bound, err := strconv.ParseFloat(strings.TrimSuffix(le, `"}`), 64)
			if err != nil {
				s.Fatal(err)
			}
			found[bound] = value
		}
	}
	return found
}

// since is the buckets of what came between two looks, not cumulated, and its number.
func since(before, after map[float64]float64) (bounds, counts []float64, sum float64) {
	for bound := range after {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	for _, bound := range bounds {
		n := after[bound] - before[bound]
		counts = append(counts, n-sum)
		sum = n
	}
	return bounds, counts, sum
}

// write is one client: it writes its task again and again, with a number that counts up,
// in the rhythm that makes up the load of all. Every fourth write has an idempotency key.
func (s *soak) write(ctx context.Context, client int) {
	pause := time.Duration(s.clients) * time.Second / written
	for n := 1; ; n++ {
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return
		}
		// Not with ctx: a write under way when the soak ends is waited for.
		request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.leader.URL+"/v1/transactions", bytes.NewReader(save(taskOf(client), n)))
		if err != nil {
			s.Error(err)
			return
		}
		if n%4 == 0 {
			request.Header.Set("Idempotency-Key", fmt.Sprint(client, " ", n))
		}
		answer, err := s.http.Do(request)
		if err != nil {
			s.failed("client %d: %v", client, err)
			return
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			s.failed("client %d: %d %s", client, answer.StatusCode, text)
			return
		}
		s.acked[client].Store(int64(n))
	}
}

func taskOf(client int) string { return fmt.Sprintf("client-%04d", client) }

// failed tells of the first few failures: what fails one client may fail all.
func (s *soak) failed(format string, values ...any) {
	if s.errors.Add(1) <= 5 {
		s.Errorf(format, values...)
	} else {
		s.Fail()
	}
}

// watch takes what watchers are told.
func (s *soak) watch(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.leader.URL+"/v1/watch", nil)
	if err != nil {
		s.Error(err)
		return
	}
	answer, err := (&http.Client{}).Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	if ctx.Err() == nil {
		s.failed("a watch ended: %v", err)
	}
}

func (s *soak) judge() {
	table := evidence.Table{Title: "What must not grow", Header: []string{"what", "second quarter", "last quarter", "verdict"}}
	for name, allowed := range flat {
		if name == "objects" && !soaked() { // collections come late where other tests run: this is seven seconds' writes
			allowed.Plus = 400
		}
		series, verdict := s.series[name], "flat"
		if err := allowed.Grows(series); err != nil {
			s.Errorf("%s: %v", name, err)
			verdict = err.Error()
		}
		quarter := len(series) / 4
		table.Add(name, fmt.Sprintf("%.4g", median(series[quarter:2*quarter])), fmt.Sprintf("%.4g", median(series[len(series)-quarter:])), verdict)
	}
	slices.SortFunc(table.Rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	keep(table)
}

// check makes sure that the one leader led all the time, that each client's last write is
// there, and no other transactions are than theirs.
func (s *soak) check() {
	sum := int64(0)
	for client := range s.acked {
		n := s.acked[client].Load()
		sum += n
		status, body, err := s.leader.Get("/v1/tasks/" + taskOf(client))
		if want := fmt.Sprintf(`"instanceId":%d`, n); n > 0 && (err != nil || status != http.StatusOK || !strings.Contains(body, want+",") && !strings.Contains(body, want+"}")) {
			s.failed("%s: %d %v, want %s in %s", taskOf(client), status, err, want, body)
		}
	}
	if got := must(s.T, s.leader, transaction); got != float64(sum) {
		s.Errorf("%v transactions, %d were answered", got, sum)
	}
	if n := strings.Count(s.leader.Log(), "msg=leading "); n != 1 {
		s.Errorf("it began to lead %d times", n)
	}
	s.Logf("%d transactions", sum)
}
