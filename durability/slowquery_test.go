package durability

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

func TestSlowQueriesAreLogged(t *testing.T) {
	var out bytes.Buffer
	log := logQuery(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	q := &api.TaskQuery{Role: api.Some("www")}
	if log(q, storage.SlowQuery, 7); out.Len() != 0 {
		t.Errorf("a quick query: %s", &out)
	}
	log(q, storage.SlowQuery+1, 7)
	if s := out.String(); !strings.Contains(s, "level=INFO") || !strings.Contains(s, "tasks=7") || !strings.Contains(s, "www") {
		t.Errorf("a slow query: %s", s)
	}
}

// The storage asks for it, before and after it was loaded anew.
func TestQueriesOfAStorageAreLogged(t *testing.T) {
	var out bytes.Buffer
	s := New(Options{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	for range 2 {
		found, err := s.View().Tasks().Query(&api.TaskQuery{})
		must(t, err)
		for range found {
			t.Error("a task")
		}
		if !strings.Contains(out.String(), "level=DEBUG") {
			t.Errorf("logged %q", &out)
		}
		out.Reset()
		must(t, s.Reset(persistence.Point{}))
		s.Loaded(persistence.Point{})
	}
}
