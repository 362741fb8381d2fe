package deploy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

// Most that writes may stand still while a leader hands over. It is far below the lease's
// 15 s, after which a leader that does not hand over is replaced.
const mostStill = 5 * time.Second

func minioCluster(t *testing.T) *cluster {
	minio := servers.StartMinIO(t)
	minio.MakeBucket(t, "cells")
	var environment []string
	for _, setting := range minio.Environment() {
		environment = append(environment, setting[0]+"="+setting[1])
	}
	return newCluster(t, append(environment, "SCHEDULER_STORE_URL="+minio.BucketURL("cells", "one"))...)
}

// A rollout of the manifests' three pods, one after another, while clients write: some
// through the Service of all pods, going where a 503 sends them, some through the router.
// Nothing that was answered is lost, nothing is there twice, two pods are ready at any time,
// and writes stand still for a moment only.
func TestRollout(t *testing.T) {
	c := minioCluster(t)
	for ordinal := range c.manifest.Spec.Replicas {
		c.waitReady(c.start(ordinal))
	}
	c.startRouter()
	direct, routed := &writers{cluster: c, name: "direct"}, &writers{cluster: c, name: "routed", through: "http://" + routerAddress + ":8410"}
	all := []*writers{direct, routed}
	for _, w := range all {
		w.first() // there is a leader, and it is known
		w.begin(4)
	}
	fewest := c.watchReady()
	for ordinal := c.manifest.Spec.Replicas - 1; ordinal >= 0; ordinal-- {
		from := time.Now()
		c.replace(ordinal)
		for _, w := range all {
			t.Logf("%s replaced: %s", c.podName(ordinal), w.since(from))
		}
	}
	if n := fewest(); n < c.manifest.Spec.Replicas-1 {
		t.Errorf("%d pods were ready at a time", n)
	}
	for _, w := range all {
		w.end()
		t.Logf("the whole rollout: %s", w.since(w.begun))
		if w.longest(w.begun) > mostStill {
			t.Errorf("%s writes stood still for %v, want %v at most", w.name, w.longest(w.begun), mostStill)
		}
	}
	check(t, c, all)
}

// A pod that dies in its sleep is not handed over from: the lease must run out. The router
// finds the next leader by itself.
func TestRouterFindsTheNextLeader(t *testing.T) {
	c := minioCluster(t)
	c.environment = append(c.environment, "SCHEDULER_STORE_LEASE_TTL=3s")
	for ordinal := range 2 {
		c.waitReady(c.start(ordinal))
	}
	c.startRouter()
	w := &writers{cluster: c, name: "routed", through: "http://" + routerAddress + ":8410"}
	w.first()
	c.leader().Kill()
	w.first()
	check(t, c, []*writers{w})
}

// With the component tls: pods and router speak HTTPS, and standbys still hear of a
// hand-over.
func TestRouterOverTLS(t *testing.T) {
	c := minioCluster(t)
	pool := c.useTLS()
	for ordinal := range 2 {
		c.waitReady(c.start(ordinal))
	}
	c.startRouter("TLS=1")
	w := &writers{cluster: c, name: "routed", through: "https://" + routerAddress + ":8410", authorities: pool}
	w.first()
	w.begin(2)
	old := c.leader()
	from := time.Now()
	old.Signal(syscall.SIGTERM)
	<-old.Ended()
	c.mu.Lock()
	delete(c.pods, old.name)
	c.mu.Unlock()
	w.first()
	w.end()
	t.Logf("%s", w.since(from))
	if w.longest(from) > mostStill {
		t.Errorf("writes stood still for %v", w.longest(from))
	}
	check(t, c, []*writers{w})
}

