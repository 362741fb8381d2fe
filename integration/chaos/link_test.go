package chaos_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// network has a proxy between each process and the store. bucket/buckettest/faultproxy
// stands at the same place in other tests, but there it knows HTTP: it takes requests one
// by one, and chooses among them by what they ask for, so that a test can lose the reply
// of just the second PUT. Here nothing is chosen. The proxies know bytes only, so that
// connections are cut, slowed and reset wherever they happen to be: between requests, in
// a header, in a body, with many requests of a process at once.
type network struct {
	server *toxiproxy.ApiServer // its API is not served; it holds the proxies' settings
}

func newNetwork() *network {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some of its parts log by themselves
	silent := zerolog.Nop()
	return &network{toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), silent)}
}

// link is one process's way to the store.
type link struct {
	t       testing.TB
	network *network
	name    string
	address string // host:port, the same for ever
	proxy   *toxiproxy.Proxy
}

// link makes one to the store at endpoint, http://host:port.
func (n *network) link(t testing.TB, name, endpoint string) *link {
	t.Helper()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, network: n, name: name, proxy: toxiproxy.NewProxy(n.server, name, "127.0.0.1:0", u.Host)}
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	l.address = l.proxy.Listen
	t.Cleanup(func() { l.proxy.Stop() })
	return l
}

// The directions in which bytes go.
const (
	requests = "upstream"
	replies  = "downstream"
)

// attributes are what a toxic is told.
type attributes map[string]int

// poison adds a toxic in one direction, to the connections there are and those to come.
func (l *link) poison(kind, direction string, a attributes) {
	l.t.Helper()
	text, err := json.Marshal(map[string]any{"name": kind + "-" + direction, "type": kind, "stream": direction, "toxicity": 1, "attributes": a})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		l.t.Fatalf("%s: %s: %v", l.name, text, err)
	}
}

// refuse closes all connections and takes no more.
func (l *link) refuse() { l.proxy.Stop() }

// healTimeout bounds the time that the proxy may take to let go of connections which are
// stuck in it.
const healTimeout = 2 * time.Second

// heal takes all toxics away. Bytes that were late go on at once; connections whose
// bytes were dropped end.
func (l *link) heal() {
	l.t.Helper()
	healed := make(chan struct{})
	go func(proxy *toxiproxy.Proxy) { // does not end if a connection is stuck for good; then a new proxy takes its place
		defer close(healed)
		proxy.Toxics.ResetToxics(context.Background())
	}(l.proxy)
	select {
	case <-healed:
		if l.proxy.Enabled {
			return
		}
	case <-time.After(healTimeout):
	}
	l.proxy.Stop()
	l.proxy = toxiproxy.NewProxy(l.network.server, l.name, l.address, l.proxy.Upstream)
	if err := l.proxy.Start(); err != nil {
		l.t.Fatalf("%s: %v", l.name, err)
	}
}
