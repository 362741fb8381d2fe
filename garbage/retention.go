package garbage

import (
	"time"

	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Retention says what is kept. The zero value is good.
type Retention struct {
	// Keep is the number of the newest snapshots that are kept in any case; default 3.
	Keep int
	// Window is how far back every state can be recovered; default 24 h, negative is
	// not at all.
	Window time.Duration
	// Grace spares slow readers a new start: what was needed that long ago is kept.
	// Safety does not rest on it. Default 1 h, negative is none.
	Grace time.Duration
}

// WithDefaults is what the zero values stand for.
func (r Retention) WithDefaults() Retention {
	if r.Keep <= 0 {
		r.Keep = 3
	}
	if r.Window == 0 {
		r.Window = 24 * time.Hour
	}
	if r.Grace == 0 {
		r.Grace = time.Hour
	}
	return r
}

// oldest says which of the snapshots, which are in order, is the oldest that is kept:
// the newest that was made before the window and the grace period began, but not one of
// the newest Keep-1. It is -1 if there is none: then nothing is garbage, as the log from
// its beginning on is still needed. made says when a snapshot was made; an error ends it.
//
// Clocks only decide how much is kept beyond Keep, and positions decide all else: so one
// that is wrong, or goes back, can't take what must stay.
func (r Retention) oldest(names []snapshot.Name, now time.Time, made func(snapshot.Name) (time.Time, error)) (int, error) {
	r = r.WithDefaults()
	before := now.Add(-max(r.Window, r.Grace, 0))
	for i := len(names) - r.Keep; i >= 0; i-- {
		if at, err := made(names[i]); err != nil || !at.After(before) {
			return i, err
		}
	}
	return -1, nil
}