// useTLS does what the component tls does: a Secret, and variables. It returns
// the authority of the Secret.
func (c *cluster) useTLS() *x509.CertPool {
	c.t.Helper()
	authority := servers.NewAuthority(c.t)
	secret := authority.Certificate("*.scheduler-store-pods."+namespace+".svc", "scheduler-store-leader."+namespace+".svc", "scheduler-store."+namespace+".svc")
	for name, file := range map[string]string{"ca.crt": authority.File, "tls.crt": filepath.Join(secret, "public.crt"), "tls.key": filepath.Join(secret, "private.key")} {
		text, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		c.write("etc/tls/"+name, string(text))
	}
	c.environment = append(c.environment, "SCHEDULER_STORE_TLS_CERT=/etc/tls/tls.crt", "SCHEDULER_STORE_TLS_KEY=/etc/tls/tls.key")
	c.scheme = "https"
	// As the kubelet, which does not verify what it probes.
	c.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return authority.Pool()
}

// leader is the pod that leads.
func (c *cluster) leader() *pod {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, name := range c.ready() {
			c.mu.Lock()
			p := c.pods[name]
			c.mu.Unlock()
			what := probe{}
			what.HTTPGet.Path = "/leaderz"
			if c.probe(p, what) == nil {
				return p
			}
		}
	}
	c.t.Fatal("nobody leads")
	return nil
}

// watchReady counts the pods to which reads would go, and that answer: the function that it
// returns says how few they were.
func (c *cluster) watchReady() (fewest func() int) {
	least, stop, stopped := len(c.ready()), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			answering := 0
			for _, name := range c.ready() {
				c.mu.Lock()
				p := c.pods[name]
				c.mu.Unlock()
				if p != nil && c.probe(p, c.container().ReadinessProbe) == nil {
					answering++
				}
			}
			least = min(least, answering)
		}
	}()
	return func() int {
		close(stop)
		<-stopped
		return least
	}
}

// writers write tasks, each once, until they are told to end.
type writers struct {
	cluster     *cluster
	name        string
	through     string // the router's URL; without, the Service of all pods
	authorities *x509.CertPool
	client      *http.Client
	begun       time.Time
	stop        chan struct{}
	running     sync.WaitGroup
	ids         atomic.Int64

	mu      sync.Mutex
	acked   []ack
	maybe   int            // writes whose outcome is not known
	refused map[string]int // tries that were surely not committed
}

type ack struct {
	id string
	at time.Time
}

func (w *writers) prepare() {
	if w.client == nil {
		transport := &http.Transport{DialContext: w.cluster.dial, MaxIdleConnsPerHost: 16}
		if w.authorities != nil {
			transport.TLSClientConfig = &tls.Config{RootCAs: w.authorities, ServerName: "scheduler-store-leader." + namespace + ".svc"}
		}
		w.client = &http.Client{Timeout: 30 * time.Second, Transport: transport}
		w.refused, w.stop = map[string]int{}, make(chan struct{})
	}
}

// first writes until one write is answered.
func (w *writers) first() {
	w.cluster.t.Helper()
	w.prepare()
	w.mu.Lock()
	had := len(w.acked)
	w.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); ; {
		w.write(w.nextID(), deadline)
		w.mu.Lock()
		have := len(w.acked)
		w.mu.Unlock()
		if have > had {
			return
		}
		if time.Now().After(deadline) {
			w.cluster.t.Fatalf("%s: no write is answered: %s", w.name, w.since(w.begun))
		}
	}
}

func (w *writers) nextID() string { return fmt.Sprint(w.name, "-", w.ids.Add(1)) }

func (w *writers) begin(n int) {
	w.prepare()
	w.begun = time.Now()
	for range n {
		w.running.Go(func() {
			for {
				select {
				case <-w.stop:
					return
				default:
					w.write(w.nextID(), time.Now().Add(time.Minute))
				}
			}
		})
	}
}

func (w *writers) end() {
	close(w.stop)
	w.running.Wait()
}

