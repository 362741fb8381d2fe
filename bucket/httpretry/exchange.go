package httpretry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/driver"
)

// NewTransport returns what makes one try, with the standard proxy settings. A
// nil config trusts the system's certificates.
func NewTransport(config *tls.Config) http.RoundTripper {
	fresh := newTransport(config)
	fresh.DisableKeepAlives = true
	return &transport{kept: newTransport(config), fresh: fresh}
}

func newTransport(config *tls.Config) *http.Transport {
	// HTTP/1 only: a try that stalls then takes its connection with it, and the
	// next one is made on another. A dead HTTP/2 connection would stay in use.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       60 * time.Second,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true, // bodies are what was stored, byte for byte
		Protocols:             &protocols,
	}
}

// transport sends a request over a connection that is kept, or over one of its own
// if its context asks for that (driver.OnFreshConnection).
type transport struct{ kept, fresh *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if driver.WantsFreshConnection(request.Context()) {
		return t.fresh.RoundTrip(request)
	}
	return t.kept.RoundTrip(request)
}

// CloseIdleConnections closes the connections that no request uses.
func (t *transport) CloseIdleConnections() { t.kept.CloseIdleConnections() }

// errStalled: a try made no progress.
var errStalled = errors.New("no progress")

// exchange makes one try: the request sent and the reply read, both whole.
type exchange struct {
	base       http.RoundTripper
	stallAfter time.Duration
}

// RoundTrip implements http.RoundTripper.
func (e *exchange) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	defer cancel(nil)
	watchdog := time.AfterFunc(e.stallAfter, func() { cancel(errStalled) })
	defer watchdog.Stop()
	progress := func() { watchdog.Reset(e.stallAfter) }

	request = request.WithContext(ctx)
	if request.Body != nil && request.Body != http.NoBody {
		request.Body = &watched{request.Body, progress}
	}
	response, data, err := e.exchange(request, progress)
	switch {
	case err == nil:
		return reply(response, data), nil
	case errors.Is(context.Cause(ctx), errStalled):
		return nil, fmt.Errorf("%w for %v (%v)", errStalled, e.stallAfter, err) // not as an ended context
	}
	return nil, err
}

func (e *exchange) exchange(request *http.Request, progress func()) (*http.Response, []byte, error) {
	response, err := e.base.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	progress()
	var data bytes.Buffer
	if response.ContentLength > 0 && request.Method != http.MethodHead {
		data.Grow(int(response.ContentLength) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(&watched{response.Body, progress}); err != nil {
		return nil, nil, fmt.Errorf("the reply (%s) was cut off after %d bytes: %w", response.Status, data.Len(), err)
	}
	return response, data.Bytes(), nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (e *exchange) CloseIdleConnections() {
	if base, ok := e.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// watched tells of each piece of a body that moves.
type watched struct {
	io.ReadCloser
	progress func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 || err == io.EOF {
		w.progress()
	}
	return n, err
}
