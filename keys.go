package schedulerstore

import (
	"context"
	"sync"
	"time"
)

// refreshKeysEvery is how soon a process seals with a data key that another has made, at
// the latest. It costs a LIST each time; a commit costs nothing more.
const refreshKeysEvery = 5 * time.Minute

// refreshKeys keeps the newest data key at hand, so that nobody who comes to lead has to
// ask for it first. The function that it returns ends it.
func (s *Store) refreshKeys() (end func()) {
	keys := s.log.Codec().Keys()
	if s.options.ReadOnly || keys.Keeper() == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var refreshing sync.WaitGroup
	refreshing.Go(func() {
		tick := time.NewTicker(refreshKeysEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			before := keys.Newest()
			if err := keys.Refresh(ctx); err != nil && ctx.Err() == nil {
				s.metrics.failed(keysWork)
				s.logger.Error("the newest data key can't be taken up; what is written is encrypted with the one before", "key", before, "error", err)
			} else if now := keys.Newest(); now != before {
				s.logger.Info("what is written is encrypted with a new data key", "key", now)
			}
		}
	})
	return func() {
		cancel()
		refreshing.Wait()
	}
}
