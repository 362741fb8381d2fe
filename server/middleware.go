package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pieceTimeout is how long a client may take to take what is written at once.
const pieceTimeout = 30 * time.Second

// response remembers what was answered. A client that does not take it in time is cut
// off: it would hold a connection, and perhaps an old state, for as long as it likes.
type response struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
}

func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	// The server ends the limit with the request. A writer in a test has none.
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(pieceTimeout))
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// around puts around a handler what every request goes through.
func (s *server) around(next http.Handler) http.Handler {
	m := newMetrics(s.Registerer)
	browsers := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, answer := time.Now(), &response{ResponseWriter: w}
		method, route := s.labels(r)
		m.running.Inc()
		defer func() {
			m.running.Dec()
			m.count(method, route, answer.status, time.Since(start))
			// Neither headers nor the query: a token may be there by mistake.
			s.Logger.Debug("request", "method", r.Method, "path", r.URL.Path, "route", route, "status", answer.status,
				"bytes", answer.bytes, "took", time.Since(start), "remote", r.RemoteAddr)
		}()
		defer s.recover(answer, r)
		answer.Header().Set("X-Content-Type-Options", "nosniff")
		answer.Header().Set("Cache-Control", "no-cache")
		if err := s.admit(answer, r, browsers); err != nil {
			answer.Header().Set("Connection", "close") // a body that is there was not read
			s.refuse(answer, r, err)
			return
		}
		next.ServeHTTP(answer, r)
	})
}

// admit refuses a request that should not come to a handler. Scripts of other sites
// in a browser are refused also where no token is needed, as on loopback.
func (s *server) admit(w http.ResponseWriter, r *http.Request, browsers *http.CrossOriginProtection) error {
	if err := browsers.Check(r); err != nil {
		return newProblem(http.StatusForbidden, "cross-origin", "cross-origin request", "%v", err)
	}
	if len(s.tokens) == 0 && fromBrowser(r) && !s.ownName(r.Host) {
		return newProblem(http.StatusForbidden, "cross-origin", "cross-origin request",
			"%q is not a name of this server; another site may have made it lead here", r.Host)
	}
	if err := s.authorize(w, r); err != nil {
		return err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete {
		return noBody(r) // such as a filter that would not be looked at
	}
	return nil
}

// fromBrowser tells whether a request was made by a browser, which says so.
func fromBrowser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

// ownName tells whether a Host header names this server: by address, as localhost, or
// as it is advertised. Any other name a site of its own could have made to lead here
// (DNS rebinding), and a browser would take this server for a part of that site.
func (s *server) ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "localhost" {
		return true
	}
	own, err := url.Parse(s.URL)
	return err == nil && own.Hostname() == host
}

// recover answers for a handler that panicked. It is to be deferred.
func (s *server) recover(w *response, r *http.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	s.Logger.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", fault, "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer can't be taken back, only cut off
	}
	p := newProblem(http.StatusInternalServerError, "internal", "internal error", "a fault of the program; its log has more")
	if r.Method == http.MethodPost {
		p.Outcome = unknown
	}
	s.refuse(w, r, p)
}

// methods are those that may label a metric: a client must not make up new ones.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions}

// labels are the method and the route's pattern of a request.
func (s *server) labels(r *http.Request) (method, route string) {
	method, route = "other", "other"
	if slices.Contains(methods, r.Method) {
		method = r.Method
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		_, route, _ = strings.Cut(pattern, " ")
	}
	return method, route
}

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	const ns = "scheduler_store_http_"
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: ns + "requests_total", Help: "Requests answered (Aurora: scheduler_thrift_response_*)."}, []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: ns + "request_seconds", Help: "Time from a request's header to the end of its answer, in seconds (Aurora: scheduler_thrift_*).",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route", "method", "code"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: ns + "requests_running", Help: "Requests being answered now."}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.seconds, m.running)
	}
	return m
}

// count takes status 0 for an answer that was cut off before it began.
func (m *metrics) count(method, route string, status int, took time.Duration) {
	code := strconv.Itoa(status)
	m.requests.WithLabelValues(route, method, code).Inc()
	m.seconds.WithLabelValues(route, method, code).Observe(took.Seconds())
}
