package server

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	schedulerstore "github.com/scheduler-store/scheduler-store"
)

// Options of New. The zero value is good for a listener on loopback.
type Options struct {
	// URL is where clients reach this process. Nobody is sent there from here.
	URL string
	// Tokens are the bearer tokens of which a request needs one; see ParseTokens.
	// None means that everybody may do everything.
	Tokens []string
	// MaxBodyBytes bounds the body of a request; default 16 MiB.
	MaxBodyBytes int64
	// CommitTimeout is how long a transaction may take, with waiting for its turn;
	// default 30 s.
	CommitTimeout time.Duration
	// MaxTransactions bounds the transactions that wait for their answer at once; more are
	// refused. Default 4096. Their bodies may have four times MaxBodyBytes together.
	MaxTransactions int
	// MaxWatches bounds the clients that watch at once; default 256.
	MaxWatches int
	// Logger gets failures, and at debug level every request; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows; nil means that there is no such path.
	Gatherer prometheus.Gatherer
}

// maxScrapes bounds the answers to /metrics that are made at once; more get 503.
const maxScrapes = 16

type server struct {
	Options
	store  *schedulerstore.Store
	mux    *http.ServeMux
	routes []string
	tokens []tokenHash
	// parsing bounds the bodies that are parsed and applied at once, in bytes: what
	// they become in memory can be many times as large.
	parsing *semaphore.Weighted
	inHand  *inHand
	lists   chan struct{} // one for each list that is being made, and not sent
	watches chan struct{} // one for each client that watches
	waiting chan struct{} // one for each request that waits for leadership to end
	// ending ends when the server is to end: watches would go on for ever.
	ending context.Context
	end    context.CancelFunc
}

// New returns the API of a store. It does not close the store. Serve it with
// HTTPServer: another http.Server's Shutdown would wait for the clients that watch,
// until the store is closed.
func New(store *schedulerstore.Store, o Options) http.Handler {
	if o.MaxBodyBytes <= 0 {
		o.MaxBodyBytes = 16 << 20
	}
	if o.CommitTimeout <= 0 {
		o.CommitTimeout = 30 * time.Second
	}
	if o.MaxTransactions <= 0 {
		o.MaxTransactions = defaultMaxTransactions
	}
	if o.MaxWatches <= 0 {
		o.MaxWatches = defaultMaxWatches
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, store: store, mux: http.NewServeMux(), tokens: hashTokens(o.Tokens),
		parsing: semaphore.NewWeighted(2 * o.MaxBodyBytes), inHand: &inHand{mostTransactions: o.MaxTransactions, mostBytes: 4 * o.MaxBodyBytes}, lists: make(chan struct{}, runtime.GOMAXPROCS(0)), watches: make(chan struct{}, o.MaxWatches), waiting: make(chan struct{}, maxWaiting)}
	s.ending, s.end = context.WithCancel(context.Background())
	s.inHand.register(o.Registerer)
	s.addRoutes()
	return handler{s.around(http.HandlerFunc(s.serve)), s.end}
}

// handler is the API with what is to be called when its server shuts down.
type handler struct {
	http.Handler
	end func()
}

func (s *server) addRoutes() {
	s.route("GET /{$}", s.getIndex)
	s.route("POST /v1/transactions", s.postTransaction)
	s.route("GET /v1/tasks", s.getTasks)
	s.route("GET /v1/tasks/{id...}", s.getTask)
	s.route("GET /v1/cron-jobs", s.getCronJobs)
	s.route("GET /v1/cron-jobs/{role}/{environment}/{name}", s.getCronJob)
	s.route("GET /v1/quotas", s.getQuotas)
	s.route("GET /v1/quotas/{role...}", s.getQuota)
	s.route("GET /v1/hosts", s.getHosts)
	s.route("GET /v1/hosts/{host...}", s.getHost)
	s.route("GET /v1/job-updates", s.getJobUpdates)
	s.route("GET /v1/job-updates/{role}/{environment}/{name}/{id...}", s.getJobUpdate)
	s.route("GET /v1/maintenance", s.getMaintenance)
	s.route("GET /v1/maintenance/{host...}", s.getMaintenanceRequest)
	s.route("GET /v1/framework-id", s.getFrameworkID)
	s.route("GET /v1/watch", s.getWatch)
	s.route("GET /v1/status", s.getStatus)
	s.route("GET /v1/log", s.getLog)
	s.route("GET /v1/log/{position}", s.getLogEntry)
	s.route("POST /v1/snapshots", s.postSnapshot)
	s.route("GET /v1/snapshots", s.getSnapshots)
	s.route("POST /v1/gc", s.postGarbage)
	s.route("POST /v1/rehearsals", s.postRehearsal)
	s.route("POST /v1/backups", s.postBackup)
	s.route("GET /v1/backups", s.getBackups)
	s.route("GET /v1/backups/{name...}", s.getBackup)
	s.route("DELETE /v1/backups/{name...}", s.deleteBackup)
	s.route("POST /v1/restore", s.postRestore)
	s.route("POST /v1/recovery", s.postRecovery)
	s.route("GET /v1/recovery", s.getRecovery)
	s.route("DELETE /v1/recovery", s.deleteRecovery)
	s.route("GET /v1/recovery/tasks", s.getStagedTasks)
	s.route("DELETE /v1/recovery/tasks", s.deleteStagedTasks)
	s.route("POST /v1/recovery/commit", s.commitRecovery)
	s.route("GET /healthz", s.getHealthz)
	s.route("GET /readyz", s.getReadyz)
	s.route("GET /leaderz", s.getLeaderz)
	if s.Gatherer != nil {
		metrics := promhttp.HandlerFor(s.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes})
		s.route("GET /metrics", func(w http.ResponseWriter, r *http.Request) error {
			metrics.ServeHTTP(w, r)
			return nil
		})
	}
}

// route adds a handler. What it returns is answered as a problem document, so it
// must not have written anything then.
func (s *server) route(pattern string, handle func(http.ResponseWriter, *http.Request) error) {
	s.routes = append(s.routes, pattern)
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := handle(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// serve finds the route. ServeMux would answer in plain text where there is none.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	found, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	answer := &header{http.Header{}, http.StatusNotFound}
	found.ServeHTTP(answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		w.Header()["Allow"] = answer.Header()["Allow"]
		s.refuse(w, r, newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "method not allowed",
			"%s is not for %s, only for %s", r.URL.Path, r.Method, w.Header().Get("Allow")))
		return
	}
	s.refuse(w, r, newProblem(http.StatusNotFound, "no-such-path", "no such path", "there is no %s; GET / lists what there is", r.URL.Path))
}

// header takes an answer without its body.
type header struct {
	header http.Header
	status int
}

func (h *header) Header() http.Header         { return h.header }
func (h *header) Write(b []byte) (int, error) { return len(b), nil }
func (h *header) WriteHeader(status int)      { h.status = status }

// getIndex lists the paths, for people.
func (s *server) getIndex(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("scheduler-store: durable state for a scheduler\n\n" + strings.ReplaceAll(strings.Join(s.routes, "\n"), "{$}", "") + "\n"))
	return nil
}

// HTTPServer returns a server for what New returned, with time limits that keep idle
// and slow clients from holding connections. There is none for a whole answer, as lists
// may be long; each piece of one has its own. Its Shutdown ends all watches.
func HTTPServer(api http.Handler) *http.Server {
	h := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	if own, ok := api.(handler); ok {
		h.RegisterOnShutdown(own.end)
	}
	return h
}
