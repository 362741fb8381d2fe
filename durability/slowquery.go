package durability

import (
	"context"
	"log/slog"
	"time"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
	"github.com/scheduler-store/scheduler-store/storage"
)

// logQuery logs task queries as Aurora does: those that took long at level info, the
// others at level debug.
func logQuery(logger *slog.Logger) func(q *api.TaskQuery, took time.Duration, tasks int) {
	if logger == nil {
		return nil
	}
	return func(q *api.TaskQuery, took time.Duration, tasks int) {
		slow := took > storage.SlowQuery
		if !slow && !logger.Enabled(context.Background(), slog.LevelDebug) {
			return
		}
		text, err := schema.ToJSON(q)
		if err != nil { // strings that are not UTF-8
			text = []byte(err.Error())
		}
		fields := []any{"took", took, "tasks", tasks, "query", string(text)}
		if slow {
			logger.Info("slow task query", fields...)
		} else {
			logger.Debug("task query", fields...)
		}
	}
}