// write tries one task until it is answered, may be there, or it is too late.
func (w *writers) write(id string, deadline time.Time) {
	target := ""
	for time.Now().Before(deadline) {
		if target == "" {
			target = w.through
			if ready := w.cluster.ready(); target == "" && len(ready) > 0 {
				target = w.cluster.scheme + "://" + ready[int(w.ids.Load())%len(ready)] + "." + strings.TrimSuffix(headlessDomain, "."+clusterDomain) + ":8410"
			}
		}
		status, location, body, err := w.post(target+"/v1/transactions", id)
		switch {
		case err == nil && status == http.StatusOK:
			w.mu.Lock()
			w.acked = append(w.acked, ack{id, time.Now()})
			w.mu.Unlock()
			return
		case err == nil && status == http.StatusServiceUnavailable:
			w.count("503")
			if target = strings.TrimSuffix(location, "/v1/transactions"); target != "" && w.through == "" {
				continue
			}
			target = ""
		case err != nil && (strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "no such host")):
			w.count("refused")
			target = ""
		case err != nil, status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
			w.mu.Lock()
			w.maybe++
			w.mu.Unlock()
			return
		default:
			w.cluster.t.Errorf("%s: %d %s", id, status, body)
			return
		}
		time.Sleep(5 * time.Millisecond) // a client that tries again
	}
}

func (w *writers) count(what string) {
	w.mu.Lock()
	w.refused[what]++
	w.mu.Unlock()
}

func (w *writers) post(url, id string) (status int, location, body string, err error) {
	request, err := http.NewRequestWithContext(w.cluster.t.Context(), http.MethodPost, url, bytes.NewReader(servers.OneTask(id)))
	if err != nil {
		return 0, "", "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Location"), string(answer), err
}

// longest is the longest time without an answered write.
func (w *writers) longest(from time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest, last := time.Duration(0), from
	for _, a := range w.acked {
		if a.at.After(from) {
			longest, last = max(longest, a.at.Sub(last)), a.at
		}
	}
	return longest
}

// since says what became of the writes since a time.
func (w *writers) since(from time.Time) string {
	longest := w.longest(from)
	w.mu.Lock()
	defer w.mu.Unlock()
	answered := 0
	for _, a := range w.acked {
		if a.at.After(from) {
			answered++
		}
	}
	return fmt.Sprintf("%s: %d writes answered, none for %v at most; until now %d without an answer, tries refused %v",
		w.name, answered, longest.Round(time.Millisecond), w.maybe, w.refused)
}

// check compares what is there with what was answered. Each task was saved by one
// transaction: one more would be a double.
func check(t *testing.T, c *cluster, all []*writers) {
	t.Helper()
	leader := c.leader()
	var got struct {
		Tasks []struct {
			AssignedTask struct{ TaskID string }
		}
	}
	get(t, c, leader, "/v1/tasks?consistency=linearizable", &got)
	have := map[string]bool{}
	for _, task := range got.Tasks {
		have[task.AssignedTask.TaskID] = true
	}
	answered, maybe := 0, 0
	for _, w := range all {
		lost := slices.DeleteFunc(slices.Clone(w.acked), func(a ack) bool { return have[a.id] })
		if len(lost) > 0 {
			t.Errorf("%s: %d of %d answered writes are lost: %.200v", w.name, len(lost), len(w.acked), lost)
		}
		answered, maybe = answered+len(w.acked), maybe+w.maybe
	}
	if len(have) < answered || len(have) > answered+maybe {
		t.Errorf("%d tasks; %d were answered and %d may be there", len(have), answered, maybe)
	}
	var now struct{ Transaction int }
	get(t, c, leader, "/v1/status", &now)
	if now.Transaction != len(have) {
		t.Errorf("%d transactions for %d tasks", now.Transaction, len(have))
	}
	t.Logf("%d writes answered, %d without an answer; %d tasks", answered, maybe, len(have))
}

func get(t *testing.T, c *cluster, p *pod, path string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url(p)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(path, response.Status, err)
	}
}
