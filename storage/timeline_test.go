package storage_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// updateTimes returns the timestamps of an update's events, then of its instance events.
func updateTimes(v storage.View, k *api.JobUpdateKey) []int64 {
	all := []int64{}
	u, _ := v.JobUpdates().Fetch(k)
	for _, e := range u.UpdateEvents {
		all = append(all, e.TimestampMs)
	}
	for _, e := range u.InstanceEvents {
		all = append(all, e.TimestampMs)
	}
	return all
}

func saveEvents(t testing.TB, updates storage.MutableJobUpdates, k *api.JobUpdateKey, ms int64) {
	t.Helper()
	must(t, updates.SaveEvent(k, event(api.JobUpdateStatusABORTED, ms)))
	must(t, updates.SaveInstanceEvent(k, instanceEvent("x", ms)))
}

// withUpdate returns a state with one update.
func withUpdate(t testing.TB, k *api.JobUpdateKey) *storage.State {
	t.Helper()
	tx := begin()
	must(t, tx.JobUpdates().Save(update(k)))
	return tx.Commit()
}

// Versions share the events they have in common, and no more than that.
func TestEventsOfOldVersionsStay(t *testing.T) {
	k := updateKey("r/e/j", "u")
	add := func(s *storage.State, ms ...int64) *storage.State {
		tx := s.Begin()
		for _, at := range ms {
			saveEvents(t, tx.JobUpdates(), k, at)
		}
		return tx.Commit()
	}
	base := add(add(withUpdate(t, k), 10, 20), 30)
	late, one, other := add(base, 5), add(base, 40), add(base, 50)
	more, again := add(one, 41, 42), add(one, 43)
	for _, c := range []struct {
		what  string
		state *storage.State
		want  []int64
	}{
		{"base", base, []int64{10, 20, 30}},
		{"late", late, []int64{5, 10, 20, 30}},
		{"one", one, []int64{10, 20, 30, 40}},
		{"other", other, []int64{10, 20, 30, 50}},
		{"one, and on", more, []int64{10, 20, 30, 40, 41, 42}},
		{"one, and on again", again, []int64{10, 20, 30, 40, 43}},
	} {
		wantSame(t, c.what, updateTimes(c.state, k), append(slices.Clone(c.want), c.want...))
	}
}

// What was undone leaves no trace, though its place in the shared list was taken.
func TestEventsThatWereUndoneAreGone(t *testing.T) {
	k := updateKey("r/e/j", "u")
	tx := withUpdate(t, k).Begin()
	want := []int64{}
	for i := range int64(100) {
		at := tx.Savepoint()
		saveEvents(t, tx.JobUpdates(), k, 1000+i)
		tx.Rollback(at)
		if i%3 > 0 {
			continue
		}
		saveEvents(t, tx.JobUpdates(), k, i)
		want = append(want, i)
		wantSame(t, "events", updateTimes(storage.ReadOnly(tx), k), append(slices.Clone(want), want...))
		dropped := tx.Commit().Begin()
		saveEvents(t, dropped.JobUpdates(), k, 2000+i)
	}
}

// Whoever appends to a list that it was given does not write to a later version.
func TestListsOfEventsHaveNoRoom(t *testing.T) {
	k := updateKey("r/e/j", "u")
	tx := withUpdate(t, k).Begin()
	for i := range int64(20) {
		saveEvents(t, tx.JobUpdates(), k, i)
		u, _ := tx.JobUpdates().Fetch(k)
		if n := len(u.UpdateEvents); cap(u.UpdateEvents) > n || cap(u.InstanceEvents) > n {
			t.Fatalf("%d events in a list for %d", n, cap(u.UpdateEvents))
		}
	}
}

// Transactions begin from one state at the same time, readers read it, and each goes
// its own way. To be run with -race.
func TestConcurrentTransactionsAddEvents(t *testing.T) {
	const events, writers = 50, 4
	k := updateKey("r/e/j", "u")
	base := withUpdate(t, k)
	want := []int64{}
	for round := range int64(20) {
		next := make([]*storage.State, writers)
		var running sync.WaitGroup
		for w := range writers {
			running.Go(func() {
				tx := base.Begin()
				for i := range int64(events) {
					saveEvents(t, tx.JobUpdates(), k, round*1000+i*10+int64(w))
				}
				next[w] = tx.Commit()
			})
			running.Go(func() {
				if got := updateTimes(base, k)[:len(want)]; !slices.Equal(got, want) {
					t.Errorf("the state that all begin from has %v, want %v", got, want)
				}
			})
		}
		running.Wait()
		for w, state := range next {
			all := slices.Clone(want)
			for i := range int64(events) {
				all = append(all, round*1000+i*10+int64(w))
			}
			wantSame(t, fmt.Sprint("writer ", w), updateTimes(state, k), append(slices.Clone(all), all...))
		}
		base = next[round%writers]
		want = updateTimes(base, k)[:len(want)+events]
	}
}

// Copying all events for each would take minutes, and hundreds of gigabytes.
func TestManyEventsTakeLinearTime(t *testing.T) {
	const events, bytesPerEvent = 200_000, 20_000
	for _, perTransaction := range []int{events, 1, 7} {
		k := updateKey("r/e/j", "u")
		state := withUpdate(t, k)
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		for n := 0; n < events; {
			tx := state.Begin()
			for range min(perTransaction, events-n) {
				must(t, tx.JobUpdates().SaveInstanceEvent(k, instanceEvent("", int64(n/2))))
				if n++; n%10_000 > 0 {
					continue
				}
				if runtime.ReadMemStats(&now); now.TotalAlloc-before.TotalAlloc > uint64(n)*bytesPerEvent {
					t.Fatalf("%d events took %d bytes", n, now.TotalAlloc-before.TotalAlloc)
				}
			}
			state = tx.Commit()
		}
		if u, _ := state.JobUpdates().Fetch(k); len(u.InstanceEvents) != events || u.Update.Summary.State.LastModifiedTimestampMs != (events-1)/2 {
			t.Fatalf("%d events, state %+v", len(u.InstanceEvents), u.Update.Summary.State)
		}
	}
}
