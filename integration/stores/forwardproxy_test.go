package stores_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// forwardProxy is a proxy as companies have them between their hosts and the rest: it
// alone knows where a name leads.
type forwardProxy struct {
	*httptest.Server
	to       string // where all names lead
	password string // which must be given; empty for none
	mu       sync.Mutex
	asked    []string // METHOD host, each once
}

func startForwardProxy(t *testing.T, to, password string) *forwardProxy {
	p := &forwardProxy{to: to, password: password}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// url is what HTTPS_PROXY is set to.
func (p *forwardProxy) url(password string) string {
	u, _ := url.Parse(p.URL)
	if password != "" {
		u.User = url.UserPassword("user", password)
	}
	return u.String()
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if what := r.Method + " " + r.URL.Host; !slices.Contains(p.asked, what) {
		p.asked = append(p.asked, what)
	}
	p.mu.Unlock()
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+p.password)); p.password != "" && r.Header.Get("Proxy-Authorization") != want {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method == http.MethodConnect {
		p.tunnel(w)
		return
	}
	(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Host = p.to // the Host stays, which S3 signs
	}}).ServeHTTP(w, r)
}

func (p *forwardProxy) tunnel(w http.ResponseWriter) {
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
}

// seen are the requests that came, each once.
func (p *forwardProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}
