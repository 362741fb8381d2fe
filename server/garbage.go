package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/scheduler-store/scheduler-store/garbage"
	"github.com/scheduler-store/scheduler-store/internal/view"
)

// garbageRequest is a request to collect garbage. What it leaves out is as the daemon is
// told.
type garbageRequest struct {
	DryRun bool    `json:"dryRun"`
	Keep   *int    `json:"keep"`
	Window *string `json:"window"`
	Grace  *string `json:"grace"`
}

// postGarbage collects garbage, and answers when that is done.
func (s *server) postGarbage(w http.ResponseWriter, r *http.Request) error {
	var request garbageRequest
	if err := readRequest(w, r, &request); err != nil {
		return err
	}
	retention, err := request.retention(s.store.Retention())
	if err != nil {
		return invalid(err)
	}
	report, err := s.store.CollectGarbage(r.Context(), retention, request.DryRun)
	if err != nil {
		return bucketProblem(err)
	}
	return writeJSON(w, view.GarbageOf(report, s.store.Log().Bucket().Provider()))
}

// retention is that of a request, where the rest is as usual.
func (r *garbageRequest) retention(usual garbage.Retention) (garbage.Retention, error) {
	if r.Keep != nil {
		if usual.Keep = *r.Keep; *r.Keep < 1 {
			return usual, errors.New("keep must be 1 at least: the newest snapshot always stays")
		}
	}
	for _, d := range []struct {
		name string
		text *string
		to   *time.Duration
	}{{"window", r.Window, &usual.Window}, {"grace", r.Grace, &usual.Grace}} {
		if d.text == nil {
			continue
		}
		duration, err := time.ParseDuration(*d.text)
		if err != nil || duration < 0 {
			return usual, fmt.Errorf("%s is %.40q; want a duration like 24h, or 0s", d.name, *d.text)
		}
		if *d.to = duration; duration == 0 {
			*d.to = -1 // 0 is the default
		}
	}
	return usual, nil
}
