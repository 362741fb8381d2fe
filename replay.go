package schedulerstore

import (
	"log/slog"
	"sync"
	"time"

	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// replay is how far the newest recovery is.
type replay struct {
	mu       sync.Mutex
	progress *blob.Progress // nil while there is none
	model    snapshot.ReplayModel
	logged   time.Time // when it was last logged, or began
	done     int       // recoveries so far
}

// replayLogged is the time between two lines about a recovery that takes long.
const replayLogged = 5 * time.Second

// replaying takes the progress of a recovery, after each entry.
func (s *Store) replaying(p blob.Progress) {
	r := &s.replay
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if p.Entries == 0 {
		r.logged = now
	}
	if r.progress = &p; p.Done {
		r.progress = nil
		r.model.Measured(p.Entries, p.Bytes, p.Elapsed)
		s.traceRecovery(&p, r.done == 0)
		r.done++
	}
	switch {
	case p.Done && p.Elapsed >= replayLogged:
		s.logger.Info("recovered", replayFields(&p)...)
	case now.Sub(r.logged) >= replayLogged:
		r.logged = now
		s.logger.Info("recovering", replayFields(&p)...)
	}
}

func replayFields(p *blob.Progress) []any {
	fields := []any{"position", int64(p.At.Next) - 1, "transaction", p.At.Transaction, "entries", p.Entries, "took", p.Elapsed,
		"entries_per_second", int(p.EntriesPerSecond()), "bytes_per_second", int(p.BytesPerSecond())}
	if left, ok := p.Left(); ok && !p.Done {
		fields = append(fields, slog.Uint64("end", uint64(p.End)), slog.Duration("remaining", left))
	}
	return fields
}

// measured takes what a rehearsed recovery took for the log, as one that was in earnest.
func (s *Store) measured(p blob.Progress) {
	s.replay.mu.Lock()
	defer s.replay.mu.Unlock()
	s.replay.model.Measured(p.Entries, p.Bytes, p.Elapsed)
}

// replayEstimate is how long a recovery would read the log behind the newest snapshot.
func (s *Store) replayEstimate(b blob.Backlog) time.Duration {
	s.replay.mu.Lock()
	defer s.replay.mu.Unlock()
	return s.replay.model.Of(b.Entries, b.Bytes)
}

// RecoveryProgress is how far a recovery is with the log; false while there is none,
// or none has come to the log. A follower recovers when it is opened, when it begins
// again from a newer snapshot, and when it takes over.
func (s *Store) RecoveryProgress() (blob.Progress, bool) {
	s.replay.mu.Lock()
	defer s.replay.mu.Unlock()
	if s.replay.progress == nil {
		return blob.Progress{}, false
	}
	return *s.replay.progress, true
}

// RecoveryStatus is how far a recovery is.
type RecoveryStatus struct {
	Entries          int     `json:"entries"`
	EntriesPerSecond float64 `json:"entriesPerSecond"`
	BytesPerSecond   float64 `json:"bytesPerSecond"`
	// End is the position behind the last entry that is known of; 0 if none is.
	End uint64 `json:"end,omitempty"`
	// SecondsLeft estimates the time to End.
	SecondsLeft *float64 `json:"secondsLeft,omitempty"`
}

func (s *Store) recoveryStatus() *RecoveryStatus {
	p, ok := s.RecoveryProgress()
	if !ok {
		return nil
	}
	status := &RecoveryStatus{Entries: p.Entries, EntriesPerSecond: p.EntriesPerSecond(), BytesPerSecond: p.BytesPerSecond(), End: uint64(p.End)}
	if left, ok := p.Left(); ok {
		seconds := left.Seconds()
		status.SecondsLeft = &seconds
	}
	return status
}
