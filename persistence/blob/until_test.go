package blob

import (
	"testing"
	"time"
)

func TestPlacesAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 11, 2, 18, 30, 0, 0, time.FixedZone("", 3600)) // 17:30 UTC
	day := func(hour, minute, second int) time.Time {
		return time.Date(2026, 11, 2, hour, minute, second, 0, time.UTC)
	}
	for text, want := range map[string]string{
		"17": UntilPosition(17).String(), "0": "position 0", "transaction:41": "transaction 41", "transaction:0": "transaction 0",
		"now": "the end of the log", "15:04": Until{Time: day(15, 4, 0)}.String(), "15:04:05": Until{Time: day(15, 4, 5)}.String(),
		"2026-11-02T15:04:05Z": Until{Time: day(15, 4, 5)}.String(), "2026-11-02T16:04:05.25+01:00": "2026-11-02T15:04:05.250Z",
		"2h": Until{Time: day(15, 30, 0)}.String(), "90m": Until{Time: day(16, 0, 0)}.String(), "1d": "2026-11-01T17:30:00.000Z",
	} {
		got, err := ParseUntil(text, now)
		if err != nil || got.String() != want {
			t.Errorf("%q is %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "-2h", "17.5", "transaction:", "transaction:-1", "transaction:x", "25:00", "2026-11-02", "99999999999999999999", "d", "-1d", "99999999d"} {
		if got, err := ParseUntil(text, now); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}
