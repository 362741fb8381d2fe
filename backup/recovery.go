package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/scheduler-store/scheduler-store/persistence"
	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// What errors of a staged recovery match.
var (
	ErrNotStaged     = errors.New("No backup loaded.")                 //lint:ignore ST1005 clients know this text
	ErrAlreadyStaged = errors.New("Another backup is already loaded.") //lint:ignore ST1005 clients know this text
)

// Restore replaces the state of the primary store, durably; if after is not nil, only if
// that is the number of its last transaction.
type Restore func(ctx context.Context, records iter.Seq2[[]byte, error], reason string, after *persistence.TransactionNumber) (persistence.Commit, error)

// Recovery stages one backup at a time, to be looked at and pruned before it becomes
// the state (Aurora: Recovery, TemporaryStorage). Nothing is written before Commit. Its
// methods may be called by many goroutines; those that read never wait.
type Recovery struct {
	backups *Backups
	tiers   schema.Tiers
	restore Restore

	changing chan struct{} // whoever has put something in may change staged, or what it holds
	staged   atomic.Pointer[staged]
}

// staged is a backup that was loaded.
type staged struct {
	info    *Info
	state   temporary
	deleted int // tasks
}

// NewRecovery returns a recovery with nothing staged. tiers are those of the cluster;
// nil means the stock ones.
func NewRecovery(backups *Backups, tiers schema.Tiers, restore Restore) *Recovery {
	return &Recovery{backups: backups, tiers: tiers, restore: restore, changing: make(chan struct{}, 1)}
}

// Stage loads a backup into a state of its own. While one is staged the error matches
// ErrAlreadyStaged, and nothing is loaded. (Aurora loads it first.) Of several calls at
// once one loads, and the others wait for what comes of it.
//
// Other errors match what those of Backups.Load do, with Aurora's texts.
func (r *Recovery) Stage(ctx context.Context, name string) (*Info, error) {
	if r.staged.Load() != nil {
		return nil, ErrAlreadyStaged
	}
	select {
	case r.changing <- struct{}{}:
		defer r.release()
	case <-ctx.Done():
		return nil, fmt.Errorf("stage backup %q: %w", name, context.Cause(ctx))
	}
	if r.staged.Load() != nil {
		return nil, ErrAlreadyStaged
	}
	s := &staged{state: newTemporary(r.tiers)}
	var err error
	if s.info, err = r.backups.Load(ctx, name, s.state); err != nil {
		return nil, stageError(name, err)
	}
	r.staged.Store(s)
	return s.info, nil
}

// Staged returns what is staged, and false if nothing is.
func (r *Recovery) Staged() (*Info, bool) {
	s := r.staged.Load()
	if s == nil {
		return nil, false
	}
	return s.info, true
}

// View is the staged state (Aurora: query). It stays the same for as long as it is held.
func (r *Recovery) View() (storage.View, error) {
	s := r.staged.Load()
	if s == nil {
		return nil, ErrNotStaged
	}
	return s.state.View(), nil
}

// DeleteTasks deletes the tasks that match from the staged state, and says how many. A
// query without conditions, or nil, matches all tasks. It waits for a Commit.
func (r *Recovery) DeleteTasks(q *api.TaskQuery) (int, error) {
	s, err := r.hold(context.Background())
	if err != nil {
		return 0, err
	}
	defer r.release()
	n, err := s.state.deleteTasks(q)
	s.deleted += n
	return n, err
}

// Commit makes the staged state that of the primary store. If after is not nil it does
// so only if that is the number of the store's last transaction.
//
// Unless it is sure that nothing was committed, nothing is staged any more then: to
// repeat a commit would undo what was written since the first. (In Aurora it stays
// staged, but the process ends.)
func (r *Recovery) Commit(ctx context.Context, after *persistence.TransactionNumber) (persistence.Commit, error) {
	s, err := r.hold(ctx)
	if err != nil {
		return persistence.Commit{}, err
	}
	defer r.release()
	reason := fmt.Sprintf("recovery of backup %s of cell %s, transaction %d", s.info.Name, s.info.Cell, s.info.Transaction)
	if s.deleted > 0 {
		reason += fmt.Sprintf(", without %d tasks", s.deleted)
	}
	commit, err := r.restore(ctx, s.state.records(), reason, after)
	if err == nil || errors.Is(err, persistence.ErrUnknown) {
		r.staged.Store(nil)
	}
	return commit, err
}

// Unload forgets what is staged, if anything is. It waits for a Commit.
func (r *Recovery) Unload() {
	if _, err := r.hold(context.Background()); err == nil {
		r.staged.Store(nil)
		r.release()
	}
}

// Forget does what Unload does, without waiting: a Commit under way goes on.
func (r *Recovery) Forget() { r.staged.Store(nil) }

// hold waits for the right to change what is staged now. If that was unloaded meanwhile,
// nothing is staged for this caller, whatever came after it.
func (r *Recovery) hold(ctx context.Context) (*staged, error) {
	s := r.staged.Load()
	if s == nil {
		return nil, ErrNotStaged
	}
	select {
	case r.changing <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change of the staged backup: %w", context.Cause(ctx))
	}
	if r.staged.Load() != s {
		r.release()
		return nil, ErrNotStaged
	}
	return s, nil
}

func (r *Recovery) release() { <-r.changing }

// textError has a text that clients know, and the error behind it.
type textError struct {
	text string
	err  error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.err }

func stageError(name string, err error) error {
	switch {
	case errors.Is(err, ErrInvalidName): // Aurora takes it for a path
		return err
	case errors.Is(err, ErrNotExist):
		return &textError{fmt.Sprintf("Backup %s does not exist.", name), err}
	case errors.Is(err, ErrDamaged), errors.Is(err, persistence.ErrReplay):
		return &textError{fmt.Sprintf("Failed to decode backup %s: %v", name, err), err}
	}
	return &textError{fmt.Sprintf("Failed to read backup %s: %v", name, err), err}
}
