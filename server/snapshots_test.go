package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/view"
)

type snapshotsAnswer struct {
	Snapshots []view.Snapshot
	Total     int
	Problems  []string
}

func decode[T any](h *host, body string) (answer T) {
	h.Helper()
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		h.Fatalf("%s: %v", body, err)
	}
	return answer
}

func TestSnapshots(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	if got := h.get("/v1/snapshots"); got != `{"snapshots":[],"total":0}` {
		t.Error(got)
	}
	h.commit(save("t1"))
	w := h.do("POST", "/v1/snapshots", `{"reason":"ticket 4711"}`)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	first := decode[view.Snapshot](h, w.Body.String())
	if first.Transaction != 1 || first.Position != 1 || first.Reason != "ticket 4711" || first.By != "one" || first.Counts["tasks"] != 1 ||
		first.Bytes == 0 || first.Made.IsZero() {
		t.Errorf("%+v", first)
	}
	h.commit(save("t2"))
	second := decode[view.Snapshot](h, h.do("POST", "/v1/snapshots", "").Body.String())
	if second.Transaction != 2 || second.Reason != "request" {
		t.Errorf("%+v", second)
	}
	all := decode[snapshotsAnswer](h, h.get("/v1/snapshots"))
	if len(all.Snapshots) != 2 || all.Total != 2 || all.Snapshots[0].Name != second.Name || all.Snapshots[1].Name != first.Name {
		t.Errorf("%+v", all)
	}
	h.mem.Put("snapshot/"+first.Name+"/manifest.json", []byte("{}"))
	all = decode[snapshotsAnswer](h, h.get("/v1/snapshots"))
	if len(all.Snapshots) != 1 || len(all.Problems) != 1 || !strings.Contains(all.Problems[0], first.Name) {
		t.Errorf("%+v", all)
	}
	h.commit(save("t3"))
	h.mem.Inject(memdriver.Fault{Operation: memdriver.Create, Key: memdriver.Under("snapshot/"), Do: memdriver.Fail})
	h.refused(h.do("POST", "/v1/snapshots", ""), 503, "store-unavailable", "injected")
}

// Requests that are not transactions are read as strictly.
func TestRefusedRequests(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	for _, c := range []struct {
		target, body string
		status       int
		kind, detail string
	}{
		{"/v1/snapshots", `{"why":"x"}`, 400, "invalid-request", "why: unknown member"},
		{"/v1/snapshots", `{"reason":7}`, 400, "invalid-request", "reason: a number where a string must be"},
		{"/v1/snapshots", `{"reason":null}`, 400, "invalid-request", "null where a value must be"},
		{"/v1/snapshots", `{"reason":"x"} {}`, 400, "invalid-request", "not JSON"},
		{"/v1/snapshots", `reason=x`, 400, "invalid-request", "not JSON"},
		{"/v1/snapshots", `{"reason":"` + strings.Repeat("x", maxRequestBytes) + `"}`, 413, "too-large", "16384 bytes"},
		{"/v1/snapshots?reason=x", ``, 400, "invalid-parameter", "unknown parameter"},
		{"/v1/backups", `{"name":"a","name":"b"}`, 400, "invalid-request", "given twice"},
		{"/v1/backups", `{"automatic":true}`, 400, "invalid-request", "automatic: unknown member"},
		{"/v1/backups", `{"name":"a","expires":"tomorrow"}`, 400, "invalid-request", "no time at which something expires"},
		{"/v1/backups", `{"name":"a","expires":"2020-01-01T00:00:00Z"}`, 400, "invalid-request", "expired already"},
		{"/v1/recovery", ``, 400, "invalid-request", "backup: missing"},
		{"/v1/recovery", `{"backup":""}`, 400, "invalid-request", "backup: missing"},
		{"/v1/recovery", `{"backup":"a","force":true}`, 400, "invalid-request", "force: unknown member"},
		{"/v1/recovery/commit", `{"backup":"a"}`, 400, "invalid-request", "backup: unknown member"},
	} {
		h.refused(h.do("POST", c.target, c.body), c.status, c.kind, c.detail)
	}
	h.refused(h.do("POST", "/v1/snapshots", "xx", "Content-Type: "+string(thriftBody)), 415, "unsupported-type", "want application/json")
	for _, path := range []string{"/v1/backups/a", "/v1/recovery", "/v1/recovery/tasks?all=true"} {
		h.refused(h.do("DELETE", path, `{"role":"www"}`), 400, "invalid-request", "no body")
	}
	for _, path := range []string{"/v1/snapshots", "/v1/backups", "/v1/backups/a", "/v1/recovery", "/v1/recovery/tasks"} {
		h.refused(h.do("GET", path+"?force=true", ""), 400, "invalid-parameter", "unknown parameter")
	}
	for _, path := range []string{"/v1/backups/a", "/v1/recovery", "/v1/recovery/tasks"} {
		h.refused(h.do("DELETE", path+"?force=true", ""), 400, "invalid-parameter", "unknown parameter")
	}
}
