package schedulerstore

import (
	"context"
	"errors"
	"time"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/internal/sleep"
	"github.com/scheduler-store/scheduler-store/storage"
)

// History says which completed job updates the leader removes, and how often it looks
// (Aurora: JobUpdateHistoryPruner). The zero value is Aurora's.
type History struct {
	// Every is the time between two runs, the first after one of it (Aurora:
	// -job_update_history_pruning_interval); default 15 minutes, negative is never.
	Every time.Duration
	// OlderThan is the age, counted from an update's first event, from which a
	// completed one is removed (Aurora: -job_update_history_pruning_threshold);
	// default 30 days.
	OlderThan time.Duration
	// PerJob is how many completed updates of a job are kept at most (Aurora:
	// -job_update_history_per_job_threshold); default 10, negative is none.
	PerJob int
}

func (h History) withDefaults() History {
	if h.Every == 0 {
		h.Every = 15 * time.Minute
	}
	if h.OlderThan <= 0 {
		h.OlderThan = 30 * 24 * time.Hour
	}
	if h.PerJob == 0 {
		h.PerJob = 10
	}
	h.PerJob = max(h.PerJob, 0)
	return h
}

// pruneHistory removes job updates now and then, until ctx ends.
func (s *Store) pruneHistory(ctx context.Context) {
	h := s.options.History.withDefaults()
	if h.Every < 0 {
		return
	}
	for sleep.For(ctx, h.Every) == nil {
		start := time.Now()
		n, err := s.prune(ctx, h)
		if ctx.Err() != nil || errors.Is(err, durability.ErrNotLeader) {
			return
		}
		if err != nil {
			s.metrics.failed(pruneWork)
			s.logger.Error("pruning job updates failed", "retry_in", h.Every, "error", err)
			continue
		}
		s.metrics.pruneSeconds.Observe(time.Since(start).Seconds())
		s.metrics.pruned.Add(float64(n))
		if n > 0 {
			s.logger.Info("pruned job updates", "job_updates", n, "took", time.Since(start))
		}
	}
}

// prune removes job updates in one transaction, and returns their number. Unlike
// Aurora's it is recorded, so they don't come back with the next recovery.
func (s *Store) prune(ctx context.Context, h History) (n int, err error) {
	err = s.storage.Write(ctx, func(_ context.Context, tx storage.Mutable) error {
		keys := storage.PrunableJobUpdates(storage.ReadOnly(tx), time.Now(), h.OlderThan, h.PerJob)
		if n = len(keys); n == 0 {
			return nil
		}
		return tx.JobUpdates().Remove(keys...)
	})
	return n, err
}
