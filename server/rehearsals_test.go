package server

import (
	"testing"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/view"
)

func TestRehearsalOnDemand(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.commit(save("t1"))
	rehearse := func() schedulerstore.Rehearsal {
		t.Helper()
		w := h.do("POST", "/v1/rehearsals", "")
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return decode[schedulerstore.Rehearsal](h, w.Body.String())
	}
	if r := rehearse(); r.Result != schedulerstore.RehearsalOK || r.Transaction != 1 || r.Position != 1 {
		t.Errorf("%+v", r)
	}
	if status := decode[schedulerstore.Status](h, h.get("/v1/status")); status.Rehearsal == nil || status.LastRehearsed == nil {
		t.Errorf("status %+v", status)
	}
	name := decode[view.Snapshot](h, h.do("POST", "/v1/snapshots", "").Body.String()).Name
	h.mem.Put("snapshot/"+name+"/part-00000", nil)
	if r := rehearse(); r.Result != schedulerstore.RehearsalDamaged || r.Problem == "" {
		t.Errorf("%+v", r)
	}
	h.mem.Inject(memdriver.Fault{Operation: memdriver.Get, Key: memdriver.Under("snapshot/"), Do: memdriver.Fail})
	h.refused(h.do("POST", "/v1/rehearsals", ""), 503, "store-unavailable", "injected")
	h.refused(h.do("POST", "/v1/rehearsals", `{"x":1}`), 400, "invalid-request", "unknown member")
}
