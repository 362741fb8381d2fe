package sleepers_test

import (
	"context"

	schedulerstore "github.com/scheduler-store/scheduler-store"
	"github.com/scheduler-store/scheduler-store/garbage"
)

// collect removes all that is garbage beside the newest snapshot, with no grace. It does
// not ask whether the lease is held: no safety may rest on that.
func collect(ctx context.Context, s *schedulerstore.Store) error {
	_, err := garbage.Collect(ctx, s.Log(), garbage.Retention{Keep: 1, Window: -1, Grace: -1}, garbage.Options{BatchSize: 2})
	return err
}
