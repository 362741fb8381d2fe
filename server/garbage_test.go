package server

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/view"
)

const collectAll = `"keep":1,"window":"0s","grace":"0s"`

// withGarbage makes what a collection of all would remove.
func (h *host) withGarbage() {
	h.Helper()
	for range 2 {
		h.commit(save("t1"))
		if w := h.do("POST", "/v1/snapshots", ""); w.Code != 200 {
			h.Fatalf("%d %s", w.Code, w.Body)
		}
		h.commit(ops(`{"saveFrameworkId":{"id":"f"}}`))
		h.commit(ops(`{"saveFrameworkId":{"id":"g"}}`))
	}
	if w := h.do("POST", "/v1/snapshots", ""); w.Code != 200 {
		h.Fatalf("%d %s", w.Code, w.Body)
	}
}

func (h *host) collect(body string) view.Garbage {
	h.Helper()
	w := h.do("POST", "/v1/gc", body)
	if w.Code != 200 {
		h.Fatalf("%s: %d %s", body, w.Code, w.Body)
	}
	return decode[view.Garbage](h, w.Body.String())
}

// A dry run tells what would go, and the same then goes: garbage, and backups that have
// expired.
func TestPostGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		h.withGarbage()
		if w := h.do("POST", "/v1/backups", `{"name":"monday","expires":"30m"}`); w.Code != 201 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		time.Sleep(29 * time.Minute)
		if g := h.collect(`{"dryRun":true}`); g.Total.Objects != 0 || len(g.Backups) != 0 {
			t.Errorf("%+v; want that the daemon's own retention keeps everything", g)
		}
		time.Sleep(2 * time.Minute)
		dry := h.collect(`{"dryRun":true,` + collectAll + `}`)
		if !dry.DryRun || dry.Total.Objects == 0 || !slices.Equal(dry.Backups, []string{"monday"}) || h.mem.Count(memdriver.Delete) != 0 {
			t.Errorf("%+v, %d deletes", dry, h.mem.Count(memdriver.Delete))
		}
		h.get("/v1/backups/monday")
		done := h.collect("{" + collectAll + "}")
		if done.DryRun || done.Total.Objects != dry.Total.Objects || !slices.Equal(done.Backups, []string{"monday"}) || done.Oldest == nil {
			t.Errorf("%+v, after a dry run that said %+v", done, dry)
		}
		h.refused(h.do("GET", "/v1/backups/monday", ""), 404, "not-found", "")
		if again := h.collect(`{"dryRun":false,` + collectAll + `}`); again.Total.Objects != 0 || len(again.Backups) != 0 {
			t.Errorf("%+v is left", again)
		}
	})
}

func TestPostGarbageRefuses(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.withGarbage()
	for body, detail := range map[string]string{
		`{"force":true}`:       "force: unknown member",
		`{"dryRun":"yes"}`:     "dryRun: a string where true or false must be",
		`{"keep":0}`:           "keep must be 1 at least",
		`{"keep":1.5}`:         "keep",
		`{"window":"-1h"}`:     "want a duration like 24h",
		`{"grace":"tomorrow"}`: "grace is",
		`{"window":24}`:        "window: a number where a string must be",
		`dryRun=true`:          "not JSON",
	} {
		h.refused(h.do("POST", "/v1/gc", body), 400, "invalid-request", detail)
	}
	h.refused(h.do("POST", "/v1/gc?dryRun=true", ""), 400, "invalid-parameter", "unknown parameter")
	if n := h.mem.Count(memdriver.Delete); n != 0 {
		t.Errorf("%d deletes", n)
	}
	h.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Fail})
	h.refused(h.do("POST", "/v1/gc", ""), 503, "store-unavailable", "injected")
}

// One who asks a follower is sent to the leader, and nothing goes.
func TestPostGarbageToAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		c.leader("one", Options{}).withGarbage()
		follower := c.open("two", Options{})
		campaign, stop := context.WithCancel(t.Context())
		go func() { _ = follower.store.Campaign(campaign) }()
		time.Sleep(2 * time.Second)
		for _, body := range []string{"{" + collectAll + "}", `{"dryRun":true}`} {
			w := follower.do("POST", "/v1/gc", body)
			if p := follower.refused(w, 503, "not-leader", "not the leader"); p.Leader != "http://one" || w.Header().Get("Location") != "http://one/v1/gc" {
				t.Errorf("%s, %v", w.Body, w.Header())
			}
		}
		if n := c.mem.Count(memdriver.Delete); n != 0 {
			t.Errorf("%d deletes", n)
		}
		stop()
		synctest.Wait()
	})
}
