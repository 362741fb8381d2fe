package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/internal/view"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

type logAnswer struct {
	Entries []*view.Entry
	Next    string
}

func (h *host) log(target string) (answer logAnswer) {
	h.Helper()
	if err := json.Unmarshal([]byte(h.get(target)), &answer); err != nil {
		h.Fatal(err)
	}
	return answer
}

// positions shows a page of the log as position/epoch.
func (a logAnswer) positions() string {
	var all strings.Builder
	for _, e := range a.Entries {
		fmt.Fprintf(&all, "%d/%d ", e.Position, e.Epoch)
	}
	return all.String()
}

func TestLogIsPagedNewestFirst(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	for i := range 7 {
		h.commit(save(fmt.Sprint("t", i)))
	}
	page := h.log("/v1/log?limit=3")
	if got := page.positions(); got != "7/1 6/1 5/1 " || page.Next != "/v1/log?before=5&limit=3" {
		t.Errorf("first page: %s, next %s", got, page.Next)
	}
	if got := h.get("/v1/log?limit=3"); !strings.Contains(got, `"next":"/v1/log?before=5&limit=3"`) {
		t.Error(got)
	}
	if e := page.Entries[0]; e.Kind != "records" || e.First != 7 || e.Count != 1 || e.Bytes != int64(len(h.mem.Data(e.Object))) || len(e.Writer) != 32 || e.Time.IsZero() {
		t.Errorf("%+v", e)
	}
	all := ""
	for next := "/v1/log?limit=3"; next != ""; {
		page := h.log(next)
		all += page.positions()
		next = page.Next
	}
	if all != "7/1 6/1 5/1 4/1 3/1 2/1 1/1 0/0 " || h.log("/v1/log").positions() != all || h.log("/v1/log?before=99").positions() != all {
		t.Errorf("all pages: %s", all)
	}
	if got := h.get("/v1/log?before=0"); got != `{"entries":[]}` {
		t.Error(got)
	}
}

func TestLogEntry(t *testing.T) {
	h := newCell(t).leader("one", Options{})
	h.commit(save("t1"), "Idempotency-Key: k1")
	var e view.Entry
	if err := json.Unmarshal([]byte(h.get("/v1/log/1")), &e); err != nil {
		t.Fatal(err)
	}
	if len(e.Transactions) != 1 || e.Transactions[0].Transaction != 1 || e.Transactions[0].IdempotencyKey != "k1" || !strings.Contains(string(e.Transactions[0].Ops), `[{"saveTasks":{"tasks":[{"assignedTask":{"taskId":"t1"`) {
		t.Errorf("%+v", e)
	}
	var seal view.Entry
	if err := json.Unmarshal([]byte(h.get("/v1/log/0")), &seal); err != nil {
		t.Fatal(err)
	}
	if seal.Kind != "seal" || seal.NextEpoch != 1 || e.Prev != seal.Hash {
		t.Errorf("%+v", seal)
	}
}

func TestLogShowsARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		h.commit(save("t1"))
		_, err := h.store.Restore(t.Context(), schedulerstore.Restoration{Records: h.store.Storage().Checkpoint().Records(), Reason: "by mistake"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // it follows
		page := h.log("/v1/log?limit=1")
		if e := page.Entries[0]; page.positions() != "2/1 " || e.Kind != "restore" || e.First != 2 || e.Count != 1 {
			t.Errorf("%+v", page.Entries)
		}
		var e view.Entry
		if err := json.Unmarshal([]byte(h.get("/v1/log/2")), &e); err != nil {
			t.Fatal(err)
		}
		if e.Restore == nil || e.Restore.Reason != "by mistake" || !strings.HasPrefix(string(e.Restore.Folder), "restore/") || len(e.Transactions) != 0 {
			t.Errorf("%+v", e)
		}
	})
}

// What a deposed writer landed beyond its seal is not shown as history.
func TestLogShowsNoOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCell(t)
		old := c.leader("one", Options{})
		old.commit(save("t1"))
		orphan := c.mem.Data(blob.Key(1, 1))
		if _, err := lease.Break(t.Context(), bucket.New(c.mem, "mem://operator", "", bucket.Options{})); err != nil {
			t.Fatal(err)
		}
		h := c.leader("two", Options{})
		h.commit(save("t2"))
		c.mem.Put(blob.Key(1, 3), orphan) // where the history has an entry of epoch 2
		c.mem.Put(blob.Key(1, 4), orphan) // beyond the end
		if got := h.log("/v1/log").positions(); got != "3/2 2/1 1/1 0/0 " {
			t.Error(got)
		}
		h.refused(h.do("GET", "/v1/log/4", ""), 404, "not-found", "")
	})
}

func TestDamagedEntriesAreShownAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCell(t).leader("one", Options{})
		h.commit(save("t1"))
		h.commit(save("t2"))
		data := h.mem.Data(blob.Key(1, 1))
		data[20] ^= 1
		h.mem.Put(blob.Key(1, 1), data)
		page := h.log("/v1/log")
		if page.positions() != "2/1 1/1 0/0 " || !strings.Contains(page.Entries[1].Problem, blob.Key(1, 1)) || page.Entries[0].Problem != "" {
			t.Errorf("%s %+v", page.positions(), page.Entries[1])
		}
		h.refused(h.do("GET", "/v1/log/1", ""), 500, "damaged", blob.Key(1, 1))
		h.mem.Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.Fail})
		h.refused(h.do("GET", "/v1/log", ""), 503, "store-unavailable", "injected")
	})
}
