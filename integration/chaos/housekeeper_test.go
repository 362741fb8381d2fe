package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
)

// housekeeper asks the daemons, again and again, for what they do by themselves only
// after a time that none of them has here: snapshots, collections without grace, backups,
// restores, rehearsals.
type housekeeper struct {
	*chaos
	random   *rand.Rand
	backups  []backupMade
	named    int // backups that were asked for
	restores int

	mu       sync.Mutex
	answered map[string]map[string]int // by what was asked: by answer
	replaced []restoreTold
}

// backupMade is a backup, and the transaction that it is of.
type backupMade struct {
	name string
	of   persistence.TransactionNumber
}

// restoreTold is a restore that was acknowledged.
type restoreTold struct {
	commit  persistence.Commit
	invoked time.Duration
}

func (h *housekeeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		h.collect(ctx)
		switch h.random.IntN(12) {
		case 0, 1:
			h.backup(ctx)
		case 2:
			h.restore(ctx)
		case 3, 4:
			h.rehearse(ctx)
		}
		time.Sleep(time.Duration(50+h.random.IntN(300)) * time.Millisecond)
	}
}

// housekeepingTimeout is long enough for a collection on a busy machine.
const housekeepingTimeout = 10 * time.Second

// ask asks the leader, or somebody, and notes how it was answered.
func (h *housekeeper) ask(ctx context.Context, what, method, url, path string, body any) *answer {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			h.problem("%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, housekeepingTimeout)
	defer cancel()
	a := ask(ctx, method, url, path, text, nil)
	kind := "no answer"
	if a.err == nil {
		kind = fmt.Sprint(a.status)
		if _, name, ok := strings.Cut(a.problem.Type, "problem:"); ok {
			kind += " " + name
		}
	}
	if ctx.Err() == context.Canceled { // the run is over
		return a
	}
	h.mu.Lock()
	if h.answered == nil {
		h.answered = map[string]map[string]int{}
	}
	if h.answered[what] == nil {
		h.answered[what] = map[string]int{}
	}
	h.answered[what][kind]++
	h.mu.Unlock()
	if a.err == nil && (a.status == http.StatusBadRequest || a.status >= http.StatusInternalServerError && a.status != http.StatusServiceUnavailable && a.status != http.StatusGatewayTimeout) {
		h.problem("%s was answered with %d %s", what, a.status, a.body)
	}
	return a
}

// leaderURL waits until somebody leads.
func (h *housekeeper) leaderURL(ctx context.Context) string {
	for ctx.Err() == nil {
		for _, s := range h.slots {
			if _, url, _ := s.running(); s.leads() {
				return url
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ""
}

func (h *housekeeper) anybody() string {
	_, url, _ := h.slots[h.random.IntN(daemons)].running()
	return url
}

// collect makes a snapshot, and once the archive has what it covers collects the rest.
func (h *housekeeper) collect(ctx context.Context) {
	at := h.leaderURL(ctx)
	a := h.ask(ctx, "snapshot", http.MethodPost, at, "/v1/snapshots", map[string]any{"reason": "chaos"})
	var made struct{ Position persistence.Position }
	if a.status != http.StatusOK || json.Unmarshal(a.body, &made) != nil {
		return
	}
	if !h.archive.reaches(ctx, made.Position) {
		if ctx.Err() == nil {
			h.problem("the log has no position %d after %v, which a snapshot covers", made.Position, stuck)
		}
		return
	}
	h.ask(ctx, "collection", http.MethodPost, at, "/v1/gc", map[string]any{"keep": 1 + h.random.IntN(2), "window": "0s", "grace": "0s"})
}

const keptBackups = 4

func (h *housekeeper) backup(ctx context.Context) {
	h.named++
	name := fmt.Sprint("backup-", h.named)
	a := h.ask(ctx, "backup", http.MethodPost, h.anybody(), "/v1/backups", map[string]any{"name": name})
	var made struct{ Transaction persistence.TransactionNumber }
	if a.status != http.StatusCreated || json.Unmarshal(a.body, &made) != nil {
		return
	}
	h.backups = append(h.backups, backupMade{name, made.Transaction})
	if len(h.backups) > keptBackups {
		if a := h.ask(ctx, "backup's end", http.MethodDelete, h.leaderURL(ctx), "/v1/backups/"+h.backups[0].name, nil); a.status == http.StatusNoContent {
			h.backups = h.backups[1:]
		}
	}
}

func (h *housekeeper) restore(ctx context.Context) {
	if len(h.backups) == 0 {
		return
	}
	b := h.backups[h.random.IntN(len(h.backups))]
	h.restores++
	told := restoreTold{invoked: time.Since(h.began)}
	a := h.ask(ctx, "restore", http.MethodPost, h.leaderURL(ctx), "/v1/restore",
		map[string]any{"backup": b.name, "reason": fmt.Sprintf(stateOf, b.of, h.restores)})
	if a.status == http.StatusNotFound { // its removal was not answered
		h.backups = slices.DeleteFunc(h.backups, func(o backupMade) bool { return o == b })
		return
	}
	if a.err == nil && a.status == http.StatusOK && json.Unmarshal(a.body, &told.commit) == nil {
		h.mu.Lock()
		h.replaced = append(h.replaced, told)
		h.mu.Unlock()
	}
}

// rehearse has a daemon compare its state with what it would recover.
func (h *housekeeper) rehearse(ctx context.Context) {
	a := h.ask(ctx, "rehearsal", http.MethodPost, h.anybody(), "/v1/rehearsals", nil)
	if a.err == nil && a.status == http.StatusOK {
		rehearsed(h.chaos, a.body)
	}
}

// rehearsed makes sure that a rehearsal found nothing.
func rehearsed(c *chaos, body []byte) {
	var r struct{ Result string }
	if err := json.Unmarshal(body, &r); err != nil || r.Result != "ok" {
		c.problem("a rehearsal: %s", body)
	}
}

// String says how often each thing was done.
func (h *housekeeper) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := func(what, kind string) int { return h.answered[what][kind] }
	return fmt.Sprintf("%d snapshots %d collections %d backups %d restores %d rehearsals",
		n("snapshot", "200"), n("collection", "200"), n("backup", "201"), n("restore", "200"), n("rehearsal", "200"))
}
