package httpretry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/oauth2"

	"github.com/scheduler-store/scheduler-store/bucket/httpretry"
)

// server answers tries in turn, the last step for ever.
type server struct {
	steps  []step
	bodies []string
	times  []time.Time
}

type step func(*http.Request) (*http.Response, error)

func (s *server) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
	}
	if n := request.ContentLength; n != int64(len(body)) {
		return nil, fmt.Errorf("content length %d for %d bytes", n, len(body))
	}
	step := s.steps[min(len(s.bodies), len(s.steps)-1)]
	s.bodies = append(s.bodies, string(body))
	s.times = append(s.times, time.Now())
	return step(request)
}

func status(code int, header ...string) step { return document(code, "", header...) }

func document(code int, body string, header ...string) step {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return response(code, strings.NewReader(body), h), nil
	}
}

func response(code int, body io.Reader, h http.Header) *http.Response {
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Header: h, Body: io.NopCloser(body), ContentLength: -1}
}

func fails(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func s3Error(code int, name string) step {
	return document(code, "<?xml version=\"1.0\"?><Error><Code>"+name+"</Code><Message>m</Message></Error>")
}

// put sends a request with a body of unknown length, as a client may, and
// returns the reply and its body.
func put(ctx context.Context, t *testing.T, s *server, options httpretry.Options) (int, string, error) {
	t.Helper()
	options.Base = s
	client := &http.Client{Transport: httpretry.New(options)}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://store.example/bucket/key", io.MultiReader(strings.NewReader("the "), strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range s.bodies {
		if body != "the body" {
			t.Errorf("try %d sent %q", i, body)
		}
	}
	return response.StatusCode, string(data), nil
}

var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for name, failure := range map[string]step{
		"408": status(408), "429": status(429), "500": status(500), "502": status(502), "503": status(503), "504": status(504),
		"reset":                fails(errReset),
		"refused":              fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}),
		"conflict":             s3Error(409, "ConditionalRequestConflict"),
		"conflicting upload":   s3Error(409, "OperationAborted"),
		"request time-out":     s3Error(400, "RequestTimeout"),
		"connection closed":    fails(io.ErrUnexpectedEOF),
		"name server troubles": fails(&net.DNSError{Err: "server misbehaving", IsTemporary: true}),
		"token server down":    fails(&oauth2.RetrieveError{Response: &http.Response{StatusCode: 503}}),
		"cut reply": func(*http.Request) (*http.Response, error) {
			return response(200, io.MultiReader(strings.NewReader("half"), broken{}), nil), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{steps: []step{failure, failure, document(200, "whole")}}
				code, body, err := put(t.Context(), t, s, httpretry.Options{})
				if code != 200 || body != "whole" || err != nil || len(s.bodies) != 3 {
					t.Fatalf("status %d, body %q, error %v after %d tries", code, body, err, len(s.bodies))
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnswersAreNotTriedAgain(t *testing.T) {
	for name, answer := range map[string]step{
		"200": document(200, "body"), "204": document(204, ""), "301": document(301, "body"), "404": document(404, "body"),
		"412": s3Error(412, "PreconditionFailed"), "403": s3Error(403, "AccessDenied"), "401": status(401),
		"400": s3Error(400, "BadDigest"), "409": s3Error(409, "ObjectParentIsFile"), "409 of no known kind": document(409, "not XML"), "501": status(501),
		"307 elsewhere": document(307, "body", "Location", "http://elsewhere.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want, _ := answer(nil)
				wantBody, _ := io.ReadAll(want.Body)
				s := &server{steps: []step{answer}}
				client := httpretry.New(httpretry.Options{Base: s})
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://store.example/", nil)
				got, err := client.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(got.Body)
				if got.StatusCode != want.StatusCode || !bytes.Equal(body, wantBody) || len(s.bodies) != 1 {
					t.Fatalf("status %d, body %q after %d tries", got.StatusCode, body, len(s.bodies))
				}
			})
		})
	}
}

func TestHopelessErrorsAreNotTriedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"wrong credentials": &oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}},
		"no TLS there":      errors.New("http: server gave HTTP response to HTTPS client"),
	} {
		s := &server{steps: []step{fails(err)}}
		if _, _, got := put(t.Context(), t, s, httpretry.Options{}); !errors.Is(got, err) || len(s.bodies) != 1 {
			t.Errorf("%s: error %v after %d tries", name, got, len(s.bodies))
		}
	}
}

func TestAnUntrustedCertificateIsNotTriedAgain(t *testing.T) {
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	began := time.Now()
	_, err := (&http.Client{Transport: httpretry.New(httpretry.Options{})}).Get(tls.URL)
	if err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "tries") {
		t.Fatalf("error %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Fatalf("took %v", took)
	}
}

func TestGivesUpByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &server{steps: []step{s3Error(503, "SlowDown")}}
		code, body, err := put(t.Context(), t, s, httpretry.Options{})
		took := time.Since(began)
		if code != 503 || !strings.Contains(body, "SlowDown") || err != nil {
			t.Fatalf("the last reply must come through: status %d, body %q, error %v", code, body, err)
		}
		if took > 30*time.Second || took < 27*time.Second || len(s.bodies) < 15 {
			t.Fatalf("gave up after %v and %d tries", took, len(s.bodies))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &server{steps: []step{fails(errReset)}}
		_, _, err := put(t.Context(), t, s, httpretry.Options{RetryFor: 10 * time.Minute})
		if took := time.Since(began); !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "tries in ") || took < 9*time.Minute {
			t.Fatalf("error %v after %v", err, took)
		}
	})
}

func TestOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(25 * time.Second)
		s := &server{steps: []step{func(request *http.Request) (*http.Response, error) {
			if time.Now().Before(back) {
				return nil, errReset
			}
			return status(200)(request)
		}}}
		if code, _, err := put(t.Context(), t, s, httpretry.Options{}); code != 200 || err != nil {
			t.Fatalf("status %d, error %v", code, err)
		}
	})
}

func TestWaitsGrowAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{steps: []step{status(500)}}
		_, _, _ = put(t.Context(), t, s, httpretry.Options{})
		most := 50 * time.Millisecond
		for i := 1; i < len(s.times); i++ {
			if wait := s.times[i].Sub(s.times[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d is %v, not between %v and %v", i, wait, most/2, most)
			}
			most = min(2*most, 2*time.Second)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name, value string
			least, most time.Duration
			code        int
		}{
			{"a date", time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat), 2 * time.Second, 3 * time.Second, 200},
			{"seconds", "2", 2 * time.Second, 2 * time.Second, 200},
			{"less than the wait", "0", 25 * time.Millisecond, 50 * time.Millisecond, 200},
			{"nonsense", "soon", 25 * time.Millisecond, 50 * time.Millisecond, 200},
			{"negative", "-5", 25 * time.Millisecond, 50 * time.Millisecond, 200},
			{"MinIO's minute", "60", 3 * time.Second, 3 * time.Second, 200},
			{"absurd", "99999999999", 3 * time.Second, 3 * time.Second, 200},
		} {
			began := time.Now()
			s := &server{steps: []step{status(503, "Retry-After", test.value), status(200)}}
			code, _, err := put(t.Context(), t, s, httpretry.Options{})
			if took := time.Since(began); code != test.code || err != nil || took < test.least || took > test.most {
				t.Errorf("%s: status %d, error %v after %v", test.name, code, err, took)
			}
		}
	})
}

func TestAnEndedContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s := &server{steps: []step{status(503, "Retry-After", "20"), status(503, "Retry-After", "20")}}
		_, _, err := put(ctx, t, s, httpretry.Options{})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 2*time.Second || len(s.bodies) != 1 {
			t.Fatalf("error %v after %v and %d tries", err, took, len(s.bodies))
		}
	})
}

