package garbage

import (
	"errors"
	"testing"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// The oldest snapshot that is kept is not one of the newest Keep-1, and was made before
// the window and the grace period; a clock that is wrong can only keep more than Keep.
func TestOldestKept(t *testing.T) {
	const none = -1
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hours := func(ages ...float64) (made []time.Time) {
		for _, h := range ages {
			made = append(made, now.Add(-time.Duration(h*float64(time.Hour))))
		}
		return made
	}
	for name, c := range map[string]struct {
		r    Retention
		made []time.Time // oldest first
		want int
	}{
		"no snapshot":                       {newest(1), nil, none},
		"fewer than K":                      {newest(3), hours(9, 8), none},
		"K":                                 {newest(3), hours(9, 8, 7), 0},
		"more than K":                       {newest(3), hours(9, 8, 7, 6, 5), 2},
		"one":                               {newest(1), hours(9, 8, 7, 6, 5), 4},
		"the default is 3, 24 h":            {Retention{}, hours(30, 25, 23, 2, 1), 1},
		"exactly as old as the window":      {Retention{Keep: 1}, hours(30, 24, 2), 1},
		"K is more than the window has":     {Retention{Keep: 4}, hours(50, 40, 30, 25, 1), 1},
		"none is older than the window":     {Retention{Keep: 1}, hours(20, 10, 1), none},
		"the grace period is longer":        {Retention{Keep: 1, Window: -1}, hours(3, 2, 0.5), 1},
		"the window is longer":              {Retention{Keep: 1, Window: 2 * time.Hour, Grace: time.Hour}, hours(3, 1.5, 0.5), 0},
		"a clock was ahead":                 {Retention{Keep: 2}, hours(30, -100, 25, 2, 1), 2},
		"a clock went back":                 {Retention{Keep: 2}, hours(26, 20, 30, 25, 2, 1), 3},
		"all are of the future":             {Retention{Keep: 1}, hours(-1, -2, -3), none},
		"all are of the future, no window":  {newest(2), hours(-1, -2, -3), none},
		"all are long ago, K holds":         {Retention{Keep: 3}, hours(900, 800, 700), 0},
		"this clock is far ahead, K holds":  {Retention{Keep: 3}, hours(9e5, 9e5, 9e5, 9e5), 1},
		"a keep that is none is the usual":  {Retention{Keep: -5, Window: -1, Grace: -1}, hours(9, 8, 7, 6), 1},
		"the usual grace, without a window": {Retention{Keep: 1, Window: -1}, hours(2, 0.5), 0},
	} {
		names, made := []snapshot.Name{}, map[snapshot.Name]time.Time{}
		for i, at := range c.made {
			n := snapshot.Name{Position: persistence.Position(i)}
			names, made[n] = append(names, n), at
		}
		got, err := c.r.oldest(names, now, func(n snapshot.Name) (time.Time, error) { return made[n], nil })
		if got != c.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", name, got, err, c.want)
		}
	}
	unreadable := errors.New("unreadable")
	if _, err := newest(1).oldest(make([]snapshot.Name, 2), now, func(snapshot.Name) (time.Time, error) { return now, unreadable }); err != unreadable {
		t.Errorf("%v; want that it can't be told", err)
	}
}
