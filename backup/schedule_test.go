package backup

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	for _, tt := range []struct {
		schedule Schedule
		since    time.Duration
		due      bool
		kept     int
	}{
		{Schedule{}, time.Hour - 1, false, 48},
		{Schedule{}, time.Hour, true, 48},
		{Schedule{Every: time.Minute, Keep: 3}, time.Minute, true, 3},
		{Schedule{Every: time.Minute, Keep: -1}, time.Minute - 1, false, 48},
		{Schedule{Every: -1}, 1000 * time.Hour, false, 48},
	} {
		if due, kept := tt.schedule.Due(tt.since), tt.schedule.Kept(); due != tt.due || kept != tt.kept {
			t.Errorf("%+v after %v: due %t, keeps %d", tt.schedule, tt.since, due, kept)
		}
	}
}