func TestAStalledTryIsGivenUp(t *testing.T) {
	hang := func(request *http.Request) (*http.Response, error) {
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	hangInBody := func(request *http.Request) (*http.Response, error) {
		return response(200, io.MultiReader(strings.NewReader("half"), hanging{request.Context()}), nil), nil
	}
	for name, stall := range map[string]step{"before the reply": hang, "in the reply's body": hangInBody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry := prometheus.NewRegistry()
				began := time.Now()
				s := &server{steps: []step{stall, document(200, "whole")}}
				code, body, err := put(t.Context(), t, s, httpretry.Options{Registerer: registry})
				if took := time.Since(began); code != 200 || body != "whole" || err != nil || took > 11*time.Second || took < 10*time.Second {
					t.Fatalf("status %d, body %q, error %v after %v", code, body, err, took)
				}
				mustCount(t, registry, "stalled", 1)
			})
		})
	}
	t.Run("for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &server{steps: []step{hang}}
			_, _, err := put(t.Context(), t, s, httpretry.Options{})
			if err == nil || !strings.Contains(err.Error(), "no progress for 10s") || errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
		})
	})
}

type hanging struct{ ctx context.Context }

func (h hanging) Read([]byte) (int, error) {
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

// TestASlowExchangeIsNotStalled: as long as something moves, a try goes on.
func TestASlowExchangeIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{steps: []step{func(request *http.Request) (*http.Response, error) {
			return response(200, &dripping{ctx: request.Context(), from: strings.NewReader("a slow reply")}, nil), nil
		}}}
		code, body, err := put(t.Context(), t, s, httpretry.Options{})
		if code != 200 || body != "a slow reply" || err != nil || len(s.bodies) != 1 {
			t.Fatalf("status %d, body %q, error %v after %d tries", code, body, err, len(s.bodies))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		slow := roundTripper(func(request *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(&dripping{ctx: request.Context(), from: request.Body})
			return response(200, bytes.NewReader(body), nil), err
		})
		client := &http.Client{Transport: httpretry.New(httpretry.Options{Base: slow})}
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store.example/", strings.NewReader("a slow request"))
		got, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(got.Body); string(body) != "a slow request" {
			t.Fatalf("body %q", body)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// dripping reads a byte every five seconds, until its context ends.
type dripping struct {
	ctx  context.Context
	from io.Reader
}

func (d *dripping) Read(p []byte) (int, error) {
	select {
	case <-time.After(5 * time.Second):
		return d.from.Read(p[:1])
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func TestAttemptsTellWhetherARefusalIsSure(t *testing.T) {
	dial := fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	for name, test := range map[string]struct {
		steps  []step
		unsure bool
	}{
		"refused at once":        {[]step{status(403)}, false},
		"after a conflict":       {[]step{s3Error(409, "ConditionalRequestConflict"), status(403)}, false},
		"after no connection":    {[]step{dial, status(403)}, false},
		"after a server's error": {[]step{status(500), status(403)}, true},
		"after a lost reply":     {[]step{fails(errReset), status(403)}, true},
		"after both":             {[]step{status(500), dial, status(403)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{steps: test.steps}
				ctx, attempts := httpretry.Watch(t.Context())
				code, _, err := put(ctx, t, s, httpretry.Options{})
				if code != 403 || err != nil || attempts.Unsure() != test.unsure || attempts.Number() != len(test.steps) {
					t.Fatalf("status %d, error %v, unsure %t after %d tries", code, err, attempts.Unsure(), attempts.Number())
				}
			})
		})
	}
}

func TestRetriesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		for range 2 { // two buckets may share a registry
			s := &server{steps: []step{status(503), status(503), fails(errReset), status(200)}}
			if _, _, err := put(t.Context(), t, s, httpretry.Options{Registerer: registry}); err != nil {
				t.Fatal(err)
			}
		}
		mustCount(t, registry, "503", 4)
		mustCount(t, registry, "transport", 2)
	})
}

func mustCount(t *testing.T, registry *prometheus.Registry, reason string, want int) {
	t.Helper()
	const name = "scheduler_store_bucket_retries_total"
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && metric.GetLabel()[0].GetValue() == reason {
				if got := int(metric.GetCounter().GetValue()); got != want {
					t.Errorf("%d retries for %s, want %d", got, reason, want)
				}
				return
			}
		}
	}
	problems, _ := testutil.GatherAndLint(registry)
	t.Errorf("no retries for %s were counted %v", reason, problems)
}
