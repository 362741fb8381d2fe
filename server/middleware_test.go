package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

func TestUnknownPathsAndMethods(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	for _, target := range []string{"/x", "/v1", "/v1/tasksx", "/v1/cron-jobs/a", "/metrics"} {
		h.refused(h.do("GET", target, ""), 404, "no-such-path", "there is no "+target)
	}
	for target, allow := range map[string]string{"/v1/transactions": "POST", "/v1/tasks": "GET, HEAD", "/healthz": "GET, HEAD", "/v1/log/1": "GET, HEAD"} {
		w := h.do("DELETE", target, "")
		if h.refused(w, 405, "method-not-allowed", "only for "+allow); w.Header().Get("Allow") != allow {
			t.Errorf("%s: %v", target, w.Header())
		}
	}
	h.refused(h.do("GET", "/v1/transactions", ""), 405, "method-not-allowed", "not for GET")
	if got := h.get("/"); !strings.Contains(got, "POST /v1/transactions\nGET /v1/tasks\n") {
		t.Error(got)
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		leader, follower := c.leader("one", Options{}), c.open("two", Options{})
		leader.commit(save("t1"))
		time.Sleep(2 * time.Second)
		for _, target := range []string{"/healthz", "/readyz", "/leaderz"} {
			if got := leader.get(target); got != "ok" {
				t.Errorf("%s: %s", target, got)
			}
		}
		follower.get("/healthz")
		follower.get("/readyz?cache=no")
		follower.refused(follower.do("GET", "/leaderz", ""), 503, "not-leader", "follows")
		status := leader.get("/v1/status")
		for _, part := range []string{`"role":"leader"`, `"epoch":1`, `"position":1`, `"transaction":1`, `"url":"http://one"`, `"recovered":true`, `"leaseRemainingMs":`} {
			if !strings.Contains(status, part) {
				t.Errorf("status has no %s: %s", part, status)
			}
		}
		data := c.mem.Data(blob.Key(1, 1))
		data[20] ^= 1
		c.mem.Put(blob.Key(1, 1), data)
		damaged := c.open("three", Options{})
		time.Sleep(time.Second)
		damaged.refused(damaged.do("GET", "/healthz", ""), 503, "unhealthy", blob.Key(1, 1))
		damaged.refused(damaged.do("GET", "/readyz", ""), 503, "not-ready", blob.Key(1, 1))
	})
}

func TestTokens(t *testing.T) {
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := newCell(t).leader("one", Options{Tokens: []string{"first-secret", "second-secret"}, Logger: logger, Gatherer: prometheus.NewRegistry()})
	for _, target := range []string{"/v1/tasks", "/v1/status", "/metrics", "/", "/nowhere", "/v1/log"} {
		w := h.do("GET", target, "")
		if h.refused(w, 401, "unauthorized", "send a token"); w.Header().Get("WWW-Authenticate") != `Bearer realm="scheduler-store"` {
			t.Errorf("%s: %v", target, w.Header())
		}
	}
	for _, value := range []string{"Bearer wrong-secret", "Bearer first-secre", "Bearer first-secrets", "Bearer first-secret second-secret", "Bearer", "Bearer ", "Basic first-secret", "first-secret"} {
		w := h.post(save("x"), "Authorization: "+value)
		if h.refused(w, 401, "unauthorized", ""); h.number() != 0 {
			t.Errorf("%s: it was written", value)
		}
	}
	h.commit(save("t1"), "Authorization: Bearer first-secret")
	h.get("/v1/tasks?role=www", "Authorization: bearer second-secret")
	h.refused(h.do("GET", "/v1/tasks?access_token=second-secret", "", "Authorization: Bearer second-secret"), 400, "invalid-parameter", "access_token")
	for _, target := range []string{"/healthz", "/readyz", "/leaderz"} {
		h.get(target)
	}
	if strings.Contains(logged.String(), "-secret") || !strings.Contains(logged.String(), "path=/v1/tasks route=/v1/tasks status=200") {
		t.Errorf("log:\n%s", &logged)
	}
}

func TestParseTokens(t *testing.T) {
	tokens, err := ParseTokens([]byte("# for the scheduler\n abc \r\n\n  # x\ndef"))
	if err != nil || strings.Join(tokens, " ") != "abc def" {
		t.Errorf("%q, %v", tokens, err)
	}
	for _, file := range []string{"", "\n# none\n", "ok\nse cret\n", "se\xffcret", strings.Repeat("secret", 20000)} {
		if tokens, err := ParseTokens([]byte(file)); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("%.20q: %q, %v", file, tokens, err)
		}
	}
}

