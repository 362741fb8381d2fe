package schedulerstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/scheduler-store/scheduler-store/durability"
)

// Phase is where a store stands in its life (Aurora: the states of
// CallOrderEnforcingStorage):
//
//	        Open                end of the log          Campaign
//	(none) ─────► constructed ─────────────────► prepared ◄────► ready
//	                   │                            │  leadership  │
//	                   └────────────────────────────┴────ends──────┴──Close──► stopped
//
// Aurora's prepare and the recovery in its start are done by Open, in the background;
// the rest of its start is Campaign, which can be called at once and waits. As
// leadership can end without the process, ready goes back to prepared. Writes need
// ready. Reads do not: in any phase they answer with the newest durable state that is
// known, and Recovered tells from when on that is worth anything.
type Phase string

// The phases.
const (
	Constructed Phase = "constructed"
	Prepared    Phase = "prepared"
	Ready       Phase = "ready"
	Stopped     Phase = "stopped"
)

// ErrNotReady: what only a leader can do was asked in another phase. Nothing was done,
// and it may work later (Aurora: TransientStorageException, "Storage is not READY").
var ErrNotReady = errors.New("storage is not READY")

// Phase tells where the store stands in its life.
func (s *Store) Phase() Phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase()
}

// phase needs mu.
func (s *Store) phase() Phase {
	switch {
	case s.ctx.Err() != nil:
		return Stopped
	case s.progress.role == Leader:
		return Ready
	}
	select {
	case <-s.recovered:
		return Prepared
	default:
		return Constructed
	}
}

// wrongPhase is the error of a call in a phase that it is not for, because of why.
func wrongPhase(in, want Phase, why error) error {
	return fmt.Errorf("in state %s, expected to be in [%s]: %w", strings.ToUpper(string(in)), strings.ToUpper(string(want)), why)
}

// explain adds to "not the leader" why this process does not lead.
func (s *Store) explain(err error) error {
	if !errors.Is(err, durability.ErrNotLeader) {
		return err
	}
	s.mu.Lock()
	phase, why := s.phase(), context.Cause(s.progress.leadership)
	s.mu.Unlock()
	switch {
	case phase == Stopped:
		why = ErrClosed
	case why == nil: // it leads by now
		return err
	}
	return fmt.Errorf("%w: %w: %w", err, ErrNotReady, wrongPhase(phase, Ready, why))
}
