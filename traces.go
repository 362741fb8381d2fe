package schedulerstore

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/lease"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
)

// The spans of writes are in durability/trace.go. Those of recoveries and fail-overs are
// made here, when all is known of them: what fails is in the log.

// tracer is nil if nobody wants traces.
func tracer(p trace.TracerProvider) trace.Tracer {
	if p == nil {
		return nil
	}
	return p.Tracer(durability.Scope)
}

// traceStages makes a span with one below it for each stage, one after the other.
func (s *Store) traceStages(name string, began time.Time, stages []stage, attributes ...attribute.KeyValue) {
	if s.tracer == nil {
		return
	}
	ctx, whole := s.tracer.Start(context.Background(), name, trace.WithTimestamp(began), trace.WithAttributes(attributes...))
	for _, stage := range stages {
		_, part := s.tracer.Start(ctx, stage.name, trace.WithTimestamp(began))
		began = began.Add(stage.took)
		part.End(trace.WithTimestamp(began))
	}
	whole.End(trace.WithTimestamp(began))
}

// traceRecovery tells of a recovery that is done. The first one began as the store was
// opened, and has first found and loaded a snapshot.
func (s *Store) traceRecovery(p *blob.Progress, first bool) {
	stages := []stage{{"replay", p.Elapsed}}
	began := time.Now().Add(-p.Elapsed)
	if first {
		stages = []stage{{"load", began.Sub(s.opened)}, stages[0]}
		began = s.opened
	}
	s.traceStages("recovery", began, stages, attribute.Int64("scheduler_store.transaction", int64(p.At.Transaction)),
		attribute.Int64("scheduler_store.position", int64(p.At.Next)-1), attribute.Int("scheduler_store.entries", p.Entries),
		attribute.Int64("scheduler_store.bytes", p.Bytes))
}

// traceFailOver tells how this process came to lead.
func (s *Store) traceFailOver(f failOver, l *lease.Lease) {
	s.traceStages("take over", f.claim.LastSign, f.stages(), attribute.Int64("scheduler_store.epoch", int64(l.Epoch())))
}
