// Package httpretry is the one place where requests to a bucket are tried again.
//
// It is an http.RoundTripper under the S3 and the GCS client, whose own retries
// are switched off: two layers would multiply each other's tries, and those of
// the clients stop when a token bucket has drained, in the middle of an outage
// that a log could have waited out. This one goes by the clock: it tries again,
// with waits that grow, until a bounded time has passed since the first try.
//
// A try is a whole exchange. The request's body is held in memory and sent again
// byte for byte (signatures cover it), and the reply's body is read to its end
// before the client sees the reply's first byte, so a reply that is cut off half
// way is just a failed try. A try that makes no progress for a while, in sending,
// waiting or reading, has failed too. Bodies are thus held whole: this is for
// objects that fit in memory.
//
// What is tried again is what may go better next time and does no harm if it had
// gone well unseen:
//
//	transport errors                  but not wrong certificates, nor ended contexts
//	408, 429, 500, 502, 503, 504      Retry-After is honoured, up to 3 s
//	400 RequestTimeout                S3 waited for the body in vain
//	409 ConditionalRequestConflict    S3: a racing request; nothing landed
//
// A conditional write that is tried again may be refused because its first try
// landed. Telling that apart is left to package bucket, which reads the object.
// When a client is told "forbidden", the drivers ask here, by Attempts, whether
// an earlier try may have landed all the same.
package httpretry

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/internal/collector"
)

// Options of a Transport. The zero value is good.
type Options struct {
	// Base makes one try; NewTransport(nil) if nil.
	Base http.RoundTripper
	// RetryFor is how long after the first try a further one may begin; 30 s if
	// zero. A signed S3 request is valid for 15 minutes, so it should be less.
	RetryFor time.Duration
	// StallAfter is how long a try may make no progress; 10 s if zero.
	StallAfter time.Duration
	// MinWait and MaxWait bound the wait before a further try, of which up to a
	// half is random; 50 ms and 2 s if zero. Retry-After may ask for more.
	MinWait, MaxWait time.Duration
	// Registerer takes the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
}

// Transport tries requests until they succeed, are refused, or take too long. It
// may be used by many goroutines.
type Transport struct {
	options Options
	client  *http.Client
	retries *prometheus.CounterVec
}

// New returns a Transport.
func New(options Options) *Transport {
	if options.Base == nil {
		options.Base = NewTransport(nil)
	}
	options.RetryFor = cmp.Or(options.RetryFor, 30*time.Second)
	options.StallAfter = cmp.Or(options.StallAfter, 10*time.Second)
	options.MinWait = cmp.Or(options.MinWait, 50*time.Millisecond)
	options.MaxWait = cmp.Or(options.MaxWait, 2*time.Second)
	return &Transport{
		options: options,
		client: &http.Client{
			Transport:     &exchange{base: options.Base, stallAfter: options.StallAfter},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		retries: collector.Register(options.Registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scheduler_store_bucket_retries_total",
			Help: "Further tries of HTTP requests to the bucket, by why the try before failed (an HTTP status, or: stalled, transport) (Aurora: scheduler_log_native_*_timeouts).",
		}, []string{"reason"})),
	}
}

// RoundTrip implements http.RoundTripper. The reply is the last try's, whatever
// its status; its body is in memory.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := readBody(request)
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	bare := request.Clone(request.Context())
	bare.Body, bare.GetBody = nil, nil
	retryable, err := retryablehttp.FromRequest(bare)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		if err := retryable.SetBody(body); err != nil {
			return nil, err
		}
	}
	call := &call{transport: t, start: time.Now(), attempts: attemptsOf(request.Context())}
	client := &retryablehttp.Client{
		HTTPClient:   t.client,
		RetryMax:     math.MaxInt, // call ends it by the clock
		CheckRetry:   call.check,
		Backoff:      call.backoff,
		ErrorHandler: call.giveUp,
	}
	return client.Do(retryable)
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.client.CloseIdleConnections() }

// readBody reads a request's body whole, into as little memory as it needs.
func readBody(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	defer request.Body.Close()
	if request.ContentLength <= 0 {
		return io.ReadAll(request.Body)
	}
	data := make([]byte, request.ContentLength)
	_, err := io.ReadFull(request.Body, data)
	return data, err
}

// reply returns a copy of a response whose body is data.
func reply(response *http.Response, data []byte) *http.Response {
	whole := *response
	whole.Body = io.NopCloser(bytes.NewReader(data))
	return &whole
}