// A page of another site, open in a browser on the same host, can send a form to
// loopback; it must not be able to write.
func TestOtherSitesCantWrite(t *testing.T) {
	h := newCell(t).leader("one", Options{URL: "http://example.com"}) // the name in httptest's requests
	const form = "Content-Type: application/x-www-form-urlencoded"
	h.refused(h.post(save("x"), form, "Sec-Fetch-Site: cross-site"), 403, "cross-origin", "")
	h.refused(h.post(save("x"), form, "Origin: http://elsewhere.example"), 403, "cross-origin", "")
	if h.number() != 0 {
		t.Error("it was written")
	}
	h.commit(save("t1"), form, "Sec-Fetch-Site: same-origin")
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := newCell(t).leader("one", Options{Registerer: registry, Gatherer: registry})
	h.commit(save("t1"))
	h.get("/v1/tasks/t1")
	h.do("GET", "/v1/tasks/t2", "")
	h.do("BREW", "/coffee", "")
	got := h.get("/metrics", "Accept: application/openmetrics-text; version=1.0.0")
	for _, line := range []string{
		`scheduler_store_http_requests_total{code="200",method="POST",route="/v1/transactions"} 1.0`,
		`scheduler_store_http_requests_total{code="200",method="GET",route="/v1/tasks/{id...}"} 1.0`,
		`scheduler_store_http_requests_total{code="404",method="GET",route="/v1/tasks/{id...}"} 1.0`,
		`scheduler_store_http_requests_total{code="404",method="other",route="other"} 1.0`,
		`scheduler_store_http_request_seconds_count{code="200",method="POST",route="/v1/transactions"} 1`,
		`scheduler_store_http_requests_running 1.0`,
		`scheduler_store_storage_rows{store="tasks"} 1.0`,
		"# EOF",
	} {
		if !strings.Contains(got+"\n", line+"\n") {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
}

func TestPanics(t *testing.T) {
	s := &server{mux: http.NewServeMux(), Options: Options{Logger: slog.New(slog.DiscardHandler)}, store: newCell(t).leader("one", Options{}).store}
	s.route("GET /before", func(http.ResponseWriter, *http.Request) error { panic("a secret of the program") })
	s.route("POST /before", func(http.ResponseWriter, *http.Request) error { panic("a secret of the program") })
	s.route("GET /after", func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = w.Write([]byte("half"))
		panic("too late")
	})
	s.route("GET /error", func(http.ResponseWriter, *http.Request) error { return errors.New("what is not foreseen") })
	h := &host{T: t, Handler: s.around(http.HandlerFunc(s.serve))}
	w := h.do("GET", "/before", "")
	if h.refused(w, 500, "internal", "a fault of the program"); strings.Contains(w.Body.String(), "secret") {
		t.Error(w.Body)
	}
	if p := h.refused(h.do("POST", "/before", ""), 500, "internal", ""); p.Outcome != "unknown" {
		t.Errorf("outcome is %q", p.Outcome)
	}
	h.refused(h.do("GET", "/error", ""), 500, "internal", "not foreseen")
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("panic %v", got)
		}
	}()
	h.do("GET", "/after", "")
	t.Error("an answer that was begun looks whole")
}

// The limit for reading a request does not end the wait for its commit, which is
// longer here.
func TestHTTPServer(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	s := httptest.NewUnstartedServer(nil)
	s.Config = HTTPServer(h)
	s.Config.ReadTimeout = 20 * time.Millisecond
	s.Start()
	defer s.Close()
	h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("log/"), Do: memdriver.Delay(100 * time.Millisecond)})
	for i := range 2 {
		answer, err := s.Client().Post(s.URL+"/v1/transactions", "application/json", strings.NewReader(save(fmt.Sprint("t", i))))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != 200 {
			t.Errorf("transaction %d: %d", i, answer.StatusCode)
		}
	}
	if s.Config.ReadHeaderTimeout == 0 || s.Config.IdleTimeout == 0 || s.Config.MaxHeaderBytes == 0 {
		t.Error("no limits")
	}
}

// A name that another site made to lead here is no name of this server, for browsers.
func TestRebindingIsRefused(t *testing.T) {
	h := newCell(t).leader("one", Options{URL: "http://store.example.org:8410"})
	for host, want := range map[string]int{"evil.example:8410": 403, "127.0.0.1:8410": 200, "[::1]:8410": 200, "localhost:8410": 200, "store.example.org:8410": 200} {
		for _, browser := range []bool{true, false} {
			request := httptest.NewRequest("GET", "/v1/tasks", nil)
			if request.Host = host; browser {
				request.Header.Set("Sec-Fetch-Site", "same-origin")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, request)
			if expect := map[bool]int{true: want, false: 200}[browser]; w.Code != expect {
				t.Errorf("%s, browser %t: %d, want %d", host, browser, w.Code, expect)
			}
		}
	}
}
