package simulation

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// timeline is what is told of a run, line by line, for people and to tell runs apart.
type timeline struct {
	loop *loop
	text strings.Builder

	mu    sync.Mutex
	notes []note // of goroutines since the driver last looked
}

// note is a line that a goroutine of a process or a client has told.
type note struct{ who, text string }

// add tells something. Only the driver calls it.
func (t *timeline) add(who, format string, values ...any) {
	now := t.loop.now()
	fmt.Fprintf(&t.text, "%5d.%09d %-8s ", now/time.Second, now%time.Second, who)
	fmt.Fprintf(&t.text, format, values...)
	t.text.WriteByte('\n')
}

// note tells something from another goroutine. Those that run at the same instant do so
// in any order, so the driver sorts what they tell.
func (t *timeline) note(who, format string, values ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, note{who, fmt.Sprintf(format, values...)})
}

// take adds the notes.
func (t *timeline) take() {
	t.mu.Lock()
	notes := t.notes
	t.notes = nil
	t.mu.Unlock()
	slices.SortStableFunc(notes, func(a, b note) int { return cmp.Or(cmp.Compare(a.who, b.who), cmp.Compare(a.text, b.text)) })
	for _, n := range notes {
		t.add(n.who, "%s", n.text)
	}
}

// digest tells bodies apart in few digits.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}
