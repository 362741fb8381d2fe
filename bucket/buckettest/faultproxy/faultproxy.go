// Package faultproxy stands between a client and a store, and makes happen to
// chosen requests what networks and servers do: replies lost after the store has
// done what was asked, bodies cut off in the middle, connections reset, requests
// that arrive long after their sender has given up.
//
//	proxy := faultproxy.Start(t, minio.Endpoint, faultproxy.Options{})
//	proxy.Inject(faultproxy.Fault{Match: faultproxy.Method("PUT"), Skip: 2, Times: 1, Do: faultproxy.LoseReply})
//
// reads: of the PUTs, let two pass, then lose the reply of one.
package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// Options of a Proxy.
type Options struct {
	// RewriteHost tells the store its own address as the Host, instead of the
	// proxy's. S3's signatures cover the Host, so they need it as it came; the
	// GCS emulator looks for its own.
	RewriteHost bool
}

// Fault says what happens to which requests. Of those that match, Skip pass
// before Times of them meet it.
type Fault struct {
	Match func(*http.Request) bool // all, if nil
	Skip  int
	Times int // once, if zero; for ever, if negative
	Do    Action
}

// Action is what happens to one request. The request's body is not read yet.
type Action func(p *Proxy, w http.ResponseWriter, r *http.Request)

// Proxy is a running proxy. Its methods may be called by many goroutines.
type Proxy struct {
	URL  string // http://host:port
	Host string // host:port

	target    *url.URL
	options   Options
	transport *http.Transport

	mu     sync.Mutex // guards all below
	faults []*Fault
	seen   []Request
	held   []*http.Request
}

// Request is one that came to the proxy.
type Request struct {
	Method string
	URL    string // path and query
	Fault  bool   // it met a fault
}

// Start starts a proxy to the store at target (http://host:port), which ends
// with the test.
func Start(t testing.TB, target string, options Options) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: u, options: options, transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	server := httptest.NewServer(p)
	p.URL, p.Host = server.URL, server.Listener.Addr().String()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		p.transport.CloseIdleConnections()
	})
	return p
}

// Inject adds a fault. A request meets the first one that wants it.
func (p *Proxy) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, &f)
}

// Heal removes all faults.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// Requests are all that came since the start or the last Forget.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.seen...)
}

// Forget forgets which requests came.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if do := p.choose(r); do != nil {
		do(p, w, r)
		return
	}
	Pass(p, w, r)
}

func (p *Proxy) choose(r *http.Request) Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	var do Action
	for _, f := range p.faults {
		if f.Times == 0 || f.Match != nil && !f.Match(r) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		do = f.Do
		break
	}
	p.seen = append(p.seen, Request{Method: r.Method, URL: r.RequestURI, Fault: do != nil})
	return do
}

// detach reads a request whole, so that it outlives its connection.
func (p *Proxy) detach(r *http.Request) (*http.Request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(p.target.Scheme + "://" + p.target.Host + r.RequestURI)
	if err != nil {
		return nil, err
	}
	out := r.Clone(context.WithoutCancel(r.Context()))
	out.URL, out.RequestURI = u, ""
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength, out.TransferEncoding = int64(len(body)), nil
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	for _, name := range []string{"Connection", "Expect"} { // they are of the connection
		out.Header.Del(name)
	}
	if p.options.RewriteHost {
		out.Host = ""
	}
	return out, nil
}

// send forwards a detached request, and returns the reply and its body.
func (p *Proxy) send(r *http.Request) (*http.Response, []byte, error) {
	response, err := p.transport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// forward sends a request on; ok is false if that failed, and the client has
// been told 502.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) (response *http.Response, body []byte, ok bool) {
	out, err := p.detach(r)
	if err == nil {
		response, body, err = p.send(out)
	}
	if err != nil {
		http.Error(w, "proxy: "+err.Error(), http.StatusBadGateway)
		return nil, nil, false
	}
	return response, body, true
}

// ErrNothingHeld: Release found no request.
var ErrNothingHeld = errors.New("no request is held")

// Release forwards the request that Hold kept first, now that its sender has
// long gone, and returns the status of the reply that nobody waits for.
func (p *Proxy) Release() (status int, err error) {
	p.mu.Lock()
	if len(p.held) == 0 {
		p.mu.Unlock()
		return 0, ErrNothingHeld
	}
	request := p.held[0]
	p.held = p.held[1:]
	p.mu.Unlock()
	response, _, err := p.send(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}
