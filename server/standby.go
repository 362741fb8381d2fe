package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
)

// A standby learns from the leader itself when leadership is to be had. It keeps one
// request waiting there,
//
//	GET <leader's URL>/leaderz?wait=30s
//
// which is answered as soon as the lease was released, and is cut off when the leader
// dies. Either makes the standby look at the lease at once. It is a hint only: what
// the lease says decides, and where no leader can be reached this way the standby finds
// out by looking now and then, as it does anyway.

const (
	// maxWait bounds how long a request may wait. It is less than ReadTimeout, at
	// which the server takes the client for gone.
	maxWait = 30 * time.Second
	// maxWaiting bounds the requests that wait; more are answered at once.
	maxWaiting = 64
)

// getLeaderz is good on the leader only, and while its lease holds. With a wait it is
// answered when this process holds no lease any more, or when that time is over.
func (s *server) getLeaderz(w http.ResponseWriter, r *http.Request) error {
	if wait := r.URL.Query().Get("wait"); wait != "" {
		d, err := time.ParseDuration(wait)
		if err != nil || d < 0 {
			return badParameter("wait", "want a duration, such as 30s")
		}
		s.waitForRelease(r.Context(), min(d, maxWait))
	}
	if err := s.leads(); err != nil {
		return err
	}
	return ok(w)
}

func (s *server) waitForRelease(ctx context.Context, d time.Duration) {
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.store.LeaseReleased():
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Standby makes a store that campaigns look at the lease as soon as the leader lets it
// go, or dies, as told over HTTP. The zero value with a Store is good.
type Standby struct {
	Store *schedulerstore.Store
	// Client reaches the leader; nil means http.DefaultClient. It needs no token.
	Client *http.Client
	// Logger gets why a leader can't be asked, once for each; nil discards it.
	Logger *slog.Logger
}

// How long a standby waits before it asks again where it was not let wait.
const (
	minAskPause = time.Second
	maxAskPause = time.Minute
)

// Run goes on until ctx ends.
func (s Standby) Run(ctx context.Context) {
	if s.Client == nil {
		s.Client = http.DefaultClient
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	for ctx.Err() == nil {
		leader, changed := s.Store.OtherLeader()
		asking, cancel := context.WithCancel(ctx)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			if leader != nil && leader.URL != "" {
				s.attend(asking, leader.URL)
			}
		}()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		cancel()
		<-stop
	}
}

// attend keeps a request waiting at one leader until ctx ends.
func (s Standby) attend(ctx context.Context, leader string) {
	pause, told := minAskPause, false
	for {
		start := time.Now()
		leads, err := s.ask(ctx, leader)
		if ctx.Err() != nil {
			return
		}
		if !leads {
			s.Store.LookAtLease()
		}
		if err != nil && !told {
			told = true
			s.Logger.Info("the leader can't be asked when it lets the lease go; a hand-over takes a look at the lease more",
				"leader", leader, "error", err)
		}
		if time.Since(start) >= maxWait/2 {
			pause, told = minAskPause, false
			if leads {
				continue
			}
		}
		if sleep.For(ctx, pause/2+rand.N(pause/2)) != nil {
			return
		}
		pause = min(2*pause, maxAskPause)
	}
}

// ask waits at a leader for as long as it leads, or until the wait is over, and tells
// whether it leads.
func (s Standby) ask(ctx context.Context, leader string) (leads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait+10*time.Second)
	defer cancel()
	target := strings.TrimSuffix(leader, "/") + "/leaderz?wait=" + url.QueryEscape(maxWait.String())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return false, err
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection is used again
	switch response.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusServiceUnavailable:
		return false, nil
	}
	return false, fmt.Errorf("%s: %s", target, response.Status)
}
