package blob

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// Until names a place in the history: the state as of just after it is meant. At most
// one field is set; the zero value is the end of the log.
type Until struct {
	// Position means all entries up to this one.
	Position *persistence.Position
	// Transaction means all transactions up to this one, 0 the state before the first.
	// It may lie inside an entry.
	Transaction *persistence.TransactionNumber
	// Time means all entries before the first one that is later, counted from the newest
	// snapshot that was made at that time or before. Entries and snapshots bear the wall
	// clock of whoever led, in milliseconds; where a leader's clock was behind that of the
	// one before, times go back at the seal between them. A time after the last entry is
	// the end of the log.
	Time time.Time
}

// UntilPosition is the place of a position.
func UntilPosition(p persistence.Position) Until { return Until{Position: &p} }

// UntilTransaction is the place of a transaction.
func UntilTransaction(n persistence.TransactionNumber) Until { return Until{Transaction: &n} }

func (u Until) String() string {
	switch {
	case u.Position != nil:
		return fmt.Sprintf("position %d", *u.Position)
	case u.Transaction != nil:
		return fmt.Sprintf("transaction %d", *u.Transaction)
	case !u.Time.IsZero():
		return u.Time.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return "the end of the log"
}

func (u Until) check() error {
	set := 0
	for _, is := range []bool{u.Position != nil, u.Transaction != nil, !u.Time.IsZero()} {
		if is {
			set++
		}
	}
	if set > 1 {
		return errors.New("a place in the history is a position, a transaction or a time, not several of them")
	}
	return nil
}

// reached tells that nothing after a point belongs to it.
func (u Until) reached(at persistence.Point) bool {
	return u.Position != nil && at.Next > *u.Position || u.Transaction != nil && at.Transaction >= *u.Transaction
}

// before tells, where a snapshot's name shows it, that it has more than belongs to it.
func (u Until) before(name snapshot.Name) bool {
	return u.Position != nil && name.Position > *u.Position
}

// covers tells whether all that a snapshot has belongs to it.
func (u Until) covers(m *snapshot.Manifest) bool {
	switch {
	case u.Transaction != nil:
		return m.At.Transaction <= *u.Transaction
	case !u.Time.IsZero():
		return !m.Made.After(u.Time)
	}
	return true // of a position the name told
}

// ParseUntil reads a place in the history as people write it: a position (17), a
// transaction (transaction:41), a time (RFC 3339, or 15:04 or 15:04:05 of the day of now,
// UTC), an age before now (2h, 7d), or the word now, the end of the log.
func ParseUntil(text string, now time.Time) (Until, error) {
	if text == "now" {
		return Until{}, nil
	}
	if number, ok := strings.CutPrefix(text, "transaction:"); ok {
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return Until{}, fmt.Errorf("%q is no transaction: want transaction: and a number", text)
		}
		return UntilTransaction(persistence.TransactionNumber(n)), nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return UntilPosition(persistence.Position(n)), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return Until{Time: t}, nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			now = now.UTC()
			return Until{Time: time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)}, nil
		}
	}
	if age, err := ParseAge(text); err == nil && age >= 0 {
		return Until{Time: now.Add(-age)}, nil
	}
	return Until{}, fmt.Errorf("%q is no place in the history: want a position such as 17, transaction:41, a time such as 2026-11-02T15:04:05Z or 15:04, an age such as 2h, or now", text)
}

// ParseAge is time.ParseDuration that knows days.
func ParseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}
