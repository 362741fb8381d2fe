package server

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/persistence"
)

// What a request for a restore lacks, or asks for that is not there, is refused, and
// nothing is committed. What is there becomes the state.
func TestPostRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		h.commit(save("a"))
		h.backup("monday")
		h.commit(save("b"))
		for body, status := range map[string]int{
			`{}`: http.StatusBadRequest, `{"at":"1","backup":"b"}`: http.StatusBadRequest, `{"at":"yesterday"}`: http.StatusBadRequest,
			`{"at":"now"}`: http.StatusBadRequest, `{"at":"999"}`: http.StatusNotFound, `{"backup":"nobody"}`: http.StatusNotFound,
		} {
			w := h.do("POST", "/v1/restore", body)
			if p := decode[problem](h, w.Body.String()); w.Code != status || p.Outcome != notCommitted {
				t.Errorf("%s: %d %s, want %d", body, w.Code, w.Body, status)
			}
		}
		if got := ids(h, h.get("/v1/tasks")); got != "a b" {
			t.Errorf("then the tasks are %q", got)
		}
		for _, body := range []string{`{"at":"transaction:1","reason":"test"}`, `{"backup":"monday"}`} {
			before := h.number()
			w := h.do("POST", "/v1/restore", body)
			if commit := decode[persistence.Commit](h, w.Body.String()); w.Code != http.StatusOK || int(commit.Transaction) != before+1 {
				t.Fatalf("%s: %d %s", body, w.Code, w.Body)
			}
			for h.store.Status().Role != schedulerstore.Leader {
				if err := h.store.Campaign(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			if got := ids(h, h.get("/v1/tasks")); got != "a" {
				t.Errorf("%s: the tasks are %q", body, got)
			}
			h.commit(save("b"))
		}
	})
}
