package chaos_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/integration/servers"
	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/server"
)

// follower only reads the store, for the whole run: what it shows is a prefix of the
// history, ever longer. It is in the test's process; the daemon has no such mode.
type follower struct {
	link  *link
	store *schedulerstore.Store
	http  *httptest.Server
}

func startFollower(c *chaos, l *link) *follower {
	log, err := os.Create(filepath.Join(c.folder, "follower.log"))
	if err != nil {
		c.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	store, err := schedulerstore.Open(c.Context(), servers.S3URL("http://"+l.address, "cells", cellURL), schedulerstore.Options{ReadOnly: true, Logger: logger})
	if err != nil {
		c.Fatal(err)
	}
	f := &follower{l, store, httptest.NewServer(server.New(store, server.Options{Logger: logger}))}
	c.Cleanup(func() {
		f.http.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			c.Error(err)
		}
		_ = log.Close()
	})
	return f
}

// reader is a process that can be read: its name, new with each start, and its URL.
type reader interface {
	where() (name, url string)
}

func (f *follower) where() (name, url string) { return "follower", f.http.URL }

func (s *slot) where() (name, url string) {
	d, url, _ := s.running()
	if d == nil {
		return "", ""
	}
	return d.name, url
}

func readers(slots []*slot) []reader {
	all := make([]reader, len(slots))
	for i, s := range slots {
		all[i] = s
	}
	return all
}

// status is that of a daemon's path, 0 without an answer.
func (s *slot) status(path string) int {
	_, url, frozen := s.running()
	if url == "" || frozen {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	return ask(ctx, http.MethodGet, url, path, nil, nil).status
}

func (s *slot) leads() bool { return s.status("/leaderz") == http.StatusOK }

// leaseRemaining is how long the daemon holds the lease in any case.
func (s *slot) leaseRemaining() time.Duration {
	_, url, _ := s.running()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	var status struct {
		Leader struct{ LeaseRemainingMs int64 }
	}
	if a := ask(ctx, http.MethodGet, url, "/v1/status", nil, nil); a.err != nil || json.Unmarshal(a.body, &status) != nil {
		return 0
	}
	return time.Duration(status.Leader.LeaseRemainingMs) * time.Millisecond
}

// watcher reads one process's newest state, again and again, not linearizably.
type watcher struct {
	*chaos
	of     reader
	random *rand.Rand
	seen   []sighting
}

// sighting is what a process showed.
type sighting struct {
	process string
	number  persistence.TransactionNumber
	saw     map[string]string
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.look(ctx)
		time.Sleep(time.Duration(20+w.random.IntN(120)) * time.Millisecond)
	}
}

func (w *watcher) look(ctx context.Context) {
	name, url := w.of.where()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	saw, number, ok := ask(ctx, http.MethodGet, url, "/v1/hosts", nil, nil).registers(w.chaos)
	if !ok {
		return
	}
	if n := len(w.seen); n > 0 && w.seen[n-1].process == name {
		switch last := w.seen[n-1].number; {
		case number < last:
			w.problem("%s showed transaction %d after %d", name, number, last)
		case number == last:
			return
		}
	}
	w.seen = append(w.seen, sighting{name, number, saw})
}
